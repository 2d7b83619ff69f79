"""What a soak hears: pictures announced, answers, ages and what /diagnostics tells."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import struct
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from infant_pose_ros.ros.recording import Topic
from infant_pose_ros.ros.soak_judging import AgeWindow
from infant_pose_ros.ros.soak_ledger import COUNTED, Ledger
from infant_pose_ros.ros.timing import NS_PER_S

POSE_NODE, OVERLAY_NODE = '/pose_node', '/overlay_node'
#: Answers of the last so many seconds tell the rate, s.
RATE_WINDOW_S = 2.0
_IN_FLIGHT = 'frames_in_flight'


def namespaces(num_cameras: int) -> dict[str, str]:
    """Namespace of each camera_node by the camera's name: one alone is called 'camera'."""
    if num_cameras == 1:
        return {'camera': '/camera'}
    return {f'cam{number}': f'/cam{number}' for number in range(1, num_cameras + 1)}


def camera_node_of(camera: str, num_cameras: int) -> str:
    """Full name of a camera's node, as /diagnostics has it."""
    return f'{namespaces(num_cameras)[camera][1:]}/camera_node'


def answers_of(camera: str, num_cameras: int) -> str:
    """Where the keypoints of a camera come."""
    return f'{POSE_NODE}/keypoints' if num_cameras == 1 else f'{POSE_NODE}/{camera}/keypoints'


def status_name(camera: str, num_cameras: int) -> str:
    """The camera's status in /diagnostics."""
    return (f'{POSE_NODE[1:]}: poses' if num_cameras == 1
            else f'{POSE_NODE[1:]}: poses of {camera}')


def stamp_of(data: bytes) -> int:
    """The stamp, ns, of a serialised message that begins with a header (CDR, either order)."""
    sec, nanosec = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    return sec * NS_PER_S + nanosec


@dataclass
class Status:
    """The last status of a camera in /diagnostics."""

    received_s: float = -float('inf')
    state: str = ''
    message: str = ''
    faults: frozenset[str] = frozenset()
    counters: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0


class CameraWatch:
    """What is heard of one camera: its ledger, the times and ages of its answers, its status."""

    def __init__(self):
        self.ledger = Ledger()
        self.status = Status()
        self.seen: set[str] = set()
        self._lock = threading.Lock()
        self._answers_s: deque[float] = deque(maxlen=4096)
        self._ages_ms: list[float] = []

    def answered(self, stamp_ns: int, received_ns: int, now_s: float) -> None:
        """Note an answer."""
        self.ledger.answered(stamp_ns, now_s)
        with self._lock:
            self._answers_s.append(now_s)
            self._ages_ms.append((received_ns - stamp_ns) / 1e6)

    def told(self, status: Status) -> None:
        """Note what /diagnostics tells."""
        with self._lock:
            self.status = status
            self.seen |= status.faults

    def forget_seen(self) -> None:
        """Begin to collect the names of faults anew."""
        with self._lock:
            self.seen = set()

    def answers_since(self, from_s: float) -> int:
        """How many answers came since then."""
        with self._lock:
            return sum(at_s >= from_s for at_s in self._answers_s)

    def rate_hz(self, now_s: float) -> float:
        """Answers a second over the last `RATE_WINDOW_S`."""
        return self.answers_since(now_s - RATE_WINDOW_S) / RATE_WINDOW_S

    def take_ages_ms(self) -> list[float]:
        """Ages of the answers since the last call."""
        with self._lock:
            ages, self._ages_ms = self._ages_ms, []
        return ages


class Watch:
    """All cameras of a run; `put` takes what `RawSubscriptions` hands over.

    Attributes:
        cameras: by name, in order. overlays: pictures that overlay_node published.
        in_use_mb: by the full name of a node, without the first slash, what it last told to have
            in use.
    """

    def __init__(self, names: Sequence[str]):
        self.cameras = {name: CameraWatch() for name in names}
        self._by_status = {status_name(name, len(names)): camera
                           for name, camera in self.cameras.items()}
        self.in_use_mb: dict[str, float] = {}
        self.overlays = 0
        self.overlay_s = -float('inf')

    def topics(self) -> dict[str, Topic]:
        """What to subscribe to, by role."""
        topics = {'diagnostics': Topic('/diagnostics', DiagnosticArray),
                  'overlay': Topic(f'{OVERLAY_NODE}/image', Image)}
        for name, namespace in namespaces(len(self.cameras)).items():
            topics[f'info {name}'] = Topic(f'{namespace}/camera_info', CameraInfo)
            topics[f'answer {name}'] = Topic(answers_of(name, len(self.cameras)), PointCloud2)
        return topics

    def put(self, role: str, received_ns: int, data: bytes) -> None:
        """Note a serialised message."""
        now_s = time.monotonic()
        what, _, name = role.partition(' ')
        if what == 'info':
            self.cameras[name].ledger.heard_of(stamp_of(data), now_s)
        elif what == 'answer':
            self.cameras[name].answered(stamp_of(data), received_ns, now_s)
        elif what == 'overlay':
            self.overlays, self.overlay_s = self.overlays + 1, now_s
        else:
            self._on_diagnostics(deserialize_message(data, DiagnosticArray), now_s)

    def _on_diagnostics(self, message: DiagnosticArray, now_s: float) -> None:
        for status in message.status:
            camera = self._by_status.get(status.name)
            values = {pair.key: pair.value for pair in status.values}
            if values.get('memory_in_use_mb', 'unknown') != 'unknown':
                self.in_use_mb[status.name.partition(':')[0]] = float(values['memory_in_use_mb'])
            if camera is None or _IN_FLIGHT not in values:
                continue
            camera.told(Status(
                now_s, values.get('state', ''), status.message,
                frozenset(filter(None, values.get('faults', '').split(','))),
                {name: int(values[name]) for name in COUNTED}, int(values[_IN_FLIGHT])))

    def last_news_s(self) -> float:
        """When the last picture was announced or answered."""
        return max(camera.ledger.last_news_s for camera in self.cameras.values())

    def age_window(self, at_s: float, seconds: float) -> AgeWindow | None:
        """Ages since the last call, all cameras together; None: nothing was answered.

        Args:
            at_s: since the run began. seconds: how long the window was.
        """
        ages = [age for camera in self.cameras.values() for age in camera.take_ages_ms()]
        if not ages:
            return None
        p50_ms, p95_ms = np.percentile(ages, (50, 95)).tolist()
        return AgeWindow(at_s, p50_ms, p95_ms, len(ages), seconds)
