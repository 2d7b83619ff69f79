"""Faults in the log: once when they appear, now and then while they last, once when over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infant_pose_ros.ros.faults import Fault, Severity


@dataclass
class _Episode:
    """One fault while it lasts: since when, and how bad the log told it to be, if at all."""

    began_s: float
    logged: Severity = Severity.OK


class FaultLog:
    """Writes faults to a logger, throttled; not thread-safe.

    A fault is logged when it appears or becomes an error, else at most once every `period_s`,
    and once more when it is over, with the time that it lasted. One that comes and goes within
    the period is not told again. Faults of severity OK are notes: each is logged once only.

    Args:
        logger: with `error`, `warning` and `info`.
    """

    def __init__(self, logger, period_s: float = 60.0):
        self._logger = logger
        self._period_s = period_s
        self._episodes: dict[tuple[str, str], _Episode] = {}
        self._logged_s: dict[tuple[str, str], float] = {}
        self._noted: set[tuple[str, str]] = set()

    def tell(self, source: str, faults: Sequence[Fault], now_s: float) -> None:
        """Log what is new, due again or over.

        Args:
            source: whose faults these are, a camera say; '' for the node's own.
            faults: all that are wrong with it now. now_s: a steady clock.
        """
        start = f'{source}: ' if source else ''
        for fault in faults:
            key = (source, fault.name)
            if fault.severity == Severity.OK:
                if key not in self._noted:
                    self._noted.add(key)
                    self._logger.info(f'{start}{fault.text} [{fault.name}]')
                continue
            episode = self._episodes.setdefault(key, _Episode(now_s))
            is_due = now_s - self._logged_s.get(key, -float('inf')) >= self._period_s
            if is_due or Severity.OK < episode.logged < fault.severity:
                self._logged_s[key], episode.logged = now_s, fault.severity
                self._write(fault.severity, f'{start}{fault.text} [{fault.name}]')
        present = {(source, fault.name) for fault in faults if fault.severity != Severity.OK}
        for key in [key for key in self._episodes if key[0] == source and key not in present]:
            episode = self._episodes.pop(key)
            if episode.logged:
                self._logger.info(
                    f'{start}over after {now_s - episode.began_s:.0f} s [{key[1]}]')

    def _write(self, severity: Severity, text: str) -> None:
        # rclpy refuses a call whose severity differs from that of the call before it there.
        if severity == Severity.ERROR:
            self._logger.error(text)
        else:
            self._logger.warning(text)
