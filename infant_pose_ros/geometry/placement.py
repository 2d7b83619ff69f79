"""Where in front of the camera a lifted pose must be so that it projects onto its picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infant_pose_ros.errors import InvalidInputError

MIN_POINTS = 4

_REWEIGHTINGS = 2
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
    the weighted least squares are solved again, twice.

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
    solved = _solve(relative[usable], rays[usable], 1.0 / weights[usable], point_variance)
    gain = np.zeros((3, len(relative), 2))
    gain[:, usable] = solved.gain
    return solved._replace(gain=gain)


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
        if np.linalg.cond(normal) > _MAX_CONDITION:
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
