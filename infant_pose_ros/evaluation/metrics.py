"""How far estimates lie from the truth."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.boxes import box_iou
from infant_pose_ros.skeleton import HEAD_SEGMENT


def joint_errors(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Euclidean distance of each keypoint from its truth.

    Args:
        pred: (..., 16, D), px, m or mm; NaN where missing.
        truth: the same shape and unit; NaN where unknown.

    Returns:
        (..., 16) in that unit; NaN where the truth is unknown, inf where it is known but the
        prediction is missing.

    Raises:
        InvalidInputError: the shapes differ.
    """
    pred, truth = _same_shape(pred, truth)
    errors = np.linalg.norm(pred - truth, axis=-1)
    return np.where(np.isnan(truth).any(axis=-1), np.nan, np.where(
        np.isnan(errors), np.inf, errors))


def ajpe(errors: np.ndarray) -> float:
    """Average joint position error: mean of the finite `errors`; NaN where there are none.

    Missing keypoints don't count here: read it beside the share of keypoints found.
    """
    finite = np.asarray(errors, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return float(finite.mean()) if finite.size else float('nan')


def pckh(errors: np.ndarray, head_unit: np.ndarray, k: float) -> float:
    """Share of keypoints that lie nearer to the truth than `k` head units.

    Args:
        errors: (..., 16) from `joint_errors`: inf counts as a miss, NaN is left out.
        head_unit: (...,) or one number, in the unit of `errors`; NaN leaves the pose out.
        k: how many head units are near enough.

    Returns:
        0..1; NaN where no keypoint counts.
    """
    errors = np.asarray(errors, dtype=np.float64)
    limits = np.broadcast_to(np.asarray(head_unit, float)[..., None] * k, errors.shape)
    counted = ~(np.isnan(errors) | np.isnan(limits))
    return float((errors < limits)[counted].mean()) if counted.any() else float('nan')


def head_units(truth: np.ndarray) -> np.ndarray:
    """Distance (...,) from upper neck to head top in poses (..., 16, D); NaN where unknown."""
    lower, upper = HEAD_SEGMENT
    return np.linalg.norm(truth[..., upper, :] - truth[..., lower, :], axis=-1)


def box_ious(pred_xyxy: np.ndarray, truth_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union of paired boxes.

    Args:
        pred_xyxy: (F, 4); NaN where no box was found.
        truth_xyxy: (F, 4); NaN where unknown.

    Returns:
        (F,) 0..1; 0 where a box is missing, NaN where the truth is unknown.

    Raises:
        InvalidInputError: the shapes differ.
    """
    pred, truth = _same_shape(pred_xyxy, truth_xyxy)
    ious = np.array([
        0.0 if np.isnan(a).any() else box_iou(a[None], b[None])[0, 0]
        for a, b in zip(pred, truth)])
    return np.where(np.isnan(truth).any(axis=-1), np.nan, ious)


def _same_shape(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pred, truth = np.asarray(pred, np.float64), np.asarray(truth, np.float64)
    if pred.shape != truth.shape:
        raise InvalidInputError(
            f'pred and truth: expected one shape, got {pred.shape} and {truth.shape}')
    return pred, truth
