"""Any of the sets that the readers know, named by one word."""

from __future__ import annotations

from pathlib import Path

from infant_pose_ros.data.coco import open_coco
from infant_pose_ros.data.lsp import open_lspet, split_lspet
from infant_pose_ros.data.mini_rgbd import open_mini_rgbd
from infant_pose_ros.data.mpii import open_mpii
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError

#: Last pictures of LSPet, which `infant-pose evaluate --photos` measures on: its '#test' part.
LSPET_HELD_OUT = 500

_FORMS = ('a folder of `infant-pose synth` (meta.json), DIR#train of MINI-RGBD or SynthCot-12, '
          'DIR#train of MPII (annot/train.json), a .json of COCO keypoints, or a folder of LSPet '
          '(joints.mat), or DIR#train or #test of it')


def open_set(source: str | Path, boxes: str = 'keypoints') -> Stills:
    """Read the labels of one or several sets.

    Args:
        source: a folder that `infant-pose synth` wrote, `DIR#SPLIT` for the split of a set in
            the format of MINI-RGBD or of MPII, a json file of COCO keypoints, or a folder of
            LSPet, of which `#train` leaves out the last 500, and `#test` is those. Several, with
            commas between them, are read one after the other.
        boxes: 'keypoints' or 'mask': of sets in the format of MINI-RGBD.

    Raises:
        DatasetError: nothing of that kind is there, or the reader refuses it.
    """
    sets = [_open_one(name, boxes) for name in _names(source)]
    return sets[0] if len(sets) == 1 else Stills.joined(sets)


def _names(source: str | Path) -> list[str]:
    return [name.strip() for name in str(source).split(',')]


def _open_one(source: str, boxes: str) -> Stills:
    name, _, split = source.partition('#')
    folder = Path(name)
    if not name or not folder.exists():
        raise DatasetError(f'{source!r}: expected {_FORMS}, but there is no such file or folder; '
                           'correct the name')
    if split and (folder / 'joints.mat').is_file():
        if split not in ('train', 'test'):
            raise DatasetError(f'{source}: LSPet has no part {split!r}; take #train or #test')
        return split_lspet(folder, LSPET_HELD_OUT)[split == 'test']
    if split:
        is_mpii = any((folder / place / f'{split}.json').is_file() for place in ('annot', '.'))
        return open_mpii(folder, split) if is_mpii else open_mini_rgbd(folder, split, boxes)
    if folder.suffix == '.json':
        return open_coco(folder)
    if (folder / 'meta.json').is_file():
        return Stills.open(folder)
    if (folder / 'joints.mat').is_file():
        return open_lspet(folder)
    raise DatasetError(f'{source}: expected {_FORMS}, found nothing of the kind; correct the name')


def split_set(source: str | Path, val_count: int) -> tuple[Stills, Stills]:
    """A set without its last `val_count` pictures, and those: no network may train on them.

    Of several sets the last pictures of each are held out.

    Raises:
        DatasetError: as `open_set`, or nothing is left to train on.
    """
    train, held_out = zip(*(
        open_set(name).split_off(val_count, name, 'lower adults_val_count')
        for name in _names(source)))
    return Stills.joined(train), Stills.joined(held_out)
