"""Records a run of the nodes: a bag, an overlay video, and what the summary needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
import os
from pathlib import Path
import queue
import threading

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from infant_pose_ros.errors import InfantPoseError
from infant_pose_ros.evaluation.summary import FrameRecord, summarise
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.media.writer import fitted_picture, VideoWriter
from infant_pose_ros.ros.bag import BagWriter
from infant_pose_ros.ros.images import decode_image, encode_compressed
from infant_pose_ros.ros.keypoints import decode_keypoints
from infant_pose_ros.ros.timing import NS_PER_S, stamp_to_ns

JPEG_QUALITY = 85
#: A picture is held in the video for this long at most while none follows, s.
HOLD_MAX_S = 5.0
#: Pictures that wait to be recorded take this much memory at most; more are left out, bytes.
WAITING_MAX_BYTES = 256 * 2**20
#: Roles of the topics that carry pictures.
PICTURE_ROLES = ('image', 'overlay')
_POLITENESS = 10
_COUNTERS = ('frames_in', 'frames_answered', 'frames_dropped', 'frames_stale', 'frames_failed',
             'frames_in_flight', 'frames_lost_in_transport')


@dataclass(frozen=True)
class Topic:
    """A topic to record; `latched` means transient local."""

    name: str
    message_type: type
    latched: bool = False


def demo_topics(camera: str, pose_node: str, overlay_node: str) -> dict[str, Topic]:
    """What a run publishes, by role; the arguments are the nodes' namespaces."""
    return {
        'image': Topic(f'{camera}/image', Image),
        'camera_info': Topic(f'{camera}/camera_info', CameraInfo),
        'keypoints': Topic(f'{pose_node}/keypoints', PointCloud2),
        'keypoints_raw': Topic(f'{pose_node}/keypoints_raw', PointCloud2),
        'poses': Topic(f'{pose_node}/poses', PoseArray),
        'markers': Topic(f'{pose_node}/markers', MarkerArray),
        'joint_states': Topic(f'{pose_node}/joint_states', JointState),
        'skeleton_info': Topic(f'{pose_node}/skeleton_info', String, latched=True),
        'diagnostics': Topic('/diagnostics', DiagnosticArray),
        'overlay': Topic(f'{overlay_node}/image', Image),
    }


class HeldVideo:
    """A video of constant rate from pictures at any times: each is held until the next one.

    Pictures of other sizes are fitted into the first one's.
    """

    def __init__(self, path: Path, rate_hz: float):
        self._path, self._rate_hz = path, rate_hz
        self._writer: VideoWriter | None = None
        self._start_ns = 0
        self._last_rgb: np.ndarray | None = None

    @property
    def num_frames(self) -> int:
        """Frames written so far."""
        return self._writer.num_frames if self._writer else 0

    def add(self, stamp_ns: int, image_rgb: np.ndarray) -> None:
        """Add a picture taken at `stamp_ns`; one that comes too early for its place is kept."""
        if self._writer is None:
            self._start_ns = stamp_ns
            self._writer = VideoWriter(self._path, self._rate_hz, image_rgb.shape[1::-1])
            self._last_rgb = image_rgb
        image_rgb = fitted_picture(image_rgb, self._writer.size_wh)
        place = round((stamp_ns - self._start_ns) / NS_PER_S * self._rate_hz)
        hold_until = min(place, self.num_frames + round(HOLD_MAX_S * self._rate_hz))
        while self.num_frames < hold_until:
            self._writer.write(self._last_rgb)
        self._writer.write(image_rgb)
        self._last_rgb = image_rgb

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


class Recorder:
    """Takes serialised messages from any thread and works on them on one of its own.

    Camera pictures go into the bag as JPEG, the overlay into the video, everything else into
    the bag as it came. The thread gives way to the nodes where the CPU is short; pictures that
    it falls too far behind with are left out and counted, everything else is kept.

    Args:
        folder: gets `bag/` and `overlay.mp4`. rate_hz: of the video. topics: by role.
        waiting_max_bytes: how much memory waiting pictures may take.

    Attributes:
        left_out: pictures that were left out, by role.
        camera_stamps_ns: stamps of all CameraInfo messages, in order.
        records: one `FrameRecord` for each keypoints message.
        counters: pose_node's last frame counters; empty before its first diagnostics.
        counters_received_ns: when these came.
        problem: what pose_node last reported to be wrong; '' if nothing.
        failure: why pose_node could not be configured; '' if it could.
        error: what ended the recording early, or None.
    """

    def __init__(self, folder: Path, rate_hz: float, topics: dict[str, Topic],
                 waiting_max_bytes: int = WAITING_MAX_BYTES):
        self._topics = topics
        self._waiting_max_bytes, self._waiting_bytes = waiting_max_bytes, 0
        self._waiting_lock = threading.Lock()
        self.left_out: Counter[str] = Counter()
        self._bag = BagWriter(folder / 'bag')
        self._video = HeldVideo(folder / 'overlay.mp4', rate_hz)
        self._queue: queue.SimpleQueue[tuple[str, int, bytes] | None] = queue.SimpleQueue()
        self._special = {'image': self._on_image, 'overlay': self._on_overlay,
                         'camera_info': self._on_camera_info, 'keypoints': self._on_keypoints,
                         'diagnostics': self._on_diagnostics}
        self.camera_stamps_ns: list[int] = []
        self.records: list[FrameRecord] = []
        self.counters: dict[str, int] = {}
        self.counters_received_ns = 0
        self.problem = self.failure = ''
        self.error: InfantPoseError | None = None
        self._thread = threading.Thread(target=self._run, name='recorder', daemon=True)
        self._thread.start()

    @property
    def bag_counts(self) -> dict[str, int]:
        """Messages in the bag, by topic."""
        return dict(self._bag.counts)

    @property
    def video_frames(self) -> int:
        """Frames in the overlay video, held ones included."""
        return self._video.num_frames

    def put(self, role: str, received_ns: int, data: bytes) -> None:
        """Hand over a serialised message of the topic in this role."""
        if role in PICTURE_ROLES:
            with self._waiting_lock:
                if self._waiting_bytes + len(data) > self._waiting_max_bytes:
                    self.left_out[role] += 1
                    return
                self._waiting_bytes += len(data)
        self._queue.put((role, received_ns, data))

    def close(self) -> None:
        """Work off what waits, then finish bag and video."""
        self._queue.put(None)
        self._thread.join()
        self._video.close()
        self._bag.close()

    def _run(self) -> None:
        if hasattr(os, 'setpriority'):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _POLITENESS)
        while (entry := self._queue.get()) is not None:
            if entry[0] in PICTURE_ROLES:
                with self._waiting_lock:
                    self._waiting_bytes -= len(entry[2])
            if self.error is None:
                try:
                    self._record(*entry)
                except InfantPoseError as error:
                    self.error = error

    def _record(self, role: str, received_ns: int, data: bytes) -> None:
        topic = self._topics[role]
        if role not in PICTURE_ROLES:
            self._bag.write(topic.name, topic.message_type, received_ns, data, topic.latched)
        special = self._special.get(role)
        if special is not None:
            special(deserialize_message(data, topic.message_type), received_ns)

    def _on_image(self, message: Image, received_ns: int) -> None:
        packed = encode_compressed(decode_image(message), message.header, JPEG_QUALITY)
        self._bag.write(f'{self._topics["image"].name}/compressed', CompressedImage, received_ns,
                        serialize_message(packed))

    def _on_overlay(self, message: Image, _received_ns: int) -> None:
        self._video.add(stamp_to_ns(message.header.stamp), decode_image(message))

    def _on_camera_info(self, message: CameraInfo, _received_ns: int) -> None:
        self.camera_stamps_ns.append(stamp_to_ns(message.header.stamp))

    def _on_keypoints(self, message: PointCloud2, received_ns: int) -> None:
        infants = decode_keypoints(message)
        stamp_s = stamp_to_ns(message.header.stamp) / NS_PER_S
        self.records.append(frame_record(infants, stamp_s, received_ns / NS_PER_S))

    def _on_diagnostics(self, message: DiagnosticArray, received_ns: int) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if all(name in values for name in _COUNTERS):
                self.counters = {name: int(values[name]) for name in _COUNTERS}
                self.counters_received_ns = received_ns
                self.problem = status.message if status.level != status.OK else ''
                has_failed = (status.level == status.ERROR
                              and values.get('state') == 'unconfigured')
                self.failure = status.message if has_failed else ''


def frame_record(infants: np.ndarray, stamp_s: float, received_s: float) -> FrameRecord:
    """The main infant of a keypoints message, (N, 16) of `KEYPOINT_DTYPE`, for the summary."""
    if not len(infants):
        return FrameRecord(stamp_s, received_s)
    main = infants[0]
    return FrameRecord(
        stamp_s, received_s, np.stack([main['u'], main['v']], axis=-1).astype(float),
        np.stack([main['x'], main['y'], main['z']], axis=-1).astype(float),
        main['state'].copy(), main['score'].astype(float))


def summarise_run(camera_stamps_ns: list[int], records: list[FrameRecord],
                  counters: dict[str, int], truth: ClipTruth | None,
                  published: int | None = None) -> tuple[dict, list[str]]:
    """The summary of a run, and in words whatever in it doesn't hold together.

    Args:
        camera_stamps_ns: of all CameraInfo messages: the frames that went in. Frame i of them
            is frame i of the truth.
        counters: pose_node's frame counters at the end.
        published: how many pictures the camera says it published, where that is known.
    """
    frames_in = len(camera_stamps_ns)
    dropped = sum(counters.get(name, 0)
                  for name in ('frames_dropped', 'frames_stale', 'frames_failed'))
    lost = counters.get('frames_lost_in_transport', 0)
    summary = summarise(records, None, frames_in, dropped, lost)
    notes = []
    if not counters:
        notes.append('no diagnostics of pose_node came: dropped frames are not known')
    missing = frames_in - len(records) - dropped - lost
    if missing:
        notes.append(f'the accounts do not balance: {frames_in} frames in, but {len(records)} '
                     f'answered + {dropped} dropped + {lost} lost in transport')
    if counters.get('frames_failed'):
        notes.append(f'{counters["frames_failed"]} of the dropped frames could not be computed: '
                     'see pose_node.log')
    if published is not None and published != frames_in:
        notes.append(f'the camera published {published} pictures, but {frames_in} CameraInfo '
                     'messages came')
        if truth is not None:
            notes.append('so frames and truth can not be matched: accuracy is left out')
            truth = None
    if truth is not None:
        timed = on_the_clips_clock(records, camera_stamps_ns, truth.stamps_s)
        accuracy = summarise(timed, truth, frames_in, dropped, lost)
        summary.update((key, value) for key, value in accuracy.items()
                       if key not in summary or key == 'joints_found')
    return summary, notes


def on_the_clips_clock(records: list[FrameRecord], camera_stamps_ns: list[int],
                       clip_stamps_s: np.ndarray) -> list[FrameRecord]:
    """Records with the clip's own stamps, by the frame's number; others are left out."""
    index_of = {stamp_ns / NS_PER_S: index for index, stamp_ns in enumerate(camera_stamps_ns)}
    timed = []
    for record in records:
        index = index_of.get(record.stamp_s)
        if index is not None and index < len(clip_stamps_s):
            stamp_s = float(clip_stamps_s[index])
            timed.append(FrameRecord(
                stamp_s, stamp_s + record.received_s - record.stamp_s, record.keypoints_px,
                record.keypoints_m, record.state, record.score))
    return timed
