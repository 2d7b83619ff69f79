"""The pictures that rows are measured on, with their truth, units and blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import hashlib
from pathlib import Path
import re

import numpy as np

from infant_pose_ros.data.lsp import split_lspet
from infant_pose_ros.data.mini_rgbd import (
    open_mini_rgbd,
    pckh_units,
    sequence_numbers,
    SIZE_WH,
)
from infant_pose_ros.data.sequence_info import SequenceInfo
from infant_pose_ros.data.sets import LSPET_HELD_OUT
from infant_pose_ros.data.stills import read_image, Stills
from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.evaluation.bootstrap import block_numbers
from infant_pose_ros.evaluation.metrics import head_units
from infant_pose_ros.geometry.growth import body_length_from_age, DEFAULT_BODY_LENGTH_M

#: The unit of PCKh is this share of the distance from upper neck to head top.
UNIT_SHARE = 0.25
BODY_LENGTHS = ('given', 'age', 'assumed')


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """N labelled pictures.

    Attributes:
        name: for people. stills: pictures and truth. is_photos: single photographs, no videos.
        sequence, frame: (N,) int, number of the video and of the frame in it.
        unit_px, unit_m: (N,) unit of PCKh in the picture and in space; NaN leaves a frame out.
        age_months: (N,), NaN where unknown. size_wh: (N, 2) of the pictures, px.
        digest: sha256 over the pictures and their labels.
    """

    name: str
    stills: Stills
    is_photos: bool
    sequence: np.ndarray
    frame: np.ndarray
    unit_px: np.ndarray
    unit_m: np.ndarray
    age_months: np.ndarray
    size_wh: np.ndarray
    digest: str

    def __len__(self) -> int:
        return len(self.stills)

    @property
    def blocks(self) -> np.ndarray:
        """(N,) number of the block that each frame is resampled with; a photograph is its own."""
        return np.arange(len(self)) if self.is_photos else block_numbers(self.sequence, self.frame)

    @property
    def has_lengths(self) -> bool:
        """Whether the set says how long each infant is."""
        return bool(np.isfinite(self.stills.body_length_m).all())

    def body_length_m(self, origin: str) -> np.ndarray:
        """(N,) crown to heel, m: 'given' by the set, from its 'age', or 'assumed'.

        Raises:
            InvalidInputError: another origin.
            DatasetError: the set doesn't tell length or age.
        """
        if origin not in BODY_LENGTHS:
            raise InvalidInputError(
                f'body length: {origin!r} is not one of {", ".join(BODY_LENGTHS)}')
        if origin == 'assumed':
            return np.full(len(self), DEFAULT_BODY_LENGTH_M)
        known = self.stills.body_length_m if origin == 'given' else self.age_months
        if not np.isfinite(known).all():
            raise DatasetError(
                f'{self.name}: does not tell the {"length" if origin == "given" else "age"} of '
                'each infant; take --body-length assumed')
        return known if origin == 'given' else np.array([
            body_length_from_age(months) for months in known])


def open_videos(folder: str | Path, split: str = 'test', every: int = 1,
                progress: Callable[[int], object] | None = None) -> EvaluationSet:
    """A split of MINI-RGBD, or of a set in its format; boxes are those of the masks.

    Args:
        folder: holds `01` to `12`. split: 'train', 'validation' or 'test'.
        every: take every so many frames. progress: called with the number of frames read.

    Raises:
        InvalidInputError: `every` is below 1.
        DatasetError: a file is missing or malformed, or a video has no unit of PCKh.
    """
    if every < 1:
        raise InvalidInputError(f'--every: must be 1 (all frames) or more, got {every}')
    stills = open_mini_rgbd(folder, split, boxes='mask', progress=progress)
    unit_px, unit_m = (np.asarray(unit, float) for unit in pckh_units(folder, split))
    if len(unit_px) != len(stills) or len(unit_m) != len(stills):
        raise DatasetError(f'{folder}: {len(stills)} frames but {len(unit_px)} and {len(unit_m)} '
                           'units of PCKh; check the set with `infant-pose data check`')
    stills = stills.part(slice(None, None, every))
    sequence = sequence_numbers(folder, split)[::every]
    frame = np.array([int(re.search(r'(\d+)$', path.stem)[1]) for path in stills.paths])
    unit_px, unit_m = unit_px[::every], unit_m[::every]
    for name, unit in (('px', unit_px), ('m', unit_m)):
        bad = ~(np.isfinite(unit) & (unit > 0))
        if bad.any():
            raise DatasetError(
                f'{folder}: video {sequence[bad][0]:02d} has no unit of PCKh in {name}; expected '
                f'pckh_unit_{name} in its sequence.json')
    numbers, first = np.unique(sequence, return_index=True)
    about = {number: SequenceInfo.read(stills.paths[row].parent.parent)
             for number, row in zip(numbers, first)}
    ages = {number: info.age_months if info else np.nan for number, info in about.items()}
    info = about[numbers[0]]
    title = f'{info.set} (version {info.version})' if info else 'MINI-RGBD'
    videos = ', '.join(f'{number:02d}' for number in numbers)
    return EvaluationSet(
        f'{title}, {split}: videos {videos}', stills, False, sequence, frame, unit_px,
        unit_m, np.array([ages[number] for number in sequence]),
        np.tile(SIZE_WH, (len(stills), 1)), _digest(stills, Path(folder)))


def open_photos(folder: str | Path, count: int = LSPET_HELD_OUT,
                every: int = 1) -> EvaluationSet:
    """The last `count` photographs of LSPet, held out from training; annotated keypoints count.

    The unit of PCKh is a quarter of each picture's distance from upper neck to head top, so that
    PCKh 2.0 is MPII's PCKh@0.5; a picture where they aren't annotated has none.

    Raises:
        InvalidInputError: `every` is below 1.
        DatasetError: a file is missing or malformed.
    """
    if every < 1:
        raise InvalidInputError(f'--every: must be 1 (all pictures) or more, got {every}')
    stills = split_lspet(folder, count)[1].part(slice(None, None, every))
    rows = len(stills)
    unit_px = UNIT_SHARE * head_units(stills.keypoints_px)
    return EvaluationSet(
        f'LSPet, photographs of adults: {rows} of the last {count}', stills, True,
        np.zeros(rows, int), np.arange(rows) * every, np.where(unit_px > 0, unit_px, np.nan),
        np.full(rows, np.nan), np.full(rows, np.nan),
        np.array([_size_wh(path) for path in stills.paths]).reshape(rows, 2),
        _digest(stills, Path(folder)))


def _size_wh(path: Path) -> tuple[int, int]:
    height, width = read_image(path, is_grey=True).shape
    return width, height


def _digest(stills: Stills, folder: Path) -> str:
    digest = hashlib.sha256()
    for path in stills.paths:
        digest.update(path.relative_to(folder).as_posix().encode())
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise DatasetError(f'{path}: can not be read ({error.strerror}); fetch the set again'
                               ) from error
    for values in (stills.keypoints_px, stills.keypoints_m, stills.box_xyxy, stills.intrinsics,
                   stills.body_length_m):
        digest.update(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return digest.hexdigest()
