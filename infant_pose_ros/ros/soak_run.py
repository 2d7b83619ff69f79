"""A soak from the start of the nodes to its record: calm, fault, recovery, account, again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
import time

from infant_pose_ros.errors import InfantPoseError
from infant_pose_ros.ros.soak_faults import Kind, LIMIT_S, SUBSCRIBED_ANEW
from infant_pose_ros.ros.soak_judging import (
    account_problems,
    AgeWindow,
    drift_problems,
    FLOOR_S,
    Growth,
    growth_over_calms,
    growth_problems,
    Life,
    Recovery,
    recovery_problems,
)
from infant_pose_ros.ros.soak_ledger import EpochAccount, total
from infant_pose_ros.ros.soak_rig import Rig, SoakProblemError, SoakStoppedError

#: How long loading models may take before the first answer, s.
START_TIMEOUT_S = 180.0
#: Before the first fault, and between two of them, s.
FIRST_CALM_S, CALM_S = 5.0, (2.5, 5.0)
#: Answers have recovered at this share of the usual rate, over the last second.
RECOVERED_SHARE, RECOVERY_WINDOW_S = 0.7, 1.0
#: Faults that end a process come this far apart, s.
RARE_EVERY_S = 3600.0
#: After a round memory is looked at so often, each time with subscriptions of its own: how many
#: pictures DDS makes room for differs by one or two from one to the next.
LOOKS = 3
#: Memory is looked at a last time at the end of the run, unless it was looked at so lately, s.
LOOKS_APART_S = 60.0


@dataclass
class Record:
    """What a soak leaves.

    Attributes:
        begun_at_s: by the steady clock that samples are timed by. seconds: how long it ran.
        usual_hz: answers a second of each camera before any fault.
        warm_s: when every kind of fault had been injected once, s since the start.
        calms: when the calm times of `FLOOR_S` began in which memory is looked at, by the same
            clock.
    """

    seed: int
    begun_at_s: float = 0.0
    seconds: float = 0.0
    usual_hz: dict[str, float] = field(default_factory=dict)
    warm_s: float | None = None
    recoveries: list[Recovery] = field(default_factory=list)
    ages: list[AgeWindow] = field(default_factory=list)
    calms: list[float] = field(default_factory=list)
    accounts: dict[str, list[EpochAccount]] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False

    def totals(self) -> dict[str, EpochAccount]:
        """The account of each camera over the whole run."""
        return {name: total(accounts) for name, accounts in self.accounts.items()}

    def growths(self) -> list[Growth]:
        """Growth of every process that lived long enough to be judged.

        Faults make nodes use more or less for as long as a subscription lasts, so what is compared
        is one and the same state: after rounds, with all subscribed anew.
        """
        found = [growth_over_calms(life, self.calms) for life in self.lives]
        return [growth for growth in found if growth is not None]

    def verdict(self) -> list[str]:
        """Everything that is wrong, in words; none: passed."""
        found = list(self.problems)
        for name, accounts in self.accounts.items():
            for account in accounts:
                found += account_problems(name, account)
        for recovery in self.recoveries:
            found += recovery_problems(recovery)
        for growth in self.growths():
            found += growth_problems(growth)
        return found + drift_problems(self.ages)


class Soak:
    """Runs faults on a rig for a while.

    Args:
        rig: its nodes are not started yet. kinds: of faults. seconds: how long.
        record: is filled in. tell: called with a line for each fault.
    """

    def __init__(self, rig: Rig, kinds: Sequence[Kind], seconds: float, record: Record,
                 tell: Callable[[str], None]):
        self._rig, self._kinds, self._seconds = rig, list(kinds), seconds
        self._record, self._tell = record, tell
        self._begun_s = time.monotonic()
        self._rare_s = -float('inf')
        record.accounts = rig.accounts

    def run(self) -> None:
        """Run until the time is over or the user asks to end; then settle the last account.

        Raises:
            InfantPoseError: the nodes did not start, or were interrupted before they did.
        """
        self._start()
        try:
            self._calm(FIRST_CALM_S)
            self._record.usual_hz = {
                name: camera.answers_since(time.monotonic() - FIRST_CALM_S) / FIRST_CALM_S
                for name, camera in self._rig.watch.cameras.items()}
            self._note(self._rig.close_accounts())
            while self._now_s() < self._seconds:
                self._round()
            self._end()
        except SoakStoppedError:
            self._record.interrupted = True
        self._record.seconds = self._now_s()

    def _start(self) -> None:
        rig = self._rig
        rig.start_pose_node()
        rig.start_overlay_node()
        for name in rig.names:
            rig.start_camera(name)
        rig.deaf()
        rig.hears()
        ready = rig.wait_until(self._all_answer, START_TIMEOUT_S)
        rig.processes.check()
        if ready is None:
            says = '; '.join(camera.status.message for camera in rig.watch.cameras.values())
            raise InfantPoseError(
                f'no answers within {START_TIMEOUT_S:g} s; pose_node says: {says or "nothing"}')
        self._begun_s = self._record.begun_at_s = time.monotonic()

    def _all_answer(self) -> bool:
        self._rig.processes.check()
        return all(camera.rate_hz(time.monotonic()) > 0.0
                   for camera in self._rig.watch.cameras.values())

    def _round(self) -> None:
        """Each kind of fault once, in an order of chance."""
        kinds = [kind for kind in self._kinds if not kind.is_rare
                 or time.monotonic() - self._rare_s > RARE_EVERY_S]
        kinds = [kind for kind in kinds for _ in range(kind.times) if kind != SUBSCRIBED_ANEW]
        self._rig.random.shuffle(kinds)
        # What ends a process comes first: its successor lives through the whole round.
        for kind in sorted(kinds, key=lambda kind: not kind.is_rare):
            if self._now_s() >= self._seconds:
                return
            self._calm(self._rig.random.uniform(*CALM_S))
            self._inject(kind)
        self._look_at_memory()
        if self._record.warm_s is None:
            self._record.warm_s = self._now_s()

    def _end(self) -> None:
        """Look at memory a last time, and have every picture proven answered or lost."""
        calms = self._record.calms
        if calms and time.monotonic() - calms[-1] > LOOKS_APART_S + FLOOR_S:
            self._look_at_memory()
        self._calm(FIRST_CALM_S)
        self._note(self._rig.close_accounts())

    def _look_at_memory(self) -> None:
        """Have calm times for the samples of memory, with all subscribed anew for each."""
        for _ in range(LOOKS):
            for name in self._rig.names:
                self._inject(SUBSCRIBED_ANEW, name)
            self._record.calms.append(time.monotonic())
            self._rig.wait(FLOOR_S)

    def _calm(self, seconds: float) -> None:
        cameras = self._rig.watch.cameras.values()
        for camera in cameras:
            camera.take_ages_ms()
        self._rig.wait(seconds)
        window = self._rig.watch.age_window(self._now_s(), seconds)
        if window is not None:
            self._record.ages.append(window)

    def _inject(self, kind: Kind, victim: str = '') -> None:
        rig, at_s = self._rig, self._now_s()
        rig.victim = victim or rig.random.choice(rig.names)
        camera = rig.watch.cameras[rig.victim]
        camera.forget_seen()
        if kind.is_rare:
            self._rare_s = time.monotonic()
        detail = problem = ''
        closed = {name: len(accounts) for name, accounts in rig.accounts.items()}
        try:
            detail = kind.inject(rig)
        except SoakProblemError as error:
            problem = str(error)
            rig.hears()
        lifted_s = time.monotonic()
        recovered_s = rig.wait_until(self._has_recovered, kind.limit_s)
        shown = tuple(sorted(camera.seen & set(kind.shows)))
        cleared_s = self._wait_until_cleared(kind, lifted_s)
        problem = '; '.join(filter(None, (problem, rig.close_accounts(), self._died())))
        excused = sum(account.excused for name, accounts in rig.accounts.items()
                      for account in accounts[closed[name]:])
        recovery = Recovery(at_s, kind.name, detail, recovered_s, cleared_s,
                            max(kind.limit_s, LIMIT_S), kind.shows, shown, problem, excused)
        self._record.recoveries.append(recovery)
        self._tell(line_of(recovery))

    def _has_recovered(self) -> bool:
        """Whether each camera's pictures are answered at the usual rate."""
        from_s = time.monotonic() - RECOVERY_WINDOW_S
        return all(
            camera.answers_since(from_s) >= RECOVERED_SHARE * self._record.usual_hz[name]
            * RECOVERY_WINDOW_S for name, camera in self._rig.watch.cameras.items())

    def _wait_until_cleared(self, kind: Kind, lifted_s: float) -> float | None:
        status_of = self._rig.watch.cameras[self._rig.victim]
        took_s = self._rig.wait_until(
            lambda: status_of.status.received_s > lifted_s
            and not status_of.status.faults & set(kind.shows), LIMIT_S)
        return None if took_s is None else time.monotonic() - lifted_s

    def _died(self) -> str:
        """Nodes that ended by themselves; they are started again."""
        running, told = self._rig.process_ids(), []
        for name in self._rig.child_names():
            if name in running:
                continue
            code = self._rig.processes.child(name).returncode
            told.append(f'{name} ended with exit code {code}: see its log')
            if name == 'pose_node':
                self._rig.start_pose_node()
            elif name == 'overlay_node':
                self._rig.start_overlay_node()
            else:
                self._rig.start_camera(next(
                    camera for camera in self._rig.names
                    if self._rig.process_of(camera) == name))
        return '; '.join(told)

    def _note(self, problem: str) -> None:
        if problem:
            self._record.problems.append(problem)

    def _now_s(self) -> float:
        return time.monotonic() - self._begun_s


def line_of(recovery: Recovery) -> str:
    """One fault in a line."""
    minutes, seconds = divmod(int(recovery.at_s), 60)
    recovered = ('NOT RECOVERED' if recovery.recovered_s is None
                 else f'recovered after {recovery.recovered_s:4.1f} s')
    parts = [f'{minutes:3d}:{seconds:02d}  {recovery.kind:20s} {recovered}']
    if recovery.expected:
        parts.append(f'shown: {", ".join(recovery.shown) or "NOTHING"}' + (
            '' if recovery.cleared_s is None else f', gone after {recovery.cleared_s:.1f} s'))
    parts += [text for text in (recovery.detail, recovery.problem) if text]
    return '; '.join(parts)
