"""Reader of COCO keypoint annotations (Lin et al. 2014), the format of SyRIP and others.

Format: a json file with `images` (id, file_name) and `annotations` (image_id, `keypoints`: 17
times x, y, v; v is 0 where not annotated, 1 where hidden, 2 where visible; `bbox`: x, y, w, h).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from infant_pose_ros.data.files import number_array, read_json
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.skeleton import FROM_COCO, Joint, NUM_KEYPOINTS

NUM_COCO = 17
MIN_KEYPOINTS = 6
#: Nose and ears: their middle stands for the middle of the head.
_HEAD = (0, 3, 4)
_FORM = 'a json object with images and annotations (COCO)'


def common_keypoints(coco: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """COCO's keypoints in the common order.

    Pelvis and thorax are the middles of hips and shoulders, the upper neck lies half-way from
    the thorax to the middle of those of nose and ears that are annotated; the head top is missing.

    Args:
        coco: (17, 3) x, y, v.

    Returns:
        (16, 2) px, NaN where not annotated, and (16,) bool, visible; a middle is visible where all
        that it is made from are.
    """
    points = np.where(coco[:, 2:] > 0, coco[:, :2], np.nan)
    seen = coco[:, 2] > 1
    keypoints, visible = np.full((NUM_KEYPOINTS, 2), np.nan), np.zeros(NUM_KEYPOINTS, bool)
    for joint, index in enumerate(FROM_COCO):
        if index >= 0:
            keypoints[joint], visible[joint] = points[index], seen[index]
    for middle, pair in ((Joint.PELVIS, [Joint.L_HIP, Joint.R_HIP]),
                         (Joint.THORAX, [Joint.L_SHOULDER, Joint.R_SHOULDER])):
        keypoints[middle], visible[middle] = keypoints[pair].mean(0), visible[pair].all()
    head = [index for index in _HEAD if coco[index, 2] > 0]
    if head and np.isfinite(keypoints[Joint.THORAX]).all():
        keypoints[Joint.UPPER_NECK] = (keypoints[Joint.THORAX] + points[head].mean(0)) / 2
        visible[Joint.UPPER_NECK] = visible[Joint.THORAX] and seen[head].all()
    return keypoints, visible


@dataclass(frozen=True, eq=False)
class CocoPerson:
    """A person: id of the picture, `keypoints_px` (16, 2), NaN where not annotated, `visible`
    (16,) bool, `box_xyxy` (4,) or None where there is none.
    """

    image_id: int | str
    keypoints_px: np.ndarray
    visible: np.ndarray
    box_xyxy: np.ndarray | None


def read_person(where: str, entry) -> CocoPerson:
    """One of `annotations`; `where` names it in errors.

    Raises:
        DatasetError: a field is missing or of another form.
    """
    missing = [name for name in ('image_id', 'keypoints')
               if not isinstance(entry, dict) or name not in entry]
    if missing:
        raise DatasetError(f'{where}: expected image_id and keypoints, found no '
                           f'{" and no ".join(missing)}; take the file of person keypoints')
    if not isinstance(entry['image_id'], (int, str)):
        raise DatasetError(f'{where}: expected a number as image_id, found '
                           f'{entry["image_id"]!r:.60}; correct the entry')
    flat = number_array(where, entry['keypoints'], (3 * NUM_COCO,), 'keypoints')
    keypoints, visible = common_keypoints(flat.reshape(NUM_COCO, 3))
    box = box_around(keypoints)
    if entry.get('bbox') is not None:
        x, y, width, height = number_array(where, entry['bbox'], (4,), 'bbox')
        box = np.array([x, y, x + width, y + height])
    return CocoPerson(entry['image_id'], keypoints, visible, box)


def read_annotations(path: Path) -> tuple[dict[int | str, str], list[tuple[str, dict]]]:
    """File names of the pictures by id, and (where, entry) of each person; crowds are left out.

    Raises:
        DatasetError: the file is missing, no json or of another form.
    """
    content = read_json(path, dict, _FORM)
    for key in ('images', 'annotations'):
        if not isinstance(content.get(key), list):
            raise DatasetError(f'{path}: expected {_FORM}, found no list {key}; take the file of '
                               'person keypoints')
    names = {}
    for index, image in enumerate(content['images']):
        if not isinstance(image, dict) or not isinstance(image.get('id'), (int, str)) or (
                not isinstance(image.get('file_name'), str)):
            raise DatasetError(f'{path}: images[{index}]: expected id and file_name, found '
                               f'{image!r:.60}; correct the entry')
        names[image['id']] = image['file_name']
    people = [(f'{path}: annotations[{index}]', entry)
              for index, entry in enumerate(content['annotations'])
              if not (isinstance(entry, dict) and entry.get('iscrowd'))]
    return names, people


def image_name(where: str, person: CocoPerson, names: dict[int | str, str]) -> str:
    """Name of the person's picture.

    Raises:
        DatasetError: `images` doesn't hold it.
    """
    if person.image_id not in names:
        raise DatasetError(f'{where}: expected an image_id of one of images, found '
                           f'{person.image_id!r}; correct the entry or fetch the file again')
    return names[person.image_id]


def find_pictures(path: Path, names: list[str]) -> Path:
    """Folder of the pictures: beside the json file or its folder, or in a usual place there.

    The usual places are `images`, `<split>`, `images/<split>`, where the json file is
    `person_keypoints_<split>.json`. The first place that holds one of the first pictures is taken.

    Raises:
        DatasetError: none does.
    """
    split = path.stem.removeprefix('person_keypoints_')
    places = [base / place for base in (path.parent.parent, path.parent)
              for place in ('', 'images', split, PurePosixPath('images') / split)]
    for place in places:
        if any((place / name).is_file() for name in names[:20]):
            return place
    raise DatasetError(
        f'{path}: expected the pictures in one of {", ".join(map(str, places))}, found none of '
        f'the first ones ({", ".join(names[:2])}); unpack them there or name their folder')


def open_coco(path: str | Path, pictures: str | Path | None = None) -> Stills:
    """Read a file of person keypoints; people with fewer than 6 keypoints are left out.

    Args:
        path: of the json file. pictures: folder of the pictures; None looks in the usual places.

    Returns:
        One row for each person, with the file's box, or the box around the keypoints where it has
        none.

    Raises:
        DatasetError: the file is missing or malformed, or the pictures are nowhere.
    """
    path = Path(path)
    names, entries = read_annotations(path)
    rows = []
    for where, entry in entries:
        person = read_person(where, entry)
        if np.isfinite(person.keypoints_px).all(-1).sum() >= MIN_KEYPOINTS:
            rows.append((person, image_name(where, person, names)))
    count = len(rows)
    folder = find_pictures(path, [name for _, name in rows]) if pictures is None and rows else (
        Path(pictures or path.parent))
    return Stills(
        tuple(folder / name for _, name in rows),
        np.array([person.keypoints_px for person, _ in rows]).reshape(count, NUM_KEYPOINTS, 2),
        np.full((count, NUM_KEYPOINTS, 3), np.nan),
        np.array([person.visible for person, _ in rows], bool).reshape(count, NUM_KEYPOINTS),
        np.array([person.box_xyxy for person, _ in rows]).reshape(count, 4),
        np.full(count, np.nan), np.full((count, 4), np.nan))
