"""Joint angles and bone directions of a pose in space."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import JOINT_ANGLES, NUM_KEYPOINTS, PARENTS

_SHORTEST_BONE_M = 1e-9
_ENDS = np.array(list(JOINT_ANGLES.values()))


def joint_angles(keypoints_m: np.ndarray) -> dict[str, float]:
    """Angle between the two bones at each joint of `skeleton.JOINT_ANGLES`, rad, 0..pi.

    A stretched elbow or knee has pi.

    Args:
        keypoints_m: (16, 3), m, in any frame; NaN where missing.

    Returns:
        name -> angle; NaN where one of its three keypoints is missing or two coincide.

    Raises:
        InvalidInputError: the shape doesn't fit.
    """
    keypoints = _checked_keypoints(keypoints_m)
    vertex = keypoints[_ENDS[:, 1]]
    first, second = keypoints[_ENDS[:, 0]] - vertex, keypoints[_ENDS[:, 2]] - vertex
    sine = np.linalg.norm(np.cross(first, second), axis=1)
    cosine = (first * second).sum(axis=1)
    lengths = [np.linalg.norm(bone, axis=1) for bone in (first, second)]
    known = np.minimum(*lengths) > _SHORTEST_BONE_M  # False with NaN
    angles = np.where(known, np.arctan2(sine, cosine), np.nan)
    return {name: float(angle) for name, angle in zip(JOINT_ANGLES, angles)}


def bone_quaternions(keypoints_m: np.ndarray) -> np.ndarray:
    """Orientation of each keypoint whose z axis points along the bone to its parent.

    The shortest turn that takes the frame's z axis there, so that the turn about the bone
    itself says nothing.

    Args:
        keypoints_m: (16, 3), m; NaN where missing.

    Returns:
        (16, 4) unit quaternions x, y, z, w, always finite: the identity for the root, and where
        the keypoint or its parent is missing or both coincide.

    Raises:
        InvalidInputError: the shape doesn't fit.
    """
    keypoints = _checked_keypoints(keypoints_m)
    bones = keypoints[list(PARENTS)] - keypoints
    lengths = np.linalg.norm(bones, axis=1, keepdims=True)
    known = lengths > _SHORTEST_BONE_M  # False with NaN; the root is its own parent
    axis_x, axis_y, axis_z = np.where(
        known, bones / np.where(known, lengths, 1.0), (0.0, 0.0, 1.0)).T
    # (z cross bone, 1 + z dot bone) is the shortest turn, not yet of unit length. For a bone
    # along -z it vanishes and half a turn about any horizontal axis will do: x.
    quaternions = np.stack([-axis_y, axis_x, np.zeros_like(axis_x), 1.0 + axis_z], axis=1)
    is_opposite = quaternions[:, 3] < 1e-9
    quaternions[is_opposite] = (1.0, 0.0, 0.0, 0.0)
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


def _checked_keypoints(keypoints_m: np.ndarray) -> np.ndarray:
    keypoints = np.asarray(keypoints_m, dtype=np.float64)
    if keypoints.shape != (NUM_KEYPOINTS, 3):
        raise InvalidInputError(
            f'keypoints_m: expected shape ({NUM_KEYPOINTS}, 3), got {keypoints.shape}')
    return keypoints
