"""Reader of MINI-RGBD (Hesse et al. 2018) and of SynthCot-12, which has its folder format.

Format: folders `01` to `12`, each with `rgb/syn_00000.png` (640x480),
`depth/syn_00000_depth.png` (16 bit, mm), `fg_mask/mask_00000.png`,
`joints_2Ddep/syn_joints_2Ddep_00000.txt` (25 rows: x px, y px, depth, id) and
`joints_3D/syn_joints_3D_00000.txt` (25 rows: x, y, z in m, id).

SynthCot-12 adds `sequence.json` (see `sequence_info`), `visible.npy` (F, 16) bool, and a 26th row:
the top of the head, which MINI-RGBD lacks (there the nose stands for it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import re

import numpy as np

from infant_pose_ros.codecs.picture_files import read_picture
from infant_pose_ros.data.sequence_info import SequenceInfo
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError, EncodingError
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.skeleton import FROM_MINI_RGBD, Joint, NUM_KEYPOINTS
from infant_pose_ros.structures import Camera

NUM_JOINTS = 25
#: Row of SynthCot-12's 26th joint.
HEAD_TOP_ROW = 25
FRAMES_PER_VIDEO = 1000
SIZE_WH = (640, 480)
#: fx, fy, cx, cy of every video, px.
INTRINSICS = (588.679, 590.257, 322.220, 237.468)
CAMERA = Camera(*INTRINSICS, *SIZE_WH)
#: Frames a second of a video that doesn't say.
DEFAULT_RATE_HZ = 30.0
#: Split of the method's authors: name -> numbers of videos.
SPLITS = {'train': tuple(range(1, 9)), 'validation': (9, 10), 'test': (11, 12)}
#: Head unit of PCKh for each video of MINI-RGBD itself, px.
PCKH_UNIT_PX = dict(enumerate((
    11.21, 11.39, 11.96, 11.13, 7.75, 9.10, 12.77, 13.34, 12.75, 11.23, 12.17, 13.93), 1))
#: The same in 3D, m.
PCKH_UNIT_M = dict(enumerate((
    .0249, .0263, .0253, .0278, .0206, .0234, .0282, .0262, .0290, .0261, .0286, .0301), 1))

#: Part of a frame -> its file in the folder of the video.
FRAME_FILES = {
    'rgb': 'rgb/syn_{:05d}.png',
    'joints_2Ddep': 'joints_2Ddep/syn_joints_2Ddep_{:05d}.txt',
    'joints_3D': 'joints_3D/syn_joints_3D_{:05d}.txt',
    'fg_mask': 'fg_mask/mask_{:05d}.png',
    'depth': 'depth/syn_{:05d}_depth.png',
}
VISIBLE_FILE = 'visible.npy'


def joint_rows(has_head_top: bool) -> list[int]:
    """Row of each common keypoint; `has_head_top` tells of SynthCot-12's 26th row."""
    rows = list(FROM_MINI_RGBD)
    if has_head_top:
        rows[Joint.HEAD_TOP] = HEAD_TOP_ROW
    return rows


def read_joints(path: Path, num_joints: int = NUM_JOINTS) -> np.ndarray:
    """The rows (num_joints, 4) of a file of joints: three coordinates and an id.

    Raises:
        DatasetError: the file is missing, or not so many rows of 4 finite numbers.
    """
    form = f'{num_joints} rows of 4 numbers'
    try:
        rows = [line.split() for line in path.read_text(encoding='ascii').splitlines()]
        rows = [[float(word) for word in row] for row in rows if row]
    except OSError as error:
        raise DatasetError(f'{path}: expected {form}, but the file can not be opened '
                           f'({error.strerror}); copy it again') from error
    except ValueError as error:
        raise DatasetError(
            f'{path}: expected {form}, found other text ({error}); copy it again') from error
    lengths = sorted({len(row) for row in rows})
    if len(rows) != num_joints or lengths != [4]:
        raise DatasetError(f'{path}: expected {form}, found {len(rows)} rows of '
                           f'{" or ".join(map(str, lengths)) or "no"} numbers; copy it again')
    joints = np.array(rows)
    if not np.isfinite(joints[:, :3]).all():
        raise DatasetError(f'{path}: expected {form}, found NaN or infinity; copy it again')
    return joints


@dataclass(frozen=True, eq=False)
class MiniRgbdFrame:
    """One frame: its picture, `keypoints_px` (16, 2), `keypoints_m` (16, 3) camera frame."""

    image_path: Path
    keypoints_px: np.ndarray
    keypoints_m: np.ndarray


@dataclass(frozen=True)
class MiniRgbdVideo:
    """One video; frames are read when they are asked for.

    Attributes:
        folder: of the video. number: 1 to 12. frames: numbers of the frames in the file names.
        info: what the sequence says of itself; None for MINI-RGBD's own.
    """

    folder: Path
    number: int
    frames: tuple[int, ...]
    info: SequenceInfo | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def open(cls, folder: str | Path) -> MiniRgbdVideo:
        """Find the frames of the video in `folder`, which is named `01` to `12`.

        Raises:
            DatasetError: no such folder, no frames in it, or a malformed `sequence.json`.
        """
        folder = Path(folder)
        if not re.fullmatch(r'\d\d', folder.name):
            raise DatasetError(f'{folder}: expected the folder of a video, such as 01, found '
                               f'{folder.name!r}; name it after the number of the video')
        frames = frame_numbers(folder, 'joints_2Ddep')
        if not frames:
            raise DatasetError(
                f'{folder}/joints_2Ddep: expected syn_joints_2Ddep_00000.txt and so on, found '
                'none; unpack the set here or correct the folder')
        return cls(folder, int(folder.name), frames, SequenceInfo.read(folder))

    @property
    def pckh_unit_px(self) -> float:
        """The sequence's own or MINI-RGBD's constant for it, px; NaN where there is none."""
        return self.info.pckh_unit_px if self.info else PCKH_UNIT_PX.get(self.number, np.nan)

    @property
    def pckh_unit_m(self) -> float:
        """The sequence's own or MINI-RGBD's constant for it in 3D, m; NaN where there is none."""
        return self.info.pckh_unit_m if self.info else PCKH_UNIT_M.get(self.number, np.nan)

    @property
    def num_joints(self) -> int:
        """Rows of each file of joints."""
        return HEAD_TOP_ROW + 1 if self.info else NUM_JOINTS

    @property
    def rate_hz(self) -> float:
        """Frames a second."""
        return self.info.rate_hz if self.info else DEFAULT_RATE_HZ

    @property
    def age_months(self) -> float:
        """NaN where unknown."""
        return self.info.age_months if self.info else np.nan

    @property
    def body_length_m(self) -> float:
        """Crown to heel, m; NaN where unknown."""
        return self.info.body_length_m if self.info else np.nan

    def visible(self) -> np.ndarray:
        """(F, 16) bool; all of them where the set doesn't tell.

        Raises:
            DatasetError: `visible.npy` is malformed.
        """
        if not (self.folder / VISIBLE_FILE).exists():
            return np.ones((len(self), NUM_KEYPOINTS), bool)
        return read_visible(self.folder, len(self))

    def path(self, part: str, index: int) -> Path:
        """File of the `index`-th frame; `part` as in `FRAME_FILES`."""
        return self.folder / FRAME_FILES[part].format(self.frames[index])

    def read(self, index: int) -> MiniRgbdFrame:
        """Read the keypoints of the `index`-th frame.

        Raises:
            DatasetError: a file of the frame is missing or malformed.
        """
        chosen, count = joint_rows(self.info is not None), self.num_joints
        return MiniRgbdFrame(self.path('rgb', index),
                             read_joints(self.path('joints_2Ddep', index), count)[chosen, :2],
                             read_joints(self.path('joints_3D', index), count)[chosen, :3])

    def mask_box(self, index: int) -> np.ndarray:
        """Box (4,) around the infant in the mask, px.

        Raises:
            DatasetError: the mask is missing, no picture or empty.
        """
        path = self.path('fg_mask', index)
        mend = "copy it again or take boxes='keypoints'"
        try:
            mask = read_picture(path, is_grey=True)
        except EncodingError as error:
            raise DatasetError(f'{error}; expected a mask of the infant: {mend}') from error
        if not mask.any():
            raise DatasetError(
                f'{path}: expected a mask of the infant, found an empty one; {mend}')
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=float)


def read_visible(folder: Path, frames: int) -> np.ndarray:
    """The content (frames, 16) bool of `visible.npy` in a sequence's folder.

    Raises:
        DatasetError: the file is missing, damaged or of another form.
    """
    path = folder / VISIBLE_FILE
    try:
        visible = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f'{path}: expected an array ({frames}, {NUM_KEYPOINTS}) of bool, can '
                           f'not be read ({error}); copy or make it again') from error
    if visible.dtype != bool or visible.shape != (frames, NUM_KEYPOINTS):
        raise DatasetError(
            f'{path}: expected an array ({frames}, {NUM_KEYPOINTS}) of bool, found '
            f'{visible.dtype} of {visible.shape}; copy or make it again')
    return visible


def frame_numbers(folder: Path, part: str) -> tuple[int, ...]:
    """Numbers of the frames of which `folder` holds `part`, in order."""
    name = FRAME_FILES[part]
    start, end = Path(name).name.split('{:05d}')
    found = (re.fullmatch(re.escape(start) + r'(\d{5})' + re.escape(end), path.name)
             for path in (folder / name).parent.glob(f'{start}*{end}'))
    return tuple(sorted(int(match[1]) for match in found if match))


def _open_videos(folder: str | Path, split: str) -> list[MiniRgbdVideo]:
    if split not in SPLITS:
        raise DatasetError(f"{folder}: expected one of the splits {', '.join(SPLITS)}, found "
                           f'{split!r}; choose one of them')
    return [MiniRgbdVideo.open(Path(folder) / f'{number:02d}') for number in SPLITS[split]]


def open_mini_rgbd(folder: str | Path, split: str = 'train', boxes: str = 'keypoints',
                   progress: Callable[[int], object] | None = None) -> Stills:
    """Read the labels of the videos of a split; pictures are read when they are asked for.

    Args:
        folder: holds `01` to `12`. split: 'train' (1-8), 'validation' (9, 10) or 'test' (11, 12).
        boxes: 'keypoints' (around them) or 'mask' (around the infant, slower).
        progress: called with the number of frames that were read.

    Returns:
        The frames in order. MINI-RGBD itself doesn't tell what is hidden nor how long the infant
        is: there all keypoints are visible.

    Raises:
        DatasetError: an unknown split or kind of boxes, or a file is missing or malformed.
    """
    if boxes not in ('keypoints', 'mask'):
        raise DatasetError(f"{folder}: expected boxes of 'keypoints' or 'mask', found {boxes!r}; "
                           'choose one of them')
    frames, found_boxes, visible, lengths, ages = [], [], [], [], []
    for video in _open_videos(folder, split):
        visible.append(video.visible())
        lengths.append(np.full(len(video), video.body_length_m))
        ages.append(np.full(len(video), video.age_months))
        for index in range(len(video)):
            frames.append(video.read(index))
            found_boxes.append(video.mask_box(index) if boxes == 'mask' else
                               box_around(frames[-1].keypoints_px))
            if progress is not None:
                progress(1)
    return Stills(
        tuple(frame.image_path for frame in frames),
        np.stack([frame.keypoints_px for frame in frames]),
        np.stack([frame.keypoints_m for frame in frames]),
        np.concatenate(visible), np.stack(found_boxes), np.concatenate(lengths),
        np.tile(INTRINSICS, (len(frames), 1)), np.concatenate(ages))


def pckh_units(folder: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Head unit of PCKh for each frame, in the order of `open_mini_rgbd`: (N,) px and (N,) m.

    Raises:
        DatasetError: as `open_mini_rgbd`.
    """
    videos = _open_videos(folder, split)
    counts = [len(video) for video in videos]
    return (np.repeat([video.pckh_unit_px for video in videos], counts),
            np.repeat([video.pckh_unit_m for video in videos], counts))


def sequence_numbers(folder: str | Path, split: str) -> np.ndarray:
    """(N,) number of the video of each frame, in the order of `open_mini_rgbd`.

    Raises:
        DatasetError: as `open_mini_rgbd`.
    """
    videos = _open_videos(folder, split)
    return np.repeat([video.number for video in videos], [len(video) for video in videos])
