"""Who is who: detections, readings, tracks and infants that were lost, matched by place and pose.

All costs are matrices, made in one step for all pairs; the Hungarian method chooses the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from infant_pose_ros.geometry.boxes import box_iou
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER

#: Two poses whose keypoints lie nearer than this share of the body's extent are one infant.
SAME_INFANT_SHARE = 0.15
#: So many keypoints must be present in both poses to say so.
SAME_INFANT_KEYPOINTS = 4
#: Keypoints of two infants that are read nearer than this share of the body are one point.
SAME_POINT_SHARE = 0.06
#: No keypoint counts as further away than this share of the extent: one may be read anywhere.
FARTHEST_SHARE = 1.0
#: A detection belongs to a pose from this affinity on: half overlap, half keypoints inside.
AFFINITY_MIN = 0.35
#: A box with so many of a pose's keypoints shows that infant too, if perhaps not alone.
INSIDE_MIN = 0.8

#: An infant that is back lies so near to where it was, shares of its trunk's length, at once and
#: a second later; longer bodies than this, or shorter than its inverse, are others'.
BACK_TRUNKS, BACK_TRUNKS_PER_S, MOST_TRUNKS = 0.6, 0.2, 1.2
BACK_SIZE_RATIO = 1.5
_TRUNK = (Joint.R_HIP, Joint.L_HIP, Joint.PELVIS, Joint.THORAX, Joint.R_SHOULDER,
          Joint.L_SHOULDER)


def match(costs: np.ndarray, limit: float) -> list[tuple[int, int]]:
    """Pair rows and columns one to one: as many as can be, at the least sum of costs.

    Args:
        costs: (N, M); NaN, or above `limit`, never pairs.
        limit: the highest cost of a pair.

    Returns:
        Pairs (row, column), by rising row.
    """
    costs = np.asarray(costs, dtype=np.float64)
    if costs.size == 0:
        return []
    fits = costs <= limit       # False with NaN
    never = 1.0 + min(costs.shape) * max(np.abs(costs[fits]).max(initial=0.0), abs(limit))
    rows, columns = linear_sum_assignment(np.where(fits, costs, never))
    return [(int(i), int(j)) for i, j in zip(rows, columns) if fits[i, j]]


def extents(poses_px: np.ndarray) -> np.ndarray:
    """(N,) px: longer side of the box around each pose (N, 16, 2); NaN where nothing is there."""
    poses = np.asarray(poses_px, dtype=np.float64).reshape(-1, *np.shape(poses_px)[-2:])
    finite = np.isfinite(poses)
    high = np.where(finite, poses, -np.inf).max(axis=1, initial=-np.inf)
    low = np.where(finite, poses, np.inf).min(axis=1, initial=np.inf)
    with np.errstate(invalid='ignore'):
        sides = (high - low).max(axis=-1)
    return np.where(np.isfinite(sides), sides, np.nan)


def pose_distances(poses_a: np.ndarray, poses_b: np.ndarray) -> np.ndarray:
    """Mean distance of the keypoints that both poses have, as a share of the second's extent.

    Args:
        poses_a: (N, 16, 2) px, NaN where missing. poses_b: (M, 16, 2).

    Returns:
        (N, M), 0 to `FARTHEST_SHARE`; NaN where fewer than `SAME_INFANT_KEYPOINTS` are in both.
    """
    a, b = (np.asarray(poses, dtype=np.float64).reshape(-1, 16, 2)
            for poses in (poses_a, poses_b))
    with np.errstate(invalid='ignore', divide='ignore'):
        shares = np.linalg.norm(a[:, None] - b[None], axis=-1) / extents(b)[None, :, None]
    known = np.isfinite(shares)
    counts = known.sum(axis=-1)
    sums = np.where(known, np.minimum(shares, FARTHEST_SHARE), 0.0).sum(axis=-1)
    return np.where(counts >= SAME_INFANT_KEYPOINTS, sums / np.maximum(counts, 1), np.nan)


def inside_shares(poses_px: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N, M): share of the keypoints of each pose (N, 16, 2) inside of each box (M, 4)."""
    poses, boxes = np.asarray(poses_px).reshape(-1, 16, 2), np.asarray(boxes).reshape(-1, 4)
    known = np.isfinite(poses).all(axis=-1)
    points = poses[:, None]
    inside = ((points >= boxes[None, :, None, :2]) & (points <= boxes[None, :, None, 2:])).all(-1)
    return inside.sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)[:, None]


def detection_costs(poses_px: np.ndarray, boxes: np.ndarray, found: np.ndarray) -> np.ndarray:
    """1 - affinity of poses and detections: the mean of overlap and keypoints inside.

    Boxes alone can't tell infants that lie across each other apart, nor keypoints alone a box
    around one infant from one around two.

    Args:
        poses_px: (N, 16, 2). boxes: (N, 4) around them. found: (M, 4) detections.
    """
    return 1.0 - (box_iou(boxes, found) + inside_shares(poses_px, found)) / 2


def suppress_overlapping(poses_px: np.ndarray, scores: Sequence[float]) -> list[int]:
    """Keep one pose of those that lie on the same infant.

    Going from the best score down, a pose is left out where its keypoints lie, on average, nearer
    to those of a kept one than `SAME_INFANT_SHARE` of the kept one's extent.

    Args:
        poses_px: (N, 16, 2), NaN where a keypoint is missing.
        scores: (N,); higher is better.

    Returns:
        Row numbers of the kept poses, best first.
    """
    same = pose_distances(poses_px, poses_px) < SAME_INFANT_SHARE
    kept: list[int] = []
    for index in np.argsort(-np.asarray(scores, float), kind='stable'):
        if not same[index, kept].any():
            kept.append(int(index))
    return kept


def borrowed_keypoints(readings_px: np.ndarray, predicted_px: np.ndarray) -> np.ndarray:
    """Which keypoints were read off another infant.

    Where infants lie against each other, the reading of one may put a limb on the other's. A
    point that is read for both belongs to whose prediction of it is nearer. Left and right are
    not told apart: the neighbour's near leg may be taken for either.

    Args:
        readings_px: (N, 16, 2), NaN where missing. predicted_px: (N, 16, 2) of the same tracks.

    Returns:
        (N, 16) bool.
    """
    readings, predicted = (np.asarray(each, dtype=np.float64) for each in
                           (readings_px, predicted_px))
    own = np.linalg.norm(readings - predicted, axis=-1)
    is_other = ~np.eye(len(readings), dtype=bool)[:, :, None]
    reach = SAME_POINT_SHARE * extents(predicted)[:, None, None]
    borrowed = np.zeros(own.shape, bool)
    for order in (np.arange(readings.shape[1]), np.asarray(MIRRORED_ORDER)):
        with np.errstate(invalid='ignore'):
            to_reading = np.linalg.norm(readings[:, None] - readings[None][:, :, order], axis=-1)
            to_other = np.linalg.norm(readings[:, None] - predicted[None][:, :, order], axis=-1)
            borrowed |= (is_other & (to_reading < reach) & (to_other < own[:, None])).any(axis=1)
    return borrowed


def return_costs(poses_px: np.ndarray, lost_px: np.ndarray, gone_s: np.ndarray) -> np.ndarray:
    """How far new poses lie from those of infants that were lost, as shares of what is allowed.

    An infant that something hid comes back where it was: its trunk's middle lies within a share
    of the trunk's length that grows with time, and it is as long as before.

    Args:
        poses_px: (N, 16, 2). lost_px: (M, 16, 2) last poses. gone_s: (M,) since when, s.

    Returns:
        (N, M): up to 1 where it may be the same infant, NaN where it can't.
    """
    poses, lost = (np.asarray(each, dtype=np.float64).reshape(-1, 16, 2)
                   for each in (poses_px, lost_px))
    middles, trunks = zip(*(_trunks(each) for each in (poses, lost)))
    allowed = np.minimum(BACK_TRUNKS + BACK_TRUNKS_PER_S * np.asarray(gone_s), MOST_TRUNKS)
    with np.errstate(invalid='ignore', divide='ignore'):
        ratio = np.abs(np.log(extents(poses)[:, None] / extents(lost)[None]))
        length = np.maximum(trunks[0][:, None], trunks[1][None])
        costs = np.linalg.norm(middles[0][:, None] - middles[1][None], axis=-1) / (
            length * allowed)
        return np.where((ratio <= np.log(BACK_SIZE_RATIO)) & (costs <= 1.0), costs, np.nan)


def _trunks(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle (N, 2) and length (N,) of trunks; NaN where a keypoint of the trunk is missing.

    A trunk seen along its length is short: it counts as a quarter of the body's extent at least.
    """
    length = np.linalg.norm(poses[:, Joint.THORAX] - poses[:, Joint.PELVIS], axis=-1)
    return poses[:, _TRUNK].mean(axis=1), np.maximum(length, extents(poses) / 4)
