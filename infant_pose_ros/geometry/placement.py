"""Where in front of the camera a lifted pose must be so that it projects onto its picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infant_pose_ros.errors import InvalidInputError

MIN_POINTS = 4

_REWEIGHTINGS = 2
#: A point that fits so many times worse than the median point counts half (Cauchy's weights), and
#: how often the weights are found anew. One keypoint that is wrong by 60 px puts the roots of
#: SynthCot's infants 3.2 to 4.5 % of the distance off without this, and 1.4 to 3.1 % with it;
#: without outliers it is 1.0 to 3.6 % either way.
_OUTLIER_FACTOR, _ROBUST_ROUNDS = 2.5, 3
#: What a point that fits as is expected would be doubted: 1 + 2 / (2.5^2 x 1.39), the mean over
#: the median of the misfits.
_USUAL_DOUBT = 1.23
#: Fewer points than this can't outvote one of them.
_MIN_ROBUST_POINTS = 6
#: Points that fit this well, in variances, are never called outliers.
_LEAST_MISFIT = 1.0
#: Nearer than this nothing is placed, m; it also bounds the weight of one point.
_MIN_DEPTH_M = 0.02
#: Beyond this condition number the rays don't fix the depth (all the points on one ray, say).
_MAX_CONDITION = 1e12


class Placement(NamedTuple):
    """Where a pose lies in the camera's frame.

    Attributes:
        translation_m: (3,) of the pose's root.
        covariance_m2: (3, 3), m^2, of that translation.
        gain: (3, 16, 2) metres by which the translation moves for each metre that a point is
            seen beside its ray in x and y; 0 for points that were left out.
    """

    translation_m: np.ndarray
    covariance_m2: np.ndarray
    gain: np.ndarray


def place_root(relative_m: np.ndarray, rays: np.ndarray, weights: np.ndarray,
               point_variance_m2: np.ndarray | float = 0.0) -> Placement:
    """Solve for the translation that puts a pose onto its rays.

    A point X, Y, Z of the pose, moved by (tx, ty, tz), lies on the ray (u, v) where
    u (Z + tz) = X + tx and v (Z + tz) = Y + ty: linear in the translation. The residuals of
    these equations are the errors in the image plane times the depth, and the point's own: a
    row weighs 1 / (depth^2 / weight + point variance). As the depth is part of the solution,
    the weighted least squares are solved again, twice. Points that fit much worse than the others
    then count for less (Cauchy's weights, relative to the median misfit), in three more rounds.

    Args:
        relative_m: (16, 3) pose relative to its root with the camera's axes, m.
        rays: (16, 2) where the same points are seen, x/z and y/z.
        weights: (16,) 1 / variance of each ray, in units of the normalised plane. A point with
            a NaN anywhere, or without a positive weight, is left out.
        point_variance_m2: (16,) or one number: variance of the pose's points along x and y,
            >= 0.

    Returns:
        The placement. Its covariance follows from the weights; where the pose fits its rays
        worse than they allow (reduced chi square over 1) it grows by that factor.

    Raises:
        InvalidInputError: fewer than four usable points, rays that don't fix the depth, or a
            solution that isn't in front of the camera.
    """
    relative, rays, weights = (
        np.asarray(value, dtype=np.float64) for value in (relative_m, rays, weights))
    if (relative.ndim != 2 or relative.shape[1] != 3 or rays.shape != (len(relative), 2)
            or weights.shape != (len(relative),)):
        raise InvalidInputError(
            f'place_root: expected shapes (16, 3), (16, 2) and (16,), got {relative.shape}, '
            f'{rays.shape} and {weights.shape}')
    usable = (np.isfinite(relative).all(axis=1) & np.isfinite(rays).all(axis=1)
              & np.isfinite(weights) & (weights > 0))
    if usable.sum() < MIN_POINTS:
        raise InvalidInputError(
            f'place_root: needs at least {MIN_POINTS} points with a place, a ray and a positive '
            f'weight, got {usable.sum()}; keep the pose relative to its root')
    point_variance = np.broadcast_to(point_variance_m2, weights.shape)[usable]
    solved = _solve_robustly(
        relative[usable], rays[usable], 1.0 / weights[usable], point_variance)
    gain = np.zeros((3, len(relative), 2))
    gain[:, usable] = solved.gain
    return solved._replace(gain=gain)


def _solve_robustly(relative: np.ndarray, rays: np.ndarray, ray_variance: np.ndarray,
                    point_variance: np.ndarray) -> Placement:
    """`_solve` with less weight for the points that fit badly."""
    solved = _solve(relative, rays, ray_variance, point_variance)
    for _ in range(_ROBUST_ROUNDS * (len(rays) >= _MIN_ROBUST_POINTS)):
        points = relative + solved.translation_m
        misfit = ((rays * points[:, 2:] - points[:, :2]) ** 2).sum(axis=1) / (
            ray_variance * points[:, 2] ** 2 + point_variance)
        usual = max(np.median(misfit), _LEAST_MISFIT)
        doubt = np.maximum((1.0 + misfit / (_OUTLIER_FACTOR ** 2 * usual)) / _USUAL_DOUBT, 1.0)
        solved = _solve(relative, rays, ray_variance * doubt, point_variance * doubt)
    return solved


def _solve(relative: np.ndarray, rays: np.ndarray, ray_variance: np.ndarray,
           point_variance: np.ndarray) -> Placement:
    """`place_root` for finite points (K, 3), rays (K, 2) and their variances (K,)."""
    matrix = np.zeros((len(rays), 2, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1.0
    matrix[:, :, 2] = -rays
    matrix = matrix.reshape(-1, 3)
    target = (rays * relative[:, 2:] - relative[:, :2]).ravel()
    depth = np.ones(len(rays))
    for _ in range(1 + _REWEIGHTINGS):
        row_weights = np.repeat(1.0 / (ray_variance * depth ** 2 + point_variance), 2)
        normal = matrix.T @ (row_weights[:, None] * matrix)
        least, _, most = np.linalg.eigvalsh(normal)
        if least * _MAX_CONDITION < most:
            raise InvalidInputError(
                'place_root: the rays are too close to each other to fix the depth; keep the '
                'pose relative to its root')
        gain = np.linalg.solve(normal, matrix.T * row_weights)
        translation = gain @ target
        depth = np.maximum(relative[:, 2] + translation[2], _MIN_DEPTH_M)
    if (relative[:, 2] + translation[2]).min() < _MIN_DEPTH_M:
        raise InvalidInputError(
            f'place_root: the pose would lie behind the camera (root at z = '
            f'{translation[2]:.3f} m); keep it relative to its root')
    residual = matrix @ translation - target
    row_weights = np.repeat(1.0 / (ray_variance * depth ** 2 + point_variance), 2)
    misfit = (row_weights * residual ** 2).sum() / (len(target) - 3)
    normal = matrix.T @ (row_weights[:, None] * matrix)
    return Placement(translation, np.linalg.inv(normal) * max(1.0, misfit),
                     gain.reshape(3, -1, 2))
