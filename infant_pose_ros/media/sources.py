"""Pictures from a video file, a folder, a bag or a webcam, all through one interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import logging
import math
import os
from pathlib import Path
import re
import time

import cv2
import numpy as np

from infant_pose_ros.codecs.picture_files import check_picture_size, read_picture
from infant_pose_ros.errors import EncodingError, SourceError
from infant_pose_ros.media.bags import is_bag
from infant_pose_ros.media.quiet import quiet_opencv
from infant_pose_ros.structures import Camera
from infant_pose_ros.text_files import shown

#: Rate taken where a source doesn't know its own (folders, some webcams), Hz.
DEFAULT_RATE_HZ = 30.0
PICTURE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
#: Folders looked into where the folder given holds no pictures itself.
PICTURE_SUBFOLDERS = ('rgb', 'images')
#: A video with fewer of the pictures that its header says is worth a warning.
MIN_SHARE_READ = 0.9
_HELP = 'give a video file, a folder of pictures, a bag, or a webcam such as /dev/video0'

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """One picture of a source.

    Attributes:
        index: 0, 1, 2, ... in the source's order.
        name: the picture's file name, or `<video name>#<index>`.
        stamp_s: time since the first picture, s (a webcam: measured; else index / rate); of a
            bag, the picture's own stamp.
        image_rgb: (H, W, 3) uint8.
    """

    index: int
    name: str
    stamp_s: float
    image_rgb: np.ndarray


class FrameSource:
    """Base of all sources: iterate it for `SourceFrame`s; each iteration begins anew.

    Attributes:
        name: what to call the source in messages.
        rate_hz: pictures a second.
        num_frames: how many there are; None where that is unknown (a webcam). A video's own
            header says so, and may be a little off.
        size_wh: width and height of the first picture, px.
        is_live: pictures come in real time and don't repeat.
        camera_info_path, truth_path: the calibration (ROS YAML) and true keypoints (npz) that
            lie beside the source; None where there are none.
        camera: the calibration that the source itself holds (a bag), or None.
    """

    is_live = False
    camera: Camera | None = None

    def __init__(self, name: str, rate_hz: float, num_frames: int | None,
                 size_wh: tuple[int, int], camera_info_path: Path | None = None,
                 truth_path: Path | None = None):
        self.name = name
        self.rate_hz = rate_hz
        self.num_frames = num_frames
        self.size_wh = size_wh
        self.camera_info_path = camera_info_path
        self.truth_path = truth_path

    def __iter__(self) -> Iterator[SourceFrame]:
        for index, (name, image_bgr) in enumerate(self._pictures()):
            yield SourceFrame(index, name, self._stamp_s(index),
                              cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB))

    def __enter__(self) -> FrameSource:
        return self

    def __exit__(self, *_exc_info) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the device or file; calling it twice does no harm."""

    def _pictures(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and (H, W, 3) uint8 BGR picture, in order."""
        return iter(())

    def _stamp_s(self, index: int) -> float:
        return index / self.rate_hz


class VideoSource(FrameSource):
    """A video file. One that breaks off is read as far as it goes, with a warning in the log."""

    _was_told = False

    def __init__(self, path: Path, fps: float | None = None):
        self._path = path
        if path.suffix.lower() in PICTURE_SUFFIXES:     # OpenCV takes one picture for a video
            _read_picture(path)
        capture = _open_capture(str(path))
        _check_size(path, capture)
        ok, image = capture.read()
        own_rate = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        capture.release()
        if not ok:
            raise SourceError(f'source {path}: can not be read as a video; {_HELP}')
        super().__init__(
            path.name, _rate_or_default(fps or own_rate), int(count) if count > 0 else None,
            _size_wh(image), _existing(path.with_name(f'{path.stem}_camera_info.yaml')),
            _existing(path.with_name(f'{path.stem}_truth.npz')))

    def _pictures(self) -> Iterator[tuple[str, np.ndarray]]:
        capture = _open_capture(str(self._path))
        try:
            index = 0
            while True:
                ok, image = capture.read()
                if not ok:
                    self._tell_if_short(index)
                    return
                yield f'{self.name}#{index}', image
                index += 1
        finally:
            capture.release()

    def _tell_if_short(self, num_read: int) -> None:
        """Warn, once, of a video that ends long before its header says.

        No error: some formats only guess how many pictures they hold.
        """
        wanted = self.num_frames or 0
        if num_read < MIN_SHARE_READ * wanted - 1 and not self._was_told:
            self._was_told = True
            _logger.warning('source %s: ended after %d pictures, though its header says %d: it is '
                            'damaged, was cut off, or only guesses', self._path, num_read, wanted)


class FolderSource(FrameSource):
    """A folder of pictures, in natural order (`frame_2` before `frame_10`).

    Where it holds none itself, those in `rgb` or `images` are taken, or else those of all its
    folders with numbers as names, one after the other (what `infant-pose synth` writes).
    """

    def __init__(self, folder: Path, fps: float | None = None):
        self._folder = folder
        self._paths = _pictures_of(folder)
        if not self._paths:
            raise SourceError(f'source {folder}: the folder holds no pictures '
                              f'({" ".join(s[1:] for s in PICTURE_SUFFIXES)}); {_HELP}')
        super().__init__(
            folder.name, _rate_or_default(fps), len(self._paths),
            _size_wh(_read_picture(self._paths[0])), _existing(folder / 'camera_info.yaml'),
            _existing(folder / 'truth.npz'))

    def _pictures(self) -> Iterator[tuple[str, np.ndarray]]:
        for path in self._paths:
            inside = path.parent.name.isdecimal() and path.parent != self._folder
            yield f'{path.parent.name}/{path.name}' if inside else path.name, _read_picture(path)


class WebcamSource(FrameSource):
    """A webcam; stamps are measured with a steady clock from the first picture on."""

    is_live = True

    def __init__(self, device: int | str, fps: float | None = None):
        name = f'/dev/video{device}' if isinstance(device, int) else device
        self._capture = _open_capture(device)
        if fps:
            self._capture.set(cv2.CAP_PROP_FPS, fps)
        ok, image = self._capture.read()
        if not ok:
            self._capture.release()
            raise SourceError(f'source {name}: the webcam gives no picture; is it in use by '
                              'another program?')
        self._start_s: float | None = None
        super().__init__(name, _rate_or_default(self._capture.get(cv2.CAP_PROP_FPS)), None,
                         _size_wh(image))

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()

    def _pictures(self) -> Iterator[tuple[str, np.ndarray]]:
        index = 0
        while self._capture.isOpened():
            ok, image = self._capture.read()
            if not ok:
                raise SourceError(f'source {self.name}: the webcam stopped giving pictures; '
                                  'is it still plugged in?')
            yield f'{self.name}#{index}', image
            index += 1

    def _stamp_s(self, index: int) -> float:
        now_s = time.monotonic()
        if index == 0 or self._start_s is None:
            self._start_s = now_s
        return now_s - self._start_s


def open_source(source: str | Path | int, fps: float | None = None,
                topic: str | None = None) -> FrameSource:
    """Open a video file, a folder of pictures, a bag or a webcam; check that it can be read.

    Args:
        source: a path, `/dev/videoN`, or a webcam's number (int or digits).
        fps: pictures a second in place of the source's own; folders take 30 by default.
        topic: a bag's topic with the pictures, where it has several.

    Raises:
        SourceError: it does not exist or can't be read, in one line that says what to give.
    """
    text = os.fspath(source) if not isinstance(source, int) else str(source)
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise SourceError(f'source {text}: fps must be a positive number, got {fps}')
    if text.isascii() and text.isdigit() and len(text) < 5 and topic is None:
        return WebcamSource(int(text), fps)
    if not text:
        raise SourceError(f'no source given; {_HELP}')
    path = _existing_path(text)
    if is_bag(path):
        from infant_pose_ros.media.bag_source import BagSource  # itself a FrameSource
        return BagSource(path, topic, fps)
    if topic is not None:
        raise SourceError(f'source {text}: is no bag, so it has no topic {topic}')
    if path.is_dir():
        return FolderSource(path, fps)
    if path.is_char_device():
        return WebcamSource(text, fps)
    if not path.is_file():      # a pipe would be waited on for ever
        raise SourceError(f'source {text}: is no file that can be read; {_HELP}')
    return VideoSource(path, fps)


def bundled_clip() -> Path:
    """Path of the clip that comes with the package."""
    return Path(__file__).resolve().parents[1] / 'samples' / 'cot.mp4'


def pictures_in(folder: Path) -> list[Path]:
    """Picture files directly inside `folder`, in natural order; empty if it isn't a folder."""
    if not folder.is_dir():
        return []
    paths = [path for path in _entries(folder)
             if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()]
    return sorted(paths, key=lambda path: natural_key(path.name))


def _pictures_of(folder: Path) -> list[Path]:
    """The pictures that make up a folder source, in order."""
    for place in (folder, *(folder / name for name in PICTURE_SUBFOLDERS)):
        paths = pictures_in(place)
        if paths:
            return paths
    shards = sorted((place for place in _entries(folder) if place.name.isdecimal()),
                    key=lambda place: int(place.name))
    return [path for shard in shards for path in pictures_in(shard)]


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorting key under which numbers in names count as numbers."""
    return [(0, int(part), '') if part.isdecimal() else (1, 0, part.lower())
            for part in re.split(r'([0-9]+)', name)]


def _open_capture(source: str | int) -> cv2.VideoCapture:
    """Open a capture without the libraries' own complaints on stderr."""
    with quiet_opencv():
        capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        raise SourceError(f'source {source}: can not be opened as a '
                          f'{"webcam" if isinstance(source, int) else "video"}; {_HELP}')
    return capture


def _existing_path(text: str) -> Path:
    """The path, if there is something."""
    try:
        path = Path(text).expanduser()
        if path.exists():
            return path
    except (OSError, ValueError, RuntimeError) as error:    # too long, a NUL, nobody's home
        raise SourceError(f'source {shown(text)}: {shown(str(error))}; {_HELP}') from error
    raise SourceError(f'source {text}: no such file, folder or device; {_HELP}')


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise SourceError(f'source {folder}: can not be listed: {error.strerror}') from error


def _check_size(path: Path, capture: cv2.VideoCapture) -> None:
    """Refuse a video whose header claims too large pictures, before one is decoded."""
    width, height = (max(int(capture.get(key)), 1) for key in (
        cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))       # 0 where it doesn't say
    try:
        check_picture_size(f'source {path}', width, height)
    except EncodingError as error:
        capture.release()
        raise SourceError(str(error)) from error


def _read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 BGR."""
    try:
        return cv2.cvtColor(read_picture(path), cv2.COLOR_RGB2BGR)
    except EncodingError as error:
        raise SourceError(
            f'source {error}; mend or remove the file') from error


def _size_wh(image: np.ndarray) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _rate_or_default(rate_hz: float | None) -> float:
    """A rate that makes sense: some files and drivers say 0, NaN or their time base."""
    if rate_hz and math.isfinite(rate_hz) and 0.0 < rate_hz <= 1000.0:
        return float(rate_hz)
    return DEFAULT_RATE_HZ


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None
