"""Poses without pictures: keypoints of many people as cameras see them, and infants from above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.growth import DEFAULT_BODY_LENGTH_M
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.body import axis_rotation, L_FINGERS_ROW, R_FINGERS_ROW
from infant_pose_ros.synthetic.camera import sample_camera
from infant_pose_ros.synthetic.motion import sample_adult, sample_infant
from infant_pose_ros.synthetic.movement import LYING, SUPINE

POSES_PER_INFANT = 32
#: Spread by which `poses_from_above` tilts the view away from straight down, degrees.
TILT_DEG = 8.0


@dataclass(frozen=True, eq=False)
class PoseSet:
    """N poses: keypoints_m (N, 16, 3) in a camera's frame, m; body_length_m (N,)."""

    keypoints_m: np.ndarray
    body_length_m: np.ndarray


_SAMPLERS = {'infants': sample_infant, 'adults': sample_adult}


def sample_poses(infants: int, views: int, seed: int,
                 progress: Callable[[int], object] | None = None, people: str = 'infants'
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


def poses_from_above(poses: int, seed: int, progress: Callable[[int], object] | None = None
                     ) -> np.ndarray:
    """Infants on their backs (poses, 16, 2) seen from about straight above, m, y down.

    The wrists are moved to the middle of the hands, which is where some labels have them.

    Args:
        poses: how many. progress: called with the number of poses that became ready.
    """
    views = []
    for number, start in enumerate(range(0, poses, POSES_PER_INFANT)):
        rng = np.random.default_rng([seed, number])
        roll = np.deg2rad(rng.normal(*LYING[SUPINE][1:]))
        bodies = sample_infant(rng, np.arange(POSES_PER_INFANT) * 30.0, roll_rad=float(roll))
        points = bodies.keypoints_m.copy()
        for wrist, fingers in ((Joint.L_WRIST, L_FINGERS_ROW), (Joint.R_WRIST, R_FINGERS_ROW)):
            points[:, wrist] = (points[:, wrist] + bodies.joints_m[:, fingers]) / 2
        lean = np.tan(np.deg2rad(TILT_DEG) * rng.normal(size=(POSES_PER_INFANT, 1, 2)))
        flat = points[..., :2] + lean * points[..., 2:]
        views.append(flat * [1.0, -1.0])
        if progress:
            progress(min(POSES_PER_INFANT, poses - start))
    return np.concatenate(views)[:poses]
