"""`infant-pose predict`: the pipeline over a video or a folder, to CSV and an overlay video."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
import csv
from dataclasses import dataclass
from pathlib import Path
import sys
import time

import numpy as np
from tqdm import tqdm

from infant_pose_ros.cli.settings import add_settings_arguments, settings_from_arguments
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.media.draw import draw_box, draw_pose
from infant_pose_ros.media.sources import FrameSource, open_source, SourceFrame
from infant_pose_ros.media.writer import fitted_picture, VideoWriter
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS, TrackState
from infant_pose_ros.structures import Camera, FrameResult, TrackedInfant

COLUMNS = ('frame', 'name', 'stamp_s', 'track', 'joint', 'u_px', 'v_px', 'x_m', 'y_m', 'z_m',
           'score', 'state')
#: Pictures a second of the overlay video of unrelated pictures.
_STILLS_RATE_HZ = 1.0
_EPILOG = f"""\
CSV columns: {', '.join(COLUMNS)}.
One row for each infant and keypoint, 16 keypoints for each infant; empty cells for a keypoint
that is missing (state lost). A frame with no infant has one row, empty from track on. x, y, z are
metres in the camera's optical frame where the camera is known (--camera, or a
<video>_camera_info.yaml beside the video, or camera_info.yaml in the folder), else relative to
the pelvis.
"""


def add_parser(subparsers) -> None:
    """Add `predict` to the command line."""
    parser = subparsers.add_parser(
        'predict', help='poses of a video or a folder of pictures',
        description='Run the pipeline over a video or a folder of pictures.', epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SOURCE', help='a video file or a folder of pictures')
    parser.add_argument('--csv', metavar='FILE', help='write the poses there; - is stdout')
    parser.add_argument('--video', metavar='FILE', type=Path,
                        help='write the pictures with the skeleton drawn in there (.mp4)')
    parser.add_argument('--raw', action='store_true',
                        help='poses before smoothing, in the CSV and in the video')
    parser.add_argument('--stills', action='store_true',
                        help='the pictures are unrelated: no tracking, no smoothing')
    parser.add_argument('--fps', type=float, metavar='N',
                        help="pictures a second; default: the video's own, 30 for a folder")
    parser.add_argument('--camera', metavar='YAML', type=Path,
                        help='camera_info file, as camera_calibration writes it')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    add_settings_arguments(parser, leave_out=('detect_async',))


def run(arguments: argparse.Namespace) -> int:
    """Predict every frame of the source; memory doesn't grow with its length.

    The same source and settings give the same answers: the detector runs in step.

    Raises:
        InfantPoseError: a bad source, camera, setting or checkpoint; a file can't be written.
    """
    if arguments.csv is None and arguments.video is None:
        raise InvalidInputError('nothing to write: give --csv FILE, --video FILE or both')
    settings = settings_from_arguments(arguments, detect_async=False)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(arguments.source, fps=arguments.fps))
        camera = _camera_of(arguments.camera, source)
        _check_outputs(arguments)
        pipeline = stack.enter_context(PosePipeline.from_settings(settings))
        writers: list[_CsvWriter | _OverlayWriter] = []
        if arguments.csv is not None:
            stream = stack.enter_context(_open_csv(arguments.csv))
            writers.append(_CsvWriter(stream, arguments.raw))
        if arguments.video is not None:
            rate_hz = _STILLS_RATE_HZ if arguments.stills and not arguments.fps else source.rate_hz
            video = stack.enter_context(VideoWriter(arguments.video, rate_hz, source.size_wh))
            writers.append(_OverlayWriter(video, arguments.raw, settings.keypoint_score_min))
        begin_s = time.perf_counter()
        frames, found = 0, 0
        with tqdm(source, total=source.num_frames, unit='frame', disable=arguments.quiet,
                  desc=source.name) as progress:
            for frame, result in _results(pipeline, progress, camera, arguments.stills):
                for writer in writers:
                    writer.write(frame, result)
                frames += 1
                found += bool(result.infants)
        elapsed_s = time.perf_counter() - begin_s
    _report(arguments, camera, frames, found, elapsed_s)
    return 0


def _results(pipeline: PosePipeline, frames, camera: Camera | None,
             stills: bool) -> Iterator[tuple[SourceFrame, FrameResult]]:
    """Each frame with its answer, one at a time."""
    for frame in frames:
        if stills:
            yield frame, pipeline.process_still(frame.image_rgb, camera)
        else:
            yield frame, pipeline.process(frame.image_rgb, frame.stamp_s, camera)


def _camera_of(path: Path | None, source: FrameSource) -> Camera | None:
    """The camera named, or the one beside the source, or None."""
    path = path or source.camera_info_path
    return None if path is None else Camera.from_camera_info_yaml(path)


@dataclass(frozen=True, eq=False)
class _Shown:
    """One infant's keypoints as they are written out: smoothed, or raw with --raw."""

    keypoints_px: np.ndarray
    keypoints_m: np.ndarray
    score: np.ndarray
    state: np.ndarray

    @classmethod
    def from_infant(cls, infant: TrackedInfant, raw: bool) -> _Shown:
        if not raw:
            return cls(infant.smooth_2d.keypoints_px, infant.smooth_3d.keypoints_m, infant.score,
                       infant.state)
        missing = np.full((NUM_KEYPOINTS, 3), np.nan)
        if infant.raw_2d is None:
            return cls(missing[:, :2], missing, np.zeros(NUM_KEYPOINTS),
                       np.full(NUM_KEYPOINTS, TrackState.LOST, dtype=np.uint8))
        pose = infant.raw_2d
        seen = np.isfinite(pose.keypoints_px).all(axis=1)
        return cls(pose.keypoints_px,
                   missing if infant.raw_3d is None else infant.raw_3d.keypoints_m, pose.score,
                   np.where(seen, TrackState.MEASURED, TrackState.LOST).astype(np.uint8))


class _CsvWriter:
    """Rows of `COLUMNS`, written as they come."""

    def __init__(self, stream, raw: bool):
        self._writer = csv.writer(stream, lineterminator='\n')
        self._writer.writerow(COLUMNS)
        self._raw = raw

    def write(self, frame: SourceFrame, result: FrameResult) -> None:
        """Write all infants of one frame."""
        head = (frame.index, frame.name, f'{frame.stamp_s:.6f}')
        if not result.infants:
            self._writer.writerow((*head, *[''] * (len(COLUMNS) - len(head))))
        for infant in result.infants:
            shown = _Shown.from_infant(infant, self._raw)
            for index, joint in enumerate(KEYPOINT_NAMES):
                self._writer.writerow((
                    *head, infant.track, joint,
                    *(_cell(value, 3) for value in shown.keypoints_px[index]),
                    *(_cell(value, 5) for value in shown.keypoints_m[index]),
                    _cell(shown.score[index], 4),
                    TrackState(shown.state[index]).name.lower()))


class _OverlayWriter:
    """Pictures with skeletons; pictures of other sizes are fitted into the first one's."""

    def __init__(self, video: VideoWriter, raw: bool, score_min: float):
        self._video = video
        self._raw, self._score_min = raw, score_min

    def write(self, frame: SourceFrame, result: FrameResult) -> None:
        """Draw and write one frame."""
        image = frame.image_rgb.copy()
        for infant in result.infants:
            shown = _Shown.from_infant(infant, self._raw)
            draw_box(image, infant.box_xyxy)
            draw_pose(image, shown.keypoints_px, shown.score, shown.state,
                      score_min=self._score_min if self._raw else 0.0)
        self._video.write(fitted_picture(image, self._video.size_wh))


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse to write over what is read, before anything is opened for writing."""
    inputs = [Path(arguments.source), *([arguments.camera] if arguments.camera else [])]
    outputs = {'--video': arguments.video,
               '--csv': None if arguments.csv in (None, '-') else Path(arguments.csv)}
    for option, path in outputs.items():
        if path is not None and any(path.resolve() == other.resolve() for other in inputs):
            raise InvalidInputError(f'{option} {path}: is the input itself; give another file')
    if outputs['--csv'] and outputs['--video'] and (
            outputs['--csv'].resolve() == outputs['--video'].resolve()):
        raise InvalidInputError(f'--csv and --video: both name {arguments.video}')


@contextlib.contextmanager
def _open_csv(name: str):
    """A text stream for the CSV; - is stdout. The folder is made."""
    if name == '-':
        yield sys.stdout
        return
    try:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        stream = open(name, 'w', encoding='utf-8', newline='')
    except OSError as error:
        raise InvalidInputError(f'--csv {name}: can not be written: {error.strerror}') from error
    with stream:
        yield stream


def _cell(value: float, digits: int) -> str:
    return f'{value:.{digits}f}' if np.isfinite(value) else ''


def _report(arguments: argparse.Namespace, camera: Camera | None, frames: int, found: int,
            elapsed_s: float) -> None:
    """Say what was done, on stderr where the CSV is on stdout."""
    written = [str(path) for path in (arguments.csv, arguments.video) if path not in (None, '-')]
    rate = f', {frames / elapsed_s:.1f} frames/s' if frames else ''
    space = 'in the camera frame' if camera else 'relative to the pelvis (no camera given)'
    print(f'{frames} frames, {found} with an infant{rate}; 3D {space}'
          f'{" -> " if written else ""}{", ".join(written)}',
          file=sys.stderr if arguments.csv == '-' else sys.stdout)
