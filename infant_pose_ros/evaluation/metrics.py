"""How far estimates lie from the truth, how restless they are and how late."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.boxes import box_iou
from infant_pose_ros.skeleton import HEAD_SEGMENT

#: `delay_frames` looks so far ahead and back, s, at most.
MAX_DELAY_S = 0.5


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


def derivative(values: np.ndarray, stamps_s: np.ndarray, order: int) -> np.ndarray:
    """Derivatives over time from neighbouring frames: divided differences times `order`!.

    With even steps this is the `order`-th difference over dt^order; with uneven ones it is still
    exact for polynomials of that order.

    Args:
        values: (F, ...), px or m; NaN where missing.
        stamps_s: (F,) s, rising.
        order: 1 or more.

    Returns:
        (F - order, ...), none where F is too small; NaN where one of the frames misses.

    Raises:
        InvalidInputError: the stamps don't rise, or are not one for each frame.
    """
    stamps_s, values = np.asarray(stamps_s, float), np.asarray(values, float)
    if stamps_s.shape != values.shape[:1] or not (np.diff(stamps_s) > 0).all():
        raise InvalidInputError(f'stamps_s: expected {len(values)} rising times, got shape '
                                f'{stamps_s.shape}; leave out frames whose stamp comes again')
    for number in range(1, order + 1):
        step_s = (stamps_s[number:] - stamps_s[:-number])[:len(values) - 1] / number
        values = np.diff(values, axis=0) / step_s.reshape(-1, *[1] * (values.ndim - 1))
    return values


def acceleration_error(pred: np.ndarray, truth: np.ndarray, stamps_s: np.ndarray) -> float:
    """Mean length of the difference between two motions' accelerations.

    Args:
        pred, truth: (F, ..., D), px or m; NaN where missing.
        stamps_s: (F,) s, rising, even or not.

    Returns:
        px/s^2 or m/s^2; NaN where no three frames in a row are complete.

    Raises:
        InvalidInputError: the shapes differ, or as `derivative`.
    """
    pred, truth = _same_shape(pred, truth)
    return ajpe(np.linalg.norm(derivative(pred - truth, stamps_s, 2), axis=-1))


def jitter(pred: np.ndarray, stamps_s: np.ndarray) -> float:
    """Standard deviation of the third derivative over time: what makes a skeleton tremble.

    Real motion has some, too: read it beside that of the truth.

    Args:
        pred: (F, ...), px or m; NaN where missing.
        stamps_s: (F,) s, rising, even or not.

    Returns:
        px/s^3 or m/s^3, over all coordinates; NaN where no four frames in a row are complete.

    Raises:
        InvalidInputError: as `derivative`.
    """
    jerks = derivative(pred, stamps_s, 3)
    jerks = jerks[np.isfinite(jerks)]
    return float(jerks.std()) if jerks.size else float('nan')


def delay_frames(pred: np.ndarray, truth: np.ndarray, stamps_s: np.ndarray,
                 rate_hz: float = 30.0) -> float:
    """Frames of `rate_hz` by which `pred` lags behind `truth`: where their correlation peaks.

    Both are brought to even steps of 1/rate_hz by straight lines. The correlation of the centred
    coordinates, all together, is taken at every whole shift of up to `MAX_DELAY_S` and a quarter
    of the length; a parabola through the peak and its neighbours gives the fraction.

    Args:
        pred, truth: (F, ...); NaN where missing.
        stamps_s: (F,) s, rising, even or not.
        rate_hz: of the frames that the delay is counted in.

    Returns:
        Frames, positive where `pred` is late; NaN where there is too little motion or too few
        frames to say.

    Raises:
        InvalidInputError: the shapes differ, or the rate is not positive.
    """
    pred, truth = _same_shape(pred, truth)
    if not 0.0 < rate_hz < np.inf:
        raise InvalidInputError(f'rate_hz: expected a positive number, got {rate_hz}')
    if len(pred) < 4:
        return float('nan')
    pred, truth = (_evenly(value.reshape(len(value), -1), stamps_s, rate_hz)
                   for value in (pred, truth))
    limit = min(int(round(MAX_DELAY_S * rate_hz)), len(pred) // 4)
    if limit < 1:
        return float('nan')
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


def _evenly(values: np.ndarray, stamps_s: np.ndarray, rate_hz: float) -> np.ndarray:
    """(F, C) values on even steps; NaN where a neighbour is."""
    stamps_s = np.asarray(stamps_s, float)
    count = int(np.floor((stamps_s[-1] - stamps_s[0]) * rate_hz + 1e-6)) + 1
    position = np.interp(stamps_s[0] + np.arange(count) / rate_hz, stamps_s,
                         np.arange(len(stamps_s)))
    near = np.rint(position)
    position = np.where(np.abs(position - near) < 1e-6, near, position)
    low, high = np.floor(position).astype(int), np.ceil(position).astype(int)
    share = (position - low)[:, None]
    return values[low] * (1.0 - share) + values[high] * share


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
