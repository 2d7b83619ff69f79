"""Publishes pictures of a soak's own making: other formats, damaged ones, odd stamps, bursts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
import itertools
import time

import cv2
import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.soak_ledger import Ledger
from infant_pose_ros.ros.timing import NS_PER_S, stamp_to_ns
from infant_pose_ros.structures import Camera

#: How long subscribers may take to find a new publisher, s.
FIND_TIMEOUT_S = 20.0
#: The same stamp is not used twice: each picture's is at least so much later, ns.
_UNIQUE_NS = itertools.count()


class PicturePublisher:
    """A second camera on the topics of a camera_node, for the time of one fault.

    Args:
        node: publishes. namespace: the camera's. ledger: gets every stamp that is sent.
        camera: its CameraInfo goes with every picture. reliable: else best effort.
    """

    def __init__(self, node: Node, namespace: str, ledger: Ledger, camera: Camera,
                 reliable: bool = True):
        self._node, self._ledger, self._camera = node, ledger, camera
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE if reliable
                         else ReliabilityPolicy.BEST_EFFORT)
        self._images = node.create_publisher(Image, f'{namespace}/image', qos)
        self._infos = node.create_publisher(CameraInfo, f'{namespace}/camera_info', QoSProfile(
            depth=100, reliability=ReliabilityPolicy.RELIABLE))

    def is_heard(self, by: int) -> bool:
        """Whether so many subscribers have found it."""
        return (self._images.get_subscription_count() >= by
                and self._infos.get_subscription_count() >= 2)

    def send(self, image: Image, info: CameraInfo | None = None) -> None:
        """Publish a picture and its CameraInfo, by default the camera's own, of its stamp."""
        if info is None:
            info = encode_camera_info(self._camera, image.header)
        info.header = image.header
        self._ledger.sent(stamp_to_ns(image.header.stamp), time.monotonic())
        self._infos.publish(info)
        self._images.publish(image)

    def wait_for_acknowledgement(self, timeout: Duration) -> None:
        """Let the last pictures arrive (newer ROS versions only)."""
        wait = getattr(self._images, 'wait_for_all_acked', None)
        if wait is not None:
            wait(timeout)

    def close(self) -> None:
        """Be gone."""
        self._node.destroy_publisher(self._images)
        self._node.destroy_publisher(self._infos)


def header(offset_s: float = 0.0) -> Header:
    """A header stamped now and `offset_s`; no two are stamped alike."""
    stamp_ns = time.time_ns() + int(offset_s * NS_PER_S) + next(_UNIQUE_NS) % 1000
    made = Header(frame_id='camera_optical_frame')
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
    return made


def paced(count: int, rate_hz: float, wait: Callable[[float], object]) -> Iterator[int]:
    """0 .. count - 1 at a rate; what is late is made up for."""
    begun_s = time.monotonic()
    for index in range(count):
        wait(max(0.0, begun_s + index / rate_hz - time.monotonic()))
        yield index


def in_encodings(pictures_rgb: Iterable[np.ndarray]) -> Iterator[Image]:
    """The pictures in one encoding after the other; the header is left empty."""
    makers = (
        ('bgr8', lambda rgb: rgb[:, :, ::-1]),
        ('mono8', lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)),
        ('rgba8', lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA)),
        ('bgra8', lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA)),
        ('mono16', lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257))
    for (encoding, make), picture in zip(itertools.cycle(makers), pictures_rgb, strict=False):
        yield _raw_image(encoding, np.ascontiguousarray(make(picture)))


def damaged(picture_rgb: np.ndarray) -> list[Image]:
    """Messages that can't be decoded, each wrong in a way of its own; headers are left empty."""
    cut, grown, odd, none, narrow, tall = (encode_image(picture_rgb) for _ in range(6))
    cut.data = cut.data[:len(cut.data) // 2]
    grown.width *= 3
    odd.encoding = 'yuv_of_tomorrow'
    none.data, none.width, none.height, none.step = b'', 0, 0, 0
    narrow.step = 7
    tall.height, tall.data = 2 ** 32 - 1, tall.data[:1000]
    return [cut, grown, odd, none, narrow, tall]


def absurd_infos(camera: Camera) -> list[CameraInfo]:
    """CameraInfo messages that fit no picture or hold no numbers; headers are left empty."""
    misfit, nothing, many = (encode_camera_info(camera, Header()) for _ in range(3))
    misfit.width, misfit.height = 123, 4567
    nothing.k = [float('nan')] * 9
    many.d, many.distortion_model = [1e300] * 200, 'of_tomorrow'
    return [misfit, nothing, many]


def _raw_image(encoding: str, pixels: np.ndarray) -> Image:
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                    step=pixels.strides[0])
    message.data.frombytes(pixels.tobytes())
    return message
