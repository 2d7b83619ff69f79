"""Brings pictures and messages of exactly the same stamp together. Knows no rclpy."""

from __future__ import annotations

from collections import deque, OrderedDict
from collections.abc import Collection, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

Frame = TypeVar('Frame')
#: Frames that wait at most.
MAX_WAITING = 8


class _Waiting(NamedTuple):
    stamp_ns: int
    frame: Any
    wanted: Collection[str]
    until_s: float


class StampPairing(Generic[Frame]):
    """Holds frames until their companions are there or they have waited long enough.

    A companion, a depth picture say, belongs to the frame with exactly its stamp, and to no
    other; a stamp of 0 is none, and such a frame doesn't wait. Frames leave in the order in which
    they came: one that waits goes without when a later one is complete.
    `now_s` is any steady clock, s. Not for several threads.

    Args:
        kinds: names of the companions, and how many of each are kept at most, the newest.
        max_waiting: frames that wait at most; then the oldest goes without.
        max_bytes: of the data of one kind's messages that are kept; one may always be. None: no
            matter.
    """

    def __init__(self, kinds: Mapping[str, int], max_waiting: int = MAX_WAITING,
                 max_bytes: int | None = None):
        self._max_bytes = max_bytes
        self._kinds, self._max_waiting = dict(kinds), max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._kept: dict[str, OrderedDict[int, Any]] = {kind: OrderedDict() for kind in kinds}

    @property
    def num_waiting(self) -> int:
        """Frames that wait."""
        return len(self._waiting)

    def add_frame(self, stamp_ns: int, frame: Frame, now_s: float, wait_s: float,
                  wanted: Collection[str] | None = None) -> list[tuple[Frame, dict[str, Any]]]:
        """Take in a frame.

        Args:
            wait_s: how long it waits at most. wanted: for which kinds; None: for all.

        Returns:
            the frames that are ready, each with its companions by kind, None for those that did
            not come.
        """
        self._waiting.append(_Waiting(
            stamp_ns, frame, tuple(self._kinds) if wanted is None else wanted,
            now_s + (wait_s if stamp_ns else 0.0)))
        return self.ready(now_s)

    def add(self, kind: str, stamp_ns: int, companion: Any, now_s: float
            ) -> list[tuple[Frame, dict[str, Any]]]:
        """Take in a companion; the frames that are ready."""
        kept = self._kept[kind]
        if stamp_ns:
            kept[stamp_ns] = companion
        while len(kept) > self._kinds[kind] or (
                len(kept) > 1 and self._is_too_much(kept, companion)):
            kept.popitem(last=False)
        return self.ready(now_s)

    def _is_too_much(self, kept: Mapping[int, Any], newest: Any) -> bool:
        """Whether they have more data than may be; those of a kind that has none never do."""
        return self._max_bytes is not None and hasattr(newest, 'data') and sum(
            len(one.data) for one in kept.values()) > self._max_bytes

    def ready(self, now_s: float) -> list[tuple[Frame, dict[str, Any]]]:
        """The frames that are complete or have waited long enough, and those before them."""
        num_ready = max(len(self._waiting) - self._max_waiting, 0)
        for place, one in enumerate(self._waiting, start=1):
            is_complete = all(one.stamp_ns in self._kept[kind] for kind in one.wanted)
            if is_complete or now_s >= one.until_s:
                num_ready = max(num_ready, place)
        leaving = [self._waiting.popleft() for _ in range(num_ready)]
        return [(one.frame, {kind: kept.pop(one.stamp_ns, None)
                             for kind, kept in self._kept.items()}) for one in leaving]

    def clear(self) -> list[Frame]:
        """Forget everything; the frames that still waited."""
        left = [one.frame for one in self._waiting]
        self._waiting.clear()
        for kept in self._kept.values():
            kept.clear()
        return left
