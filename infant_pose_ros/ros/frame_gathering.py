"""Pictures that wait for what belongs to them: their depth picture, their CameraInfo."""

from __future__ import annotations

from collections.abc import Callable, Collection
import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from infant_pose_ros.ros.stamp_pairing import StampPairing

#: How often waiting frames are looked at, s.
CHECK_PERIOD_S = 0.005


class FrameGathering:
    """Hands on each frame when its companions are there, or after it has waited for them.

    Args:
        node: the node whose timer looks at the frames while any waits.
        pairing: what keeps frames and companions.
        on_frame: called with each frame and its companions by kind; None where one didn't come.
    """

    def __init__(self, node: Node, pairing: StampPairing,
                 on_frame: Callable[[Any, dict[str, Any]], None]):
        self._node, self._pairing, self._on_frame = node, pairing, on_frame
        self._timer = None

    def close(self) -> list[Any]:
        """Forget everything; the frames that still waited."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._timer = None
        return self._pairing.clear()

    def add_frame(self, frame: Any, stamp_ns: int, wait_s: float,
                  wanted: Collection[str] | None = None) -> None:
        """Take in a frame, as `StampPairing.add_frame`."""
        self._hand_on(self._pairing.add_frame(
            stamp_ns, frame, time.monotonic(), wait_s, wanted))

    def add(self, kind: str, stamp_ns: int, companion: Any) -> None:
        """Take in a companion."""
        self._hand_on(self._pairing.add(kind, stamp_ns, companion, time.monotonic()))

    def _check(self) -> None:
        self._hand_on(self._pairing.ready(time.monotonic()))

    def _hand_on(self, ready: list[tuple[Any, dict[str, Any]]]) -> None:
        for frame, companions in ready:
            self._on_frame(frame, companions)
        if self._timer is not None:
            if self._pairing.num_waiting == 0:
                self._timer.cancel()
            elif self._timer.is_canceled():
                self._timer.reset()
        elif self._pairing.num_waiting:
            # One for all frames: a node never forgets the places of timers that are gone.
            self._timer = self._node.create_timer(
                CHECK_PERIOD_S, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))
