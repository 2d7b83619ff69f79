"""Stamps: ROS time to seconds, and what to do with drivers that don't stamp. Knows no rclpy."""

from __future__ import annotations

NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp) -> int:
    """A builtin_interfaces/Time in ns."""
    return stamp.sec * NS_PER_S + stamp.nanosec


class CaptureClock:
    """Gives each frame a time for the filters: its stamp, or its arrival where it has none.

    A stamp of zero is taken at its word once (a simulation begins there); from the second zero
    in a row on it means that the driver doesn't stamp, and the time of arrival stands in.
    """

    def __init__(self):
        self._last_was_zero = False
        self.is_stamped = True

    def seconds(self, stamp_ns: int, arrival_ns: int) -> float:
        """Time of capture, s; `is_stamped` tells afterwards whether it is the stamp."""
        self.is_stamped = stamp_ns != 0 or not self._last_was_zero
        self._last_was_zero = stamp_ns == 0
        return (stamp_ns if self.is_stamped else arrival_ns) / NS_PER_S
