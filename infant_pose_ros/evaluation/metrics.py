"""How far estimates lie from the truth, how restless they are and how late."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.boxes import box_iou
from infant_pose_ros.skeleton import HEAD_SEGMENT

#: `delay_frames` looks so many frames ahead and back, at most.
MAX_DELAY_FRAMES = 15


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


def acceleration_error(pred: np.ndarray, truth: np.ndarray, dt_s: float) -> float:
    """Mean length of the difference between two motions' accelerations.

    Args:
        pred, truth: (F, ..., D) in evenly spaced frames, px or m; NaN where missing.
        dt_s: step between frames, s.

    Returns:
        px/s^2 or m/s^2; NaN where no three frames in a row are complete.

    Raises:
        InvalidInputError: the shapes differ, or dt_s is not positive.
    """
    pred, truth = _same_shape(pred, truth)
    differences = np.diff(pred - truth, 2, axis=0) / _positive(dt_s)**2
    return ajpe(np.linalg.norm(differences, axis=-1))


def jitter(pred: np.ndarray, dt_s: float) -> float:
    """Standard deviation of the third difference over time, as a jerk.

    Args:
        pred: (F, ...) in evenly spaced frames, px or m; NaN where missing.
        dt_s: step between frames, s.

    Returns:
        px/s^3 or m/s^3, over all coordinates; NaN where no four frames in a row are complete.

    Raises:
        InvalidInputError: dt_s is not positive.
    """
    jerks = np.diff(np.asarray(pred, float), 3, axis=0) / _positive(dt_s)**3
    jerks = jerks[np.isfinite(jerks)]
    return float(jerks.std()) if jerks.size else float('nan')


def delay_frames(pred: np.ndarray, truth: np.ndarray) -> float:
    """Frames by which `pred` lags behind `truth`: where their correlation peaks.

    The correlation of the centred coordinates, all together, is taken at every whole shift of up
    to `MAX_DELAY_FRAMES` and a quarter of the length; a parabola through the peak and its
    neighbours gives the fraction.

    Args:
        pred, truth: (F, ...) in evenly spaced frames; NaN where missing.

    Returns:
        Frames, positive where `pred` is late; NaN where there is too little motion or too few
        frames to say.

    Raises:
        InvalidInputError: the shapes differ.
    """
    pred, truth = _same_shape(pred, truth)
    limit = min(MAX_DELAY_FRAMES, len(pred) // 4)
    if limit < 1:
        return float('nan')
    pred, truth = (value.reshape(len(value), -1) for value in (pred, truth))
    shifts = np.arange(-limit, limit + 1)
    scores = np.array([_correlation(pred, truth, shift) for shift in shifts])
    if not np.isfinite(scores).all():
        return float('nan')
    best = int(np.argmax(scores))
    if best in (0, len(shifts) - 1):
        return float(shifts[best])
    before, peak, after = scores[best - 1:best + 2]
    curve = before - 2.0 * peak + after
    return float(shifts[best] + (0.5 * (before - after) / curve if curve else 0.0))


def _correlation(pred: np.ndarray, truth: np.ndarray, shift: int) -> float:
    """Correlation of `pred` `shift` frames later with `truth`; NaN where nothing moves."""
    late, early = (pred, truth) if shift >= 0 else (truth, pred)
    late, early = late[abs(shift):], early[:len(early) - abs(shift)]
    known = np.isfinite(late) & np.isfinite(early)
    counts = np.maximum(known.sum(axis=0), 1)
    late, early = (np.where(known, value, 0.0) for value in (late, early))
    late, early = (np.where(known, value - value.sum(axis=0) / counts, 0.0)
                   for value in (late, early))
    power = np.sqrt((late**2).sum() * (early**2).sum())
    return float((late * early).sum() / power) if power > 0.0 else float('nan')


def _same_shape(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pred, truth = np.asarray(pred, np.float64), np.asarray(truth, np.float64)
    if pred.shape != truth.shape:
        raise InvalidInputError(
            f'pred and truth: expected one shape, got {pred.shape} and {truth.shape}')
    return pred, truth


def _positive(dt_s: float) -> float:
    if not 0.0 < dt_s < np.inf:
        raise InvalidInputError(f'dt_s: expected a positive step in seconds, got {dt_s}')
    return dt_s
