"""What a heatmap's spread and a lifted pose say of their errors, once errors were measured.

A network doesn't know how wrong it is: a heatmap is some 5 px wide where the keypoint is 3 px off
and trembles by half a px. How the one follows from the other is fitted to labelled sequences (see
`infant-pose calibrate`) and stored with the weights. Two covariances come of it: that of the whole
error, and that of its part which is drawn anew in every frame ("noise"), so that a filter can
average it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import math
from typing import Any

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS, ROOT

#: Logarithms of variances are told relative to these: a heatmap's in model px^2 (5.8 px wide), and
#: the place beside the ray over the body length, squared (1.1 %).
USUAL_LOG_HEAT, USUAL_LOG_LATERAL = 3.5, -9.0
#: Share of a heatmap's covariance that is taken for noise where nothing was calibrated: twice what
#: the bundled network's heatmaps tremble by. All of it would be averaged out as if it were noise.
DEFAULT_NOISE_SHARE = 1 / 30
#: No standard deviation in a picture is believed below or above this, model px.
LEAST_PX, MOST_PX = 0.05, 200.0
#: No standard deviation in space is believed below or above this, share of the body length.
LEAST_SHARE, MOST_SHARE = 1e-4, 1.0
#: Variances above 0 for logarithms and quotients, in any unit.
_TINY = 1e-12


@dataclass(frozen=True)
class PictureSpread:
    """Variances along the two axes of a heatmap's covariance, in model px^2.

    With l the logarithm of the heatmap's variance along an axis and m its mean over both,

        log variance = log_variance[keypoint] + own (l - m) + common (m - USUAL_LOG_HEAT).

    Attributes:
        own, common: the exponents; 1 and 1 keep the heatmap's shape and size.
        log_variance: 16, for a heatmap of the usual size.
    """

    own: float
    common: float
    log_variance: tuple[float, ...]

    def __post_init__(self):
        object.__setattr__(self, 'log_variance', _checked(
            'picture', (self.own, self.common), self.log_variance))

    def covariances(self, heat_model: np.ndarray) -> np.ndarray:
        """Covariances (..., 16, 2, 2) for those of heatmaps, model px^2; NaN stays NaN."""
        axes = _Axes.of(heat_model)
        return axes.covariances(
            self.log_variance + self.common * (axes.mean_log - USUAL_LOG_HEAT), self.own,
            LEAST_PX, MOST_PX)


@dataclass(frozen=True, eq=False)
class _Axes:
    """Symmetric 2x2 matrices (...) by their axes: half trace +- radius are the eigenvalues.

    Attributes:
        matrix: (..., 2, 2). half, radius: (...). mean_log: (...) of both eigenvalues' logarithms.
        away_log: (...) of either from the mean.
    """

    matrix: np.ndarray
    half: np.ndarray
    radius: np.ndarray
    mean_log: np.ndarray
    away_log: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> _Axes:
        half = (matrix[..., 0, 0] + matrix[..., 1, 1]) / 2
        radius = np.hypot((matrix[..., 0, 0] - matrix[..., 1, 1]) / 2, matrix[..., 0, 1])
        high, low = (np.log(np.maximum(half + sign * radius, _TINY)) for sign in (1, -1))
        return cls(matrix, half, radius, (high + low) / 2, (high - low) / 2)

    def covariances(self, mean_log: np.ndarray, own: float, least: float, most: float
                    ) -> np.ndarray:
        """With the same axes, but another size, and their ratio to the power of `own`."""
        high, low = (np.exp(mean_log + sign * own * self.away_log).clip(least ** 2, most ** 2)
                     for sign in (1, -1))
        stretch = (high - low) / np.maximum(2 * self.radius, _TINY)
        eye = np.eye(2)
        return (stretch[..., None, None] * (self.matrix - self.half[..., None, None] * eye)
                + ((high + low) / 2)[..., None, None] * eye)


@dataclass(frozen=True)
class SpaceSpread:
    """How a lifted pose's error is spread beside the rays and along them, shares of the length.

    Both are told by the picture's covariance at the keypoints' depth. With l the logarithm of its
    variance along an axis, m the mean over both, and M the mean of m over the keypoints,

        beside: log variance = log_beside[keypoint] + own (l - m) + single (m - M)
                               + common (M - USUAL_LOG_LATERAL)
        along, in z: log variance = log_along[keypoint] + depth (M - USUAL_LOG_LATERAL).

    Attributes:
        own, single, common, depth: the exponents. log_beside, log_along: 16 each.
    """

    own: float
    single: float
    common: float
    depth: float
    log_beside: tuple[float, ...]
    log_along: tuple[float, ...]

    def __post_init__(self):
        exponents = (self.own, self.single, self.common, self.depth)
        for name in ('log_beside', 'log_along'):
            object.__setattr__(self, name, _checked('space', exponents, getattr(self, name)))

    def beside(self, lateral: np.ndarray) -> np.ndarray:
        """(..., 16, 2, 2) for the picture's covariances at that depth, likewise."""
        axes = _Axes.of(lateral)
        mean = _mean_of_known(axes.mean_log)
        return axes.covariances(
            self.log_beside + self.single * (axes.mean_log - mean)
            + self.common * (mean - USUAL_LOG_LATERAL), self.own, LEAST_SHARE, MOST_SHARE)

    def along(self, lateral: np.ndarray) -> np.ndarray:
        """(..., 16) variances in z for the picture's covariances (..., 16, 2, 2) at that depth."""
        mean = _mean_of_known(_Axes.of(lateral).mean_log)
        return np.exp(self.log_along + self.depth * (mean - USUAL_LOG_LATERAL)).clip(
            LEAST_SHARE ** 2, MOST_SHARE ** 2)

    def covariances(self, rays: np.ndarray, lateral: np.ndarray) -> np.ndarray:
        """Covariances (16, 3, 3) of a pose, shares of the body length squared.

        Args:
            rays: (16, 2) x/z, y/z. lateral: (16, 2, 2) the picture's covariance at the
                keypoints' depth; NaN where missing.
        """
        along = np.column_stack([rays, np.ones(len(rays))])
        covariance = self.along(lateral)[:, None, None] * along[:, :, None] * along[:, None]
        covariance[:, :2, :2] += self.beside(lateral)
        return covariance


def _mean_of_known(logs: np.ndarray) -> np.ndarray:
    """Mean over the last axis, which it keeps, of what is not NaN."""
    known = np.isfinite(logs)
    count = known.sum(axis=-1, keepdims=True)
    total = np.where(known, logs, 0.0).sum(axis=-1, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), USUAL_LOG_LATERAL)


@dataclass(frozen=True)
class PictureUncertainty:
    """Of a 2D network: `error` as a whole and `noise`, its part that is new in every frame."""

    error: PictureSpread
    noise: PictureSpread

    def covariances(self, heat_model: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the error and of the noise, (..., 16, 2, 2) model px^2; noise is never the larger.

        Args:
            heat_model: covariances of heatmaps, likewise.
        """
        error = self.error.covariances(heat_model)
        return error, _not_above(self.noise.covariances(heat_model), error)

    def to_dict(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> PictureUncertainty:
        """Read what `to_dict` wrote.

        Raises:
            InvalidInputError: a key is unknown or missing, or a value is no finite number.
        """
        return cls(**_read(content, dict.fromkeys(('error', 'noise'), PictureSpread)))


@dataclass(frozen=True)
class SpaceUncertainty:
    """Of a lifter: error and noise of poses in the camera's frame, and relative to the pelvis."""

    error: SpaceSpread
    noise: SpaceSpread
    relative_error: SpaceSpread
    relative_noise: SpaceSpread

    def covariances(self, rays: np.ndarray, rays_error: np.ndarray, rays_noise: np.ndarray,
                    depth_m: np.ndarray, body_length_m: float, is_absolute: bool
                    ) -> tuple[np.ndarray, np.ndarray]:
        """Of the error and of the noise, (16, 3, 3) m^2; noise is never the larger.

        The noise is that of `Pose3D.noise_m2`: the root's is of its place, the others' of where
        they are relative to it.

        Args:
            rays: (16, 2) x/z, y/z; NaN where missing.
            rays_error, rays_noise: (16, 2, 2) covariances of the rays.
            depth_m: (16,) of the keypoints. body_length_m: crown to heel.
            is_absolute: False: relative to the pelvis, which then has no error.
        """
        share = (depth_m / body_length_m)[:, None, None] ** 2

        def spread_m2(spread: SpaceSpread, rays_spread: np.ndarray) -> np.ndarray:
            return spread.covariances(rays, rays_spread * share) * body_length_m ** 2

        error = spread_m2(self.error if is_absolute else self.relative_error, rays_error)
        noise = spread_m2(self.relative_noise, rays_noise)
        if is_absolute:
            noise[ROOT] = spread_m2(self.noise, rays_noise)[ROOT]
        if not is_absolute:
            error[ROOT] = noise[ROOT] = 0.0
        return error, _not_above(noise, error)

    def to_dict(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SpaceUncertainty:
        """Read what `to_dict` wrote; errors as `PictureUncertainty.from_dict`."""
        return cls(**_read(content, dict.fromkeys(
            ('error', 'noise', 'relative_error', 'relative_noise'), SpaceSpread)))


def share_inside(noise: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The largest shares (...), at most 1, of `noise` that `error` (..., D, D) holds.

    `error` minus that share of `noise` is a covariance: no variance along any line is negative.
    NaN where one of them has a NaN.
    """
    ratio = np.linalg.solve(error + _TINY * np.eye(error.shape[-1]), noise)
    largest = np.trace(ratio, axis1=-2, axis2=-1)       # of the eigenvalues, or more
    beyond = largest > 1.0
    if beyond.any():
        largest = np.where(beyond, 1.0, largest)
        largest[beyond] = np.linalg.eigvals(ratio[beyond]).real.max(axis=-1)
    return 1.0 / np.maximum(largest, 1.0)


def _not_above(noise: np.ndarray, error: np.ndarray) -> np.ndarray:
    """`noise` (..., D, D), shrunk where `error` doesn't hold it."""
    return share_inside(noise, error)[..., None, None] * noise


def _checked(name: str, numbers: tuple, by_keypoint: Any) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in by_keypoint)
        finite = all(math.isfinite(value) for value in (*numbers, *values))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f'uncertainty: {name}: expected numbers ({error})') from error
    if len(values) != NUM_KEYPOINTS or not finite:
        raise InvalidInputError(
            f'uncertainty: {name}: expected {NUM_KEYPOINTS} finite numbers, got {by_keypoint}')
    return values


def _read(content: Any, parts: dict[str, type]) -> dict[str, Any]:
    if not isinstance(content, Mapping) or set(content) != set(parts):
        raise InvalidInputError(
            f'uncertainty: expected {", ".join(parts)}, got {content!r:.80}; run '
            '`infant-pose calibrate` anew')
    try:
        return {name: part(**content[name]) for name, part in parts.items()}
    except TypeError as error:
        raise InvalidInputError(f'uncertainty: {error}; run `infant-pose calibrate` anew'
                                ) from error
