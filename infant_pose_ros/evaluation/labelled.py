"""Sequences of pictures of one infant with its true keypoints, to calibrate and measure on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
import re
from typing import NamedTuple

import numpy as np

from infant_pose_ros.data.mini_rgbd import CAMERA, MiniRgbdVideo, SPLITS
from infant_pose_ros.data.stills import read_image
from infant_pose_ros.errors import DatasetError, InvalidInputError, SourceError
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.media.sources import open_source
from infant_pose_ros.structures import Camera

#: What `infant-pose synth --clip` puts beside a clip.
_TRUTH_SUFFIX = '_truth.npz'


class LabelledFrame(NamedTuple):
    """`image_rgb`, and the true `keypoints_px` (16, 2) and `keypoints_m` (16, 3), camera frame.

    `is_first`: the picture before it, if there is one, was taken more than a step earlier.
    """

    image_rgb: np.ndarray
    keypoints_px: np.ndarray
    keypoints_m: np.ndarray
    is_first: bool


@dataclass(frozen=True, eq=False)
class LabelledSequence(ABC):
    """One infant in F frames, with its true length and one calibrated camera.

    Attributes:
        name: for a reader. camera: of the pictures. body_length_m: crown to heel.
        rate_hz: frames a second. stamps_s: (F,) from 1 on.
    """

    name: str
    camera: Camera
    body_length_m: float
    rate_hz: float
    stamps_s: np.ndarray

    def __len__(self) -> int:
        return len(self.stamps_s)

    @abstractmethod
    def frames(self) -> Iterator[LabelledFrame]:
        """All frames in order.

        Raises:
            DatasetError: a file is missing or malformed.
        """


@dataclass(frozen=True, eq=False)
class _Folder(LabelledSequence):
    """In MINI-RGBD's format, with `sequence.json`."""

    video: MiniRgbdVideo

    @classmethod
    def open(cls, folder: Path) -> _Folder:
        video = MiniRgbdVideo.open(folder)
        if not np.isfinite(video.body_length_m):
            raise DatasetError(f'{folder}: tells no length of the infant; expected '
                               'body_length_m in its sequence.json')
        return cls(folder.name, CAMERA, video.body_length_m, video.rate_hz,
                   np.array(video.frames) / video.rate_hz + 1.0, video)

    def frames(self) -> Iterator[LabelledFrame]:
        numbers = self.video.frames
        for index in range(len(self)):
            frame = self.video.read(index)
            yield LabelledFrame(
                read_image(frame.image_path), frame.keypoints_px, frame.keypoints_m,
                index == 0 or numbers[index] - numbers[index - 1] > 1)


@dataclass(frozen=True, eq=False)
class _Clip(LabelledSequence):
    """A video with `<stem>_camera_info.yaml` and `<stem>_truth.npz` beside it."""

    path: Path
    truth: ClipTruth

    @classmethod
    def open(cls, path: Path) -> _Clip:
        try:
            with open_source(path) as source:
                rate_hz, size_wh = source.rate_hz, source.size_wh
                camera_path, truth_path = source.camera_info_path, source.truth_path
            if not (camera_path and truth_path):
                raise DatasetError(f'{path}: expected {path.stem}_camera_info.yaml and '
                                   f'{path.stem}{_TRUTH_SUFFIX} beside it')
            camera = Camera.from_camera_info_yaml(camera_path)
        except (SourceError, InvalidInputError) as error:
            raise DatasetError(f'{path}: {error}') from error
        if (camera.width, camera.height) != size_wh:
            raise DatasetError(f'{path}: is {size_wh[0]}x{size_wh[1]}, its camera_info is for '
                               f'{camera.width}x{camera.height}')
        truth = ClipTruth.load(truth_path)
        return cls(path.stem, camera, truth.body_length_m, rate_hz,
                   truth.stamps_s - truth.stamps_s[0] + 1.0, path, truth)

    def frames(self) -> Iterator[LabelledFrame]:
        index = -1
        with open_source(self.path) as source:
            for index, frame in enumerate(source):
                if index == len(self):
                    break
                yield LabelledFrame(frame.image_rgb, self.truth.keypoints_px[index],
                                    self.truth.keypoints_m[index], index == 0)
        if index + 1 < len(self):
            raise DatasetError(f'{self.path}: holds {index + 1} pictures, its truth is for '
                               f'{len(self)}; copy or make it again')


def open_sequences(words: Sequence[str]) -> list[LabelledSequence]:
    """Open sequences: folders in MINI-RGBD's format, and clips as `infant-pose synth` makes them.

    Args:
        words: 'DIR' for all sequences and clips that a folder holds, 'DIR#split' for a part of
            its sequences, or a clip's video.

    Raises:
        DatasetError: there is none, it is malformed, or doesn't tell the infant's length.
    """
    return [sequence for word in words for sequence in _opened(word)]


def _opened(word: str) -> list[LabelledSequence]:
    folder, _, split = word.partition('#')
    if split and split not in SPLITS:
        raise DatasetError(f'{word}: unknown split {split!r}; known: {", ".join(SPLITS)}')
    if Path(folder).is_file():
        return [_Clip.open(Path(folder))]
    wanted = {f'{number:02d}' for number in SPLITS[split]} if split else None
    found: list[LabelledSequence] = [
        _Folder.open(place) for place in sorted(Path(folder).glob('[0-9][0-9]'))
        if place.is_dir() and re.fullmatch(r'\d\d', place.name)
        and (not wanted or place.name in wanted)]
    if not split:
        found += [_Clip.open(truth.with_name(truth.name[:-len(_TRUTH_SUFFIX)] + '.mp4'))
                  for truth in sorted(Path(folder).glob(f'*{_TRUTH_SUFFIX}'))]
    if not found:
        raise DatasetError(
            f'{word}: expected folders of sequences such as 01'
            + ('' if split else ', or clips with a truth beside them') + ', found none')
    return found
