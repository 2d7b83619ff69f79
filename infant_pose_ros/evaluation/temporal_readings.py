"""What the pipeline reads in each picture of a video, kept on disk, and smoothed again from there.

The networks run once over a video. Lifting, filters and tracks are quick: each condition of the
temporal benchmark runs them anew on the same readings, changed or not, through the pipeline's own
`PoseReader` and `PoseTracker`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
import hashlib
from pathlib import Path

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.data.files import read_arrays
from infant_pose_ros.data.mini_rgbd import CAMERA, MiniRgbdVideo, SIZE_WH, SPLITS
from infant_pose_ros.data.stills import read_image
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation.predictions import key_of, save_arrays
from infant_pose_ros.filtering.scale import BodyScales
from infant_pose_ros.filtering.tracks import PoseTracker, seen_keypoints, TrackEstimate
from infant_pose_ros.following import MIN_SEEN_KEYPOINTS
from infant_pose_ros.inference import PoseModels
from infant_pose_ros.lifting import PoseLifter
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.reading import Candidate, mean_score, PoseReader
from infant_pose_ros.skeleton import NUM_KEYPOINTS
from infant_pose_ros.structures import Camera, Pose2D, Pose3D

#: Settings that change what is read; those of the filters change it only by the crops' places.
READING_SETTINGS = ('detect_every', 'detection_score_min', 'roi', 'adult_policy',
                    'infant_score_min', 'crop_scale', 'crop_turns', 'keypoint_score_min',
                    'track_score_min')
_READ = {'keypoints_px': (2,), 'score': (), 'covariance_px2': (2, 2), 'noise_px2': (2, 2)}


@dataclass(frozen=True, eq=False)
class Recording:
    """A video's readings and truth over F frames.

    Attributes:
        number: of the video. body_length_m: crown to heel, m; NaN where unknown.
        times_s: (F,) when the pictures were taken, s. stamps_s: (F,) what the filters are told.
        keypoints_px: (F, 16, 2), score: (F, 16), covariance_px2, noise_px2: (F, 16, 2, 2) as
            read, before smoothing; NaN (score 0) where nobody was followed.
        truth_px: (F, 16, 2). truth_m: (F, 16, 3) camera frame.
        camera, size_wh: that took the pictures.
    """

    number: int
    body_length_m: float
    times_s: np.ndarray
    stamps_s: np.ndarray
    keypoints_px: np.ndarray
    score: np.ndarray
    covariance_px2: np.ndarray
    noise_px2: np.ndarray
    truth_px: np.ndarray
    truth_m: np.ndarray
    camera: Camera = CAMERA
    size_wh: tuple[int, int] = SIZE_WH

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def rate_hz(self) -> float:
        """Mean number of frames a second; NaN with fewer than two frames."""
        if len(self) < 2:
            return float('nan')
        return (len(self) - 1) / float(self.times_s[-1] - self.times_s[0])

    def pose(self, index: int) -> Pose2D | None:
        """What was read in a frame; None where nobody was followed."""
        if not np.isfinite(self.keypoints_px[index]).any():
            return None
        return Pose2D(self.keypoints_px[index], self.score[index], self.covariance_px2[index],
                      self.noise_px2[index])

    def part(self, which: np.ndarray) -> Recording:
        """The frames `which` (indices) alone."""
        names = ('times_s', 'stamps_s', 'truth_px', 'truth_m', *_READ)
        return replace(self, **{name: getattr(self, name)[which] for name in names})


@dataclass(frozen=True, eq=False)
class Replay:
    """A recording's tracks: for each of F frames the raw poses and the smoothed one, or None.

    The raw poses have left and right as the track has them.
    """

    poses_2d: list[Pose2D | None] = field(default_factory=list)
    poses_3d: list[Pose3D | None] = field(default_factory=list)
    estimates: list[TrackEstimate | None] = field(default_factory=list)


def open_split(folder: str | Path, split: str) -> list[MiniRgbdVideo]:
    """The videos of a split that are there.

    Raises:
        DatasetError: none is, or one is malformed.
    """
    folders = [Path(folder) / f'{number:02d}' for number in SPLITS[split]]
    videos = [MiniRgbdVideo.open(place) for place in folders if place.is_dir()]
    if not videos:
        raise DatasetError(f'{folder}: expected at least one of the videos '
                           f'{", ".join(place.name for place in folders)}, found none; correct '
                           'the folder or take another --split')
    return videos


def settings_of(video: MiniRgbdVideo, settings: PipelineSettings) -> PipelineSettings:
    """How a video is read: with its infant's own length, and the same whatever the timing."""
    length_m = video.body_length_m
    return settings.replace(
        detect_async=False, smoothing=True, max_infants=1,
        body_length_m=length_m if np.isfinite(length_m) else settings.body_length_m)


def recording_key(video: MiniRgbdVideo, settings: PipelineSettings, models: PoseModels) -> str:
    """sha256 over pictures, labels, networks and settings that a recording hangs on.

    Raises:
        DatasetError: a file of the video can't be read.
    """
    digest = hashlib.sha256()
    for index in range(len(video)):
        for part in ('rgb', 'joints_2Ddep', 'joints_3D'):
            path = video.path(part, index)
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                raise DatasetError(f'{path}: can not be read: {error.strerror}; fetch or render '
                                   'the set again') from error
    return key_of(
        temporal=1, pictures=digest.hexdigest(),
        networks=[asdict(model.manifest) for model in (models.detector, models.pose)],
        settings={name: getattr(settings, name) for name in READING_SETTINGS})


def record(video: MiniRgbdVideo, settings: PipelineSettings, models: PoseModels,
           progress: Callable[[int], object] = lambda count: None,
           frames: int | None = None) -> tuple[Recording, list[TrackEstimate | None]]:
    """Run the pipeline over a video.

    Args:
        settings: from `settings_of`. frames: only so many from the begin.

    Returns:
        The readings, and what the pipeline itself smoothed.

    Raises:
        DatasetError: a file of the video is missing or malformed.
    """
    count = len(video) if frames is None else min(frames, len(video))
    times_s = np.arange(count) / video.rate_hz
    read = {name: np.full((count, NUM_KEYPOINTS, *shape), np.nan)
            for name, shape in _READ.items()}
    read['score'][:] = 0.0
    truth_px, truth_m = np.empty((count, NUM_KEYPOINTS, 2)), np.empty((count, NUM_KEYPOINTS, 3))
    smooth: list[TrackEstimate | None] = []
    with PosePipeline(settings, models) as pipeline:
        for index in range(count):
            frame = video.read(index)
            truth_px[index], truth_m[index] = frame.keypoints_px, frame.keypoints_m
            result = pipeline.process(read_image(frame.image_path), times_s[index], CAMERA)
            infant = result.main_infant
            if infant is not None and infant.raw_2d is not None:
                for name, array in read.items():
                    array[index] = getattr(infant.raw_2d, name)
            smooth.append(infant and TrackEstimate(
                infant.track, infant.smooth_2d, infant.smooth_3d, infant.state, infant.score))
            progress(1)
    return Recording(video.number, video.body_length_m, times_s, times_s, **read,
                     truth_px=truth_px, truth_m=truth_m), smooth


def recorded(video: MiniRgbdVideo, settings: PipelineSettings, models: PoseModels, folder: Path,
             progress: Callable[[int], object] = lambda count: None) -> Recording:
    """`record`, or what an earlier run kept in `folder`.

    Raises:
        DatasetError: as `record`, or the kept file is damaged.
    """
    path = Path(folder) / f'{video.number:02d}-{recording_key(video, settings, models)[:12]}.npz'
    if path.exists():
        progress(len(video))
        return load_recording(path)
    # Sides as the network read them: each replay decides about exchanges itself.
    recording, _ = record(video, settings.replace(swap_patience_s=0.0), models, progress)
    save_recording(recording, path)
    return recording


_STORED = ('number', 'body_length_m', 'times_s', 'truth_px', 'truth_m', *_READ)


def save_recording(recording: Recording, path: Path) -> None:
    """Write a compressed .npz at one stroke."""
    save_arrays(path, **{name: getattr(recording, name) for name in _STORED})


def load_recording(path: Path) -> Recording:
    """Read what `save_recording` wrote.

    Raises:
        DatasetError: the file is missing, damaged or of another form.
    """
    try:
        arrays = read_arrays(path, _STORED)
        numbers = {'number': int(arrays['number']),
                   'body_length_m': float(arrays['body_length_m'])}
    except (ValueError, TypeError) as error:
        raise DatasetError(f'{path}: no readings of `infant-pose evaluate --temporal` ({error}); '
                           'delete the file and evaluate again') from error
    return Recording(**{**arrays, **numbers}, stamps_s=arrays['times_s'])


@dataclass(frozen=True)
class _LifterOnly:
    """What a `PoseReader` needs of the networks to lift, but not to read."""

    lifter: PoseLifter


def replay(recording: Recording, settings: PipelineSettings, lifter: PoseLifter) -> Replay:
    """Lift and smooth a recording's readings frame by frame, as the pipeline does.

    A track begins where the pipeline lets one begin, and ends unseen for `track_max_s`; the
    detector has no say.

    Args:
        settings: of the filters, from `settings_of`. lifter: the network.
    """
    scales = BodyScales(settings)
    reader = PoseReader(_LifterOnly(lifter), settings, recording.size_wh)
    tracker, made = PoseTracker(settings), Replay()
    for index, stamp_s in enumerate(recording.stamps_s):
        tracker.advance(float(stamp_s), recording.size_wh)
        track = tracker.tracks[0] if tracker.tracks else None
        pose = recording.pose(index)
        candidate = Candidate([], track, pose_2d=pose)
        if pose is not None:
            if track is not None:
                candidate.pose_2d = tracker.unswapped({track.id: pose})[track.id]
            reader.lift([candidate], recording.camera, scales)
            if track is None and _can_begin(pose, settings):
                track = tracker.begin(pose, candidate.pose_3d)
        made.poses_2d.append(candidate.pose_2d)
        made.poses_3d.append(candidate.pose_3d)
        made.estimates.append(None if track is None else tracker.correct(
            track.id, candidate.pose_2d, candidate.pose_3d))
        tracker.end_stale()
    return made


def _can_begin(pose: Pose2D, settings: PipelineSettings) -> bool:
    return (mean_score(pose) >= settings.track_score_min
            and seen_keypoints(pose, settings.keypoint_score_min).sum() >= MIN_SEEN_KEYPOINTS)


def raw_arrays(replay: Replay, score_min: float) -> tuple[np.ndarray, np.ndarray]:
    """(F, 16, 2) px and (F, 16, 3) m as read; NaN where a keypoint was not seen."""
    flat = np.full((len(replay.poses_2d), NUM_KEYPOINTS, 2), np.nan)
    deep = np.full((len(replay.poses_2d), NUM_KEYPOINTS, 3), np.nan)
    for index, (pose_2d, pose_3d) in enumerate(zip(replay.poses_2d, replay.poses_3d)):
        if pose_2d is not None:
            seen = seen_keypoints(pose_2d, score_min)
            flat[index, seen] = pose_2d.keypoints_px[seen]
            if pose_3d is not None:
                deep[index, seen] = pose_3d.keypoints_m[seen]
    return flat, deep


def smooth_arrays(estimates: Sequence[TrackEstimate | None]) -> tuple[np.ndarray, np.ndarray]:
    """(F, 16, 2) px and (F, 16, 3) m of smoothed poses; NaN where lost."""
    nothing_px, nothing_m = (np.full((NUM_KEYPOINTS, axes), np.nan) for axes in (2, 3))
    return (np.stack([nothing_px if each is None else each.smooth_2d.keypoints_px
                      for each in estimates]),
            np.stack([nothing_m if each is None else each.smooth_3d.keypoints_m
                      for each in estimates]))
