"""Poses without pictures: keypoints of many people as many cameras see them, for the lifter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.growth import DEFAULT_BODY_LENGTH_M
from infant_pose_ros.synthetic.body import axis_rotation
from infant_pose_ros.synthetic.camera import sample_camera
from infant_pose_ros.synthetic.motion import sample_adult, sample_infant

POSES_PER_INFANT = 32


@dataclass(frozen=True, eq=False)
class PoseSet:
    """N poses: keypoints_m (N, 16, 3) in a camera's frame, m; body_length_m (N,)."""

    keypoints_m: np.ndarray
    body_length_m: np.ndarray


_SAMPLERS = {'infants': sample_infant, 'adults': sample_adult}


def sample_poses(infants: int, views: int, seed: int, progress=None, people: str = 'infants'
                 ) -> PoseSet:
    """Draw 32 poses of each of some people, each pose seen by `views` cameras.

    Args:
        infants: how many people. progress: called with 1 after each of them.
        people: 'infants' or 'adults'.

    Raises:
        InvalidInputError: other people.
    """
    if people not in _SAMPLERS:
        raise InvalidInputError(f'people: must be one of {sorted(_SAMPLERS)}, got {people!r}')
    keypoints, lengths = [], []
    for number in range(infants):
        rng = np.random.default_rng([seed, number])
        bodies = _SAMPLERS[people](rng, np.arange(POSES_PER_INFANT) * 30.0)
        for pose in bodies.keypoints_m:
            for _ in range(views):
                keypoints.append(_seen(rng, pose, bodies.body_length_m, people))
        lengths += [bodies.body_length_m] * (POSES_PER_INFANT * views)
        if progress:
            progress(1)
    return PoseSet(np.array(keypoints, dtype=np.float32), np.array(lengths))


def _seen(rng: np.random.Generator, pose_m: np.ndarray, length_m: float, people: str
          ) -> np.ndarray:
    """A pose (16, 3) in the frame of a drawn camera, which looks down on infants.

    Adults are seen from the side, from as far away in body lengths as an infant would be.
    """
    scale = 1.0
    if people == 'adults':
        scale = length_m / DEFAULT_BODY_LENGTH_M
        turn = (axis_rotation(0, np.deg2rad(rng.normal(-85, 12)))
                @ axis_rotation(2, rng.uniform(-np.pi, np.pi)))
        pose_m = pose_m @ turn.T / scale
    _, matrix = sample_camera(rng, pose_m[None], (640, 480))
    return scale * (pose_m @ matrix[:, :3].T + matrix[:, 3])
