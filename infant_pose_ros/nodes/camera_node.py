"""camera_node: a video, a folder of pictures, a bag or a webcam as a ROS camera. Wiring only."""

from __future__ import annotations

import threading
import time

import cv2
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from infant_pose_ros.config import CameraNodeSettings
from infant_pose_ros.entry import finish
from infant_pose_ros.errors import InfantPoseError, InvalidInputError, SourceError
from infant_pose_ros.media.sources import bundled_clip, FrameSource, open_source, SourceFrame
from infant_pose_ros.ros.cameras import camera_for_picture, encode_camera_info
from infant_pose_ros.ros.images import encode_compressed, encode_image
from infant_pose_ros.ros.parameters import declare_settings
from infant_pose_ros.ros.player_watch import PlayerWatch
from infant_pose_ros.ros.qos import checked_overrides
from infant_pose_ros.ros.running import run_node
from infant_pose_ros.ros.status_publisher import StatusPublisher
from infant_pose_ros.structures import Camera

#: The subscribers must have been there for this long before the first picture, s.
SETTLE_S = 0.5
#: How long the end waits for subscribers that have not confirmed the last picture, s.
ACKNOWLEDGE_TIMEOUT_S = 10.0
#: How often that wait, and every other one, looks whether the node is to stop, s.
LOOK_S = 0.1
#: A webcam that failed is opened again after so long, s.
REOPEN_S = 3.0
#: What may go wrong with a source: an unreadable picture, a device that is gone.
SOURCE_ERRORS = (InfantPoseError, OSError, ValueError, cv2.error)


class CameraNode(Node):
    """Publishes pictures with their CameraInfo, stamped with the time of publishing.

    Where no calibration is known, CameraInfo is still published, with K all zero: ROS's way of
    saying 'not calibrated'. A webcam that fails is opened again every few seconds; any other
    source that fails, or ends, ends the node.
    """

    def __init__(self):
        super().__init__('camera_node')
        self._settings = declare_settings(self, CameraNodeSettings)
        self.exit_code = 0
        self._source = self._open()
        self._watch = PlayerWatch(
            self._source.name, self._settings.rate_hz or self._source.rate_hz)
        self._camera = self._load_camera(self._source)
        self._watch.calibrated(self._camera is not None)
        self._images = self._publisher(
            *((CompressedImage, 'image/compressed') if self._settings.compressed
              else (Image, 'image')), 5)
        self._infos = self._publisher(CameraInfo, 'camera_info', 100)
        self._encode = encode_compressed if self._settings.compressed else encode_image
        self._stop = threading.Event()
        self._status = StatusPublisher(
            self, 'camera', self._source.name,
            lambda now_s: self._watch.report(now_s, self._images.get_subscription_count()))
        self._player = threading.Thread(target=self._run, name='player')
        self._player.start()

    def close(self) -> None:
        """Stop playing; the node is about to be destroyed."""
        self._stop.set()
        self._player.join()
        self._source.close()

    def _publisher(self, message_type: type, topic: str, depth: int):
        with checked_overrides(self.resolve_topic_name(topic), 'publisher'):
            return self.create_publisher(
                message_type, topic,
                QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())

    def _open(self) -> FrameSource:
        return open_source(
            self._settings.source or bundled_clip(), self._settings.rate_hz or None)

    def _load_camera(self, source: FrameSource) -> Camera | None:
        path = self._settings.camera_info or source.camera_info_path
        if not path:
            return source.camera
        return camera_for_picture(Camera.from_camera_info_yaml(path), source.size_wh)

    def _run(self) -> None:
        """The player's thread: play, tell how it ended, and end the process."""
        code = 1    # also for what nobody thought of
        try:
            if self._wait_for_subscribers():
                self._play_on()
                if not self._stopped():
                    self._watch.ended()
                    self._status.publish()
                    self._wait_for_acknowledgement()
            code = 0
        except SOURCE_ERRORS as error:
            if self._stopped():     # who ends it may have unplugged the webcam, too
                code = 0
            self._watch.failed(str(error), False)
            self._status.publish()
        except RuntimeError:
            # The ROS context may be taken away while a picture is being published.
            if self.context.ok():
                raise
            code = 0
        finally:
            self.exit_code = code
            self.context.try_shutdown()

    def _play_on(self) -> None:
        """Play to the end; where a webcam fails, open it again until it works."""
        while True:
            try:
                return self._play(self._source)
            except SOURCE_ERRORS as error:
                if not self._source.is_live or self._stopped():
                    raise
                self._watch.failed(str(error), True)
            self._source.close()
            if not self._reopened():
                return

    def _reopened(self) -> bool:
        """Wait until the webcam is there again; False where the node was stopped meanwhile."""
        while not self._stop.wait(REOPEN_S):
            try:
                self._source = self._open()
            except SOURCE_ERRORS as error:
                self._watch.failed(str(error), True)
                continue
            try:
                self._camera = self._load_camera(self._source)
                self._watch.calibrated(self._camera is not None)
            except InvalidInputError as error:      # it came back with another resolution
                self._camera = None
                self._watch.calibrated(False, str(error))
            return True
        return False

    def _play(self, source: FrameSource) -> None:
        """Publish all pictures at the rate."""
        period_s = 1.0 / self._watch.wanted_hz
        due_s = time.monotonic()
        width, height = source.size_wh
        self.get_logger().info(
            f'{source.name}: {width}x{height}, {1.0 / period_s:g} Hz, '
            f'{"calibrated" if self._camera else "no calibration"}, on {self._images.topic_name}')
        self._watch.began(due_s)
        while not self._stopped():
            before = self._watch.count
            for frame in source:
                if self._stopped():
                    break
                if source.is_live and time.monotonic() < due_s - 0.5 * period_s:
                    continue
                if self._stop.wait(0.0 if source.is_live else max(0.0, due_s - time.monotonic())):
                    break
                due_s = max(due_s + period_s, time.monotonic())
                self._publish(frame)
                self._watch.played(time.monotonic())
            if source.is_live and not self._stopped():
                raise SourceError(f'source {source.name}: the webcam was closed')
            if self._watch.count == before and not self._stopped():
                raise SourceError(f'source {source.name}: it has no picture any more')
            if not self._settings.loop:
                break

    def _publish(self, frame: SourceFrame) -> None:
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._settings.frame_id)
        if self._camera is not None:
            info = encode_camera_info(self._camera, header)
        else:
            rows, columns = frame.image_rgb.shape[:2]
            info = CameraInfo(header=header, width=columns, height=rows)
        self._infos.publish(info)
        self._images.publish(self._encode(frame.image_rgb, header))

    def _wait_for_subscribers(self) -> bool:
        """Wait as the settings ask; False where the node was stopped meanwhile."""
        wanted = self._settings.wait_for_subscribers
        if wanted:
            self.get_logger().info(
                f'waiting for {wanted} subscribers of {self._images.topic_name}')
            there_since_s = None
            while there_since_s is None or time.monotonic() < there_since_s + SETTLE_S:
                if self._images.get_subscription_count() < wanted:
                    there_since_s = None
                elif there_since_s is None:
                    there_since_s = time.monotonic()
                if self._stop.wait(0.02):
                    return False
        return not self._stop.wait(self._settings.start_delay_s)

    def _wait_for_acknowledgement(self) -> None:
        """The last pictures must arrive before the publishers go (newer ROS versions only)."""
        deadline_s = time.monotonic() + ACKNOWLEDGE_TIMEOUT_S
        for publisher in (self._infos, self._images):
            wait = getattr(publisher, 'wait_for_all_acked', None)
            while wait is not None and not wait(Duration(seconds=LOOK_S)):
                if self._stopped():
                    return
                if time.monotonic() > deadline_s:
                    self.get_logger().warning(
                        f'{publisher.topic_name}: a subscriber did not confirm the last messages '
                        f'within {ACKNOWLEDGE_TIMEOUT_S:g} s')
                    break

    def _stopped(self) -> bool:
        return self._stop.is_set() or not self.context.ok()


def main(args: list[str] | None = None) -> int:
    """Console script `camera_node`: 0 at the end of the source, 1 where it can't be read."""
    made: list[CameraNode] = []

    def make_node() -> CameraNode:
        made.append(CameraNode())
        return made[0]

    code = run_node(make_node, args)
    return made[0].exit_code if made else code


if __name__ == '__main__':
    finish(main())
