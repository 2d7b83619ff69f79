"""What the stamps of a camera's images do: advance, stand still, run backwards. Knows no ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
import statistics

from infant_pose_ros.ros.faults import Fault, Severity

#: What is judged lies so far back at most, s.
WINDOW_S = 5.0
#: Stamps that don't change for longer, while images come, stand still, s.
STILL_S = 1.0
#: So many steps back, and such a share of the images in the window, are no bag that loops.
MANY_STEPS_BACK, STEPS_BACK_SHARE = 3, 0.1
#: Stamps may lie this far in the future before the clocks count as apart, s.
FUTURE_S = 0.05
_NS_PER_S = 1e9


class StampWatch:
    """Takes in each image's stamp, and tells what is odd about them.

    Attributes:
        is_stamped: False after two stamps of zero in a row: the driver doesn't stamp.
    """

    def __init__(self):
        self.restart()

    def restart(self) -> None:
        """Forget all stamps."""
        self.is_stamped = True
        self._last_ns: int | None = None
        self._moved_s = self._seen_s = 0.0
        # (time s, by how much the stamp stepped back s, arrival minus stamp s or None)
        self._recent: deque[tuple[float, float, float | None]] = deque()

    def saw(self, stamp_ns: int, now_ns: int, now_s: float) -> None:
        """Note an image.

        Args:
            stamp_ns: its stamp. now_ns: the node's clock, 0 where it doesn't run.
            now_s: a steady clock.
        """
        last_ns, self._last_ns = self._last_ns, stamp_ns
        self.is_stamped = stamp_ns != 0 or last_ns != 0
        if stamp_ns != last_ns:
            self._moved_s = now_s
        self._seen_s = now_s
        back_s = 0.0 if last_ns is None else max(0.0, (last_ns - stamp_ns) / _NS_PER_S)
        age_s = (now_ns - stamp_ns) / _NS_PER_S if now_ns and self.is_stamped else None
        self._recent.append((now_s, back_s, age_s))
        self._forget(now_s)

    @property
    def still_s(self) -> float:
        """For how long images have come that all carry the last stamp, s."""
        return self._seen_s - self._moved_s

    def faults(self, now_s: float) -> Iterator[Fault]:
        """What is wrong with the stamps of the last seconds."""
        self._forget(now_s)
        if not self._recent:
            return
        if not self.is_stamped:
            yield Fault(Severity.WARN, 'no_stamps',
                        'images carry no stamp (0): the time of arrival stands in, ages are '
                        'unknown; let the driver stamp them')
            return
        if self.still_s > STILL_S:
            yield Fault(Severity.WARN, 'stamps_stand_still',
                        f'all images of the last {self.still_s:.1f} s carry the stamp '
                        f'{self._last_ns / _NS_PER_S:.3f}, so nothing is smoothed: let the '
                        'driver stamp each picture with the time of its capture')
        yield from self._backwards()
        ages_s = [age_s for _, _, age_s in self._recent if age_s is not None]
        if ages_s and statistics.median(ages_s) < -FUTURE_S:
            yield Fault(Severity.WARN, 'stamps_in_future',
                        f'stamps lie {-1000.0 * statistics.median(ages_s):.0f} ms in the future: '
                        "synchronise the camera's clock with this machine's")

    def _backwards(self) -> Iterator[Fault]:
        steps_s = [back_s for _, back_s, _ in self._recent if back_s > 0.0]
        count = len(self._recent)
        if len(steps_s) >= MANY_STEPS_BACK and len(steps_s) > STEPS_BACK_SHARE * count:
            yield Fault(Severity.WARN, 'stamps_run_backwards',
                        f'{len(steps_s)} of {count} recent stamps lie before the one before, by '
                        f'up to {max(steps_s):.3f} s, and each begins all tracks anew: let one '
                        'publisher alone publish the topic, or mend the stamps of the driver')
        elif steps_s:
            yield Fault(Severity.OK, 'stamps_jumped_back',
                        f'the stamps jumped back by {steps_s[-1]:.3f} s and all tracks began '
                        'anew: nothing to mend if a recording began again')

    def _forget(self, now_s: float) -> None:
        while self._recent and self._recent[0][0] < now_s - WINDOW_S:
            self._recent.popleft()
