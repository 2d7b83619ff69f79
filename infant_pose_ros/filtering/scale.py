"""How long each infant is, as far as the settings, the growth chart and the pictures tell."""

from __future__ import annotations

from collections import deque
import math
from typing import NamedTuple

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.geometry.growth import resolve_body_length

#: Relative standard deviation of the body's length by where it comes from: how well a lying
#: infant is measured; the spread of the growth chart; infants from birth to a year about the
#: length that is assumed.
STD_BY_ORIGIN = {'given': 0.01, 'age': 0.04, 'assumed': 0.15}
#: The same for a length that was measured in pictures. More pictures don't make it smaller: the
#: lifter's idea of the body errs alike in all of them.
MEASURED_STD = 0.04
#: Measurements that the running median goes over, and the time between two of them, s.
_KEPT, _EVERY_S = 300, 0.1
#: The published length follows the estimate with this time constant, s, but changes by no more
#: than this share of itself in a second.
_FOLLOW_S, _MAX_CHANGE_PER_S = 1.0, 0.02
#: What depth told of a track's distance is followed by this share in each frame that has depth,
#: and fades by that share in each frame that hasn't: no jump where a depth picture is missing.
_DEPTH_SHARE, _FADING_SHARE = 0.2, 0.01
#: What differs by less than this share is forgotten, once its track is not seen.
_LEAST_FACTOR = 1e-3
#: Infants whose lengths are kept for the case that they come back.
_REMEMBERED = 64


class Scale(NamedTuple):
    """`length_m` crown to heel, its relative standard deviation, and `origin`: 'given', 'age',
    'estimated' or 'assumed'.
    """

    length_m: float
    relative_std: float
    origin: str


def known_scale(settings: PipelineSettings) -> Scale:
    """What the settings tell of the length."""
    length_m, origin = resolve_body_length(settings.body_length_m, settings.age_months)
    return Scale(length_m, STD_BY_ORIGIN[origin], origin)


def combined_scale(prior: Scale, measured_m: float) -> Scale:
    """The prior and a measurement of the length, weighed by their relative variances."""
    prior_weight, weight = prior.relative_std ** -2, MEASURED_STD ** -2
    log_length = (prior_weight * math.log(prior.length_m) + weight * math.log(measured_m)) / (
        prior_weight + weight)
    return Scale(math.exp(log_length), (prior_weight + weight) ** -0.5, 'estimated')


class ScaleEstimator:
    """The length of one infant, from single measurements in its pictures.

    The first measurement counts at once. Later the running median of them is weighed against
    what was known before, and the length moves there smoothly. It stays when no measurements
    come any more.

    Args:
        prior: what is known without pictures; where it is 'given' it is final.
    """

    def __init__(self, prior: Scale):
        self._prior = prior
        self._lengths_m: deque[float] = deque(maxlen=_KEPT)
        self._last_s = self._moved_s = -math.inf
        self.scale = prior

    def observe(self, stamp_s: float, measured_m: float) -> None:
        """Take in a measurement, m > 0, of the frame at `stamp_s`."""
        if self._prior.origin == 'given':
            return
        if not self._lengths_m:
            self.scale = combined_scale(self._prior, measured_m)
            self._moved_s = stamp_s
        if not self._lengths_m or stamp_s - self._last_s >= _EVERY_S:
            self._lengths_m.append(measured_m)
            self._last_s = stamp_s
        goal = combined_scale(self._prior, float(np.median(self._lengths_m)))
        step_s = max(stamp_s - self._moved_s, 0.0)
        self._moved_s = stamp_s
        most = _MAX_CHANGE_PER_S * step_s
        change = math.log(goal.length_m / self.scale.length_m) * -math.expm1(-step_s / _FOLLOW_S)
        self.scale = goal._replace(
            length_m=self.scale.length_m * math.exp(min(max(change, -most), most)))


class BodyScales:
    """The scales of the infants of one camera, by their tracks."""

    def __init__(self, settings: PipelineSettings):
        self._prior = known_scale(settings)
        self._estimators: dict[int, ScaleEstimator] = {}
        self._distance_factors: dict[int, float] = {}

    @property
    def prior(self) -> Scale:
        """What holds for an infant that was never measured."""
        return self._prior

    def of(self, track_id: int | None) -> Scale:
        """The scale of a track; the prior for one that is new."""
        estimator = self._estimators.get(track_id)
        return estimator.scale if estimator else self._prior

    def is_known(self, track_id: int | None) -> bool:
        """Whether the length was given, or this track was measured already."""
        return self._prior.origin == 'given' or track_id in self._estimators

    def observe(self, track_id: int, stamp_s: float, measured_m: float) -> None:
        """Take in a measurement of a track's infant; tracks that end are remembered a while."""
        estimator = self._estimators.pop(track_id, None) or ScaleEstimator(self._prior)
        self._estimators[track_id] = estimator      # the last measured one comes last
        for oldest in list(self._estimators)[:-_REMEMBERED]:
            del self._estimators[oldest]
        estimator.observe(stamp_s, measured_m)

    def distance_factor(self, track_id: int | None) -> float:
        """By how much depth pictures put a track further away than its size in the picture."""
        return self._distance_factors.get(track_id, 1.0)

    def note_distance_factors(self, factors: dict[int, float | None]) -> None:
        """Learn the factor of each track in this frame; None where it had no depth.

        A track that isn't among them was not seen: its factor fades as well.
        """
        kept = {}
        for track_id in {**self._distance_factors, **factors}:
            factor = factors.get(track_id)
            before = self._distance_factors.get(track_id, factor or 1.0)
            kept[track_id] = (before + _DEPTH_SHARE * (factor - before) if factor else
                              1.0 + (1 - _FADING_SHARE) * (before - 1.0))
        self._distance_factors = {
            track_id: factor for track_id, factor in kept.items()
            if track_id in factors or abs(factor - 1.0) > _LEAST_FACTOR}

    def forget(self) -> None:
        """Begin anew."""
        self._estimators.clear()
        self._distance_factors.clear()

    def update_settings(self, settings: PipelineSettings) -> None:
        """Take new settings; where they tell another length all measurements are forgotten."""
        prior = known_scale(settings)
        if prior != self._prior:
            self._prior = prior
            self.forget()
