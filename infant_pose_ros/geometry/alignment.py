"""Put a predicted pose over the true one before their errors are measured."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import ROOT

MIN_POINTS = 3


def root_aligned(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Move poses `pred` (..., 16, 3) so that their pelvis lies at that of `truth`.

    Where a pelvis is NaN in either, the whole pose becomes NaN.

    Raises:
        InvalidInputError: the shapes differ.
    """
    pred, truth = _checked_pair(pred, truth)
    return pred - pred[..., ROOT:ROOT + 1, :] + truth[..., ROOT:ROOT + 1, :]


def similarity_align(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Turn, scale and move `pred` (K, D) onto `truth` (K, D) with the least squared error.

    The closed form of Umeyama (1991), without mirroring. It is found from the points that are
    finite in both and applied to all; NaN stays NaN.

    Raises:
        InvalidInputError: the shapes differ, fewer than three points are finite in both, or
            the points of `pred` coincide.
    """
    pred, truth = _checked_pair(pred, truth)
    if pred.ndim != 2:
        raise InvalidInputError(f'similarity_align: expected one pose (K, D), got {pred.shape}')
    known = np.isfinite(pred).all(axis=1) & np.isfinite(truth).all(axis=1)
    if known.sum() < MIN_POINTS:
        raise InvalidInputError(
            f'similarity_align: needs at least {MIN_POINTS} points that are finite in both, got '
            f'{known.sum()}; leave this pose out')
    pred_mean, truth_mean = pred[known].mean(axis=0), truth[known].mean(axis=0)
    moved, target = pred[known] - pred_mean, truth[known] - truth_mean
    spread = (moved ** 2).sum()
    if spread <= np.finfo(float).tiny:
        raise InvalidInputError(
            'similarity_align: all predicted points coincide; leave this pose out')
    left, stretch, right = np.linalg.svd(target.T @ moved)
    signs = np.ones(pred.shape[1])
    signs[-1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = (left * signs) @ right
    scale = (stretch * signs).sum() / spread
    return scale * (pred - pred_mean) @ rotation.T + truth_mean


def _checked_pair(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pred, truth = (np.asarray(value, dtype=np.float64) for value in (pred, truth))
    if pred.shape != truth.shape or pred.ndim < 2:
        raise InvalidInputError(
            f'alignment: expected two poses of one shape (..., points, dimensions), got '
            f'{pred.shape} and {truth.shape}')
    return pred, truth
