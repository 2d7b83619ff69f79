"""What a soak's records show: growth, drift, recoveries, accounts. Knows no rclpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from infant_pose_ros.ros.soak_ledger import EpochAccount

#: Memory may grow by this share after warm-up; resident memory by more where what is in use did
#: not: the gaps in between are others each time that models are loaded anew.
GROWTH_MAX, GAPS_MAX = 0.01, 0.05
#: Threads and open files may be this many more at the end.
EXTRA_HANDLES = 8
#: DDS's shared memory may grow by so much: the segments of two more publishers, MB.
EXTRA_SHARED_MB = 70.0
#: The first and the last look at a process must be so far apart, s.
JUDGED_S = 90.0
#: What a process holds is the least in this time, s: in between it hands back what it has freed
#: (every `allocator.TRIM_PERIOD_S`), and takes it again with the next picture.
FLOOR_S = 12.0
#: The first and the last part of the times without faults that are compared.
PART = 1.0 / 3.0
#: The median age may become so much longer: a factor, and ms on top.
DRIFT_FACTOR, DRIFT_MS = 1.5, 20.0


@dataclass(frozen=True)
class Sample:
    """One look at a process; `memory_mb` is resident, `shared_mb` the share of it that is DDS's
    shared memory; `cpu_s` is what it has used since it started; `in_use_mb` is what it has asked
    of its allocator and not freed, NaN where it doesn't tell.
    """

    at_s: float
    memory_mb: float
    shared_mb: float
    threads: int
    files: int
    cpu_s: float
    in_use_mb: float = float('nan')

    @property
    def own_mb(self) -> float:
        """Resident memory without DDS's shared memory, which is other processes' as well."""
        return self.memory_mb - self.shared_mb


@dataclass(frozen=True)
class Life:
    """What was seen of one process, from its start to its end."""

    node: str
    samples: Sequence[Sample]


@dataclass(frozen=True)
class Growth:
    """A process at first and in the end, after its warm-up.

    Attributes:
        judged_s: how long that was. own_mb, in_use_mb, shared_mb, threads, files: (first, last).
        cpu_share: CPU time over time, 1 is one core.
    """

    node: str
    judged_s: float
    own_mb: tuple[float, float]
    in_use_mb: tuple[float, float]
    shared_mb: tuple[float, float]
    threads: tuple[float, float]
    files: tuple[float, float]
    cpu_share: float

    @property
    def share(self) -> float:
        """How much resident memory grew, 0.01 is 1 %."""
        return self.own_mb[1] / self.own_mb[0] - 1.0

    @property
    def in_use_share(self) -> float:
        """How much more is in use, as a share of resident memory; NaN: it doesn't tell."""
        return (self.in_use_mb[1] - self.in_use_mb[0]) / self.own_mb[0]


@dataclass(frozen=True)
class Recovery:
    """One fault: when it was injected, what it was, and what became of it.

    Attributes:
        at_s: since the run began.
        recovered_s: until pictures were answered at the usual rate again, from the moment that
            the cause was gone; None: not within `limit_s`.
        cleared_s: the same until /diagnostics no longer showed it.
        expected: names that /diagnostics should show; shown: those among them that it did show.
        problem: what else went wrong; '' if nothing.
        excused: pictures that needed no answer because of it, all cameras together.
    """

    at_s: float
    kind: str
    detail: str
    recovered_s: float | None
    cleared_s: float | None
    limit_s: float
    expected: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    problem: str = ''
    excused: int = 0


@dataclass(frozen=True)
class AgeWindow:
    """Ages of the answers in a time without faults."""

    at_s: float
    p50_ms: float
    p95_ms: float
    answers: int
    seconds: float


def lowest(samples: Sequence[Sample]) -> Sample:
    """The sample with the least memory of its own, with the least that was in use in any."""
    found = min(samples, key=lambda sample: sample.own_mb)
    return replace(found, in_use_mb=float(np.fmin.reduce(
        [sample.in_use_mb for sample in samples])))


def growth_over_calms(life: Life, calms: Sequence[float]) -> Growth | None:
    """Growth between times in which a process is in one and the same state.

    The lowest of the earlier half of the looks is compared with that of the later half, without
    the one in the middle: in single looks DDS holds a picture or two more.

    Args:
        calms: when each of them began; they last `FLOOR_S`.

    Returns:
        None where the process did not live through two that are far enough apart.
    """
    looks = [[sample for sample in life.samples if begun_s <= sample.at_s < begun_s + FLOOR_S]
             for begun_s in calms]
    lows = [lowest(samples) for samples in looks if samples]
    if len(lows) < 2 or lows[-1].at_s - lows[0].at_s < JUDGED_S:
        return None
    half = len(lows) // 2
    first, last = lowest(lows[:half]), lowest(lows[-half:])
    pairs = {name: (getattr(first, name), getattr(last, name))
             for name in ('own_mb', 'in_use_mb', 'shared_mb', 'threads', 'files')}
    judged_s = lows[-1].at_s - lows[0].at_s
    return Growth(life.node, judged_s, **pairs,
                  cpu_share=(lows[-1].cpu_s - lows[0].cpu_s) / judged_s)


def growth_problems(growth: Growth) -> list[str]:
    """What in it is too much, in words."""
    problems = []
    gaps_alone = growth.in_use_share <= GROWTH_MAX      # not where it is NaN
    for what, pair, share, most in (
            ('memory', growth.own_mb, growth.share, GAPS_MAX if gaps_alone else GROWTH_MAX),
            ('memory in use', growth.in_use_mb, growth.in_use_share, GROWTH_MAX)):
        if share > most:
            problems.append(
                f'{growth.node}: {what} grew from {pair[0]:.1f} to {pair[1]:.1f} MB '
                f'({share:+.1%}) within {growth.judged_s:.0f} s after warm-up; at most '
                f'{most:.0%} may be')
    if growth.shared_mb[1] > growth.shared_mb[0] + EXTRA_SHARED_MB:
        problems.append(
            f'{growth.node}: shared memory grew from {growth.shared_mb[0]:.0f} to '
            f'{growth.shared_mb[1]:.0f} MB; at most {EXTRA_SHARED_MB:.0f} more may be')
    for name in ('threads', 'files'):
        first, last = getattr(growth, name)
        if last > first + EXTRA_HANDLES:
            problems.append(f'{growth.node}: {name} grew from {first:.0f} to {last:.0f} after '
                            f'warm-up; at most {EXTRA_HANDLES} more may be')
    return problems


def age_drift(windows: Sequence[AgeWindow]) -> tuple[float, float] | None:
    """Median age, ms, in the first and the last third of the windows; None: fewer than 3."""
    if len(windows) < 3:
        return None
    third = max(1, round(PART * len(windows)))
    return (float(np.median([window.p50_ms for window in windows[:third]])),
            float(np.median([window.p50_ms for window in windows[-third:]])))


def drift_problems(windows: Sequence[AgeWindow]) -> list[str]:
    """Whether answers come later and later."""
    drift = age_drift(windows)
    if drift is None or drift[1] <= DRIFT_FACTOR * drift[0] + DRIFT_MS:
        return []
    return [f'the age of answers drifted from {drift[0]:.0f} to {drift[1]:.0f} ms']


def recovery_problems(recovery: Recovery) -> list[str]:
    """What a fault was not recovered from."""
    where = f'{recovery.kind} at {recovery.at_s:.0f} s'
    problems = [f'{where}: {recovery.problem}'] if recovery.problem else []
    if recovery.recovered_s is None:
        problems.append(f'{where}: not recovered within {recovery.limit_s:.0f} s')
    if recovery.cleared_s is None:
        problems.append(f'{where}: /diagnostics still showed it after {recovery.limit_s:.0f} s')
    if recovery.expected and not recovery.shown:
        problems.append(f'{where}: /diagnostics showed none of {", ".join(recovery.expected)}')
    return problems


def account_problems(camera: str, account: EpochAccount) -> list[str]:
    """Pictures that vanished."""
    if not account.uncounted:
        return []
    counted = ', '.join(f'{count} {name.removeprefix("frames_")}'
                        for name, count in account.counted.items())
    listed = ', '.join(f'{stamp / 1e9:.3f}' for stamp in account.unanswered[:5])
    return [f'{camera}: {account.num_unanswered} of {account.published} pictures were not '
            f'answered, and {account.uncounted} of them not counted ({counted}); stamps: '
            f'{listed}{", ..." if account.num_unanswered > 5 else ""}']
