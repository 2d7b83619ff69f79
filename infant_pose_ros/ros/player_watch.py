"""What a camera_node's source does, and what is wrong with it. Knows no node."""

from __future__ import annotations

from collections.abc import Iterator
import threading

from infant_pose_ros.ros.diagnostics import FrameCounters
from infant_pose_ros.ros.faults import Fault, Severity

#: A source is slow under this share of the rate that is wanted, after so long, s, and so many
#: periods: the first picture of a webcam takes its time, and the rate is taken over 5 s.
SLOW_SHARE, SLOW_AFTER_S, SLOW_AFTER_PERIODS = 0.8, 8.0, 3.0


class PlayerWatch:
    """Follows a source from picture to picture; thread-safe.

    Attributes:
        wanted_hz: pictures a second that are to come.
    """

    def __init__(self, name: str, wanted_hz: float):
        self.wanted_hz = wanted_hz
        self._name = name
        self._lock = threading.Lock()
        self._counters = FrameCounters()
        self._state, self._count = 'waiting', 0
        self._began_s: float | None = None
        self._error: str | None = None
        self._calibration_error: str | None = None
        self._is_calibrated = True

    def calibrated(self, is_calibrated: bool, error: str | None = None) -> None:
        """Say whether a calibration is known, and why the one given can't be used."""
        with self._lock:
            self._is_calibrated, self._calibration_error = is_calibrated, error

    def began(self, now_s: float) -> None:
        """Pictures are to come from now on."""
        with self._lock:
            self._state, self._began_s, self._error = 'playing', now_s, None
            self._counters = FrameCounters()    # the time before tells nothing of the rate

    def played(self, now_s: float) -> None:
        """A picture was published."""
        with self._lock:
            self._counters.arrived(now_s)
            self._count += 1

    def ended(self) -> None:
        """All pictures were published."""
        with self._lock:
            self._state = 'ended'

    def failed(self, error: str, is_tried_again: bool) -> None:
        """No more pictures come, for this reason; whether the source is opened again."""
        with self._lock:
            self._state = 'reopening' if is_tried_again else 'failed'
            self._error = error

    @property
    def count(self) -> int:
        """How many pictures were published."""
        with self._lock:
            return self._count

    def report(self, now_s: float, num_subscribers: int
               ) -> tuple[list[Fault], str, dict[str, str]]:
        """Faults, summary and values for /diagnostics."""
        with self._lock:
            rate_hz = self._counters.snapshot(now_s).input_hz
            summary = {'playing': f'{rate_hz:.1f} pictures a second',
                       'waiting': 'waiting for subscribers'}.get(self._state, self._state)
            return list(self._faults(now_s, rate_hz)), summary, {
                'state': self._state, 'source': self._name, 'rate_hz': f'{rate_hz:.2f}',
                'rate_wanted_hz': f'{self.wanted_hz:.2f}', 'pictures': str(self._count),
                'subscribers': str(num_subscribers)}

    def _faults(self, now_s: float, rate_hz: float) -> Iterator[Fault]:
        if self._error is not None:
            mend = ('it is tried again every few seconds; plug it in, or end the program that '
                    'uses it' if self._state == 'reopening' else
                    'mend or exchange the source and start the node again')
            yield Fault(Severity.ERROR, 'source_failed', f'{self._error}: {mend}')
        elif self._state == 'ended':
            yield Fault(Severity.OK, 'source_ended',
                        f'end of {self._name}: {self._count} pictures published; set loop to '
                        'begin again at the end')
        elif (self._state == 'playing' and rate_hz < SLOW_SHARE * self.wanted_hz
              and now_s - self._began_s > max(
                  SLOW_AFTER_S, SLOW_AFTER_PERIODS / self.wanted_hz)):
            yield Fault(Severity.WARN, 'source_slow',
                        f'{self._name} gives {rate_hz:.3g} of {self.wanted_hz:.3g} pictures a '
                        'second: lower rate_hz or the resolution, or light the room (a webcam '
                        'in the dark exposes longer)')
        if self._calibration_error is not None:
            yield Fault(Severity.WARN, 'camera_info_misfit',
                        f'CameraInfo says that nothing is known: {self._calibration_error}')
        elif not self._is_calibrated:
            yield Fault(Severity.OK, 'not_calibrated',
                        f'no calibration of {self._name} is known, so 3D is relative to the '
                        'pelvis: give camera_info')
