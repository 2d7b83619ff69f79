"""`infant-pose predict`: the pipeline over a video, a folder or a bag, to CSV and a video."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
from pathlib import Path
import sys
import time

import numpy as np
from tqdm import tqdm

from infant_pose_ros.cli.keypoint_csv import CSV_HELP, KeypointCsv, open_csv
from infant_pose_ros.cli.settings import add_settings_arguments, settings_from_arguments
from infant_pose_ros.codecs.keypoint_clouds import keypoint_rows
from infant_pose_ros.config import OverlayNodeSettings, PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.recordings import PoseRecording
from infant_pose_ros.media.overlay import OverlayPainter
from infant_pose_ros.media.sources import FrameSource, open_source, SourceFrame
from infant_pose_ros.media.writer import fitted_picture, VideoWriter
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.skeleton import TrackState
from infant_pose_ros.structures import Camera, FrameResult

#: Pictures a second of the overlay video of unrelated pictures.
_STILLS_RATE_HZ = 1.0
#: Trails beside each other, where nothing else is asked for, s.
_SIDE_BY_SIDE_TRAIL_S = 0.5
_EPILOG = f"""\
{CSV_HELP} x, y, z are
metres in the camera's optical frame where the camera is known (--camera, or a
<video>_camera_info.yaml beside the video, or camera_info.yaml in the folder, or a CameraInfo in
the bag), else relative to the pelvis.

With --smooth the poses of the whole recording are kept until its end, no pictures: an hour of
one infant at 30 pictures a second takes about 0.4 GB of memory. Each track is smoothed on its
own, forwards and backwards in time; a gap in it is bridged (state predicted) as long as
predict_max_s allows, and what is longer stays lost. --video reads the source a second time.
"""


def add_parser(subparsers) -> None:
    """Add `predict` to the command line."""
    parser = subparsers.add_parser(
        'predict', help='poses of a video, a folder of pictures or a bag',
        description='Run the pipeline over a video, a folder of pictures or a rosbag2 bag.',
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SOURCE',
                        help='a video file, a folder of pictures or a bag with pictures')
    parser.add_argument('--csv', metavar='FILE', help='write the poses there; - is stdout')
    parser.add_argument('--video', metavar='FILE', type=Path,
                        help='write the pictures with the skeleton drawn in there (.mp4)')
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--raw', action='store_true',
                      help='poses before smoothing, in the CSV and in the video')
    kind.add_argument('--smooth', action='store_true',
                      help='poses smoothed over the whole recording, past and future')
    parser.add_argument('--stills', action='store_true',
                        help='the pictures are unrelated: no tracking, no smoothing')
    parser.add_argument('--side-by-side', action='store_true',
                        help='the video shows raw poses on the left, smoothed ones on the right')
    parser.add_argument('--trail', type=float, metavar='S',
                        help='the video shows the paths of wrists and ankles of the last S '
                        f'seconds; default: {_SIDE_BY_SIDE_TRAIL_S} side by side, else 0')
    parser.add_argument('--fps', type=float, metavar='N',
                        help="pictures a second; default: the video's own, 30 for a folder, and "
                        'the stamps in a bag')
    parser.add_argument('--topic', metavar='NAME',
                        help='topic of the pictures, for a bag that has several')
    parser.add_argument('--camera', metavar='YAML', type=Path,
                        help='camera_info file, as camera_calibration writes it')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    add_settings_arguments(parser, leave_out=('detect_async',))


def run(arguments: argparse.Namespace) -> int:
    """Predict every frame of the source; memory doesn't grow with it, but with --smooth.

    The same source and settings give the same answers: the detector runs in step.

    Raises:
        InfantPoseError: a bad source, camera, setting or checkpoint; a file can't be written.
    """
    settings = settings_from_arguments(arguments, detect_async=False)
    _check_options(arguments, settings)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(
            open_source(arguments.source, arguments.fps, arguments.topic))
        if arguments.smooth and source.is_live:
            raise InvalidInputError(f'--smooth {arguments.source}: a webcam has no end; record '
                                    'it first (a video, or `ros2 bag record`) and smooth that')
        camera = _camera_of(arguments.camera, source)
        _check_outputs(arguments)
        pipeline = stack.enter_context(PosePipeline.from_settings(settings))
        table = video = None
        if arguments.csv is not None:
            table = KeypointCsv(stack.enter_context(open_csv(arguments.csv)))
        if arguments.video is not None:
            video = stack.enter_context(_OverlayVideo(arguments, settings, source))
        begin_s = time.perf_counter()
        with tqdm(source, total=source.num_frames, unit='frame', disable=arguments.quiet,
                  desc=source.name) as progress:
            results = _results(pipeline, progress, camera, arguments.stills)
            if arguments.smooth:
                frames, found = _write_smoothed(results, settings, source, table, video,
                                                arguments.quiet)
            else:
                frames, found = _write(results, arguments.raw, table, video)
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


def _write(results: Iterator[tuple[SourceFrame, FrameResult]], raw: bool,
           table: KeypointCsv | None, video: _OverlayVideo | None) -> tuple[int, int]:
    """Write each answer at once; how many frames there were, and how many with an infant."""
    frames = found = 0
    for frame, result in results:
        infants = keypoint_rows(result, raw)
        if table is not None:
            table.write(frame.index, frame.name, frame.stamp_s, infants)
        if video is not None:
            video.write(frame, infants, keypoint_rows(result, raw=True))
        frames += 1
        found += bool(result.infants)
    return frames, found


def _write_smoothed(results: Iterator[tuple[SourceFrame, FrameResult]],
                    settings: PipelineSettings, source: FrameSource, table: KeypointCsv | None,
                    video: _OverlayVideo | None, quiet: bool) -> tuple[int, int]:
    """Collect all poses, smooth them, and write them; as `_write`."""
    recording, heads = PoseRecording(), []
    for frame, result in results:
        height, width = frame.image_rgb.shape[:2]
        recording.add(frame.stamp_s, (width, height), {
            infant.track: (infant.raw_2d, infant.raw_3d) for infant in result.infants},
            result.main_track)
        heads.append((frame.index, frame.name, frame.stamp_s))
    with tqdm(total=recording.track_frames(settings.gap_reset_s), unit='frame', disable=quiet,
              desc='smoothing') as progress:
        recording.smooth(settings, progress.update)
    found = 0
    for index, head in enumerate(heads):
        infants = recording.smoothed(index)
        found += bool(len(infants))
        if table is not None:
            table.write(*head, infants)
    if video is not None:
        for frame in tqdm(source, total=len(heads), unit='frame', disable=quiet, desc='drawing'):
            if frame.index < len(heads):
                video.write(frame, recording.smoothed(frame.index), recording.raw(frame.index))
    return len(heads), found


def _camera_of(path: Path | None, source: FrameSource) -> Camera | None:
    """The camera named, or the source's own, or the one beside it, or None."""
    if path is None and source.camera is not None:
        return source.camera
    path = path or source.camera_info_path
    return None if path is None else Camera.from_camera_info_yaml(path)


class _OverlayVideo:
    """Pictures with skeletons; pictures of other sizes are fitted into the first one's."""

    def __init__(self, arguments: argparse.Namespace, settings: PipelineSettings,
                 source: FrameSource):
        trail_s = arguments.trail
        if trail_s is None:
            trail_s = _SIDE_BY_SIDE_TRAIL_S if arguments.side_by_side else 0.0
        self._painter = OverlayPainter(OverlayNodeSettings(
            layout='side_by_side' if arguments.side_by_side else 'single', trail_s=trail_s,
            score_min=settings.keypoint_score_min if arguments.raw else 0.0,
            show_text=False))
        self._score_min = settings.keypoint_score_min
        rate_hz = _STILLS_RATE_HZ if arguments.stills and not arguments.fps else source.rate_hz
        self._video = VideoWriter(arguments.video, rate_hz,
                                  self._painter.size_of(source.size_wh))

    def __enter__(self) -> _OverlayVideo:
        return self

    def __exit__(self, *_exc_info) -> None:
        self._video.close()

    def write(self, frame: SourceFrame, infants: np.ndarray, raw_infants: np.ndarray) -> None:
        """Draw and write one frame."""
        raw_infants = raw_infants.copy()
        raw_infants['state'][raw_infants['score'] < self._score_min] = TrackState.LOST
        image_rgb = self._painter.draw(frame.image_rgb, frame.stamp_s, infants, raw_infants)
        self._video.write(fitted_picture(image_rgb, self._video.size_wh))


def _check_options(arguments: argparse.Namespace, settings: PipelineSettings) -> None:
    """Refuse options that contradict each other."""
    if arguments.csv is None and arguments.video is None:
        raise InvalidInputError('nothing to write: give --csv FILE, --video FILE or both')
    if arguments.smooth and arguments.stills:
        raise InvalidInputError('--smooth: unrelated pictures (--stills) can not be smoothed')
    if arguments.smooth and not settings.smoothing:
        raise InvalidInputError('--smooth: smoothing is switched off; leave out --no-smoothing')
    if arguments.side_by_side and (arguments.video is None or arguments.raw):
        raise InvalidInputError('--side-by-side: needs --video FILE, and is of no use with --raw')
    if arguments.side_by_side and (arguments.stills or not settings.smoothing):
        raise InvalidInputError('--side-by-side: nothing is smoothed with --stills or '
                                '--no-smoothing; leave these out')
    if arguments.trail is not None and (arguments.video is None or arguments.stills):
        raise InvalidInputError('--trail: is drawn in the video of a moving infant; give --video '
                                'FILE too, and leave out --stills')


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


def _report(arguments: argparse.Namespace, camera: Camera | None, frames: int, found: int,
            elapsed_s: float) -> None:
    """Say what was done, on stderr where the CSV is on stdout."""
    written = [str(path) for path in (arguments.csv, arguments.video) if path not in (None, '-')]
    rate = f', {frames / elapsed_s:.1f} frames/s' if frames else ''
    space = 'in the camera frame' if camera else 'relative to the pelvis (no camera given)'
    print(f'{frames} frames, {found} with an infant{rate}; 3D {space}'
          f'{" -> " if written else ""}{", ".join(written)}',
          file=sys.stderr if arguments.csv == '-' else sys.stdout)
