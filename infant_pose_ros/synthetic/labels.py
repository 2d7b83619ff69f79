"""What is true of a rendered picture: keypoints, visibility, boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.geometry.cameras import project
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS
from infant_pose_ros.structures import Camera
from infant_pose_ros.synthetic.renderer import Rendering
from infant_pose_ros.synthetic.scene import Scene

# A keypoint lies inside the body: a surface is the body's own up to this much nearer to the
# camera, over the body length.
_FLESH = np.full(NUM_KEYPOINTS, 0.12)
_FLESH[[Joint.PELVIS, Joint.L_HIP, Joint.R_HIP, Joint.THORAX, Joint.UPPER_NECK]] = 0.24
_PATCH_PX = 2
#: A person that fills less of the picture than this is not there.
MIN_PERSON_SHARE = 0.003


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """Truth of one picture; NaN where nobody is in it.

    Attributes:
        keypoints_px: (16, 2) frame px. keypoints_m: (16, 3) camera frame, m.
        visible: (16,) bool, inside the picture and not hidden. box_xyxy: (4,) of the visible
            person's pixels; x1, y1 are exclusive. body_length_m: crown to heel.
    """

    keypoints_px: np.ndarray
    keypoints_m: np.ndarray
    visible: np.ndarray
    box_xyxy: np.ndarray
    body_length_m: float


def label_frame(scene: Scene, rendering: Rendering, keypoints_world_m: np.ndarray,
                body_length_m: float) -> FrameLabels | None:
    """Truth of a rendering; None where too little of the person is seen.

    Args:
        keypoints_world_m: (16, 3). body_length_m: crown to heel.
    """
    mask = rendering.owner == 1
    if mask.mean() < MIN_PERSON_SHARE:
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=float)
    matrix = scene.world_to_camera
    keypoints_m = keypoints_world_m @ matrix[:, :3].T + matrix[:, 3]
    keypoints_px = project(scene.camera, keypoints_m)
    return FrameLabels(keypoints_px, keypoints_m,
                       _visible(rendering, scene.camera, keypoints_px, keypoints_m[:, 2],
                                _FLESH * body_length_m), box, body_length_m)


def empty_labels() -> FrameLabels:
    """Truth of a picture with nobody in it: everything NaN, nothing visible."""
    return FrameLabels(
        np.full((NUM_KEYPOINTS, 2), np.nan), np.full((NUM_KEYPOINTS, 3), np.nan),
        np.zeros(NUM_KEYPOINTS, bool), np.full(4, np.nan), float('nan'))


def _visible(rendering: Rendering, camera: Camera, keypoints_px: np.ndarray,
             depth_m: np.ndarray, flesh_m: np.ndarray) -> np.ndarray:
    """(16,) bool: inside the picture, and most pixels around it show the body or what is behind.

    `depth_m`, `flesh_m`: (16,) of the keypoints along the optical axis, and how deep they lie.
    """
    finite = np.isfinite(keypoints_px).all(1)
    column, row = np.rint(np.where(finite[:, None], keypoints_px, -1)).astype(int).T
    inside = finite & (column >= 0) & (row >= 0) & (column < camera.width) & (
        row < camera.height)
    row, column = np.where(inside, row, 0), np.where(inside, column, 0)
    # The majority of a few pixels: a cable that crosses a joint does not hide it.
    around = np.arange(-_PATCH_PX, _PATCH_PX + 1)
    rows = np.clip(row[:, None, None] + around[:, None], 0, camera.height - 1)
    columns = np.clip(column[:, None, None] + around, 0, camera.width - 1)
    near = rendering.depth_m[rows, columns] > (depth_m - flesh_m)[:, None, None]
    free = near & (rendering.owner[rows, columns] != 2)
    return inside & (free.mean((1, 2)) > 0.5)
