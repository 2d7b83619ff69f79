"""A picture on its way from the subscription to the worker, and how much of such may wait."""

from __future__ import annotations

from dataclasses import dataclass
import threading

from sensor_msgs.msg import CompressedImage, Image

from infant_pose_ros.ros.timing import stamp_to_ns
from infant_pose_ros.structures import Camera


@dataclass(eq=False)
class Frame:
    """An image message, when it came, its calibration as known then, and its depth picture.

    Attributes:
        decode_ms: how long it took to make a picture of it.
    """

    camera_name: str
    message: Image | CompressedImage
    arrival_ns: int
    camera: Camera | None
    depth: Image | None = None
    decode_ms: float = 0.0

    @property
    def stamp_ns(self) -> int:
        """The image's stamp."""
        return stamp_to_ns(self.message.header.stamp)

    @property
    def num_bytes(self) -> int:
        """Of the picture, and of its depth picture as soon as that is known."""
        return len(self.message.data) + (0 if self.depth is None else len(self.depth.data))


class InHand:
    """How much of a camera waits to be answered; thread-safe. `limit_bytes` None: no matter."""

    def __init__(self, limit_bytes: int | None):
        self.limit_bytes = limit_bytes
        self._bytes = 0
        self._lock = threading.Lock()

    def take(self, num_bytes: int) -> bool:
        """Whether so much more may wait; one picture always may."""
        with self._lock:
            if self.limit_bytes is not None and self._bytes and (
                    self._bytes + num_bytes > self.limit_bytes):
                return False
            self._bytes += num_bytes
            return True

    def give_back(self, num_bytes: int) -> None:
        """So much waits no more."""
        with self._lock:
            self._bytes -= num_bytes
