"""Which box belongs to which track, and which tracks follow the same infant."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from infant_pose_ros.geometry.boxes import box_around, box_iou

#: Two poses whose keypoints lie nearer than this share of the box are one infant.
SAME_INFANT_SHARE = 0.15
#: So many keypoints must be present in both poses to say so.
SAME_INFANT_KEYPOINTS = 4


def associate(boxes_a: np.ndarray, boxes_b: np.ndarray, iou_min: float) -> list[tuple[int, int]]:
    """Pair boxes one to one so that the sum of overlaps is greatest (Hungarian method).

    Args:
        boxes_a: (N, 4) x1, y1, x2, y2.
        boxes_b: (M, 4) in the same frame.
        iou_min: pairs that overlap less, or not at all, are left out.

    Returns:
        Pairs of row numbers, by rising number in `boxes_a`.
    """
    if len(boxes_a) == 0 or len(boxes_b) == 0:
        return []
    overlap = box_iou(boxes_a, boxes_b)
    overlap[overlap < iou_min] = 0.0
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns) if overlap[i, j] > 0.0]


def suppress_overlapping(poses_px: np.ndarray, scores: np.ndarray) -> list[int]:
    """Keep one pose of those that lie on the same infant.

    Going from the best score down, a pose is left out where its keypoints lie, on average, nearer
    to those of a kept one than `SAME_INFANT_SHARE` of the longer side of the kept one's box.

    Args:
        poses_px: (N, 16, 2), NaN where a keypoint is missing.
        scores: (N,); higher is better.

    Returns:
        Row numbers of the kept poses, best first.
    """
    kept: list[int] = []
    for index in np.argsort(-np.asarray(scores, float), kind='stable'):
        if not any(_same_infant(poses_px[index], poses_px[other]) for other in kept):
            kept.append(int(index))
    return kept


def _same_infant(pose_px: np.ndarray, kept_px: np.ndarray) -> bool:
    distances = np.linalg.norm(pose_px - kept_px, axis=1)
    distances = distances[np.isfinite(distances)]
    if len(distances) < SAME_INFANT_KEYPOINTS:
        return False
    box = box_around(kept_px)
    return bool(distances.mean() < SAME_INFANT_SHARE * (box[2:] - box[:2]).max())
