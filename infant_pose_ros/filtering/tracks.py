"""Tracks: which infant is which from frame to frame, smoothed, predicted, and in the end lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.bones import BoneMemory
from infant_pose_ros.filtering.estimates import (
    faded_scores,
    raw_estimate,
    reordered,
    track_states,
    TrackEstimate,
)
from infant_pose_ros.filtering.filters import PoseFilters, RawPose
from infant_pose_ros.filtering.swaps import SwapWatch
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.skeleton import NUM_KEYPOINTS
from infant_pose_ros.structures import Pose2D, Pose3D

MAX_TRACK_ID = 65535
_NOTHING: RawPose = (None, None)
_AS_READ = np.arange(NUM_KEYPOINTS)


def seen_keypoints(pose: Pose2D, score_min: float | np.ndarray) -> np.ndarray:
    """(16,) bool: which keypoints have a place and score at least `score_min`."""
    return (pose.score >= score_min) & np.isfinite(pose.keypoints_px).all(axis=1)


def seen_again(pose: Pose2D, was_seen: np.ndarray, settings: PipelineSettings) -> np.ndarray:
    """As `seen_keypoints`; what was not seen (16,) last time must score a little more."""
    score_min = settings.keypoint_score_min
    again = min(score_min + settings.keypoint_score_hysteresis, 1.0)
    return seen_keypoints(pose, np.where(was_seen, score_min, again))


@dataclass(frozen=True, eq=False)
class Track:
    """Where a track's infant is thought to be at the stamp of the last `advance`.

    Attributes:
        id: 1..65535.
        keypoints_px: (16, 2) frame px, for cropping: the filter's position; where a keypoint is
            lost, its last position carried along with the others; NaN where it never had one.
        covariance_px2: (16, 2, 2) px^2; NaN where the keypoint is lost.
        box_xyxy: (4,) frame px, around `keypoints_px`.
        score: mean keypoint score of the last pose, 0..1.
        unseen_s: seconds since a keypoint was last measured.
    """

    id: int
    keypoints_px: np.ndarray
    covariance_px2: np.ndarray
    box_xyxy: np.ndarray
    score: float
    unseen_s: float


@dataclass(eq=False)
class _Infant:
    """What is remembered of one track beside its filters."""

    id: int
    is_new: bool = True
    unseen_s: float = 0.0
    mean_score: float = 0.0
    last_score: np.ndarray = field(default_factory=lambda: np.zeros(NUM_KEYPOINTS))
    was_seen: np.ndarray = field(default_factory=lambda: np.ones(NUM_KEYPOINTS, bool))
    held_px: np.ndarray = field(default_factory=lambda: np.full((NUM_KEYPOINTS, 2), np.nan))

    def predict(self, dt_s: float) -> None:
        self.is_new = False
        self.unseen_s += dt_s

    def scored(self, pose_2d: Pose2D, taken: np.ndarray) -> None:
        """Remember the scores of a pose, of which (16,) `taken` was believed."""
        scores = np.where(np.isfinite(pose_2d.score), pose_2d.score, 0.0)
        self.mean_score = float(scores.mean())
        self.last_score = np.where(taken, scores, self.last_score)
        if taken.any():
            self.unseen_s = 0.0

    def carry(self, now_px: np.ndarray) -> None:
        """Bring the held positions up to date; lost ones move along with the others."""
        alive = np.isfinite(now_px[:, 0])
        if alive.all():
            self.held_px = now_px
            return
        both = alive & np.isfinite(self.held_px[:, 0])
        moved = np.median(now_px[both] - self.held_px[both], axis=0) if both.any() else 0.0
        self.held_px = np.where(alive[:, None], now_px, self.held_px + moved)

    def reorder(self, order: np.ndarray) -> None:
        """Keypoint k becomes what `order[k]` (16,) was."""
        for name in ('last_score', 'was_seen', 'held_px'):
            setattr(self, name, getattr(self, name)[order])


class PoseTracker:
    """All tracks of one camera; time comes only from the stamps that it is given.

    Each frame: `advance` to its stamp; `unswapped` readings of the tracks; `begin` new ones and
    `correct_all`; then `end_stale`.
    """

    def __init__(self, settings: PipelineSettings):
        """Make a tracker without tracks."""
        self._settings = settings
        self._infants: list[_Infant] = []
        self._filters: PoseFilters | None = None
        self._swaps = SwapWatch(settings.swap_patience_s)
        self._bones = BoneMemory()
        self._last_id = 0
        self._stamp_s: float | None = None
        self._size_wh: tuple[int, int] | None = None

    @property
    def ids(self) -> list[int]:
        """Of the living tracks, oldest first; quicker than `tracks` where no more is asked."""
        return [infant.id for infant in self._infants]

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The living tracks, oldest first."""
        if not self._infants:
            return ()
        covariances = self._filters.picture.covariances
        return tuple(Track(infant.id, infant.held_px.copy(), covariances[row],
                           box_around(infant.held_px), infant.mean_score, infant.unseen_s)
                     for row, infant in enumerate(self._infants))

    def advance(self, stamp_s: float, size_wh: tuple[int, int]) -> bool:
        """Predict every track to a frame's stamp.

        Args:
            stamp_s: capture time, s; the same stamp again changes nothing.
            size_wh: width and height of the picture, px.

        Returns:
            True when all tracks were ended because the stamp went back or on by more than
            `gap_reset_s`, or because the picture's size changed.

        Raises:
            InvalidInputError: a value is not finite, or the size not positive.
        """
        width, height = size_wh
        if not np.isfinite(stamp_s):
            raise InvalidInputError(f'stamp_s: expected finite seconds, got {stamp_s}')
        if not (width > 0 and height > 0):
            raise InvalidInputError(f'size_wh: expected positive pixels, got {width}x{height}')
        dt_s = 0.0 if self._stamp_s is None else stamp_s - self._stamp_s
        must_reset = (dt_s < 0.0 or dt_s > self._settings.gap_reset_s
                      or self._size_wh not in (None, (width, height)))
        self._stamp_s, self._size_wh = stamp_s, (width, height)
        if must_reset or self._filters is None:
            self._forget_tracks()
            self._filters = PoseFilters(self._settings, width)
        elif dt_s > 0.0:
            self._filters.predict(dt_s)
            for infant, now_px in zip(self._infants, self._filters.picture.positions):
                infant.predict(dt_s)
                infant.carry(now_px)
        return must_reset

    def unswapped(self, poses: Mapping[int, Pose2D]) -> dict[int, Pose2D]:
        """Readings with left and right as their tracks have them.

        To be asked once a frame, before the readings are lifted. A track whose readings insist
        on the other side for `swap_patience_s` gives in: it is exchanged instead.

        Args:
            poses: track id -> its reading of this frame.

        Raises:
            InvalidInputError: there is no such track.
        """
        rows = [self._row(track_id) for track_id in poses]
        if not (self._settings.swap_patience_s > 0.0 and rows):
            return dict(poses)
        readings = list(poses.values())
        seen = np.stack([self._seen(self._infants[row], pose)
                         for row, pose in zip(rows, readings)])
        verdict = self._swaps.look(
            list(poses), self._stamp_s, self._filters.picture.positions[rows],
            self._filters.picture.covariances[rows],
            np.stack([pose.keypoints_px for pose in readings]),
            np.stack([pose.noise_px2 for pose in readings]), seen)
        for row, order in zip(rows, verdict.track_order):
            if (order != _AS_READ).any():
                self._filters.reorder(row, order)
                self._infants[row].reorder(order)
        return {track_id: reordered(pose, order) if (order != _AS_READ).any() else pose
                for (track_id, pose), order in zip(poses.items(), verdict.order)}

    def begin(self, pose_2d: Pose2D, pose_3d: Pose3D | None,
              track_id: int | None = None) -> Track:
        """Begin a track at its first pose.

        A `correct` with the same poses before the next `advance` is allowed, and gives the
        estimate without counting them twice.

        Args:
            pose_2d, pose_3d: of this frame.
            track_id: of an infant that is back; a track of this id ends. None takes a new one.

        Raises:
            InvalidInputError: no `advance` came before, or fewer than 2 keypoints are finite.
        """
        if self._size_wh is None:
            raise InvalidInputError('begin: no stamp yet; call advance(stamp_s, size_wh) first')
        finite = np.isfinite(pose_2d.keypoints_px).all(axis=1)
        if finite.sum() < 2:
            raise InvalidInputError(
                f'keypoints_px: a track needs 2 finite keypoints to begin, got {finite.sum()}')
        if track_id in self.ids:
            self.end(track_id)
        infant = _Infant(self._next_id() if track_id is None else track_id)
        infant.held_px = np.where(finite[:, None], pose_2d.keypoints_px, np.nan)
        self._infants.append(infant)
        row = self._filters.add_row()
        self._measure({infant.id: (pose_2d, pose_3d)}, [row])
        return self.tracks[row]

    def correct_all(self, poses: Mapping[int, RawPose]) -> dict[int, TrackEstimate]:
        """Take this frame's poses into all tracks, in one step, and tell the smoothed ones.

        A keypoint that scores less than `keypoint_score_min` (a little more, where it was not
        seen in the frame before), is NaN or lies outside the gate is not measured: it is
        predicted for `predict_max_s` and then lost. Without `smoothing` the given poses are
        passed on, less the keypoints that were not seen.

        Args:
            poses: track id -> its pose in the picture (None when nothing was estimated in this
                frame) and in space (None when it was not lifted; needs the former, for its
                scores). A track that is left out has neither.

        Returns:
            Track id -> its estimate, for all tracks.

        Raises:
            InvalidInputError: there is no such track, or a 3D pose comes without its 2D pose.
        """
        for track_id in poses:
            self._row(track_id)
        return self._corrected(poses, list(range(len(self._infants))))

    def correct(self, track_id: int, pose_2d: Pose2D | None, pose_3d: Pose3D | None
                ) -> TrackEstimate:
        """As `correct_all`, for one track; the others are left alone."""
        poses = {track_id: (pose_2d, pose_3d)}
        return self._corrected(poses, [self._row(track_id)])[track_id]

    def end(self, track_id: int) -> None:
        """End a track; its id is not given out again before all others were.

        Raises:
            InvalidInputError: there is no such track.
        """
        row = self._row(track_id)
        del self._infants[row]
        self._filters.remove_row(row)
        self._swaps.forget([track_id])
        self._bones.forget([track_id])

    def end_stale(self) -> list[int]:
        """End the tracks with no keypoint seen for longer than `track_max_s`; their ids."""
        ended = [infant.id for infant in self._infants
                 if infant.unseen_s > self._settings.track_max_s]
        for track_id in ended:
            self.end(track_id)
        return ended

    def reset(self) -> None:
        """End all tracks and forget the time; ids go on counting."""
        self._forget_tracks()
        self._filters = self._stamp_s = self._size_wh = None

    def update_settings(self, settings: PipelineSettings) -> None:
        """Take new settings, for running tracks too."""
        self._settings = settings
        self._swaps.patience_s = settings.swap_patience_s
        if not settings.swap_patience_s > 0.0:
            self._swaps.forget(self.ids)
        if self._filters is not None:
            self._filters.configure(settings, self._size_wh[0])

    # Inside

    def _corrected(self, poses: Mapping[int, RawPose], rows: list[int]
                   ) -> dict[int, TrackEstimate]:
        for pose_2d, pose_3d in poses.values():
            if pose_2d is None and pose_3d is not None:
                raise InvalidInputError('pose_3d: needs pose_2d, whose scores say what was seen')
        for row in rows:
            if self._infants[row].is_new and poses.get(self._infants[row].id, _NOTHING)[0]:
                self._filters.reset_row(row)
                self._bones.forget([self._infants[row].id])
        seen, taken = self._measure(poses, rows)
        if not rows:
            return {}
        if not self._settings.smoothing:
            return {self._infants[row].id: raw_estimate(
                self._infants[row].id, *poses.get(self._infants[row].id, _NOTHING), seen[row],
                bool(self._filters.is_absolute[row])) for row in rows}
        return self._smooth_estimates(taken, rows)

    def _bone_lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """(N, 15) lengths and standard deviations to pull the bones to; NaN leaves them."""
        stiffness = self._settings.bone_stiffness
        lengths_m, std_m = self._bones.lengths(self.ids)
        return lengths_m, std_m / stiffness if stiffness else np.full(std_m.shape, np.nan)

    def _measure(self, poses: Mapping[int, RawPose], rows: list[int]
                 ) -> tuple[np.ndarray, np.ndarray]:
        """Feed the filters of some rows; (N, 16) bool each: what was seen, and believed."""
        ordered = [poses.get(infant.id, _NOTHING) for infant in self._infants]
        seen = np.stack([np.zeros(NUM_KEYPOINTS, bool) if pose_2d is None
                         else self._seen(infant, pose_2d)
                         for infant, (pose_2d, _) in zip(self._infants, ordered)]
                        ) if ordered else np.zeros((0, NUM_KEYPOINTS), bool)
        which = np.zeros(len(self._infants), bool)
        which[rows] = True
        taken = self._filters.correct(ordered, seen, which)
        self._filters.lose(self._settings.predict_max_s)
        now_px = self._filters.picture.positions
        for row in rows:
            infant, (pose_2d, _) = self._infants[row], ordered[row]
            if pose_2d is not None:
                infant.scored(pose_2d, taken[row])
                infant.was_seen = seen[row]
            infant.carry(now_px[row])
        lifted = [row for row in rows if ordered[row][1] is not None]
        if lifted:
            self._bones.observe(
                [self._infants[row].id for row in lifted], self._stamp_s,
                np.stack([ordered[row][1].keypoints_m for row in lifted]),
                np.where(seen[lifted], np.stack([ordered[row][0].score for row in lifted]), 0.0))
        return seen, taken

    def _seen(self, infant: _Infant, pose_2d: Pose2D) -> np.ndarray:
        """(16,) bool: what to believe; what was not seen last time must score a little more."""
        return seen_again(pose_2d, infant.was_seen, self._settings)

    def _smooth_estimates(self, taken: np.ndarray, rows: list[int]) -> dict[int, TrackEstimate]:
        """The filters' poses; keypoints of `taken` (N, 16) were measured in this frame."""
        states = track_states(self._filters.picture.positions, taken)
        scores = faded_scores(np.stack([infant.last_score for infant in self._infants]),
                              self._filters.picture.unseen_s, states, self._settings)
        in_picture = self._filters.calm_picture(scores)
        in_space = self._filters.calm_space(*self._bone_lengths())
        return {self._infants[row].id: TrackEstimate(
            self._infants[row].id, in_picture[row], in_space[row], states[row], scores[row])
            for row in rows}

    def _forget_tracks(self) -> None:
        for infant in tuple(self._infants):
            self.end(infant.id)

    def _row(self, track_id: int) -> int:
        if track_id not in self.ids:
            raise InvalidInputError(
                f'track_id: no track {track_id}; living: {sorted(self.ids) or "none"}')
        return self.ids.index(track_id)

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % MAX_TRACK_ID + 1
            if self._last_id not in self.ids:
                return self._last_id
