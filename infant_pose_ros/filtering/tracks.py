"""Tracks: which infant is which from frame to frame, smoothed, predicted, and in the end lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.kalman import KeypointFilterBank
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState
from infant_pose_ros.structures import Pose2D, Pose3D

MAX_TRACK_ID = 65535
#: `acceleration_std_2d` is meant for a picture of this width, px.
REFERENCE_WIDTH_PX = 640.0


def seen_keypoints(pose: Pose2D, score_min: float) -> np.ndarray:
    """(16,) bool: which keypoints have a place and score at least `score_min`."""
    return (pose.score >= score_min) & np.isfinite(pose.keypoints_px).all(axis=1)


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


@dataclass(frozen=True, eq=False)
class TrackEstimate:
    """The smoothed pose of one track in one frame.

    Attributes:
        id: 1..65535.
        smooth_2d, smooth_3d: position and covariance of each keypoint; NaN where lost. 3D can be
            missing, or predicted longer, where only the picture was measured. In 3D `noise_m2`
            is the filter's own covariance, and `covariance_m2` adds the part of the last
            measurement's error that no filter sees.
        state: (16,) uint8 of `TrackState`, of the keypoint in the picture.
        score: (16,) 0..1; a predicted keypoint's falls to half of its last one; 0 where lost.
    """

    id: int
    smooth_2d: Pose2D
    smooth_3d: Pose3D
    state: np.ndarray
    score: np.ndarray


class _Infant:
    """One track's filters and memory."""

    def __init__(self, track_id: int, bank_2d: KeypointFilterBank, bank_3d: KeypointFilterBank):
        self.id = track_id
        self.bank_2d, self.bank_3d = bank_2d, bank_3d
        self.is_absolute = False
        self.is_new = True
        self.unseen_s = 0.0
        self.mean_score = 0.0
        self.last_score = np.zeros(NUM_KEYPOINTS)
        self.held_px = np.full((NUM_KEYPOINTS, 2), np.nan)
        self.bias_m2 = np.zeros((NUM_KEYPOINTS, 3, 3))

    def predict(self, dt_s: float) -> None:
        self.is_new = False
        if dt_s > 0.0:
            self.bank_2d.predict(dt_s)
            self.bank_3d.predict(dt_s)
            self.unseen_s += dt_s
            self.carry()

    def measure(self, pose_2d: Pose2D, pose_3d: Pose3D | None, seen: np.ndarray) -> np.ndarray:
        """Feed the filters; (16,) bool: whose 2D measurement was believed."""
        taken = self.bank_2d.correct(pose_2d.keypoints_px, pose_2d.covariance_px2, seen)
        if pose_3d is not None:
            if pose_3d.is_absolute != self.is_absolute:
                self.bank_3d.reset(np.ones(NUM_KEYPOINTS, bool))
                self.is_absolute = pose_3d.is_absolute
            taken_3d = self.bank_3d.correct(pose_3d.keypoints_m, pose_3d.noise_m2, seen)
            self.bias_m2 = np.where(taken_3d[:, None, None],
                                    pose_3d.covariance_m2 - pose_3d.noise_m2, self.bias_m2)
        scores = np.nan_to_num(pose_2d.score)
        self.mean_score = float(scores.mean())
        self.last_score = np.where(taken, scores, self.last_score)
        if taken.any():
            self.unseen_s = 0.0
        return taken

    def lose(self, predict_max_s: float) -> None:
        """Put keypoints to sleep that were not seen for longer."""
        lost_2d = self.bank_2d.unseen_s > predict_max_s
        self.bank_2d.reset(lost_2d)
        self.bank_3d.reset(lost_2d | (self.bank_3d.unseen_s > predict_max_s))

    def restart(self) -> None:
        """Put every filter to sleep, as in a new track."""
        everything = np.ones(NUM_KEYPOINTS, bool)
        self.bank_2d.reset(everything)
        self.bank_3d.reset(everything)

    def carry(self) -> None:
        """Bring the held positions up to date; lost ones move along with the others."""
        now = self.bank_2d.positions
        alive = np.isfinite(now[:, 0])
        both = alive & np.isfinite(self.held_px[:, 0])
        moved = np.median(now[both] - self.held_px[both], axis=0) if both.any() else 0.0
        self.held_px = np.where(alive[:, None], now, self.held_px + moved)

    def snapshot(self) -> Track:
        return Track(self.id, self.held_px.copy(), self.bank_2d.covariances,
                     box_around(self.held_px), self.mean_score, self.unseen_s)


class PoseTracker:
    """All tracks of one camera; time comes only from the stamps that it is given.

    Each frame: `advance` to its stamp, then `begin` and `correct` tracks, then `end_stale`.
    """

    def __init__(self, settings: PipelineSettings):
        """Make a tracker without tracks."""
        self._settings = settings
        self._infants: dict[int, _Infant] = {}
        self._last_id = 0
        self._stamp_s: float | None = None
        self._size_wh: tuple[int, int] | None = None

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The living tracks, oldest first."""
        return tuple(infant.snapshot() for infant in self._infants.values())

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
        if must_reset:
            self._infants.clear()
        for infant in self._infants.values():
            infant.predict(dt_s)
        return must_reset

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
        gate_sigma = self._settings.gate_sigma
        infant = _Infant(
            self._next_id() if track_id is None else track_id,
            KeypointFilterBank(2, self._acceleration_std_2d(), gate_sigma),
            KeypointFilterBank(3, self._settings.acceleration_std_3d, gate_sigma))
        infant.held_px = np.where(finite[:, None], pose_2d.keypoints_px, np.nan)
        infant.measure(pose_2d, pose_3d, self._seen(pose_2d))
        infant.carry()
        self._infants[infant.id] = infant
        return infant.snapshot()

    def correct(self, track_id: int, pose_2d: Pose2D | None, pose_3d: Pose3D | None
                ) -> TrackEstimate:
        """Take this frame's pose into a track and tell the smoothed one.

        A keypoint that scores less than `keypoint_score_min`, is NaN or lies outside the gate is
        not measured: it is predicted for `predict_max_s` and then lost. Without `smoothing` the
        given poses are passed on, less the keypoints that were not seen.

        Args:
            track_id: one of `tracks`.
            pose_2d: None when nothing was estimated in this frame.
            pose_3d: None when the pose was not lifted; needs `pose_2d` for its scores.

        Raises:
            InvalidInputError: there is no such track, or a 3D pose comes without its 2D pose.
        """
        infant = self._infant(track_id)
        if pose_2d is None and pose_3d is not None:
            raise InvalidInputError('pose_3d: needs pose_2d, whose scores say what was seen')
        taken = seen = np.zeros(NUM_KEYPOINTS, bool)
        if pose_2d is not None:
            if infant.is_new:
                infant.restart()
            seen = self._seen(pose_2d)
            taken = infant.measure(pose_2d, pose_3d, seen)
        infant.lose(self._settings.predict_max_s)
        infant.carry()
        if not self._settings.smoothing:
            return _raw_estimate(infant, pose_2d, pose_3d, seen)
        return _smooth_estimate(infant, taken, self._settings.predict_max_s)

    def end(self, track_id: int) -> None:
        """End a track; its id is not given out again before all others were.

        Raises:
            InvalidInputError: there is no such track.
        """
        self._infant(track_id)
        del self._infants[track_id]

    def end_stale(self) -> list[int]:
        """End the tracks with no keypoint seen for longer than `track_max_s`; their ids."""
        ended = [infant.id for infant in self._infants.values()
                 if infant.unseen_s > self._settings.track_max_s]
        for track_id in ended:
            self.end(track_id)
        return ended

    def reset(self) -> None:
        """End all tracks and forget the time; ids go on counting."""
        self._infants.clear()
        self._stamp_s = self._size_wh = None

    def update_settings(self, settings: PipelineSettings) -> None:
        """Take new settings, for running tracks too."""
        self._settings = settings
        for infant in self._infants.values():
            infant.bank_2d.configure(self._acceleration_std_2d(), settings.gate_sigma)
            infant.bank_3d.configure(settings.acceleration_std_3d, settings.gate_sigma)

    def _acceleration_std_2d(self) -> float:
        return self._settings.acceleration_std_2d * self._size_wh[0] / REFERENCE_WIDTH_PX

    def _seen(self, pose_2d: Pose2D) -> np.ndarray:
        return seen_keypoints(pose_2d, self._settings.keypoint_score_min)

    def _infant(self, track_id: int) -> _Infant:
        if track_id not in self._infants:
            raise InvalidInputError(
                f'track_id: no track {track_id}; living: {sorted(self._infants) or "none"}')
        return self._infants[track_id]

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % MAX_TRACK_ID + 1
            if self._last_id not in self._infants:
                return self._last_id


def _smooth_estimate(infant: _Infant, taken: np.ndarray, predict_max_s: float) -> TrackEstimate:
    """The filters' pose; a keypoint of `taken` (16,) was measured in this frame."""
    points_px, unseen_s = infant.bank_2d.positions, infant.bank_2d.unseen_s
    lost = np.isnan(points_px[:, 0])
    state = np.where(lost, TrackState.LOST, np.where(
        taken, TrackState.MEASURED, TrackState.PREDICTED)).astype(np.uint8)
    fade = 1.0 - 0.5 * np.minimum(unseen_s / max(predict_max_s, 1e-9), 1.0)
    score = np.where(lost, 0.0, infant.last_score * fade)
    spread_m2 = infant.bank_3d.covariances
    return TrackEstimate(
        infant.id, Pose2D(points_px, score, infant.bank_2d.covariances),
        Pose3D(infant.bank_3d.positions, spread_m2 + infant.bias_m2, infant.is_absolute,
               spread_m2),
        state, score)


def _raw_estimate(infant: _Infant, pose_2d: Pose2D | None, pose_3d: Pose3D | None,
                  seen: np.ndarray) -> TrackEstimate:
    """The pose of this frame as it came, less what was not `seen` (16,)."""
    no_points = np.full((NUM_KEYPOINTS, 3), np.nan)
    no_covariances = np.full((NUM_KEYPOINTS, 3, 3), np.nan)
    flat, deep = seen[:, None], seen[:, None, None]
    if pose_2d is None:
        pose_2d = Pose2D(no_points[:, :2], np.zeros(NUM_KEYPOINTS), no_covariances[:, :2, :2])
    if pose_3d is None:
        pose_3d = Pose3D(no_points, no_covariances, infant.is_absolute)
    score = np.where(seen, pose_2d.score, 0.0)
    return TrackEstimate(
        infant.id,
        Pose2D(np.where(flat, pose_2d.keypoints_px, np.nan), score,
               np.where(deep, pose_2d.covariance_px2, np.nan)),
        Pose3D(np.where(flat, pose_3d.keypoints_m, np.nan),
               np.where(deep, pose_3d.covariance_m2, np.nan), pose_3d.is_absolute,
               np.where(deep, pose_3d.noise_m2, np.nan)),
        np.where(seen, TrackState.MEASURED, TrackState.LOST).astype(np.uint8), score)
