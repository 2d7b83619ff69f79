"""Axis-aligned boxes in a picture: x1, y1, x2, y2 in frame px."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.structures import checked_array


def box_iou(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of `a_xyxy` (N, 4) with every one of `b_xyxy` (M, 4).

    Returns:
        (N, M) float64, 0..1; 0 where both boxes are empty. An empty list of boxes may have the
        shape (0,) too.

    Raises:
        InvalidInputError: the shapes don't fit.
    """
    a, b = (_checked_boxes(boxes) for boxes in (a_xyxy, b_xyxy))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clip(min=0).prod(axis=-1)
    areas_a, areas_b = ((boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=-1)
                        for boxes in (a, b))
    union = areas_a[:, None] + areas_b[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def box_around(points_px: np.ndarray) -> np.ndarray | None:
    """Smallest box (4,) around the finite points of (K, 2); None if fewer than two are finite."""
    points = np.asarray(points_px, dtype=np.float64).reshape(-1, 2)
    finite = points[np.isfinite(points).all(axis=-1)]
    if len(finite) < 2:
        return None
    return np.concatenate([finite.min(axis=0), finite.max(axis=0)])


def expand_box(box_xyxy: np.ndarray, scale: float) -> np.ndarray:
    """A box (4,) about the same middle with both sides `scale` times as long."""
    box = checked_array('box_xyxy', box_xyxy, (4,))
    if not (np.isfinite(scale) and scale > 0):
        raise InvalidInputError(f'expand_box: scale must be finite and positive, got {scale}')
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return np.concatenate([centre - half * scale, centre + half * scale])


def _checked_boxes(boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InvalidInputError(f'boxes: expected shape (N, 4), got {boxes.shape}')
    return boxes
