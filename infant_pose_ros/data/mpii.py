"""Reader of MPII Human Pose (Andriluka et al. 2014) in its common json export: adults.

Format: a list of people, each with `image`, `center` (x, y), `scale` (height of the person in
units of 200 px), `joints` (16 rows x, y) and `joints_vis` (16). MATLAB's pixels count from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infant_pose_ros.data.files import number_array, read_json
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.skeleton import NUM_KEYPOINTS

#: Pixels of a person of scale 1.
SCALE_PX = 200.0
#: Box around a person: the extent of the keypoints and so many px more, half on each side.
BOX_EXTRA_PX = 100.0
MIN_KEYPOINTS = 6
_FORM = 'a list of people (MPII as json)'


@dataclass(frozen=True, eq=False)
class MpiiPerson:
    """A person: picture name, `centre_px` (2,), `scale_px` (its height), `keypoints_px` (16, 2),
    NaN where not annotated, `visible` (16,) bool.
    """

    image: str
    centre_px: np.ndarray
    scale_px: float
    keypoints_px: np.ndarray
    visible: np.ndarray


def read_person(where: str, entry) -> MpiiPerson:
    """One entry of the json file; `where` names it in errors. Pixels count from 0 afterwards.

    Raises:
        DatasetError: a field is missing or of another form.
    """
    fields = ('image', 'center', 'scale', 'joints', 'joints_vis')
    missing = [name for name in fields if not isinstance(entry, dict) or name not in entry]
    if missing:
        raise DatasetError(f'{where}: expected {", ".join(fields)}, found no '
                           f'{", ".join(missing)}; take the json export with all of them')
    if not isinstance(entry['image'], str) or not entry['image']:
        raise DatasetError(f'{where}: expected the name of a picture as image, found '
                           f'{entry["image"]!r}; correct the entry')
    joints = number_array(where, entry['joints'], (NUM_KEYPOINTS, 2), 'joints')
    shown = number_array(where, entry['joints_vis'], (NUM_KEYPOINTS,), 'joints_vis') > 0
    scale = float(number_array(where, entry['scale'], (), 'scale'))
    centre = number_array(where, entry['center'], (2,), 'center')
    # Joints that nobody marked stand at (0, 0) or (-1, -1).
    known = (joints > 0).any(-1)
    keypoints = np.where(known[:, None], joints - 1, np.nan)
    return MpiiPerson(entry['image'], centre - 1, scale * SCALE_PX, keypoints, known & shown)


def annotation_file(folder: Path, split: str) -> Path:
    """`annot/<split>.json` or `<split>.json` in `folder`.

    Raises:
        DatasetError: neither is there.
    """
    for path in (folder / 'annot' / f'{split}.json', folder / f'{split}.json'):
        if path.is_file():
            return path
    other = next(folder.glob('*.mat'), None)
    found = f'only {other.name}' if other else 'neither'
    raise DatasetError(
        f'{folder}: expected annot/{split}.json or {split}.json, found {found}; put the json '
        'export of the annotations there')


def open_mpii(folder: str | Path, split: str = 'train') -> Stills:
    """Read a split; people with fewer than 6 annotated keypoints are left out.

    The head unit of PCKh is half the distance from upper neck to head top.

    Args:
        folder: holds `images/` and `annot/train.json` and so on. split: name of the json file.

    Raises:
        DatasetError: the json file is missing or malformed.
    """
    folder = Path(folder)
    path = annotation_file(folder, split)
    people = [read_person(f'{path}: person {index}', entry)
              for index, entry in enumerate(read_json(path, list, _FORM))]
    people = [person for person in people
              if np.isfinite(person.keypoints_px).all(-1).sum() >= MIN_KEYPOINTS]
    count, half = len(people), BOX_EXTRA_PX / 2
    boxes = [box_around(person.keypoints_px) + [-half, -half, half, half] for person in people]
    return Stills(
        tuple(folder / 'images' / person.image for person in people),
        np.array([person.keypoints_px for person in people]).reshape(count, NUM_KEYPOINTS, 2),
        np.full((count, NUM_KEYPOINTS, 3), np.nan),
        np.array([person.visible for person in people], bool).reshape(count, NUM_KEYPOINTS),
        np.array(boxes).reshape(count, 4), np.full(count, np.nan), np.full((count, 4), np.nan))
