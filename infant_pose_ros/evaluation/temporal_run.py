"""`infant-pose evaluate --temporal`: reads a set's videos, smooths them in every way, reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.data.mini_rgbd import MiniRgbdVideo
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.report import no_progress
from infant_pose_ros.evaluation.temporal import TemporalBenchmark, Video
from infant_pose_ros.evaluation.temporal_baselines import one_euro_class
from infant_pose_ros.evaluation.temporal_readings import (
    open_split,
    record,
    recorded,
    replay,
    settings_of,
    smooth_arrays,
)
from infant_pose_ros.evaluation.temporal_report import write_report
from infant_pose_ros.inference import load_models, PoseModels
from infant_pose_ros.media.plotting import pyplot

#: Frames of each video in which the replay is compared with the pipeline itself.
CHECK_FRAMES = 60
#: Settings of the filters, told in the report.
_TOLD = ('acceleration_std_2d', 'acceleration_std_3d', 'smoothing_lag_ms', 'gate_sigma',
         'predict_max_s', 'keypoint_score_min')


def evaluate_temporal(folder: str | Path, split: str, out: str | Path,
                      settings: PipelineSettings, quick_folder: str | Path | None = None,
                      progress: Callable = no_progress) -> str:
    """Run the benchmark; write `temporal.md`, `temporal.csv` and plots under `out`.

    The readings of the networks are kept in `out/readings`, from which a rerun goes on.

    Args:
        folder: a set in MINI-RGBD's format. split: 'train', 'validation' or 'test'.
        settings: networks and filters.
        quick_folder: the same set with more frames a second, for the wandering rate.
        progress: called with a label and a number of frames; gives a context manager whose value
            has `update(n)`.

    Returns:
        The text of `temporal.md`.

    Raises:
        DatasetError: a set lacks a file, or one is malformed.
        SettingsError, CheckpointError: as `load_models`.
        MissingDependencyError: OneEuroFilter or matplotlib is not installed.
        InvalidInputError: `out` can't be written to.
    """
    out = Path(out)
    for find in (pyplot, one_euro_class):       # before the networks take their minutes
        find()
    videos = open_split(folder, split)
    quick_videos = None if quick_folder is None else open_split(quick_folder, split)
    models = load_models(settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
        read = _read(videos, settings, models, out, progress)
        quick = None if quick_videos is None else _read(
            quick_videos, settings, models, out / 'quick', progress)
        checks = [_check(video, settings, models) for video in videos]
        with progress('smoothing', 0) as bar:
            benchmark = TemporalBenchmark(read, models.lifter, lambda text: bar.update(1), quick)
            results = benchmark.run()
        return write_report(results, _header(videos, read, quick, checks, settings, models), out)
    except OSError as error:
        raise InvalidInputError(f'--out {out}: can not be written: {error}') from error


def _read(videos: Sequence[MiniRgbdVideo], settings: PipelineSettings, models: PoseModels,
          out: Path, progress: Callable) -> list[Video]:
    read = []
    for video in videos:
        own = settings_of(video, settings)
        with progress(f'video {video.number:02d}', len(video)) as bar:
            read.append((recorded(video, own, models, out / 'readings', bar.update), own))
    return read


def _check(video: MiniRgbdVideo, settings: PipelineSettings, models: PoseModels
           ) -> tuple[float, float]:
    """Largest difference, px and mm, of the replay from what the pipeline smoothed itself."""
    own = settings_of(video, settings)
    recording, estimates = record(video, own, models, frames=CHECK_FRAMES)
    again = smooth_arrays(replay(recording, own, models.lifter).estimates)
    return tuple(scale * largest_difference(one, other) for scale, one, other
                 in zip((1.0, 1000.0), smooth_arrays(estimates), again))


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Of two arrays of one shape; inf where a value is NaN in only one of them."""
    if (np.isnan(one) != np.isnan(other)).any():
        return float('inf')
    return float(np.nanmax(np.abs(one - other), initial=0.0))


def _header(videos: Sequence[MiniRgbdVideo], read: Sequence[Video],
            quick: Sequence[Video] | None, checks: Sequence[tuple[float, float]],
            settings: PipelineSettings, models: PoseModels) -> list[str]:
    info = videos[0].info
    title = f'{info.set} (version {info.version})' if info else 'MINI-RGBD'
    lines = [f'{title}: '
             + ', '.join(f'video {recording.number:02d} ({len(recording)} frames at '
                         f'{recording.rate_hz:g} Hz)' for recording, _ in read) + '.', '']
    if quick:
        lines += ['Wandering rate: from '
                  + ', '.join(f'video {recording.number:02d} ({len(recording)} frames at '
                              f'{recording.rate_hz:g} Hz)' for recording, _ in quick) + '.', '']
    lines += [f'- {task}: {about["name"]}, sha256 {about["sha256"][:12]}'
              for task, about in models.describe().items()]
    lines.append('- filters: ' + ', '.join(f'{name} {getattr(settings, name)}' for name in _TOLD))
    worst = np.max(checks, axis=0)
    return [*lines, f'- the replay of readings differs from the pipeline itself by at most '
            f'{worst[0]:.2g} px and {worst[1]:.2g} mm in the first {CHECK_FRAMES} frames']
