"""How pictures find their answers, and at what rate they come. Knows no node."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

#: Answers over which the rate is taken.
RATE_ANSWERS = 30
#: Data that may wait to be matched, bytes: sixty pictures of 1280x960, ten of 4K.
MAX_WAITING_BYTES = 256_000_000


class StampMatcher:
    """Brings together messages of several topics that carry one stamp.

    Each topic comes in order, so a complete set shows that whatever began to wait before it
    will never be complete: it is left out. So is a message for which another one of its topic
    comes with the same stamp. Stamps are compared for equality only, so that they may jump (a bag
    that loops).

    Args:
        topics: the names that make a set complete.
        max_waiting: most stamps kept while they wait; those that wait longest go first, also
            where all that wait have more than `MAX_WAITING_BYTES` of data.
        on_given_up: called with the incomplete set of each stamp that is left out.
    """

    def __init__(self, topics: Sequence[str], max_waiting: int,
                 on_given_up: Callable[[dict[str, Any]], None] = lambda parts: None):
        self._topics = frozenset(topics)
        self._max_waiting, self._on_given_up = max_waiting, on_given_up
        self._waiting: dict[int, dict[str, Any]] = {}

    def add(self, topic: str, stamp_ns: int, message: Any) -> dict[str, Any] | None:
        """Note a message; the complete set by topic if this was its last part, else None."""
        parts = self._waiting.setdefault(stamp_ns, {})
        if topic in parts:
            self._on_given_up({topic: parts[topic]})
        parts[topic] = message
        if parts.keys() == self._topics:
            for waiting_ns in list(self._waiting):
                left_out = self._waiting.pop(waiting_ns)
                if waiting_ns == stamp_ns:
                    break
                self._on_given_up(left_out)
            return parts
        while len(self._waiting) > self._max_waiting or (
                len(self._waiting) > 1 and self._num_bytes() > MAX_WAITING_BYTES):
            self._on_given_up(self._waiting.pop(next(iter(self._waiting))))
        return None

    def give_up(self) -> None:
        """Leave out all that waits."""
        while self._waiting:
            self._on_given_up(self._waiting.pop(next(iter(self._waiting))))

    def _num_bytes(self) -> int:
        return sum(len(getattr(message, 'data', ''))
                   for parts in self._waiting.values() for message in parts.values())

    def __len__(self) -> int:
        return len(self._waiting)


class RateMeter:
    """Rate of the last answers, from their stamps."""

    def __init__(self):
        self._stamps_ns: deque[int] = deque(maxlen=RATE_ANSWERS)

    def tick(self, stamp_ns: int) -> float | None:
        """Note an answer; answers a second, or None before the second one."""
        if self._stamps_ns and stamp_ns <= self._stamps_ns[-1]:
            self._stamps_ns.clear()
        self._stamps_ns.append(stamp_ns)
        span_ns = stamp_ns - self._stamps_ns[0]
        return 1e9 * (len(self._stamps_ns) - 1) / span_ns if span_ns else None
