"""The camera's depth pictures, brought together with the pictures of the same stamp."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Image

from infant_pose_ros.ros.depth_pairing import DepthPairing, MAX_DEPTHS
from infant_pose_ros.ros.image_input import FollowingSubscription
from infant_pose_ros.ros.timing import stamp_to_ns

#: How often waiting frames are looked at, s.
CHECK_PERIOD_S = 0.005


class DepthInput:
    """Subscribes to `depth` and hands on each frame when its depth picture is there.

    Args:
        node: the node that subscribes. reliability: as `FollowingSubscription`.
        on_frame: called with each frame and its depth Image; None where none came in time.

    Raises:
        SettingsError: as `FollowingSubscription`.
    """

    def __init__(self, node: Node, reliability: str,
                 on_frame: Callable[[Any, Image | None], None]):
        self._node, self._on_frame = node, on_frame
        self._subscription = FollowingSubscription(
            node, Image, 'depth', reliability, self._on_depth, depth=MAX_DEPTHS)
        self.topic = self._subscription.topic
        self._pairing: DepthPairing = DepthPairing(0.0)
        self._timer = None

    @property
    def num_publishers(self) -> int:
        """Of the depth pictures."""
        return len(self._subscription.offered())

    def open(self) -> None:
        """Subscribe."""
        self._subscription.open()
        self._timer = self._node.create_timer(
            CHECK_PERIOD_S, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> list[Any]:
        """Unsubscribe; the frames that still waited."""
        self._subscription.close()
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._timer = None
        return self._pairing.clear()

    def add_frame(self, frame: Any, stamp_ns: int, wait_s: float) -> None:
        """Take in a frame: it is handed on at once, or when its depth came, or after `wait_s`."""
        self._pairing.wait_s = wait_s
        self._hand_on(self._pairing.add_frame(stamp_ns, frame, time.monotonic()))

    def _on_depth(self, message: Image) -> None:
        self._hand_on(self._pairing.add_depth(
            stamp_to_ns(message.header.stamp), message, time.monotonic()))

    def _check(self) -> None:
        self._hand_on(self._pairing.expired(time.monotonic()))

    def _hand_on(self, ready: list[tuple[Any, Image | None]]) -> None:
        for frame, depth in ready:
            self._on_frame(frame, depth)
