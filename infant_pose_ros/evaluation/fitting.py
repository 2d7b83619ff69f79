"""Fits what heatmaps and lifted poses say of their errors to measured errors.

Every fit maximises the likelihood of Gaussian errors whose variance a formula gives (see
`codecs.uncertainty`). Errors beyond `CLIP` variances count as if the tail were heavier (their
weight falls as 1 / r): a limb that was mistaken for another must not blow up every ellipsoid.
In the end the variances of the error are scaled so that ellipsoids of 50 and 90 % hold their share
as nearly as one factor can bring about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

import numpy as np
from scipy.optimize import minimize
from scipy.stats import chi2

from infant_pose_ros.codecs.uncertainty import (
    PictureSpread,
    SpaceSpread,
    USUAL_LOG_HEAT,
    USUAL_LOG_LATERAL,
)
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS

#: Squared errors, in variances, from which on the tail counts as heavier: of the error, and of the
#: noise, whose tails are jumps that a filter's gate leaves out.
CLIP, NOISE_CLIP = 9.0, 4.0
#: Shares that the ellipsoids are scaled to.
SHARES = (0.5, 0.9)
#: So many keypoints at least; and how strongly a keypoint's own variance is drawn to the mean.
MIN_SAMPLES, PRIOR_COUNT = 200, 20.0
#: Variances above 0 for logarithms, in the units of the values.
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Samples:
    """Errors of n keypoints.

    Attributes:
        errors: (n, D) in units of the model. keypoint: (n,) 0 to 15.
        weights: (n,) how much each counts.
    """

    errors: np.ndarray
    keypoint: np.ndarray
    weights: np.ndarray

    def __post_init__(self):
        if len(self.errors) < MIN_SAMPLES:
            raise InvalidInputError(
                f'calibrate: needs {MIN_SAMPLES} keypoints that were read, got '
                f'{len(self.errors)}; give more frames')


def fit_picture(samples: Samples, heat_model: np.ndarray, clip: float = CLIP) -> PictureSpread:
    """Variances in a picture from those of heatmaps.

    Args:
        samples: errors (n, 2), model px. heat_model: (n, 2, 2) covariances of the heatmaps.
    """
    logs, turned = _along_axes(heat_model, samples.errors)
    mean = logs.mean(axis=1, keepdims=True)
    features = np.stack([logs - mean, np.broadcast_to(mean - USUAL_LOG_HEAT, logs.shape)], -1)
    slopes, log_variance = _fit_log_linear(features, turned, samples, clip)
    return PictureSpread(float(slopes[0]), float(slopes[1]), tuple(log_variance))


def fit_space(samples: Samples, rays: np.ndarray, lateral: np.ndarray,
              mean_log_lateral: np.ndarray, clip: float = CLIP,
              only_picture: bool = False) -> SpaceSpread:
    """Variances in space, beside the rays and along them, as shares of the body length.

    Args:
        samples: errors (n, 3). rays: (n, 2) of the keypoints.
        lateral: (n, 2, 2) covariance in the picture at their depth.
        mean_log_lateral: (n,) M of `SpaceSpread`.
        only_picture: beside the rays there is what the picture says, nothing else.
    """
    common = (mean_log_lateral - USUAL_LOG_LATERAL)[:, None]
    depth, log_along = _fit_log_linear(common[..., None], samples.errors[:, 2:], samples, clip)
    if only_picture:
        return SpaceSpread(1.0, 1.0, 1.0, float(depth[0]),
                           (USUAL_LOG_LATERAL,) * NUM_KEYPOINTS, tuple(log_along))
    logs, turned = _along_axes(lateral, samples.errors[:, :2] - samples.errors[:, 2:] * rays)
    mean = logs.mean(axis=1, keepdims=True)
    features = np.stack([logs - mean, np.repeat(mean - mean_log_lateral[:, None], 2, axis=1),
                         np.repeat(common, 2, axis=1)], -1)
    slopes, log_beside = _fit_log_linear(features, turned, samples, clip)
    return SpaceSpread(*map(float, slopes), float(depth[0]), tuple(log_beside), tuple(log_along))


def _along_axes(covariances: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms (n, 2) of the variances along the axes of (n, 2, 2), and the errors there."""
    values, vectors = np.linalg.eigh(covariances)
    return np.log(np.maximum(values, _TINY)), np.einsum('nji,nj->ni', vectors, errors)


def scaled_picture(spread: PictureSpread, factor: float) -> PictureSpread:
    """`spread` with all variances times `factor`."""
    return replace(spread, log_variance=tuple(
        value + math.log(factor) for value in spread.log_variance))


def scaled_space(spread: SpaceSpread, beside: float, along: float) -> SpaceSpread:
    """`spread` with all variances times factors: beside the rays and along them."""
    return replace(
        spread, log_beside=tuple(value + math.log(beside) for value in spread.log_beside),
        log_along=tuple(value + math.log(along) for value in spread.log_along))


def coverage_factor(distances: np.ndarray, weights: np.ndarray, ndim: int) -> float:
    """What variances must be multiplied with so that ellipsoids of `SHARES` hold their share.

    Args:
        distances: (n,) squared Mahalanobis distances in `ndim` dimensions. weights: (n,).
    """
    order = np.argsort(distances)
    share = np.cumsum(weights[order]) / weights.sum()
    found = distances[order][np.minimum(np.searchsorted(share, SHARES), len(order) - 1)]
    return float(np.exp(np.log(np.maximum(found, _TINY) / chi2.ppf(SHARES, ndim)).mean()))


def _fit_log_linear(features: np.ndarray, errors: np.ndarray, samples: Samples, clip: float
                    ) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (p,) and intercepts (16,): log variance = features @ slopes + intercept[keypoint].

    No slope is negative: what seems less sure is not surer, whatever a few frames say.
    The intercepts are drawn together a little; a keypoint that the samples lack gets their mean.

    Args:
        features: (n, D, p). errors: (n, D) along independent axes.
    """
    count = features.shape[-1]
    weights, total = samples.weights[:, None], samples.weights.sum()

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        own = parameters[count:] - parameters[count:].mean()
        log_variance = features @ parameters[:count] + parameters[count:][
            samples.keypoint][:, None]
        square = errors ** 2 * np.exp(-log_variance)
        beyond = np.maximum(square, clip)
        cost = np.where(square < clip, square, clip * (1.0 + np.log(beyond / clip)))
        value = (weights * (log_variance + cost)).sum() + PRIOR_COUNT * (own ** 2).sum()
        slope = 0.5 * weights * (1.0 - np.minimum(square, clip))
        by_keypoint = np.bincount(samples.keypoint, slope.sum(axis=1), NUM_KEYPOINTS)
        return 0.5 * value / total, np.concatenate([
            np.einsum('nd,ndp->p', slope, features), by_keypoint + PRIOR_COUNT * own]) / total

    start = np.r_[np.ones(count), np.full(NUM_KEYPOINTS, _log_mean_square(errors, clip))]
    bounds = [(0.0, None)] * count + [(None, None)] * NUM_KEYPOINTS
    found = minimize(objective, start, jac=True, method='L-BFGS-B', bounds=bounds,
                     options={'maxiter': 500}).x
    return found[:count], found[count:]


def _log_mean_square(errors: np.ndarray, clip: float) -> float:
    """A first guess at the logarithm of a variance."""
    square = errors ** 2
    return float(np.log(np.minimum(square, clip * np.median(square) + _TINY).mean() + _TINY))
