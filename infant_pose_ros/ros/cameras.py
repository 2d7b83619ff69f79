"""CameraInfo messages: to and from `Camera`, and as witnesses of loss."""

from __future__ import annotations

from collections import deque

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from infant_pose_ros.codecs.camera_infos import decode_camera_info as decode_camera_info
from infant_pose_ros.geometry.cameras import camera_for_picture as camera_for_picture
from infant_pose_ros.structures import Camera

#: Stamps remembered while images and CameraInfo messages are matched.
MAX_STAMPS = 512
#: A step back in stamps by more than this is a new start (a bag that loops), ns.
RESTART_NS = 500_000_000
#: Stamps remembered that lie so far behind the images; where so many images have come since, and
#: stamps still go forward, it was no new start.
MAX_BEHIND, BEHIND_IMAGES = 32, 3
#: Without an image for so long, s, those that were overtaken by the last one never come.
OVERDUE_S = 1.0


def encode_camera_info(camera: Camera, header: Header) -> CameraInfo:
    """The message that `decode_camera_info` reads back."""
    fx, fy, cx, cy = (float(v) for v in (camera.fx, camera.fy, camera.cx, camera.cy))
    return CameraInfo(
        header=header, width=int(camera.width), height=int(camera.height),
        distortion_model=camera.distortion_model or 'plumb_bob',
        d=[float(c) for c in camera.distortion] or [0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0])


class TransportWatch:
    """Counts pictures lost on the way: CameraInfo stamps for which no image ever came.

    A driver publishes both with one stamp. An image with a later stamp proves that an earlier
    one was lost, and so does one whose stamp jumped far back of those that wait; stamps before
    the first image are not counted. Where stamps run backwards, messages come in the order in
    which they were sent, still: an image proves the loss of what was announced before it.
    Stamps in ns.
    """

    def __init__(self):
        self._waiting: deque[int] = deque(maxlen=MAX_STAMPS)
        self._images: deque[int] = deque(maxlen=MAX_STAMPS)
        # A little behind the last image, in the order of arrival: lost, or stamps run backwards.
        self._late: deque[int] = deque(maxlen=MAX_STAMPS)
        # Far behind the images, with the number of images till then: the first to know that the
        # stamps jump back, or announced by a camera that was held up.
        self._behind: deque[tuple[int, int]] = deque(maxlen=MAX_BEHIND)
        self._num_images = 0
        self._has_jumped = False        # so what lies before the first image may well be lost

    def restart(self) -> None:
        """Forget all stamps: the subscription was made anew."""
        self._waiting.clear()
        self._images.clear()
        self._late.clear()
        self._behind.clear()
        self._has_jumped = False

    def saw_camera_info(self, stamp_ns: int) -> None:
        """Note a CameraInfo: an image of its stamp is to be expected."""
        if not self._images:
            return
        if stamp_ns <= self._images[-1] - RESTART_NS:   # also one that was there in the last loop
            self._behind.append((stamp_ns, self._num_images))
        elif stamp_ns in self._images:
            return
        elif stamp_ns < self._images[-1]:
            if self._is_expected(stamp_ns):
                self._late.append(stamp_ns)
        elif stamp_ns not in self._waiting:
            self._waiting.append(stamp_ns)

    def saw_image(self, stamp_ns: int) -> int:
        """Note an image; the number of pictures that it shows to be lost."""
        lost = 0
        if self._images and stamp_ns < self._images[-1] - RESTART_NS:
            lost = len(self._waiting) + len(self._late)
            begun = [stamp for stamp, _ in self._behind]
            self.restart()
            self._waiting.extend(begun)
            self._has_jumped = True
        self._images.append(stamp_ns)
        self._num_images += 1
        lost += self._overtaken(stamp_ns) + self._left_behind()
        lost += sum(waiting < stamp_ns for waiting in self._waiting)
        later = [waiting for waiting in self._waiting if waiting > stamp_ns]
        self._waiting.clear()
        self._waiting.extend(later)
        return lost

    def saw_none(self) -> int:
        """No image has come for `OVERDUE_S`: the number of pictures that the last one overtook, so
        that none will prove them lost.
        """
        lost = len(self._late)
        self._late.clear()
        return lost

    def _overtaken(self, stamp_ns: int) -> int:
        """How many of the late ones this image proves lost: all that were announced before it."""
        count = self._late.index(stamp_ns) if stamp_ns in self._late else len(self._late)
        for _ in range(min(count + 1, len(self._late))):
            self._late.popleft()
        return count

    def _left_behind(self) -> int:
        """How many of those far behind are lost, as the stamps did not jump back to them."""
        lost = 0
        while self._behind and self._num_images - self._behind[0][1] >= BEHIND_IMAGES:
            stamp_ns, _ = self._behind.popleft()
            lost += stamp_ns not in self._images and self._is_expected(stamp_ns)
        return lost

    def _is_expected(self, stamp_ns: int) -> bool:
        """Whether an image of this stamp, which is none of the last ones, was to come."""
        return self._has_jumped or stamp_ns > self._images[0]
