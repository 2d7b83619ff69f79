"""Stand-ins for missing keypoints, from those next to them in the skeleton."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import BONES, NUM_KEYPOINTS


def _bones_between() -> np.ndarray:
    """(16, 16) number of bones on the way from one keypoint to another."""
    bones = np.full((NUM_KEYPOINTS, NUM_KEYPOINTS), np.inf)
    np.fill_diagonal(bones, 0)
    for parent, child in BONES:
        bones[parent, child] = bones[child, parent] = 1
    for via in range(NUM_KEYPOINTS):
        bones = np.minimum(bones, bones[:, via, None] + bones[None, via])
    return bones


BONES_BETWEEN = _bones_between()


def fill_missing(points: np.ndarray) -> np.ndarray:
    """Put every missing keypoint where its nearest neighbours in the skeleton are.

    Args:
        points: (16, D); a row with NaN or infinity is missing.

    Returns:
        A copy without such rows: each is the mean of those present keypoints that the fewest
        bones join with it.

    Raises:
        InvalidInputError: the shape doesn't fit, or all are missing.
    """
    points = np.array(points, dtype=np.float64)
    if points.ndim != 2 or len(points) != NUM_KEYPOINTS:
        raise InvalidInputError(
            f'points: expected shape ({NUM_KEYPOINTS}, D), got {points.shape}')
    missing = ~np.isfinite(points).all(axis=1)
    if missing.all():
        raise InvalidInputError('points: all keypoints are missing; leave the pose out')
    for keypoint in np.flatnonzero(missing):
        bones = np.where(missing, np.inf, BONES_BETWEEN[keypoint])
        points[keypoint] = points[bones == bones.min()].mean(axis=0)
    return points
