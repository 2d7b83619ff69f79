"""What `infant-pose doctor` gathers of a graph, in plain values. Knows no rclpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import struct

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO, CLOUD = 'sensor_msgs/msg/CameraInfo', 'sensor_msgs/msg/PointCloud2'
CLOCK, DIAGNOSTICS = 'rosgraph_msgs/msg/Clock', 'diagnostic_msgs/msg/DiagnosticArray'
IMAGE_TYPES = (IMAGE, COMPRESSED)
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription: its node's full name, and the words of its QoS."""

    node: str
    reliability: str
    durability: str = 'volatile'


@dataclass(frozen=True)
class Mismatch:
    """A publisher and a subscription of one topic that will never exchange a message."""

    publisher: Endpoint
    subscription: Endpoint
    reason: str


@dataclass(frozen=True)
class TopicFacts:
    """A topic of the graph.

    Attributes:
        types: its message types; more than one is a fault.
    """

    name: str
    types: tuple[str, ...]
    publishers: tuple[Endpoint, ...] = ()
    subscriptions: tuple[Endpoint, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def carries_images(self) -> bool:
        """Whether pictures are published on it."""
        return bool(self.publishers) and any(name in IMAGE_TYPES for name in self.types)


@dataclass
class Stream:
    """What was received on a topic of pictures or of CameraInfo while it was listened to.

    Attributes:
        sizes: bytes of each message. arrivals_ns: by the system's clock.
        stamps_ns: of each header. ages_ns: the node's clock minus the stamp, on arrival; of
            messages with a stamp, while the clock runs.
        frame_ids: all that came. pictures_wh: width and height in px, all that came; none of
            CompressedImage.
        encodings: all that came, of Image.
    """

    sizes: list[int] = field(default_factory=list)
    arrivals_ns: list[int] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)
    ages_ns: list[int] = field(default_factory=list)
    frame_ids: set[str] = field(default_factory=set)
    pictures_wh: set[tuple[int, int]] = field(default_factory=set)
    encodings: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """Messages that came."""
        return len(self.arrivals_ns)

    @property
    def rate_hz(self) -> float | None:
        """Messages a second; None with fewer than two."""
        if self.count < 2 or self.arrivals_ns[-1] <= self.arrivals_ns[0]:
            return None
        return (self.count - 1) * NS_PER_S / (self.arrivals_ns[-1] - self.arrivals_ns[0])

    @property
    def megabytes_a_second(self) -> float | None:
        """1e6 bytes a second; None with fewer than two messages."""
        rate_hz = self.rate_hz
        return None if rate_hz is None else rate_hz * sum(self.sizes) / self.count / 1e6


@dataclass(frozen=True)
class NodeFacts:
    """A node of the graph.

    Attributes:
        name: full, '/ward/pose_node'.
        kind: 'pose_node', 'overlay_node' or '': another one.
        subscribed: topics that it subscribes to, with their types.
        state: lifecycle state of a pose_node; None: it did not answer.
        parameters: of those asked for, what it answered.
    """

    name: str
    kind: str = ''
    subscribed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    state: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """The last status of one name on /diagnostics; level as in DiagnosticStatus (3: stale).

    `faults` has the names of the faults, as the nodes of this package tell them.
    """

    name: str
    level: int
    message: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphFacts:
    """All that was seen of a graph.

    Attributes:
        domain: the ROS domain. seconds: how long was listened.
        streams: by topic, of those that carry pictures or CameraInfo.
        diagnoses: the last of each name.
        clock_ticks: messages on /clock; None where nobody publishes it.
        other_domains: domains in which processes of this machine take part.
    """

    domain: int
    seconds: float
    nodes: tuple[NodeFacts, ...] = ()
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)
    streams: Mapping[str, Stream] = field(default_factory=dict)
    diagnoses: tuple[Diagnosis, ...] = ()
    clock_ticks: int | None = None
    other_domains: tuple[int, ...] = ()

    def image_topics(self) -> list[str]:
        """Names of the topics that carry pictures."""
        return sorted(name for name, topic in self.topics.items() if topic.carries_images)


@dataclass(frozen=True)
class SerialisedHeader:
    """What the first bytes of a serialised picture or CameraInfo tell.

    Attributes:
        size_wh: px; None for CompressedImage. encoding: of an Image; else ''.
    """

    stamp_ns: int
    frame_id: str
    size_wh: tuple[int, int] | None
    encoding: str


def read_serialised(data: bytes, type_name: str) -> SerialisedHeader | None:
    """Header and size of a message in CDR, without decoding it; None where it is too short.

    Args:
        data: as a raw subscription hands it on: four bytes of encapsulation, then CDR.
        type_name: `IMAGE`, `COMPRESSED` or `CAMERA_INFO`.
    """
    order = '<' if len(data) > 1 and data[1] & 1 else '>'
    try:
        sec, nanosec, length = struct.unpack_from(f'{order}iII', data, 4)
        frame_id = bytes(data[16:16 + length - 1]).decode('utf-8', 'replace') if length else ''
        size_wh, encoding = None, ''
        if type_name != COMPRESSED:
            place = 4 + _aligned(12 + length)
            height, width = struct.unpack_from(f'{order}II', data, place)
            size_wh = width, height
            if type_name == IMAGE:
                (length,) = struct.unpack_from(f'{order}I', data, place + 8)
                encoding = bytes(data[place + 12:place + 11 + length]).decode('utf-8', 'replace')
    except struct.error:
        return None
    return SerialisedHeader(sec * NS_PER_S + nanosec, frame_id, size_wh, encoding)


def _aligned(offset: int) -> int:
    """The next multiple of four: where CDR puts a uint32."""
    return (offset + 3) // 4 * 4


def camera_info_beside(image_topic: str, type_name: str) -> str:
    """Where image_transport's rule puts the CameraInfo of an image topic."""
    parts = image_topic.split('/')
    if type_name == COMPRESSED and parts[-1] in ('compressed', 'theora', 'compressedDepth'):
        parts.pop()
    return '/'.join([*parts[:-1], 'camera_info'])
