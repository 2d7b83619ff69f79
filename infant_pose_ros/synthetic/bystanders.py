"""Adults beside a cot: who leans into an infant's picture."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.motion import sample_adult
from infant_pose_ros.synthetic.outfits import Complexion, Outfit, Person

#: An adult nearer to the camera than this would hide everything, m.
CLEARANCE_M = 0.25
_POSES = 4


def _facing(keypoints_m: np.ndarray) -> float:
    """Direction in the plane, rad, in which a body (16, 3) looks."""
    left = keypoints_m[Joint.L_SHOULDER] - keypoints_m[Joint.R_SHOULDER]
    up = keypoints_m[Joint.THORAX] - keypoints_m[Joint.PELVIS]
    ahead = np.cross(left, up)
    return float(np.arctan2(ahead[1], ahead[0]))


def sample_bystander(rng: np.random.Generator, infant_m: np.ndarray, world_to_camera: np.ndarray,
                     fabrics: int) -> Person | None:
    """An adult who stands or sits beside the cot, near enough to reach into the picture.

    Args:
        infant_m: (16, 3) keypoints of the infant. world_to_camera: (3, 4).
        fabrics: how many the bank holds.

    Returns:
        None where the drawn adult fits nowhere.
    """
    adults = sample_adult(rng, np.arange(_POSES) * 30.0)
    heights = adults.keypoints_m[:, Joint.THORAX, 2]
    pose = int(np.argmax(heights > 0.7))
    vertices, keypoints = adults.vertices_m[pose].astype(np.float64), adults.keypoints_m[pose]
    angle = rng.uniform(0, 2 * np.pi)
    turn = angle + np.pi + rng.normal(0, 0.5) - _facing(keypoints)
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    middle = keypoints[Joint.PELVIS] * [1, 1, 0]
    vertices = (vertices - middle) @ rotation.T
    # The bed is hip high for those who stand, and on the floor for those who sit or lie.
    vertices[:, 2] -= rng.uniform(0.45, 0.95) if heights[pose] > 1.0 else rng.uniform(0.0, 0.3)
    low, high = infant_m[:, :2].min(0) - 0.05, infant_m[:, :2].max(0) + 0.05
    camera = -world_to_camera[:, :3].T @ world_to_camera[:, 3]
    centre = infant_m[:, :2].mean(0)
    for away in np.arange(0.35, 1.4, 0.08):
        placed = vertices + np.append(centre + away * np.array([np.cos(angle), np.sin(angle)]), 0)
        within = ((placed[:, :2] > low) & (placed[:, :2] < high)).all(1) & (
            placed[:, 2] > 0) & (placed[:, 2] < 0.22)
        clear = np.linalg.norm(placed[::20] - camera, axis=1).min() > CLEARANCE_M
        if clear and not within.any():
            return Person(placed, adults.rest_vertices_m, Outfit.sample_adult(rng, fabrics),
                          Complexion.sample(rng, fabrics, adult=True), 2)
    return None
