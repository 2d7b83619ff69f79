"""The smoothers that the temporal benchmark compares, each over a range of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import itertools

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.evaluation.temporal_baselines import held, one_euro, savitzky_golay
from infant_pose_ros.evaluation.temporal_readings import (
    raw_arrays,
    Recording,
    Replay,
    replay,
    smooth_arrays,
)
from infant_pose_ros.filtering.smoothing import smooth_track
from infant_pose_ros.lifting import PoseLifter

RAW, KALMAN, RTS = 'raw', 'Kalman', 'RTS'
ONE_EURO, SAVGOL_CAUSAL, SAVGOL = 'One-Euro', 'Savitzky-Golay, causal', 'Savitzky-Golay, centred'
METHODS = (RAW, KALMAN, ONE_EURO, SAVGOL_CAUSAL, RTS, SAVGOL)
#: Methods that need frames from the future.
OFFLINE = (RTS, SAVGOL)
SPACES = ('2d', '3d')
#: The filters' settings of acceleration, and of what calms the published pose ...
ACCELERATION_SETTINGS = ('acceleration_std_2d', 'acceleration_std_3d')
LAG_SETTING = 'smoothing_lag_ms'
#: ... and what both are multiplied by; RTS has no lag.
KALMAN_FACTORS = (
    (1.0, 1.0), (0.25, 1.0), (0.5, 1.0), (2.0, 1.0), (4.0, 1.0), (1.0, 0.0), (1.0, 0.5),
    (1.0, 2.0), (0.25, 0.0), (4.0, 0.0), (4.0, 0.5), (0.25, 2.0), (4.0, 2.0))
RTS_FACTORS = (1.0, 0.25, 0.5, 2.0, 4.0)
MIN_CUTOFFS_HZ = (0.3, 1.0, 2.0, 4.0)
#: Hz for each px/s, and for each m/s.
BETAS = {'2d': (0.0, 0.002, 0.006, 0.02, 0.06), '3d': (0.0, 1.0, 3.0, 10.0, 30.0)}
WINDOWS = ((5, 1), (5, 2), (7, 2), (9, 2), (13, 2), (17, 2), (21, 3))


@dataclass(frozen=True)
class Variant:
    """A method with its parameters; `spaces` in which they apply."""

    method: str
    parameters: tuple[float, ...] = ()
    spaces: tuple[str, ...] = SPACES

    @property
    def text(self) -> str:
        """The parameters, for people."""
        if self.method == ONE_EURO:
            return f'{self.parameters[0]:g} Hz, beta {self.parameters[1]:g}'
        if self.method in (SAVGOL, SAVGOL_CAUSAL):
            return f'{self.parameters[0]:g} frames, order {self.parameters[1]:g}'
        if self.method in (KALMAN, RTS) and not self.is_default:
            return f'acceleration x {self.parameters[0]:g}' + ''.join(
                f', lag x {factor:g}' for factor in self.parameters[1:])
        return 'default' if self.parameters else ''

    @property
    def is_default(self) -> bool:
        """Whether this is the package's own choice; the library filters have none."""
        return self.method not in (ONE_EURO, SAVGOL, SAVGOL_CAUSAL) and all(
            factor == 1.0 for factor in self.parameters)


def all_variants() -> list[Variant]:
    """Every method over its whole range."""
    variants = [Variant(RAW), *(Variant(KALMAN, factors) for factors in KALMAN_FACTORS),
                *(Variant(RTS, (factor,)) for factor in RTS_FACTORS)]
    variants += [Variant(ONE_EURO, parameters, (space,)) for space in SPACES
                 for parameters in itertools.product(MIN_CUTOFFS_HZ, BETAS[space])]
    return variants + [Variant(method, parameters) for method in (SAVGOL_CAUSAL, SAVGOL)
                       for parameters in WINDOWS]


class Smoothers:
    """Runs variants over one recording; the pipeline's replay is made once.

    Args:
        recording: the readings. settings: of the pipeline's filters. lifter: the network.
    """

    def __init__(self, recording: Recording, settings: PipelineSettings, lifter: PoseLifter):
        self._recording, self._settings, self._lifter = recording, settings, lifter
        self._replay = replay(recording, settings, lifter)
        raw = self._replay
        if _has_exchanged(raw, recording):      # the other methods get what was read
            raw = replay(recording, settings.replace(swap_patience_s=0.0), lifter)
        self.raw = dict(zip(SPACES, raw_arrays(raw, settings.keypoint_score_min)))

    def run(self, variant: Variant) -> dict[str, np.ndarray]:
        """(F, 16, 2) px and (F, 16, 3) m by space, NaN where the method has no answer."""
        if variant.method == RAW:
            return {space: held(self.raw[space]) for space in variant.spaces}
        if variant.method in (KALMAN, RTS):
            return dict(zip(SPACES, self._filtered(variant)))
        smooth: Callable = {
            ONE_EURO: one_euro,
            SAVGOL: lambda *words: savitzky_golay(*words, causal=False),
            SAVGOL_CAUSAL: lambda *words: savitzky_golay(*words, causal=True)}[variant.method]
        return {space: smooth(self.raw[space], self._recording.stamps_s, *variant.parameters)
                for space in variant.spaces}

    def _filtered(self, variant: Variant) -> tuple[np.ndarray, np.ndarray]:
        settings = scaled(self._settings, *variant.parameters)
        if variant.method == RTS:
            return smooth_arrays(smooth_track(
                self._recording.stamps_s, self._replay.poses_2d, self._replay.poses_3d,
                self._recording.size_wh, settings))
        made = self._replay
        if settings != self._settings:
            made = replay(self._recording, settings, self._lifter)
        return smooth_arrays(made.estimates)


def _has_exchanged(made: Replay, recording: Recording) -> bool:
    """Whether a replay has put left and right of a reading into other places."""
    return any(pose is not None and not np.array_equal(
        pose.keypoints_px, recording.keypoints_px[index], equal_nan=True)
        for index, pose in enumerate(made.poses_2d))


def scaled(settings: PipelineSettings, acceleration: float, lag: float = 1.0
           ) -> PipelineSettings:
    """Settings of filters, multiplied as far as their ranges go."""
    limits = {spec.name: (spec.metadata['low'], spec.metadata['high'])
              for spec, _ in PipelineSettings.specs()}
    factors = {**dict.fromkeys(ACCELERATION_SETTINGS, acceleration), LAG_SETTING: lag}
    return settings.replace(**{
        name: float(np.clip(getattr(settings, name) * factor, *limits[name]))
        for name, factor in factors.items()})
