"""Reader of the extended Leeds Sports Pose set (Johnson and Everingham 2011): adults.

Format: `joints.mat` with `joints` (14, 3, N): x, y, visible; `images/im00001.jpg` onwards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from infant_pose_ros.data.files import read_mat
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.skeleton import FROM_LSP, Joint, NUM_KEYPOINTS


def common_keypoints(lsp: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(N, 14, 2) px in LSP's order -> (N, 16, 2) in the common one; NaN where not annotated.

    Pelvis and thorax are the middles of the hips and of the shoulders.
    """
    lsp = np.where(visible[..., None], lsp, np.nan)
    keypoints = np.full((len(lsp), NUM_KEYPOINTS, 2), np.nan)
    for joint, index in enumerate(FROM_LSP):
        if index >= 0:
            keypoints[:, joint] = lsp[:, index]
    keypoints[:, Joint.PELVIS] = keypoints[:, [Joint.L_HIP, Joint.R_HIP]].mean(1)
    keypoints[:, Joint.THORAX] = keypoints[:, [Joint.L_SHOULDER, Joint.R_SHOULDER]].mean(1)
    return keypoints


def read_joints(path: Path) -> np.ndarray:
    """The rows (N, 14, 3) x, y, visible of `joints.mat`.

    Raises:
        DatasetError: the file is missing, damaged or of another form.
    """
    joints, = read_mat(path, 'joints')
    if joints.ndim != 3 or joints.shape[:2] != (14, 3) or joints.dtype.kind not in 'fiu':
        raise DatasetError(
            f'{path}: expected joints of shape (14, 3, N), got {joints.dtype} of {joints.shape}; '
            'take the file of the extended set')
    return joints.transpose(2, 0, 1)


def open_lspet(folder: str | Path) -> Stills:
    """Read the set; pictures with fewer than 6 annotated keypoints are left out.

    Raises:
        DatasetError: `joints.mat` is missing or of another form.
    """
    folder = Path(folder)
    joints = read_joints(folder / 'joints.mat')
    keypoints = common_keypoints(joints[..., :2], joints[..., 2] > 0.5)
    known = np.isfinite(keypoints).all(-1)
    rows = np.flatnonzero(known.sum(1) >= 6)
    count = len(rows)
    return Stills(
        tuple(folder / 'images' / f'im{row + 1:05d}.jpg' for row in rows), keypoints[rows],
        np.full((count, NUM_KEYPOINTS, 3), np.nan), known[rows],
        np.stack([box_around(keypoints[row]) for row in rows]) if count else np.zeros((0, 4)),
        np.full(count, np.nan), np.full((count, 4), np.nan))


def split_lspet(folder: str | Path, val_count: int) -> tuple[Stills, Stills]:
    """The set without its last `val_count` pictures, and those: no network may train on them.

    Raises:
        DatasetError: as `open_lspet`, or nothing is left to train on.
    """
    stills = open_lspet(folder)
    if len(stills) <= val_count:
        raise DatasetError(
            f'{folder}: holds {len(stills)} usable pictures, {val_count} of which are kept to '
            'watch; lower adults_val_count')
    return stills.part(slice(0, -val_count)), stills.part(slice(-val_count, None))
