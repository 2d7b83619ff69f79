"""What happened to every frame, and how that is told on /diagnostics."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
import os
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import numpy as np

from infant_pose_ros.ros.faults import Fault, Severity
from infant_pose_ros.ros.pace import Pace

#: Rates, ages and milliseconds are taken over this long, s, and over more where little comes in
#: that time: over so many periods of the images, and of the answers.
WINDOW_S, IMAGE_PERIODS, ANSWER_PERIODS = 5.0, 15, 3
_LEVELS = {Severity.OK: DiagnosticStatus.OK, Severity.WARN: DiagnosticStatus.WARN,
           Severity.ERROR: DiagnosticStatus.ERROR}


@dataclass(frozen=True)
class FrameStatistics:
    """A consistent look at the counters.

    `frames_in` counts frames that were taken up or replaced before it; the one that waits in
    the slot is not among them yet. Always: frames_in = answered + dropped + stale + failed +
    in_flight, and in_flight is 0 or 1.

    Attributes:
        age_ms_p50, age_ms_p95: now minus capture when the result was published; None: unknown.
        window_s: how far back what is recent lies.
        recent_*: frames of the last `window_s` seconds; recent_in: images that came;
            recent_told_lost: those of recent_lost that the middleware itself told to be lost.
        in_flight_s: for how long a frame has been in flight; None: none is.
        num_infants: in view; 0 where nothing was answered lately.
        num_refused: people of the last frame who are taken for adults and not told of.
        stale_age_s: age of the last frame that was too old; None: none was.
        since_image_s: s since the last image came; None: none came.
        error, since_error_s: the last frame that failed; None: none did.
        with_depth, without_depth: frames that were worked on with a depth picture of their own
            stamp, and without; both 0 where no depth is used.
        depth_error: why the last depth picture can't be used; None: it can.
    """

    frames_in: int = 0
    answered: int = 0
    dropped: int = 0
    stale: int = 0
    failed: int = 0
    in_flight: int = 0
    in_flight_s: float | None = None
    lost_in_transport: int = 0
    input_hz: float = 0.0
    output_hz: float = 0.0
    age_ms_p50: float | None = None
    age_ms_p95: float | None = None
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    num_infants: int = 0
    num_refused: int = 0
    window_s: float = WINDOW_S
    recent_in: int = 0
    recent_answered: int = 0
    recent_stale: int = 0
    recent_lost: int = 0
    recent_told_lost: int = 0
    recent_dropped: int = 0
    stale_age_s: float | None = None
    since_image_s: float | None = None
    error: str | None = None
    since_error_s: float | None = None
    with_depth: int = 0
    without_depth: int = 0
    recent_with_depth: int = 0
    recent_without_depth: int = 0
    depth_error: str | None = None


class _Recent:
    """Values of the last `window_s()` seconds with their times."""

    def __init__(self, window_s: Callable[[], float]):
        self._entries: deque[tuple[float, object]] = deque()
        self._window_s = window_s

    def add(self, now_s: float, value=1) -> None:
        self._entries.append((now_s, value))
        self._forget(now_s)

    def values(self, now_s: float) -> list:
        self._forget(now_s)
        return [value for _, value in self._entries]

    def rate_hz(self, now_s: float) -> float:
        """Steps between the values over their time, less once the next one is overdue."""
        count = len(self.values(now_s))
        if count < 2 or self._entries[-1][0] == self._entries[0][0]:
            return 0.0
        first_s, last_s = self._entries[0][0], self._entries[-1][0]
        return min((count - 1) / (last_s - first_s), count / (now_s - first_s))

    def _forget(self, now_s: float) -> None:
        begin_s = now_s - self._window_s()
        while self._entries and self._entries[0][0] < begin_s:
            self._entries.popleft()


class FrameCounters:
    """Counts what becomes of every frame; safe to use from several threads.

    `now_s` is any steady clock, s.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._totals = dict.fromkeys(
            ('frames_in', 'answered', 'dropped', 'stale', 'failed', 'lost_in_transport'), 0)
        self._images, self._answers = Pace(), Pace()
        self._in, self._out, self._lost, self._stale, self._dropped, self._told_lost = (
            _Recent(self._window_s) for _ in range(6))
        self._begun_s = 0.0
        self._num_infants = self._num_refused = 0
        self._image_s: float | None = None
        self._stale_age_s: float | None = None
        self._error: tuple[float, str] | None = None
        self._depth_error: str | None = None
        self._num_depth = {True: 0, False: 0}
        self._depth = {True: _Recent(self._window_s), False: _Recent(self._window_s)}

    def arrived(self, now_s: float) -> None:
        """An image came."""
        with self._lock:
            self._images.tick(now_s)
            self._in.add(now_s)
            self._image_s = now_s

    def dropped(self, now_s: float | None = None) -> None:
        """A waiting image was replaced by a newer one; left out, `now_s` is `time.monotonic()`."""
        with self._lock:
            self._totals['frames_in'] += 1
            self._totals['dropped'] += 1
            self._dropped.add(time.monotonic() if now_s is None else now_s)

    def begun(self, now_s: float | None = None) -> None:
        """The worker took up an image: exactly one of answered, stale, failed must follow; left
        out, `now_s` is `time.monotonic()`.
        """
        with self._lock:
            if not self._in_flight():
                self._begun_s = time.monotonic() if now_s is None else now_s
            self._totals['frames_in'] += 1

    def stale(self, now_s: float, age_s: float) -> None:
        """The image was too old when its turn came."""
        with self._lock:
            self._totals['stale'] += 1
            self._stale.add(now_s)
            self._stale_age_s = age_s

    def failed(self, now_s: float, error: str) -> None:
        """The image could not be computed."""
        with self._lock:
            self._totals['failed'] += 1
            self._error = (now_s, error)

    def abandoned(self, now_s: float) -> None:
        """Whoever worked on the images in flight ended: they failed."""
        with self._lock:
            left = self._in_flight()
            if left:
                self._totals['failed'] += left
                self._error = (now_s, 'the worker ended')

    def depth(self, now_s: float, has_depth: bool, error: str | None) -> None:
        """A frame is worked on with its depth picture, or without; `error`: it can't be used."""
        with self._lock:
            self._num_depth[has_depth] += 1
            self._depth[has_depth].add(now_s)
            self._depth_error = error

    def answered(self, now_s: float, age_ms: float | None, stage_ms: Mapping[str, float],
                 num_infants: int, num_refused: int = 0) -> None:
        """The answer was published; `age_ms` None where the stamps tell no age."""
        with self._lock:
            self._totals['answered'] += 1
            self._answers.tick(now_s)
            self._out.add(now_s, (age_ms, dict(stage_ms)))
            self._num_infants, self._num_refused = num_infants, num_refused

    def lost(self, now_s: float, count: int) -> None:
        """Images never came, though their CameraInfo did."""
        if count:
            with self._lock:
                self._totals['lost_in_transport'] += count
                self._lost.add(now_s, count)

    def told_lost(self, now_s: float, count: int) -> None:
        """The middleware tells that images got lost; `lost` counts them, once it is sure."""
        with self._lock:
            self._told_lost.add(now_s, count)

    def _window_s(self) -> float:
        return max(WINDOW_S, IMAGE_PERIODS * self._images.period_s,
                   ANSWER_PERIODS * self._answers.period_s)

    def _in_flight(self) -> int:
        return self._totals['frames_in'] - sum(
            self._totals[name] for name in ('answered', 'dropped', 'stale', 'failed'))

    def snapshot(self, now_s: float) -> FrameStatistics:
        """The counters, and what is recent."""
        with self._lock:
            totals = self._totals
            outputs = self._out.values(now_s)
            ages = [age for age, _ in outputs if age is not None]
            p50, p95 = np.percentile(ages, (50, 95)).tolist() if ages else (None, None)
            in_flight = self._in_flight()
            return FrameStatistics(
                **totals, in_flight=in_flight,
                in_flight_s=now_s - self._begun_s if in_flight else None,
                window_s=self._window_s(),
                input_hz=self._in.rate_hz(now_s),
                output_hz=self._out.rate_hz(now_s), age_ms_p50=p50, age_ms_p95=p95,
                stage_ms=_mean_stages([stages for _, stages in outputs]),
                num_infants=self._num_infants if outputs else 0,
                num_refused=self._num_refused if outputs else 0,
                recent_in=len(self._in.values(now_s)), recent_answered=len(outputs),
                recent_stale=len(self._stale.values(now_s)),
                recent_lost=sum(self._lost.values(now_s)),
                recent_told_lost=sum(self._told_lost.values(now_s)),
                recent_dropped=len(self._dropped.values(now_s)), stale_age_s=self._stale_age_s,
                since_image_s=None if self._image_s is None else now_s - self._image_s,
                error=self._error[1] if self._error else None,
                since_error_s=now_s - self._error[0] if self._error else None,
                with_depth=self._num_depth[True], without_depth=self._num_depth[False],
                recent_with_depth=len(self._depth[True].values(now_s)),
                recent_without_depth=len(self._depth[False].values(now_s)),
                depth_error=self._depth_error)


def _mean_stages(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean milliseconds of each stage over the frames in which it ran."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def process_memory_mb() -> float | None:
    """Resident memory of this process, MB; None where the system doesn't tell."""
    try:
        with open('/proc/self/statm', encoding='ascii') as statm:
            return int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6
    except (OSError, IndexError, ValueError):
        return None


def frame_values(statistics: FrameStatistics) -> dict[str, str]:
    """The statistics as the texts that /diagnostics carries."""
    values = {
        'input_rate_hz': f'{statistics.input_hz:.2f}',
        'output_rate_hz': f'{statistics.output_hz:.2f}',
        'age_ms_p50': _number(statistics.age_ms_p50), 'age_ms_p95': _number(statistics.age_ms_p95),
        'frames_in': str(statistics.frames_in), 'frames_answered': str(statistics.answered),
        'frames_dropped': str(statistics.dropped), 'frames_stale': str(statistics.stale),
        'frames_failed': str(statistics.failed), 'frames_in_flight': str(statistics.in_flight),
        'frames_lost_in_transport': str(statistics.lost_in_transport),
        'infants': str(statistics.num_infants), 'refused': str(statistics.num_refused)}
    values.update((f'{name}_ms', f'{value:.2f}') for name, value in statistics.stage_ms.items())
    if statistics.with_depth + statistics.without_depth:
        values.update(frames_with_depth=str(statistics.with_depth),
                      frames_without_depth=str(statistics.without_depth))
    if statistics.error:
        values['last_error'] = statistics.error
        values['last_error_s_ago'] = f'{statistics.since_error_s:.1f}'
    return values


def encode_diagnostics(stamp, name: str, hardware_id: str, faults: Sequence[Fault],
                       summary: str, values: Mapping[str, str]) -> DiagnosticArray:
    """One status, as `encode_status` makes it, in a message of its own."""
    message = DiagnosticArray(status=[encode_status(name, hardware_id, faults, summary, values)])
    message.header.stamp = stamp
    return message


def encode_status(name: str, hardware_id: str, faults: Sequence[Fault], summary: str,
                  values: Mapping[str, str]) -> DiagnosticStatus:
    """The worst level, all faults with their mend or `summary`, and the values.

    The value `faults` has the names of all faults, separated by commas; `notes` has the texts of
    those that need no mend, where there are such.
    """
    ordered = sorted(faults, key=lambda fault: fault.severity, reverse=True)
    wrong = [fault for fault in ordered if fault.severity != Severity.OK]
    notes = '; '.join(fault.text for fault in ordered if fault.severity == Severity.OK)
    told = {**values, 'faults': ','.join(fault.name for fault in wrong),
            **({'notes': notes} if notes else {})}
    return DiagnosticStatus(
        level=_LEVELS[wrong[0].severity if wrong else Severity.OK], name=name,
        hardware_id=hardware_id, message='; '.join(fault.text for fault in wrong) or summary,
        values=[KeyValue(key=key, value=value) for key, value in told.items()])


def _number(value: float | None) -> str:
    return 'unknown' if value is None else f'{value:.1f}'
