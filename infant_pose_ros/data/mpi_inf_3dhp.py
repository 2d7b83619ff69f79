"""Reader of MPI-INF-3DHP (Mehta et al. 2017): adults in 3D.

Format: `S1/Seq1/annot.mat` and so on, with `annot2[camera]` (frames x 56, px) and `annot3[camera]`
(frames x 84, mm in the camera's frame): 28 joints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infant_pose_ros.data.files import read_mat
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import FROM_MPI_INF_3DHP

NUM_JOINTS = 28
SEQUENCES = ('Seq1', 'Seq2')
#: Split by subjects.
SPLITS = {'train': tuple(f'S{number}' for number in range(1, 7)), 'validation': ('S7', 'S8')}
#: Head unit of PCKh, m.
PCKH_UNIT_M = 0.150


@dataclass(frozen=True, eq=False)
class Recording:
    """What one camera saw of one sequence: F frames.

    Attributes:
        path: of annot.mat. camera: its index there, from 0.
        keypoints_px: (F, 16, 2). keypoints_m: (F, 16, 3) in the camera's frame.
    """

    path: Path
    camera: int
    keypoints_px: np.ndarray
    keypoints_m: np.ndarray

    def __len__(self) -> int:
        return len(self.keypoints_px)

    def intrinsics(self) -> np.ndarray:
        """fx, fy, cx, cy (4,), px: those of the pinhole that takes the 3D points to the 2D ones.

        Least squares of u = fx x/z + cx, v = fy y/z + cy over all points; lens distortion is left
        out.

        Raises:
            DatasetError: too few points in front of the camera.
        """
        points, pixels = self.keypoints_m.reshape(-1, 3), self.keypoints_px.reshape(-1, 2)
        usable = np.isfinite(points).all(-1) & np.isfinite(pixels).all(-1) & (points[:, 2] > 0)
        if usable.sum() < 4:
            raise DatasetError(
                f'{self.path}: camera {self.camera}: expected at least 4 points in front of the '
                f'camera, found {usable.sum()}; fetch the file again')
        rays, pixels = points[usable, :2] / points[usable, 2:], pixels[usable]
        (fx, cx), (fy, cy) = (np.polyfit(rays[:, axis], pixels[:, axis], 1) for axis in (0, 1))
        return np.array([fx, fy, cx, cy])


def read_annotations(path: Path) -> tuple[list, list]:
    """The cameras' entries of `annot2` and `annot3`, as they are.

    Raises:
        DatasetError: the file is missing or malformed, or the two differ in length.
    """
    annot2, annot3 = (list(np.atleast_1d(cells).ravel())
                      for cells in read_mat(path, 'annot2', 'annot3'))
    if len(annot2) != len(annot3):
        raise DatasetError(f'{path}: expected as many cameras in annot2 as in annot3, found '
                           f'{len(annot2)} and {len(annot3)}; fetch the file again')
    return annot2, annot3


def make_recording(path: Path, camera: int, annot2, annot3) -> Recording:
    """The common keypoints of one camera: from px (F, 56) and mm (F, 84).

    Raises:
        DatasetError: one is of another shape.
    """
    parts = []
    for name, rows, size in (('annot2', annot2, 2), ('annot3', annot3, 3)):
        width = NUM_JOINTS * size
        rows = np.asarray(rows)
        if rows.ndim != 2 or rows.shape[1] != width or rows.dtype.kind not in 'fiu':
            raise DatasetError(
                f'{path}: {name} of camera {camera}: expected numbers of shape (frames, {width}), '
                f'found {rows.dtype} of {rows.shape}; fetch the file again')
        joints = rows.astype(np.float64).reshape(-1, NUM_JOINTS, size)
        parts.append(joints[:, list(FROM_MPI_INF_3DHP)])
    if len(parts[0]) != len(parts[1]):
        raise DatasetError(f'{path}: camera {camera}: expected as many frames in annot2 as in '
                           f'annot3, found {len(parts[0])} and {len(parts[1])}; fetch it again')
    return Recording(path, camera, parts[0], parts[1] / 1000)


def open_mpi_inf_3dhp(folder: str | Path, split: str = 'train',
                      cameras: Sequence[int] | None = None) -> Iterator[Recording]:
    """Read a split, one file after the other as they are asked for.

    Args:
        folder: holds `S1` to `S8`. split: 'train' (S1 to S6) or 'validation' (S7, S8).
        cameras: their indices, from 0; None takes all.

    Raises:
        DatasetError: an unknown split or camera, or a file is missing or malformed; that of a file
            comes when it is its turn.
    """
    if split not in SPLITS:
        raise DatasetError(f'{folder}: expected one of the splits {", ".join(SPLITS)}, found '
                           f'{split!r}; choose one of them')
    paths = [Path(folder) / subject / sequence / 'annot.mat'
             for subject in SPLITS[split] for sequence in SEQUENCES]
    return (recording for path in paths for recording in _recordings(path, cameras))


def _recordings(path: Path, cameras: Sequence[int] | None) -> Iterator[Recording]:
    annot2, annot3 = read_annotations(path)
    for camera in range(len(annot2)) if cameras is None else cameras:
        if not 0 <= camera < len(annot2):
            raise DatasetError(f'{path}: expected a camera from 0 to {len(annot2) - 1}, found '
                               f'{camera}; choose one of them')
        yield make_recording(path, camera, annot2[camera], annot3[camera])
