"""One camera against several into one pose_node, one after the other: rates, fairness, ages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import time
from typing import Any

import numpy as np

from infant_pose_ros.errors import InfantPoseError
from infant_pose_ros.ros.soak_judging import account_problems
from infant_pose_ros.ros.soak_ledger import EpochAccount
from infant_pose_ros.ros.soak_rig import Rig
from infant_pose_ros.ros.soak_samples import sample_process

START_TIMEOUT_S = 180.0
#: Between the first answers and the measurement, s.
WARM_UP_S = 3.0


@dataclass(frozen=True)
class Comparison:
    """What came of so many cameras.

    Attributes:
        sent_hz: pictures a second of all cameras together. answered_hz: of each camera.
        age_p50_ms, age_p95_ms: over the answers of all cameras.
        accounts: by camera. cores: CPU time of pose_node over time.
        settled: whether its counters came in the end.
    """

    sent_hz: float
    answered_hz: dict[str, float]
    age_p50_ms: float
    age_p95_ms: float
    accounts: dict[str, EpochAccount]
    cores: float
    settled: str = ''

    @property
    def total_hz(self) -> float:
        """Answers a second of all cameras together."""
        return sum(self.answered_hz.values())

    @property
    def fairness(self) -> float:
        """The rate of the camera that is answered least, over that of the most answered one."""
        return min(self.answered_hz.values()) / max(*self.answered_hz.values(), 1e-9)

    def problems(self) -> list[str]:
        """Pictures that vanished, and counters that did not come."""
        found = [self.settled] if self.settled else []
        for name, account in self.accounts.items():
            found += account_problems(f'{len(self.accounts)} cameras, {name}', account)
        return found


def measure(rig: Rig, seconds: float) -> Comparison:
    """Start the rig's cameras and its pose_node, and see what comes in so many seconds.

    Raises:
        InfantPoseError: a camera was not answered.
    """
    rig.start_pose_node()
    for name in rig.names:
        rig.start_camera(name)
    rig.deaf()
    rig.hears()
    cameras = rig.watch.cameras

    def all_answer() -> bool:
        rig.processes.check()
        return all(camera.rate_hz(time.monotonic()) > 0.0 for camera in cameras.values())

    if rig.wait_until(all_answer, START_TIMEOUT_S) is None:
        raise InfantPoseError(
            f'{len(cameras)} cameras: not all were answered within {START_TIMEOUT_S:g} s')
    rig.wait(WARM_UP_S)
    rig.settle()
    for camera in cameras.values():
        camera.take_ages_ms()
    process_id = rig.process_ids()['pose_node']
    begun_s, before = time.monotonic(), sample_process(process_id, 0.0)
    rig.wait(seconds)
    took_s, after = time.monotonic() - begun_s, sample_process(process_id, 0.0)
    accounts, settled = rig.settle()
    ages = [age for camera in cameras.values() for age in camera.take_ages_ms()]
    p50_ms, p95_ms = np.percentile(ages, (50, 95)).tolist() if ages else (np.nan, np.nan)
    return Comparison(
        sum(account.published for account in accounts.values()) / took_s,
        {name: account.answered / took_s for name, account in accounts.items()},
        p50_ms, p95_ms, accounts,
        0.0 if before is None or after is None else (after.cpu_s - before.cpu_s) / took_s,
        settled)


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """A line for each number of cameras."""
    lines = [f'{"cameras":>7s}{"sent Hz":>9s}{"answered Hz":>13s}{"of one":>8s}{"least":>7s}'
             f'{"most":>7s}{"fairness":>10s}{"age p50 ms":>12s}{"p95":>7s}{"dropped":>9s}'
             f'{"lost":>6s}{"uncounted":>11s}{"cores":>7s}']
    first_hz = comparisons[0].total_hz if comparisons else 0.0
    for one in comparisons:
        rates, accounts = one.answered_hz.values(), one.accounts.values()
        lines.append(
            f'{len(rates):7d}{one.sent_hz:9.1f}{one.total_hz:13.1f}'
            f'{one.total_hz / max(first_hz, 1e-9):8.2f}{min(rates):7.1f}{max(rates):7.1f}'
            f'{one.fairness:10.3f}{one.age_p50_ms:12.1f}{one.age_p95_ms:7.1f}'
            f'{sum(account.counted["frames_dropped"] for account in accounts):9d}'
            f'{sum(account.counted["frames_lost_in_transport"] for account in accounts):6d}'
            f'{sum(account.uncounted for account in accounts):11d}{one.cores:7.2f}')
    return '\n'.join(lines)


def comparison_json(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The same, as cameras.json holds it."""
    return [{**asdict(one), 'cameras': len(one.accounts), 'total_hz': one.total_hz,
             'fairness': one.fairness} for one in comparisons]
