"""How often something comes, and so for how long the last one is news. Knows no ROS."""

from __future__ import annotations

from collections import deque
import itertools
import statistics

#: What came last is news for so long, s, and longer where it comes seldom: for so many periods.
RECENT_S, RECENT_PERIODS = 2.0, 3.0
#: So many of the last intervals count: a pause among them changes nothing.
MAX_INTERVALS = 10


class Pace:
    """Takes in when something came; every time is of one steady clock, s.

    Attributes:
        last_s: when the last one came; minus infinity: none did.
    """

    def __init__(self):
        self.last_s = -float('inf')
        self._times_s: deque[float] = deque(maxlen=MAX_INTERVALS + 1)

    def tick(self, now_s: float) -> None:
        """Another one came."""
        self.last_s = now_s
        self._times_s.append(now_s)

    @property
    def period_s(self) -> float:
        """The median of the last intervals, the shorter one of two; 0 before the first."""
        times_s = tuple(self._times_s)
        return statistics.median_low(
            later - earlier for earlier, later in itertools.pairwise(times_s)) if (
                len(times_s) > 1) else 0.0

    def recent_s(self, least_s: float = RECENT_S) -> float:
        """For how long the last one is news: `least_s`, or `RECENT_PERIODS` if that is longer."""
        return max(least_s, RECENT_PERIODS * self.period_s)

    def is_recent(self, now_s: float, least_s: float = RECENT_S) -> bool:
        """Whether the last one is news."""
        return now_s - self.last_s <= self.recent_s(least_s)
