"""What a soak's records show: growth, drift, recoveries, accounts. Knows no rclpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from infant_pose_ros.ros.soak_ledger import EpochAccount

#: Nodes whose memory is compared between rounds of faults.
SUBSCRIBERS = ('pose_node', 'overlay_node')
#: Memory may grow by this share after warm-up.
GROWTH_MAX = 0.01
#: Threads and open files may be this many more at the end.
EXTRA_HANDLES = 8
#: DDS's shared memory may grow by so much: the segments of two more publishers, MB.
EXTRA_SHARED_MB = 70.0
#: A process is warm after this long, and is judged from so much time after that, s.
LIFE_WARM_UP_S, LIFE_JUDGED_S = 60.0, 90.0
#: The first and the last part that are compared, as a share of what is judged.
PART = 1.0 / 3.0
#: The median age may become so much longer: a factor, and ms on top.
DRIFT_FACTOR, DRIFT_MS = 1.5, 20.0


@dataclass(frozen=True)
class Sample:
    """One look at a process; `memory_mb` is resident, `shared_mb` the share of it that is DDS's
    shared memory; `cpu_s` is what it has used since it started.
    """

    at_s: float
    memory_mb: float
    shared_mb: float
    threads: int
    files: int
    cpu_s: float

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
class Level:
    """A process in a calm time at the end of a round of faults, medians."""

    node: str
    process_id: int
    sample: Sample


@dataclass(frozen=True)
class Growth:
    """A process at first and in the end, after warm-up.

    Attributes:
        judged_s: how long that was. own_mb, shared_mb, threads, files: (first, last).
        cpu_share: CPU time over time, 1 is one core.
    """

    node: str
    judged_s: float
    own_mb: tuple[float, float]
    shared_mb: tuple[float, float]
    threads: tuple[float, float]
    files: tuple[float, float]
    cpu_share: float

    @property
    def share(self) -> float:
        """How much memory grew, 0.01 is 1 %."""
        return self.own_mb[1] / self.own_mb[0] - 1.0


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


def median_sample(samples: Sequence[Sample]) -> Sample:
    """The median of everything; of `cpu_s` and `at_s`, too."""
    return Sample(*(float(np.median([getattr(sample, field.name) for sample in samples]))
                    for field in fields(Sample)))


def growth_of_levels(levels: Sequence[Level]) -> list[Growth]:
    """First against last level of each process that has two, far enough from each other."""
    lives: dict[tuple[str, int], list[Sample]] = {}
    for level in levels:
        lives.setdefault((level.node, level.process_id), []).append(level.sample)
    return [_growth(node, samples[0], samples[-1]) for (node, _), samples in lives.items()
            if samples[-1].at_s - samples[0].at_s >= LIFE_JUDGED_S]


def _growth(node: str, first: Sample, last: Sample) -> Growth:
    pairs = {name: (getattr(first, name), getattr(last, name))
             for name in ('own_mb', 'shared_mb', 'threads', 'files')}
    judged_s = last.at_s - first.at_s
    return Growth(node, judged_s, **pairs, cpu_share=(last.cpu_s - first.cpu_s) / judged_s)


def growth_of(life: Life) -> Growth | None:
    """First against last part of a life.

    Returns:
        None where too little of it is left after the warm-up.
    """
    if not life.samples:
        return None
    begin_s = life.samples[0].at_s + LIFE_WARM_UP_S
    kept = [sample for sample in life.samples if sample.at_s >= begin_s]
    if len(kept) < 6 or kept[-1].at_s - kept[0].at_s < LIFE_JUDGED_S:
        return None
    part_s = PART * (kept[-1].at_s - kept[0].at_s)
    return _growth(life.node,
                   median_sample([s for s in kept if s.at_s <= kept[0].at_s + part_s]),
                   median_sample([s for s in kept if s.at_s >= kept[-1].at_s - part_s]))


def growth_problems(growth: Growth) -> list[str]:
    """What in it is too much, in words."""
    problems = []
    if growth.share > GROWTH_MAX:
        problems.append(
            f'{growth.node}: memory grew from {growth.own_mb[0]:.1f} to '
            f'{growth.own_mb[1]:.1f} MB ({growth.share:+.1%}) within {growth.judged_s:.0f} s '
            f'after warm-up; at most {GROWTH_MAX:.0%} may be')
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
