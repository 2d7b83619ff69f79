"""Recordings of poses, kept small, and smoothed track by track once they are complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infant_pose_ros.codecs.keypoint_clouds import empty_rows, fill_row
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.recorded_noise import RawPose, reader_of_rows
from infant_pose_ros.filtering.smoothing import smooth_track
from infant_pose_ros.filtering.tracks import TrackEstimate
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState
from infant_pose_ros.structures import Pose2D, Pose3D

#: A longer track is smoothed in pieces of so many frames, so that memory stays small ...
PIECE_FRAMES = 3000
#: ... each with so many frames of its neighbours on either side, which are then left out. What
#: lies further away than that has no weight left in a smoother whose memory is under a second.
OVERLAP_FRAMES = 300

_PAIR, _TRIPLE = np.triu_indices(2), np.triu_indices(3)
_PARTS = (('px', 2), ('score', 1), ('covariance_px2', 3), ('noise_px2', 3), ('m', 3),
          ('covariance_m2', 6), ('noise_m2', 6))
_PACKED = np.dtype([(name, '<f4', (NUM_KEYPOINTS, width)) for name, width in _PARTS]
                   + [('has_px', '?'), ('has_m', '?'), ('is_absolute', '?')])


@dataclass(frozen=True)
class Span:
    """Frames `first` to `last` (inclusive) in which a track was followed without a break."""

    track: int
    first: int
    last: int


def track_spans(stamps_s: Sequence[float], tracks: Sequence[Sequence[int]],
                gap_reset_s: float) -> list[Span]:
    """Where each track begins and ends.

    Args:
        stamps_s: (F,) of the frames.
        tracks: ids in each frame.
        gap_reset_s: stamps that go back, or on by more than this, end all tracks: an id that
            comes again afterwards is another infant's.
    """
    steps_s = np.diff(np.asarray(stamps_s, dtype=float), prepend=stamps_s[:1])
    takes = np.cumsum((steps_s < 0.0) | (steps_s > gap_reset_s))
    ends: dict[tuple[int, int], list[int]] = {}
    for index, ids in enumerate(tracks):
        for track in ids:
            ends.setdefault((int(takes[index]), int(track)), [index, index])[1] = index
    return [Span(track, first, last) for (_, track), (first, last) in ends.items()]


def smooth_span(stamps_s: Sequence[float], pose_at: Callable[[int], RawPose],
                size_wh: tuple[int, int], settings: PipelineSettings) -> Iterator[TrackEstimate]:
    """Smooth one track of any length; memory doesn't grow with it.

    A frame with the stamp of the one before it gets that one's estimate.

    Args:
        stamps_s: (F,) of the track's frames, never falling.
        pose_at: the raw pose of frame 0 .. F - 1 of the track; (None, None) where there is none.
        size_wh: of the picture, px.

    Returns:
        One estimate a frame.
    """
    stamps_s = np.asarray(stamps_s, dtype=float)
    own = np.unique(stamps_s, return_index=True)[1]
    count, repeats = len(own), np.diff(own, append=len(stamps_s))
    for first in range(0, count, PIECE_FRAMES):
        last = min(first + PIECE_FRAMES, count)
        begin, end = max(first - OVERLAP_FRAMES, 0), min(last + OVERLAP_FRAMES, count)
        poses = [pose_at(int(index)) for index in own[begin:end]]
        estimates = smooth_track(stamps_s[own[begin:end]], [flat for flat, _ in poses],
                                 [deep for _, deep in poses], size_wh, settings)
        for index in range(first, last):
            yield from [estimates[index - begin]] * repeats[index]


def smoothed_row(estimate: TrackEstimate, track: int) -> np.ndarray:
    """(1, 16) of `KEYPOINT_DTYPE`; (0, 16) where all keypoints are lost."""
    if (estimate.state == TrackState.LOST).all():
        return empty_rows(0)
    row = empty_rows(1)
    fill_row(row[0], track, estimate.smooth_2d, estimate.smooth_3d, estimate.score,
             estimate.state)
    return row


class PoseRecording:
    """The raw poses of a whole recording; then the smoothed ones.

    An infant's pose takes 1.6 kB a frame, and 0.6 kB more once it is smoothed.
    """

    def __init__(self):
        self._stamps_s: list[float] = []
        self._sizes: list[tuple[int, int]] = []
        self._main: list[int] = []
        self._raw: list[dict[int, np.ndarray]] = []
        self._smoothed: list[list[np.ndarray]] = []

    def __len__(self) -> int:
        return len(self._stamps_s)

    def add(self, stamp_s: float, size_wh: tuple[int, int], poses: Mapping[int, RawPose],
            main_track: int = 0) -> None:
        """Take the next frame in.

        Args:
            stamp_s: its stamp, s.
            size_wh: of the picture, px.
            poses: raw poses by track.
            main_track: whose infant comes first in the rows; 0 for none.
        """
        self._stamps_s.append(float(stamp_s))
        self._sizes.append(tuple(size_wh))
        self._main.append(main_track)
        self._raw.append({track: _packed(*pose) for track, pose in poses.items()})

    def track_frames(self, gap_reset_s: float) -> int:
        """Frames of all tracks together: how much there is to smooth."""
        return sum(span.last - span.first + 1
                   for span in track_spans(self._stamps_s, self._raw, gap_reset_s))

    def smooth(self, settings: PipelineSettings,
               report: Callable[[int], object] = lambda frames: None) -> None:
        """Smooth every track on its own.

        Args:
            report: called with the number of a track's frames after each is done.
        """
        self._smoothed = [[] for _ in self._raw]
        for span in track_spans(self._stamps_s, self._raw, settings.gap_reset_s):
            frames = range(span.first, span.last + 1)

            def pose_at(index: int, span: Span = span) -> RawPose:
                packed = self._raw[span.first + index].get(span.track)
                return (None, None) if packed is None else _unpacked(packed)

            estimates = smooth_span(self._stamps_s[span.first:span.last + 1], pose_at,
                                    self._sizes[span.first], settings)
            for index, estimate in zip(frames, estimates):
                row = smoothed_row(estimate, span.track)
                if len(row):
                    self._smoothed[index].append(row)
            report(len(frames))

    def smoothed(self, index: int) -> np.ndarray:
        """(N, 16) of `KEYPOINT_DTYPE`: frame `index` after smoothing, the main infant first."""
        rows = self._smoothed[index]
        rows = sorted(rows, key=lambda row: row['track'][0, 0] != self._main[index])
        return np.concatenate(rows) if rows else empty_rows(0)

    def raw(self, index: int) -> np.ndarray:
        """(N, 16) of `KEYPOINT_DTYPE`: frame `index` as it was read, the main infant first."""
        poses = self._raw[index]
        tracks = sorted(poses, key=lambda track: track != self._main[index])
        rows = empty_rows(len(tracks))
        for row, track in zip(rows, tracks):
            fill_row(row, track, *_unpacked(poses[track]))
        return rows


def smooth_rows(stamps_s: Sequence[float], frames: Sequence[np.ndarray],
                size_wh: tuple[int, int], settings: PipelineSettings,
                report: Callable[[int], object] = lambda frames: None) -> list[np.ndarray]:
    """Smooth recorded raw keypoints, every track on its own.

    Their noise is told from the recording: `recorded_noise` says how.

    Args:
        stamps_s: (F,) of the frames, in the order of recording.
        frames: (N, 16) of `KEYPOINT_DTYPE` for each frame.
        size_wh: of the picture, px.
        report: called with the number of a track's frames after each is done.

    Returns:
        (N, 16) for each frame, in the order of the raw ones; an infant that is bridged where
        it was not read stands last.
    """
    tracks = [[int(row['track'][0]) for row in rows] for rows in frames]
    smoothed: list[dict[int, np.ndarray]] = [{} for _ in frames]
    for span in track_spans(stamps_s, tracks, settings.gap_reset_s):
        own_stamps_s = np.asarray(stamps_s[span.first:span.last + 1], dtype=float)
        rows = empty_rows(len(own_stamps_s))
        for index, place in enumerate(range(span.first, span.last + 1)):
            if span.track in tracks[place]:
                rows[index] = frames[place][tracks[place].index(span.track)]
        for place, estimate in zip(range(span.first, span.last + 1), smooth_span(
                own_stamps_s, reader_of_rows(own_stamps_s, rows, size_wh[0]), size_wh,
                settings)):
            smoothed[place][span.track] = smoothed_row(estimate, span.track)
        report(len(rows))
    return [np.concatenate([empty_rows(0), *(found.pop(track) for track in order),
                            *found.values()]) for order, found in zip(tracks, smoothed)]


def _packed(pose_2d: Pose2D | None, pose_3d: Pose3D | None) -> np.ndarray:
    """A () array of `_PACKED`; NaN for what isn't there."""
    packed = np.zeros((), _PACKED)
    for name, _ in _PARTS:
        packed[name] = np.nan
    packed['has_px'], packed['has_m'] = pose_2d is not None, pose_3d is not None
    if pose_2d is not None:
        packed['px'], packed['score'] = pose_2d.keypoints_px, pose_2d.score[:, None]
        packed['covariance_px2'] = pose_2d.covariance_px2[:, _PAIR[0], _PAIR[1]]
        packed['noise_px2'] = pose_2d.noise_px2[:, _PAIR[0], _PAIR[1]]
    if pose_3d is not None:
        packed['m'], packed['is_absolute'] = pose_3d.keypoints_m, pose_3d.is_absolute
        packed['covariance_m2'] = pose_3d.covariance_m2[:, _TRIPLE[0], _TRIPLE[1]]
        packed['noise_m2'] = pose_3d.noise_m2[:, _TRIPLE[0], _TRIPLE[1]]
    return packed


def _unpacked(packed: np.ndarray) -> RawPose:
    pose_2d = pose_3d = None
    if packed['has_px']:
        pose_2d = Pose2D(packed['px'], packed['score'][:, 0],
                         _symmetric(packed['covariance_px2'], _PAIR),
                         _symmetric(packed['noise_px2'], _PAIR))
    if packed['has_m']:
        pose_3d = Pose3D(packed['m'], _symmetric(packed['covariance_m2'], _TRIPLE),
                         bool(packed['is_absolute']), _symmetric(packed['noise_m2'], _TRIPLE))
    return pose_2d, pose_3d


def _symmetric(upper: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(16, D, D) of the (16, D (D + 1) / 2) numbers on and above the diagonals."""
    size = int(places[0].max()) + 1
    full = np.zeros((len(upper), size, size))
    full[:, places[0], places[1]] = upper
    full[:, places[1], places[0]] = upper
    return full
