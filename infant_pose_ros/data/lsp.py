"""Reader of Leeds Sports Pose (Johnson and Everingham 2010) and its extended set (2011): adults.

Formats, both with `joints.mat` that holds `joints`:
- LSPet: (14, 3, N), x, y, annotated; `images/im00001.jpg` onwards; 10,000 pictures.
- LSP: (3, 14, N), x, y, hidden: every joint is annotated; `images/im0001.jpg` onwards; 2,000
  pictures, the first half of which are the training part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infant_pose_ros.data.files import read_mat
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.skeleton import FROM_LSP, Joint, NUM_KEYPOINTS


def common_keypoints(lsp: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """(N, 14, 2) px in LSP's order -> (N, 16, 2) in the common one.

    NaN where not `annotated` (N, 14), and in a middle of which an end is not.
    Pelvis and thorax are the middles of the hips and of the shoulders.
    """
    lsp = np.where(annotated[..., None], lsp, np.nan)
    keypoints = np.full((len(lsp), NUM_KEYPOINTS, 2), np.nan)
    for joint, index in enumerate(FROM_LSP):
        if index >= 0:
            keypoints[:, joint] = lsp[:, index]
    keypoints[:, Joint.PELVIS] = keypoints[:, [Joint.L_HIP, Joint.R_HIP]].mean(1)
    keypoints[:, Joint.THORAX] = keypoints[:, [Joint.L_SHOULDER, Joint.R_SHOULDER]].mean(1)
    return keypoints


@dataclass(frozen=True, eq=False)
class LspLabels:
    """The content of `joints.mat` in the common keypoints.

    Attributes:
        keypoints_px: (N, 16, 2), NaN where not annotated. visible: (N, 16) annotated and not
            hidden; LSPet doesn't tell the two apart. digits: of the number in a picture's name.
    """

    keypoints_px: np.ndarray
    visible: np.ndarray
    digits: int

    def __len__(self) -> int:
        return len(self.keypoints_px)

    def image_name(self, row: int) -> str:
        """File name of a picture; rows count from 0, names from 1."""
        return f'im{row + 1:0{self.digits}d}.jpg'


def read_labels(path: Path) -> LspLabels:
    """Read `joints.mat` of either set.

    Raises:
        DatasetError: the file is missing, damaged or of another form.
    """
    joints, = read_mat(path, 'joints')
    extended = joints.shape[:2] == (14, 3)
    if joints.ndim != 3 or joints.dtype.kind not in 'fiu' or not (
            extended or joints.shape[:2] == (3, 14)):
        raise DatasetError(
            f'{path}: expected joints of shape (14, 3, N) (LSPet) or (3, 14, N) (LSP), got '
            f'{joints.dtype} of {joints.shape}; take the file of one of the sets')
    rows = joints.transpose((2, 0, 1) if extended else (2, 1, 0)).astype(float)
    flagged = rows[..., 2] > 0.5
    keypoints = common_keypoints(rows[..., :2], flagged | (not extended))
    known = np.isfinite(keypoints).all(-1)
    if extended:
        return LspLabels(keypoints, known, 5)
    seen = np.isfinite(common_keypoints(rows[..., :2], ~flagged)).all(-1)
    return LspLabels(keypoints, seen, 4)


def open_lspet(folder: str | Path) -> Stills:
    """Read LSPet or LSP; pictures with fewer than 6 annotated keypoints are left out.

    Raises:
        DatasetError: `joints.mat` is missing or of another form.
    """
    folder = Path(folder)
    labels = read_labels(folder / 'joints.mat')
    keypoints = labels.keypoints_px
    rows = np.flatnonzero(np.isfinite(keypoints).all(-1).sum(1) >= 6)
    count = len(rows)
    return Stills(
        tuple(folder / 'images' / labels.image_name(row) for row in rows), keypoints[rows],
        np.full((count, NUM_KEYPOINTS, 3), np.nan), labels.visible[rows],
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
    first = len(stills) - val_count
    return stills.part(slice(0, first)), stills.part(slice(first, None))
