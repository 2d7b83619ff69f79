"""Poses without pictures: keypoints of many infants as many cameras see them, for the lifter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.synthetic.motion import sample_infant
from infant_pose_ros.synthetic.scene import sample_camera

POSES_PER_INFANT = 32


@dataclass(frozen=True, eq=False)
class PoseSet:
    """N poses: keypoints_m (N, 16, 3) in a camera's frame, m; body_length_m (N,)."""

    keypoints_m: np.ndarray
    body_length_m: np.ndarray


def sample_poses(infants: int, views: int, seed: int, progress=None) -> PoseSet:
    """Draw `infants` x 32 poses, each seen by `views` cameras.

    Args:
        progress: called with 1 after each infant.
    """
    keypoints, lengths = [], []
    for number in range(infants):
        rng = np.random.default_rng([seed, number])
        bodies = sample_infant(rng, np.arange(POSES_PER_INFANT) * 30.0)
        for pose in bodies.keypoints_m:
            for _ in range(views):
                _, matrix = sample_camera(rng, pose[None], (640, 480))
                keypoints.append(pose @ matrix[:, :3].T + matrix[:, 3])
        lengths += [bodies.body_length_m] * (POSES_PER_INFANT * views)
        if progress:
            progress(1)
    return PoseSet(np.array(keypoints, dtype=np.float32), np.array(lengths))
