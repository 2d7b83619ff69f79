"""Brings pictures and depth pictures of exactly the same stamp together. Knows no rclpy."""

from __future__ import annotations

from collections import deque, OrderedDict
from typing import Any, Generic, NamedTuple, TypeVar

Frame = TypeVar('Frame')
#: Depth pictures that are kept for their frames, and frames that wait at most.
MAX_DEPTHS, MAX_WAITING = 8, 8


class _Waiting(NamedTuple):
    stamp_ns: int
    frame: Any
    until_s: float


class DepthPairing(Generic[Frame]):
    """Holds frames until their depth picture is there or they have waited long enough.

    A depth picture belongs to the frame with exactly its stamp, and to no other; a stamp of 0 is
    none, and such a frame doesn't wait. Frames leave in the order in which they came: one that
    waits goes without depth when a later one is complete.
    `now_s` is any steady clock, s. Not for several threads.

    Args:
        wait_s: how long a frame waits at most.
    """

    def __init__(self, wait_s: float):
        self.wait_s = wait_s
        self._waiting: deque[_Waiting] = deque()
        self._depths: OrderedDict[int, Any] = OrderedDict()

    def add_frame(self, stamp_ns: int, frame: Frame, now_s: float) -> list[tuple[Frame, Any]]:
        """Take in a frame; the frames that are ready, each with its depth picture or None."""
        wait_s = self.wait_s if stamp_ns else 0.0
        self._waiting.append(_Waiting(stamp_ns, frame, now_s + wait_s))
        return self._ready(now_s)

    def add_depth(self, stamp_ns: int, depth: Any, now_s: float) -> list[tuple[Frame, Any]]:
        """Take in a depth picture; the frames that are ready."""
        if stamp_ns:
            self._depths[stamp_ns] = depth
        while len(self._depths) > MAX_DEPTHS:
            self._depths.popitem(last=False)
        return self._ready(now_s)

    def expired(self, now_s: float) -> list[tuple[Frame, Any]]:
        """The frames that have waited long enough, and those before them."""
        return self._ready(now_s)

    def clear(self) -> list[Frame]:
        """Forget everything; the frames that still waited."""
        left = [one.frame for one in self._waiting]
        self._waiting.clear()
        self._depths.clear()
        return left

    def _ready(self, now_s: float) -> list[tuple[Frame, Any]]:
        num_ready = max(len(self._waiting) - MAX_WAITING, 0)
        for place, one in enumerate(self._waiting, start=1):
            if one.stamp_ns in self._depths or now_s >= one.until_s:
                num_ready = max(num_ready, place)
        leaving = [self._waiting.popleft() for _ in range(num_ready)]
        return [(one.frame, self._depths.pop(one.stamp_ns, None)) for one in leaving]
