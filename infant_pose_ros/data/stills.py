"""Reader of the stills that `infant-pose synth` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from infant_pose_ros.codecs.picture_files import read_picture
from infant_pose_ros.data.files import read_arrays, read_json
from infant_pose_ros.errors import DatasetError, EncodingError

_KEYS = ('keypoints_px', 'keypoints_m', 'visible', 'box_xyxy', 'body_length_m', 'intrinsics')
#: Columns that older sets don't have.
_LATER_KEYS = ('age_months',)


def read_image(path: Path, is_grey: bool = False) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB, or a mask as (H, W) uint8 if `is_grey`.

    Raises:
        DatasetError: the file is missing or no picture.
    """
    try:
        return read_picture(path, is_grey)
    except EncodingError as error:
        raise DatasetError(f'{error}; missing or not a picture') from error


def read_shard(shard: Path) -> dict[str, np.ndarray]:
    """The labels of one shard, as the fields of `Stills` of the same names.

    Raises:
        DatasetError: `labels.npz` is missing or damaged, or its columns differ in length.
    """
    path = shard / 'labels.npz'
    try:
        rows = read_arrays(path, _KEYS, _LATER_KEYS)
    except ValueError as error:
        raise DatasetError(
            f'{path}: damaged: {error}; delete the shard and make it again') from error
    for key in _LATER_KEYS:
        rows.setdefault(key, np.full(len(np.atleast_1d(rows['visible'])), np.nan))
    lengths = {key: len(np.atleast_1d(values)) for key, values in rows.items()}
    if len(set(lengths.values())) != 1:
        raise DatasetError(f'{path}: damaged: expected as many rows of each, found {lengths}; '
                           'delete the shard and make it again')
    return rows


@dataclass(frozen=True, eq=False)
class Stills:
    """Labelled pictures: N of them.

    Attributes:
        paths: of the pictures. keypoints_px: (N, 16, 2) frame px, NaN where unknown.
        keypoints_m: (N, 16, 3) camera frame, m; NaN where unknown.
        visible: (N, 16) bool. box_xyxy: (N, 4), NaN where nobody is in the picture.
        body_length_m: (N,), NaN where unknown.
        intrinsics: (N, 4) fx, fy, cx, cy, NaN where unknown.
        age_months: (N,), NaN where unknown; None stands for all unknown.
    """

    paths: tuple[Path, ...]
    keypoints_px: np.ndarray
    keypoints_m: np.ndarray
    visible: np.ndarray
    box_xyxy: np.ndarray
    body_length_m: np.ndarray
    intrinsics: np.ndarray
    age_months: np.ndarray | None = None

    def __post_init__(self):
        if self.age_months is None:
            object.__setattr__(self, 'age_months', np.full(len(self.paths), np.nan))

    def __len__(self) -> int:
        return len(self.paths)

    def part(self, rows: slice | np.ndarray) -> Stills:
        """Some of the pictures: a slice, or numbers of rows."""
        numbers = np.arange(len(self))[rows]
        return Stills(tuple(self.paths[number] for number in numbers),
                      *(getattr(self, spec.name)[numbers] for spec in fields(self)[1:]))

    def people(self) -> Stills:
        """Those in which somebody is."""
        return self.part(np.flatnonzero(np.isfinite(self.box_xyxy).all(1)))

    def spread(self, count: int) -> Stills:
        """`count` of them at even distances; all of them where count is 0 or too large."""
        if not 0 < count < len(self):
            return self
        return self.part(np.arange(count) * len(self) // count)

    def split_off(self, count: int, source: str | Path, mend: str) -> tuple[Stills, Stills]:
        """All but the last `count` pictures, and those.

        Raises:
            DatasetError: nothing is left; it names `source` and ends with `mend`.
        """
        if len(self) <= count:
            raise DatasetError(f'{source}: holds {len(self)} usable pictures, {count} of which '
                               f'are kept to watch; {mend}')
        return self.part(slice(0, len(self) - count)), self.part(slice(len(self) - count, None))

    @classmethod
    def joined(cls, sets: Sequence[Stills]) -> Stills:
        """One after the other."""
        return cls(sum((each.paths for each in sets), ()),
                   *(np.concatenate([getattr(each, spec.name) for each in sets])
                     for spec in fields(cls)[1:]))

    @classmethod
    def open(cls, folder: str | Path) -> Stills:
        """Read the labels of every finished shard.

        Raises:
            DatasetError: the folder holds no such set, or a shard is damaged.
        """
        folder = Path(folder)
        if not (folder / 'meta.json').is_file():
            raise DatasetError(f'{folder}: no meta.json; make a set with `infant-pose synth`')
        read_json(folder / 'meta.json', dict, 'a json object')
        paths, columns = [], {key: [] for key in _KEYS + _LATER_KEYS}
        for shard in sorted(folder.glob('[0-9]' * 4)):
            rows = read_shard(shard)
            for key, values in columns.items():
                values.append(rows[key])
            paths += [shard / f'{index:05d}.jpg' for index in range(len(rows['visible']))]
        if not paths:
            raise DatasetError(f'{folder}: no finished shard yet')
        return cls(tuple(paths),
                   **{key: np.concatenate(values) for key, values in columns.items()})
