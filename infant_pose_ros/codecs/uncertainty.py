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
#: No standard deviation in a picture is believed below or above this, model px.
LEAST_PX, MOST_PX = 0.05, 200.0
#: No standard deviation in space is believed below or above this, share of the body length.
LEAST_SHARE, MOST_SHARE = 1e-4, 1.0


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
        """Covariances (..., 16, 2, 2) for those of heatmaps, model px^2; NaN stays NaN.

        The eigenvalues of a symmetric 2x2 matrix are its half trace +- a radius.
        """
        half = (heat_model[..., 0, 0] + heat_model[..., 1, 1]) / 2
        radius = np.hypot((heat_model[..., 0, 0] - heat_model[..., 1, 1]) / 2,
                          heat_model[..., 0, 1])
        high, low = half + radius, np.maximum(half - radius, 1e-9)
        mean = 0.5 * np.log(high * low)
        away = 0.5 * self.own * np.log(high / low)
        middle = self.log_variance + self.common * (mean - USUAL_LOG_HEAT)
        high, low = (np.exp(middle + sign * away).clip(LEAST_PX ** 2, MOST_PX ** 2)
                     for sign in (1, -1))
        stretch = (high - low) / np.maximum(2 * radius, 1e-9)
        eye = np.eye(2)
        return (stretch[..., None, None] * (heat_model - half[..., None, None] * eye)
                + ((high + low) / 2)[..., None, None] * eye)


@dataclass(frozen=True)
class SpaceSpread:
    """How a lifted pose's error is spread beside the ray and along it, shares of the body length.

    Beside it, the error in the picture at that depth, and the lifter's own:
    `gain` x (its covariance) + exp(log_lateral[keypoint]). Along it, in z, with m the mean over
    the keypoints of the logarithm of the former (the covariance's half trace),

        log variance = log_depth[keypoint] + common (m - USUAL_LOG_LATERAL).

    Attributes:
        gain, common: as above. log_lateral, log_depth: 16 each.
    """

    gain: float
    common: float
    log_lateral: tuple[float, ...]
    log_depth: tuple[float, ...]

    def __post_init__(self):
        for name in ('log_lateral', 'log_depth'):
            object.__setattr__(self, name, _checked(
                'space', (self.gain, self.common), getattr(self, name)))

    def covariances(self, rays: np.ndarray, lateral: np.ndarray) -> np.ndarray:
        """Covariances (16, 3, 3) of a pose, all as shares of the body length squared.

        Args:
            rays: (16, 2) x/z, y/z. lateral: (16, 2, 2) the picture's covariance at the
                keypoints' depth; NaN where missing.
        """
        size = 0.5 * (lateral[:, 0, 0] + lateral[:, 1, 1])
        known = np.isfinite(size) & (size > 0)
        mean = float(np.log(size[known]).mean()) if known.any() else USUAL_LOG_LATERAL
        depth = np.exp(self.log_depth + self.common * (mean - USUAL_LOG_LATERAL)).clip(
            LEAST_SHARE ** 2, MOST_SHARE ** 2)
        along = np.column_stack([rays, np.ones(len(rays))])
        covariance = depth[:, None, None] * along[:, :, None] * along[:, None]
        covariance[:, :2, :2] += self.gain * lateral
        beside = np.exp(self.log_lateral).clip(LEAST_SHARE ** 2, MOST_SHARE ** 2)
        covariance[:, (0, 1), (0, 1)] += beside[:, None]
        return covariance


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


def _not_above(noise: np.ndarray, error: np.ndarray) -> np.ndarray:
    """`noise` (..., D, D), shrunk where a variance of it exceeds `error`'s."""
    ratio = np.diagonal(noise, axis1=-2, axis2=-1) / np.maximum(
        np.diagonal(error, axis1=-2, axis2=-1), 1e-300)
    return noise / np.maximum(ratio.max(axis=-1), 1.0)[..., None, None]


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
