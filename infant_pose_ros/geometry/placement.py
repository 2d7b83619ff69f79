"""Where in front of the camera a lifted pose must be so that it projects onto its picture."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError

MIN_POINTS = 4

_REWEIGHTINGS = 2
#: Nearer than this nothing is placed, m; it also bounds the weight of one point.
_MIN_DEPTH_M = 0.02
#: Beyond this condition number the rays don't fix the depth (all the points on one ray, say).
_MAX_CONDITION = 1e12


def place_root(relative_m: np.ndarray, rays: np.ndarray,
               weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve for the translation that puts a pose onto its rays.

    A point X, Y, Z of the pose, moved by (tx, ty, tz), lies on the ray (u, v) where
    u (Z + tz) = X + tx and v (Z + tz) = Y + ty: linear in the translation. The residuals of
    these equations are the errors in the image plane times the depth, so that the weighted
    least squares solution is found again, twice, with the weights divided by the squared depth.

    Args:
        relative_m: (16, 3) pose relative to its root with the camera's axes, m.
        rays: (16, 2) where the same points are seen, x/z and y/z.
        weights: (16,) 1 / variance of each ray, in units of the normalised plane. A point with
            a NaN anywhere, or without a positive weight, is left out.

    Returns:
        translation_m (3,), of the root in the camera's frame, and its covariance_m2 (3, 3),
        which follows from the weights; where the pose fits its rays worse than the weights
        allow (reduced chi square over 1) it grows by that factor.

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
    return _solve(relative[usable], rays[usable], weights[usable])


def _solve(relative: np.ndarray, rays: np.ndarray,
           weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`place_root` for finite points (K, 3), rays (K, 2), weights (K,)."""
    matrix = np.zeros((len(rays), 2, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1.0
    matrix[:, :, 2] = -rays
    matrix = matrix.reshape(-1, 3)
    target = (rays * relative[:, 2:] - relative[:, :2]).ravel()
    depth = np.ones(len(rays))
    for _ in range(1 + _REWEIGHTINGS):
        row_weights = np.repeat(weights / depth ** 2, 2)
        normal = matrix.T @ (row_weights[:, None] * matrix)
        if np.linalg.cond(normal) > _MAX_CONDITION:
            raise InvalidInputError(
                'place_root: the rays are too close to each other to fix the depth; keep the '
                'pose relative to its root')
        translation = np.linalg.solve(normal, matrix.T @ (row_weights * target))
        depth = np.maximum(relative[:, 2] + translation[2], _MIN_DEPTH_M)
    if (relative[:, 2] + translation[2]).min() < _MIN_DEPTH_M:
        raise InvalidInputError(
            f'place_root: the pose would lie behind the camera (root at z = '
            f'{translation[2]:.3f} m); keep it relative to its root')
    residual = matrix @ translation - target
    row_weights = np.repeat(weights / depth ** 2, 2)
    misfit = (row_weights * residual ** 2).sum() / (len(target) - 3)
    normal = matrix.T @ (row_weights[:, None] * matrix)
    return translation, np.linalg.inv(normal) * max(1.0, misfit)
