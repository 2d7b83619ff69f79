"""Finds what is wrong with a copy of a dataset, file by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
import re

import numpy as np

from infant_pose_ros.codecs.picture_files import read_picture
from infant_pose_ros.data import checksums, coco, lsp, mini_rgbd, mpi_inf_3dhp, mpii
from infant_pose_ros.data.files import read_json
from infant_pose_ros.data.pose_faults import faults_2d, faults_3d
from infant_pose_ros.data.sequence_info import SequenceInfo
from infant_pose_ros.data.stills import read_shard
from infant_pose_ros.errors import DatasetError, EncodingError

#: Of a folder of frames of MINI-RGBD, these may be absent as a whole: the reader can do without.
_OPTIONAL_PARTS = {'fg_mask', 'depth'}


@dataclass(frozen=True)
class Problem:
    """A file (or folder), the kind of its problem, and the problem in words."""

    path: Path
    kind: str
    text: str


@dataclass
class CheckReport:
    """What a check saw: numbers of pictures and poses, and all problems in order."""

    folder: Path
    format: str
    num_pictures: int = 0
    num_poses: int = 0
    problems: list[Problem] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How many problems of each kind, the most frequent first."""
        return dict(Counter(problem.kind for problem in self.problems).most_common())

    def add(self, path: Path, kind: str, text: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(path, kind, text))

    def add_picture(self, path: Path) -> tuple[int, int] | None:
        """Check that a picture can be read; its (width, height), None if it can't."""
        self.num_pictures += 1
        if not path.is_file():
            self.add(path, 'missing', 'expected a picture, found nothing; copy it again')
            return None
        try:
            height, width = read_picture(path, is_grey=True).shape
        except EncodingError as error:
            self.add(path, 'unreadable', 'expected a picture, found one cut short or other data '
                     f'({str(error).removeprefix(f"{path}: ")}); copy it again')
            return None
        return width, height

    def add_pose(self, path: Path, name: str, keypoints_px: np.ndarray,
                 size_wh: tuple[int, int] | None, keypoints_m: np.ndarray | None = None) -> None:
        """Check a pose (16, 2) px and, where it is given, (16, 3) m; `name` tells it in `path`."""
        self.num_poses += 1
        faults = faults_2d(keypoints_px, size_wh)
        faults += [] if keypoints_m is None else faults_3d(keypoints_m)
        for kind, text in faults:
            self.add(path, kind, f'{name}: {text}' if name else text)

    def reading(self, path: Path, read: Callable, *arguments):
        """What `read` returns; None, and a problem of `path`, where it raises DatasetError."""
        try:
            return read(*arguments)
        except DatasetError as error:
            text = ' '.join(str(error).split()).removeprefix(f'{path}: ')
            self.add(path, 'missing' if not path.exists() else 'malformed', text)
            return None


Step = Callable[[CheckReport], None]


def _is_mini_rgbd(folder: Path) -> bool:
    return any((video / part).is_dir() for video in folder.glob('[0-9][0-9]')
               for part in mini_rgbd.FRAME_FILES)


def _coco_files(folder: Path) -> list[Path]:
    return sorted({*folder.glob('annotations/*keypoints*.json'), *folder.glob('*keypoints*.json')})


def _mpii_files(folder: Path) -> list[Path]:
    found = (folder / place / f'{split}.json' for place in ('annot', '')
             for split in ('train', 'valid', 'val', 'trainval', 'test'))
    return [path for path in found if path.is_file()]


_SIGNS: dict[str, Callable[[Path], object]] = {
    'stills': lambda folder: (folder / 'meta.json').is_file(),
    'lspet': lambda folder: (folder / 'joints.mat').is_file(),
    'coco': _coco_files,
    'mpii': _mpii_files,
    'mpi_inf_3dhp': lambda folder: any(folder.glob('S[1-8]/Seq[12]')),
    'mini_rgbd': _is_mini_rgbd,
}


def detect_format(folder: Path) -> str:
    """The format of a folder, by its typical files.

    Raises:
        DatasetError: no such folder, or it has none of them.
    """
    if not folder.is_dir():
        raise DatasetError(f'{folder}: expected a folder with a dataset, found none; correct it')
    for name, has_sign in _SIGNS.items():
        if has_sign(folder):
            return name
    raise DatasetError(
        f'{folder}: expected meta.json (stills), joints.mat (lspet), annotations/*keypoints*.json '
        '(coco), annot/train.json (mpii), S1/Seq1 (mpi_inf_3dhp) or 01/rgb (mini_rgbd), found '
        'none; give the folder that holds them, or the format')


def check_dataset(folder: str | Path, format_name: str = 'auto',
                  progress: Callable[[int, int], object] | None = None) -> CheckReport:
    """Read everything in a copy of a dataset and note what is wrong.

    Args:
        folder: of the set. format_name: one of `FORMATS`, or 'auto'.
        progress: called with how many steps are done and how many there are.

    Raises:
        DatasetError: no such folder, an unknown format, or 'auto' doesn't recognise the folder.
    """
    folder = Path(folder)
    found = detect_format(folder) if format_name == 'auto' or not folder.is_dir() else format_name
    if found not in FORMATS:
        raise DatasetError(f'{folder}: expected a format of {", ".join(FORMATS)}, found '
                           f'{found!r}; choose one of them')
    report = CheckReport(folder, found)
    steps = FORMATS[found](report)
    for done, step in enumerate(steps, 1):
        step(report)
        if progress is not None:
            progress(done, len(steps))
    if not report.num_poses and not report.problems:
        report.add(folder, 'empty', 'expected labelled poses, found none; copy the set again')
    return report


def _plan_mini_rgbd(report: CheckReport) -> list[Step]:
    steps = []
    for number in sorted(number for split in mini_rgbd.SPLITS.values() for number in split):
        folder = report.folder / f'{number:02d}'
        unfinished = folder.with_name(f'{folder.name}.part')
        if unfinished.exists():
            report.add(unfinished, 'unfinished', 'expected a finished sequence; run the same '
                       '`infant-pose synth` command again')
        if not folder.is_dir():
            report.add(folder, 'missing', 'expected the folder of a video, found none; copy it')
            continue
        info = report.reading(folder / 'sequence.json', SequenceInfo.read, folder)
        steps += _plan_sequence(folder, info, report)
    return steps


def _plan_sequence(folder: Path, info: SequenceInfo | None, report: CheckReport) -> list[Step]:
    """Steps for one folder; `info` is None for MINI-RGBD's own."""
    frames = {part: set(mini_rgbd.frame_numbers(folder, part)) for part in mini_rgbd.FRAME_FILES}
    every = set().union(*frames.values(),
                        range(info.frames if info else mini_rgbd.FRAMES_PER_VIDEO))
    for part, found in frames.items():
        if not found:
            if info or part not in _OPTIONAL_PARTS or (folder / part).exists():
                report.add(folder / part, 'missing', f'expected {len(every)} files such as '
                           f'{mini_rgbd.FRAME_FILES[part].format(0)}, found none; copy them')
            continue
        for frame in sorted(every - found):
            report.add(folder / mini_rgbd.FRAME_FILES[part].format(frame), 'missing',
                       'expected this file of the frame, found nothing; copy it again')
    steps = [partial(_check_frame, folder, frame,
                     {part for part, found in frames.items() if frame in found}, info is not None)
             for frame in sorted(every)]
    return steps + ([partial(_check_sums, folder, info)] if info else [])


def _check_frame(folder: Path, frame: int, parts: set[str], has_head_top: bool,
                 report: CheckReport) -> None:
    paths = {part: folder / mini_rgbd.FRAME_FILES[part].format(frame) for part in parts}
    for part in ('rgb', 'fg_mask', 'depth'):
        size_wh = report.add_picture(paths[part]) if part in paths else None
        if size_wh is not None and size_wh != mini_rgbd.SIZE_WH:
            report.add(paths[part], 'wrong size', 'expected 640x480 px, found '
                       f'{size_wh[0]}x{size_wh[1]}; take the original picture')
    chosen = mini_rgbd.joint_rows(has_head_top)
    joints = {part: report.reading(paths[part], mini_rgbd.read_joints, paths[part],
                                   mini_rgbd.NUM_JOINTS + has_head_top)
              for part in ('joints_2Ddep', 'joints_3D') if part in paths}
    if joints.get('joints_2Ddep') is not None:
        report.add_pose(paths['joints_2Ddep'], '', joints['joints_2Ddep'][chosen, :2],
                        mini_rgbd.SIZE_WH)
    if joints.get('joints_3D') is not None:
        for kind, text in faults_3d(joints['joints_3D'][chosen, :3]):
            report.add(paths['joints_3D'], kind, text)


def _check_sums(folder: Path, info: SequenceInfo, report: CheckReport) -> None:
    """Read what is visible; compare a whole sequence with its set's list, or call it a trial."""
    report.reading(folder / mini_rgbd.VISIBLE_FILE, mini_rgbd.read_visible, folder, info.frames)
    if info.set != checksums.SYNTHCOT_NAME:
        return
    if info.frames != mini_rgbd.FRAMES_PER_VIDEO:
        report.add(folder, 'trial', f'expected {mini_rgbd.FRAMES_PER_VIDEO} frames, found a trial '
                   f'of {info.frames}; make the sequence without --frames and --rate')
        return
    path = checksums.synthcot_list()
    listed = report.reading(path, checksums.read_list, path)
    for part in checksums.PARTS if listed is not None else ():
        if not (folder / part).exists():
            continue  # this has been said
        found = report.reading(folder / part, checksums.part_checksum, folder, part)
        expected = listed.get((int(folder.name), part))
        if expected is None:
            report.add(path, 'malformed', f'expected a checksum of {folder.name}/{part}, found '
                       'none; install the package again')
        elif found is not None and found != expected:
            report.add(folder / part, 'differs', f'expected the checksum {expected}, found '
                       f'{found}; make the sequence again (another kind of processor or another '
                       'version of a library may round differently)')


def _check_picture(path: Path, poses: list, report: CheckReport) -> None:
    """One picture with its poses: (file that holds the label, name in it, px, m or None)."""
    size_wh = report.add_picture(path)
    for label_path, name, keypoints_px, keypoints_m in poses:
        report.add_pose(label_path, name, keypoints_px, size_wh, keypoints_m)


def _by_picture(poses: list) -> list[Step]:
    """Steps for (picture, pose...) rows, each picture read once."""
    grouped: dict[Path, list] = {}
    for picture, *pose in poses:
        grouped.setdefault(picture, []).append(pose)
    return [partial(_check_picture, path, rows) for path, rows in grouped.items()]


def _plan_mpii(report: CheckReport) -> list[Step]:
    poses = []
    paths = _mpii_files(report.folder)
    if not paths:
        report.reading(report.folder / 'annot', mpii.annotation_file, report.folder, 'train')
    for path in paths:
        entries = report.reading(path, read_json, path, list, 'a list of people (MPII as json)')
        for index, entry in enumerate(entries or ()):
            where = f'person {index}'
            person = report.reading(path, mpii.read_person, f'{path}: {where}', entry)
            if person is not None:
                poses.append((report.folder / 'images' / person.image, path,
                              f'{where} ({person.image})', person.keypoints_px, None))
    return _by_picture(poses)


def _plan_coco(report: CheckReport) -> list[Step]:
    poses = []
    paths = _coco_files(report.folder)
    if not paths:
        report.add(report.folder / 'annotations', 'missing',
                   'expected person_keypoints_<split>.json, found none; copy it')
    for path in paths:
        names, entries = report.reading(path, coco.read_annotations, path) or ({}, [])
        folder = report.reading(path, coco.find_pictures, path, list(names.values())) if (
            names) else None
        for where, entry in entries:
            person = report.reading(path, coco.read_person, where, entry)
            name = person and report.reading(path, coco.image_name, where, person, names)
            if name and folder is not None:
                poses.append((folder / name, path, f'{where.removeprefix(f"{path}: ")} ({name})',
                              person.keypoints_px, None))
    return _by_picture(poses)


def _plan_lspet(report: CheckReport) -> list[Step]:
    path = report.folder / 'joints.mat'
    labels = report.reading(path, lsp.read_labels, path)
    if labels is None:
        return []
    keypoints = labels.keypoints_px
    names = [labels.image_name(row) for row in range(len(labels))]
    found = {item.name for item in (report.folder / 'images').glob('im*.jpg')}
    if len(found) > len(names):
        report.add(path, 'wrong count', f'expected a row for each of {len(found)} pictures, found '
                   f'{len(names)} rows; take the file that belongs to the pictures')
    return _by_picture([(report.folder / 'images' / name, path, name, row, None)
                        for name, row in zip(names, keypoints)])


def _plan_stills(report: CheckReport) -> list[Step]:
    path = report.folder / 'meta.json'
    report.reading(path, read_json, path, dict, 'a json object')
    poses = []
    for shard in sorted(report.folder.iterdir()):
        if re.fullmatch(r'\d{4}\.part', shard.name):
            report.add(shard, 'unfinished', 'expected a finished shard; run the same `infant-pose '
                       'synth` command again')
        if not re.fullmatch(r'\d{4}', shard.name):
            continue
        labels = shard / 'labels.npz'
        rows = report.reading(labels, read_shard, shard)
        for index in range(len(rows['visible']) if rows else 0):
            name = f'{index:05d}.jpg'
            poses.append((shard / name, labels, name, rows['keypoints_px'][index],
                          rows['keypoints_m'][index]))
    return _by_picture(poses)


def _plan_mpi_inf_3dhp(report: CheckReport) -> list[Step]:
    paths = [report.folder / subject / sequence / 'annot.mat'
             for subjects in mpi_inf_3dhp.SPLITS.values() for subject in subjects
             for sequence in mpi_inf_3dhp.SEQUENCES]
    return [partial(_check_recordings, path) for path in paths]


def _check_recordings(path: Path, report: CheckReport) -> None:
    annot2, annot3 = report.reading(path, mpi_inf_3dhp.read_annotations, path) or ((), ())
    for camera, rows in enumerate(zip(annot2, annot3)):
        recording = report.reading(path, mpi_inf_3dhp.make_recording, path, camera, *rows)
        for frame in range(len(recording) if recording else 0):
            report.add_pose(path, f'camera {camera}, frame {frame}', recording.keypoints_px[frame],
                            None, recording.keypoints_m[frame])


#: Format -> how its check is planned.
FORMATS: dict[str, Callable[[CheckReport], list[Step]]] = {
    'mini_rgbd': _plan_mini_rgbd, 'mpii': _plan_mpii, 'coco': _plan_coco,
    'mpi_inf_3dhp': _plan_mpi_inf_3dhp, 'lspet': _plan_lspet, 'stills': _plan_stills}
