"""Smoothing of recordings: every pose told from all frames, those to come too.

The filters of `bank` run forward over a track, and the smoother of Rauch, Tung and Striebel
(1965) runs back over what they believed:

    C = P F' P-^-1,  x_s = x + C (x_s' - x-'),  P_s = P + C (P_s' - P-') C'

with x, P a frame's filtered state, x-', P-' the next frame's predicted one and ' the next
frame's. Nothing lags, and a gap is bridged from both of its sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.bank import KalmanBank, Moments
from infant_pose_ros.filtering.bones import BoneMemory
from infant_pose_ros.filtering.estimates import (
    faded_scores,
    reordered,
    track_states,
    TrackEstimate,
)
from infant_pose_ros.filtering.filters import (
    picture_poses,
    PoseFilters,
    space_poses,
    Unseen,
)
from infant_pose_ros.filtering.motion import motion_model
from infant_pose_ros.filtering.swaps import SwapWatch
from infant_pose_ros.filtering.tracks import seen_again
from infant_pose_ros.skeleton import NUM_KEYPOINTS, ROOT
from infant_pose_ros.structures import Pose2D, Pose3D

_TRACK = 1


@dataclass(eq=False)
class Pass:
    """What one bank knew in each of F frames of a track of K keypoints.

    Attributes:
        steps_s: (F,) seconds since the frame before.
        means, covariances: (F, K, 2 D), (F, K, 2 D, 2 D) filtered states; NaN where asleep.
        prior_means, prior_covariances: predicted ones, before the frame's measurement.
        began: (F, K) bool: filters that were begun, or moved to another place.
    """

    steps_s: list[float] = field(default_factory=list)
    means: list[np.ndarray] = field(default_factory=list)
    covariances: list[np.ndarray] = field(default_factory=list)
    prior_means: list[np.ndarray] = field(default_factory=list)
    prior_covariances: list[np.ndarray] = field(default_factory=list)
    began: list[np.ndarray] = field(default_factory=list)

    def note(self, step_s: float, bank: KalmanBank) -> None:
        """Keep the state of a bank of one row after its `correct`."""
        now: Moments = bank.moments
        self.steps_s.append(step_s)
        for kept, state in ((self.means, now.mean), (self.covariances, now.covariance),
                            (self.prior_means, bank.prior.mean),
                            (self.prior_covariances, bank.prior.covariance),
                            (self.began, bank.began)):
            kept.append(state[0])

    def smoothed(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (F, K, D) and covariances (F, K, D, D); NaN where asleep."""
        means, covariances = np.array(self.means), np.array(self.covariances)
        size = means.shape[-1]
        for frame in range(len(means) - 2, -1, -1):
            follows = frame + 1
            linked = (np.isfinite(means[frame]).all(axis=-1) & ~self.began[follows]
                      & np.isfinite(self.prior_means[follows]).all(axis=-1)
                      & np.isfinite(means[follows]).all(axis=-1))
            if not linked.any():
                continue
            transition, _ = motion_model(size // 2, self.steps_s[follows], 0.0)
            prior = self.prior_covariances[follows][linked]
            gain = covariances[frame, linked] @ transition.T @ np.linalg.inv(prior)
            means[frame, linked] += (gain @ (
                means[follows, linked] - self.prior_means[follows][linked])[..., None])[..., 0]
            covariances[frame, linked] += (
                gain @ (covariances[follows, linked] - prior) @ gain.swapaxes(-1, -2))
        half = size // 2
        return means[..., :half], covariances[..., :half, :half]


@dataclass(eq=False)
class _Forward:
    """The forward run over one track."""

    settings: PipelineSettings
    width_px: float
    filters: PoseFilters = field(init=False)
    swaps: SwapWatch = field(init=False)
    bones: BoneMemory = field(default_factory=BoneMemory)
    picture: Pass = field(default_factory=Pass)
    space: Pass = field(default_factory=Pass)
    unseen_px2: list[Unseen] = field(default_factory=list)
    unseen_m2: list[Unseen] = field(default_factory=list)
    taken: list[np.ndarray] = field(default_factory=list)
    unseen_s: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    is_absolute: list[bool] = field(default_factory=list)
    stands_in: list[bool] = field(default_factory=list)

    def __post_init__(self):
        self.filters = PoseFilters(self.settings, self.width_px)
        self.filters.add_row()
        for bank in (self.filters.picture, self.filters.space):
            bank.keeps_prior = True
        self.swaps = SwapWatch(self.settings.swap_patience_s)
        self._was_seen = np.ones(NUM_KEYPOINTS, bool)

    def step(self, step_s: float, stamp_s: float, pose_2d: Pose2D | None,
             pose_3d: Pose3D | None) -> None:
        """Take one frame in."""
        if step_s > self.settings.gap_reset_s:
            self.filters.reset_row(0)
        else:
            self.filters.predict(step_s)
        seen = np.zeros(NUM_KEYPOINTS, bool)
        if pose_2d is not None:
            pose_2d, pose_3d = self._unswapped(stamp_s, pose_2d, pose_3d)
            seen = seen_again(pose_2d, self._was_seen, self.settings)
            self._was_seen = seen
            if pose_3d is not None:
                self.bones.observe([_TRACK], stamp_s, pose_3d.keypoints_m[None],
                                   np.where(seen, pose_2d.score, 0.0)[None])
        taken = self.filters.correct([(pose_2d, pose_3d)], seen[None])[0]
        self.filters.lose(self.settings.predict_max_s)
        self.picture.note(step_s, self.filters.picture)
        self.space.note(step_s, self.filters.space)
        self.unseen_px2.append(self.filters.unseen_px2.copy())
        self.unseen_m2.append(self.filters.unseen_m2.copy())
        self.taken.append(taken)
        self.unseen_s.append(self.filters.picture.unseen_s[0])
        last = self.scores[-1] if self.scores else np.zeros(NUM_KEYPOINTS)
        self.scores.append(last if pose_2d is None else np.where(
            taken, np.nan_to_num(pose_2d.score), last))
        self.is_absolute.append(bool(self.filters.is_absolute[0]))
        self.stands_in.append(bool(self.filters.stands_in[0]))

    def _unswapped(self, stamp_s: float, pose_2d: Pose2D, pose_3d: Pose3D | None
                   ) -> tuple[Pose2D, Pose3D | None]:
        """Left and right as the track has them; a pose in space was lifted as it was read."""
        if not self.settings.swap_patience_s > 0.0:
            return pose_2d, pose_3d
        verdict = self.swaps.look(
            [_TRACK], stamp_s, self.filters.picture.positions, self.filters.picture.covariances,
            pose_2d.keypoints_px[None], pose_2d.noise_px2[None],
            seen_again(pose_2d, self._was_seen, self.settings)[None])
        order, track_order = verdict.order[0], verdict.track_order[0]
        if (track_order != np.arange(NUM_KEYPOINTS)).any():
            self._was_seen = self._was_seen[track_order]
            # The filters' past has the other sides: the smoother must not link the two.
            self.filters.reset_row(0)
        if (order == np.arange(NUM_KEYPOINTS)).all():
            return pose_2d, pose_3d
        return reordered(pose_2d, order), None if pose_3d is None else Pose3D(
            pose_3d.keypoints_m[order], pose_3d.covariance_m2[order], pose_3d.is_absolute,
            pose_3d.noise_m2[order])


def smooth_track(stamps_s: np.ndarray, poses_2d: Sequence[Pose2D | None],
                 poses_3d: Sequence[Pose3D | None], size_wh: tuple[int, int],
                 settings: PipelineSettings) -> list[TrackEstimate]:
    """Smooth all frames of one track, each with regard to all.

    Keypoints are seen, gated, predicted and lost as `PoseTracker` has it, with the same
    settings; a gap that is shorter than `predict_max_s` is bridged from both sides.

    Args:
        stamps_s: (F,) strictly rising, s.
        poses_2d, poses_3d: F raw poses of the track, None where there is none.
        size_wh: of the pictures, px.
        settings: as for `PoseTracker`.

    Returns:
        F estimates, with id 1.

    Raises:
        InvalidInputError: the lengths differ, stamps don't rise, or a 3D pose comes without its
            2D pose.
    """
    stamps_s = np.asarray(stamps_s, float)
    if not len(stamps_s) == len(poses_2d) == len(poses_3d):
        raise InvalidInputError(
            f'smooth_track: expected one stamp and two poses a frame, got {len(stamps_s)} '
            f'stamps, {len(poses_2d)} and {len(poses_3d)} poses')
    steps_s = np.diff(stamps_s, prepend=stamps_s[:1])
    if not np.isfinite(stamps_s).all() or (steps_s[1:] <= 0.0).any():
        raise InvalidInputError('stamps_s: expected finite and strictly rising stamps; smooth '
                                'what lies before and after a jump apart')
    if any(flat is None and deep is not None for flat, deep in zip(poses_2d, poses_3d)):
        raise InvalidInputError('poses_3d: a pose needs the one in the picture, whose scores say '
                                'what was seen')
    if not len(stamps_s):
        return []
    forward = _Forward(settings, size_wh[0])
    for frame in zip(steps_s, stamps_s, poses_2d, poses_3d):
        forward.step(*frame)
    return _estimates(forward)


def _estimates(forward: _Forward) -> list[TrackEstimate]:
    """Run back, and put the poses of both spaces together."""
    settings, count = forward.settings, len(forward.taken)
    points_px, spread_px2 = forward.picture.smoothed()
    points_m, spread_m2 = forward.space.smoothed()
    states = track_states(points_px, np.array(forward.taken))
    scores = faded_scores(np.array(forward.scores), np.array(forward.unseen_s), states, settings)
    lengths_m, std_m = (np.repeat(value, count, axis=0)
                        for value in forward.bones.lengths([_TRACK]))
    std_m = std_m / settings.bone_stiffness if settings.bone_stiffness else np.nan * std_m
    in_picture = picture_poses(points_px, spread_px2, scores, Unseen.stacked(forward.unseen_px2))
    in_space = space_poses(
        points_m, spread_m2, Unseen.stacked(forward.unseen_m2), np.array(forward.is_absolute),
        np.array(forward.stands_in) | np.isnan(points_px[:, ROOT, 0]), lengths_m, std_m)
    return [TrackEstimate(_TRACK, *each)
            for each in zip(in_picture, in_space, states, scores)]
