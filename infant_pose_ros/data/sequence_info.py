"""What a folder of frames in MINI-RGBD's format says of itself: `sequence.json`.

MINI-RGBD has no such file; SynthCot-12 has one in each sequence, so that its reader needs no table
of constants.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
import json
from pathlib import Path

import numpy as np

from infant_pose_ros.data.files import read_json
from infant_pose_ros.errors import DatasetError

FILE_NAME = 'sequence.json'
#: Keys that hold a whole number.
_WHOLE = ('version', 'seed', 'frames')
#: Keys that hold a finite number above zero.
_POSITIVE = ('version', 'rate_hz', 'frames', 'body_length_m', 'pckh_unit_px', 'pckh_unit_m')


@dataclass(frozen=True)
class SequenceInfo:
    """One sequence.

    Attributes:
        set: name of the set. version: of the set. seed: of the sequence.
        rate_hz: frames a second. frames: how many.
        body_length_m: crown to heel. age_months: of the infant; NaN where unknown.
        pckh_unit_px, pckh_unit_m: head unit of PCKh in the picture and in space.
        description: for a reader.
    """

    set: str
    version: int
    seed: int
    rate_hz: float
    frames: int
    body_length_m: float
    age_months: float
    pckh_unit_px: float
    pckh_unit_m: float
    description: str = ''

    def to_json(self) -> str:
        """Text of the file; `read` reads it back. NaN is written as null."""
        content = asdict(self)
        if not np.isfinite(self.age_months):
            content['age_months'] = None
        return json.dumps(content, indent=1) + '\n'

    @classmethod
    def read(cls, folder: Path) -> SequenceInfo | None:
        """Read the file of a sequence's folder; None where the folder has none.

        Raises:
            DatasetError: no valid json, or a key is missing or of a wrong kind.
        """
        path = folder / FILE_NAME
        if not path.exists():
            return None
        content = read_json(path, dict, 'a json object that describes the sequence')
        names = {spec.name for spec in fields(cls)}
        needed = names - {'description'}
        missing = sorted(needed - set(content))
        if missing:
            raise DatasetError(f'{path}: expected {", ".join(sorted(needed))}, found no '
                               f'{", ".join(missing)}; make the sequence again')
        values = {name: content[name] for name in names & set(content)}
        if values['age_months'] is None:
            values['age_months'] = float('nan')
        numbers = [name for name in values if name not in ('set', 'description')]
        wrong = [name for name in numbers
                 if isinstance(values[name], bool) or not isinstance(values[name], (int, float))
                 or (name in _WHOLE and not isinstance(values[name], int))
                 or (name in _POSITIVE and not 0 < values[name] < float('inf'))]
        if wrong:
            raise DatasetError(
                f'{path}: expected a number above zero for {", ".join(_POSITIVE)}, a number for '
                f'seed and age_months, whole ones for {", ".join(_WHOLE)}, found {wrong[0]} '
                f'{values[wrong[0]]!r}; make the sequence again')
        return cls(**values)
