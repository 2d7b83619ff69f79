"""The filters of all tracks of one camera: poses in, calm poses out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infant_pose_ros.codecs.uncertainty import share_inside
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.bank import KalmanBank
from infant_pose_ros.filtering.bones import constrain
from infant_pose_ros.filtering.motion import (
    ACCELERATION_SHARES,
    LAG_SPEED_M_S,
    LAG_SPEED_PX_S,
    MotionSettings,
)
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS, ROOT
from infant_pose_ros.structures import Pose2D, Pose3D

#: `acceleration_std_2d` and `LAG_SPEED_PX_S` are meant for a picture of this width, px.
REFERENCE_WIDTH_PX = 640.0
RawPose = tuple[Pose2D | None, Pose3D | None]

_HIPS = [Joint.R_HIP, Joint.L_HIP]
_OTHERS = np.arange(NUM_KEYPOINTS) != ROOT


def picture_motion(settings: PipelineSettings, width_px: float) -> MotionSettings:
    """How keypoints move in a picture of this width."""
    scale = width_px / REFERENCE_WIDTH_PX
    return MotionSettings(settings.acceleration_std_2d * scale, settings.gate_sigma,
                          settings.smoothing_lag_ms * 1e-3, LAG_SPEED_PX_S * scale)


def space_motion(settings: PipelineSettings) -> MotionSettings:
    """How keypoints move in space."""
    return MotionSettings(settings.acceleration_std_3d, settings.gate_sigma,
                          settings.smoothing_lag_ms * 1e-3, LAG_SPEED_M_S)


@dataclass(frozen=True, eq=False)
class Measured:
    """One frame of N tracks as arrays; NaN where there is no pose.

    Attributes:
        points: (N, 16, D). noise, spread: (N, 16, D, D) as `KalmanBank.correct` takes them.
        stands_in: (N,) bool: the root is none, but something begins its filter in its place.
    """

    points: np.ndarray
    noise: np.ndarray
    spread: np.ndarray
    stands_in: np.ndarray

    @classmethod
    def in_picture(cls, poses: Sequence[RawPose]) -> Measured:
        """Of the poses in the picture."""
        measured = cls._missing(len(poses), 2)
        for row, (pose, _) in enumerate(poses):
            if pose is not None:
                measured.points[row] = pose.keypoints_px
                measured.noise[row] = pose.noise_px2
                measured.spread[row] = pose.covariance_px2
        return measured

    @classmethod
    def in_space(cls, poses: Sequence[RawPose], seen: np.ndarray, root_m: np.ndarray,
                 root_m2: np.ndarray) -> Measured:
        """Of the poses in space: the root's place, the others relative to it.

        Without the root, the others are measured from where it is predicted. Where it never was
        measured either, a stand-in is: the origin of a pose relative to it, else the middle of
        the hips, or of what else is seen.

        Args:
            poses: N.
            seen: (N, 16) bool: which keypoints are to be believed.
            root_m: (N, 3) predicted; NaN where unknown.
            root_m2: (N, 3, 3) noise that its place had where it was last measured.
        """
        measured = cls._missing(len(poses), 3)
        for row, (_, pose) in enumerate(poses):
            if pose is not None:
                measured.points[row] = pose.keypoints_m
                measured.noise[row] = pose.noise_m2
                measured.spread[row] = pose.covariance_m2
        places_m = measured.points[:, ROOT].copy()
        for row in np.flatnonzero(~_measurable(measured, seen)[:, ROOT]):
            pose = poses[row][1]
            if pose is None:
                continue
            measured.points[row, ROOT] = np.nan
            if np.isfinite(root_m[row]).all():
                places_m[row] = root_m[row]
                measured.noise[row, _OTHERS] += root_m2[row]
            else:
                places_m[row] = measured._stand_in(row, seen, pose.is_absolute)
        measured.points[:, _OTHERS] -= places_m[:, None]
        return measured

    def _stand_in(self, row: int, seen: np.ndarray, is_absolute: bool) -> np.ndarray:
        """Put something where the root may be, and tell where; NaN where nothing is known."""
        usable = np.flatnonzero(_measurable(self, seen)[row])
        if not len(usable):
            return np.full(3, np.nan)
        self.stands_in[row] = True
        ends = _HIPS if np.isin(_HIPS, usable).all() else usable
        for array in (self.points, self.noise, self.spread):
            array[row, ROOT] = array[row, ends].mean(axis=0) if is_absolute else 0.0
        return self.points[row, ROOT].copy()

    @classmethod
    def _missing(cls, count: int, ndim: int) -> Measured:
        return cls(*(np.full((count, NUM_KEYPOINTS, *shape), np.nan)
                     for shape in ((ndim,), (ndim, ndim), (ndim, ndim))), np.zeros(count, bool))


def _measurable(measured: Measured, seen: np.ndarray) -> np.ndarray:
    """(N, 16) bool: what of the `seen` keypoints (N, 16) a filter can take."""
    return (seen & np.isfinite(measured.points).all(axis=-1)
            & np.isfinite(measured.noise).all(axis=(-2, -1)))


@dataclass(eq=False)
class Unseen:
    """The part of the error that filters can't see, as the last believed measurements tell it.

    Attributes:
        bias: (N, 16, D, D) what a measurement's covariance has beyond its noise.
        share: (N, 16) of the noise that counts, under 1 where it exceeds the covariance.
    """

    bias: np.ndarray
    share: np.ndarray

    @classmethod
    def empty(cls, ndim: int) -> Unseen:
        """No rows."""
        return cls(np.zeros((0, NUM_KEYPOINTS, ndim, ndim)), np.ones((0, NUM_KEYPOINTS)))

    @classmethod
    def stacked(cls, parts: Sequence[Unseen]) -> Unseen:
        """The rows of all parts."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts])
                     for name in ('bias', 'share')))

    def copy(self) -> Unseen:
        """Arrays of its own."""
        return Unseen(self.bias.copy(), self.share.copy())

    def add_row(self) -> None:
        """Append a row that knows nothing."""
        self.bias = np.concatenate([self.bias, np.zeros((1, *self.bias.shape[1:]))])
        self.share = np.vstack([self.share, np.ones((1, NUM_KEYPOINTS))])

    def remove_row(self, row: int) -> None:
        """Take a row out."""
        self.bias, self.share = (
            np.delete(array, row, axis=0) for array in (self.bias, self.share))

    def reorder(self, row: int, order: np.ndarray) -> None:
        """Keypoint k of a row becomes what `order[k]` (16,) was."""
        self.bias[row], self.share[row] = self.bias[row][order], self.share[row][order]

    def learn(self, taken: np.ndarray, spread: np.ndarray, noise: np.ndarray) -> None:
        """From the measurements of (N, 16) bool `taken`, (N, 16, D, D) each."""
        spread, noise = spread[taken], noise[taken]
        spread = np.where(np.isfinite(spread), spread, noise)
        self.share[taken] = share_inside(noise, spread)
        self.bias[taken] = spread - self.share[taken][:, None, None] * noise

    def whole(self, own: np.ndarray) -> np.ndarray:
        """(N, 16, D, D) of the whole error, for the filters' `own`."""
        return self.share[..., None, None] * own + self.bias


def picture_poses(points_px: np.ndarray, spread_px2: np.ndarray, scores: np.ndarray,
                  unseen: Unseen) -> list[Pose2D]:
    """Smoothed poses (N, 16, 2) with their own covariances (N, 16, 2, 2) and scores (N, 16)."""
    return [Pose2D(*each) for each in zip(points_px, scores, unseen.whole(spread_px2),
                                          spread_px2)]


def space_poses(points_m: np.ndarray, spread_m2: np.ndarray, unseen: Unseen,
                is_absolute: np.ndarray, root_lost: np.ndarray, lengths_m: np.ndarray,
                std_m: np.ndarray) -> list[Pose3D]:
    """Smoothed poses whose bones are pulled to their lengths; NaN where lost.

    Args:
        points_m: (N, 16, 3) the root's place, and the others relative to it.
        spread_m2: (N, 16, 3, 3) their own covariances.
        unseen: N rows. is_absolute: (N,) bool.
        root_lost: (N,) bool: the root's filter lives for the others' sake only.
        lengths_m, std_m: (N, 15) as `bones.constrain` takes them; NaN leaves a bone free.
    """
    points = points_m + _OTHERS[:, None] * points_m[:, [ROOT]]
    held = spread_m2.copy()
    held[:, ROOT] = 0.0     # its place is no matter of bones
    points, pulled = constrain(points, held, lengths_m, std_m)
    spread = np.where(_OTHERS[:, None, None], pulled, spread_m2)
    whole = unseen.whole(spread + _OTHERS[:, None, None] * spread[:, [ROOT]])
    missing = np.isnan(points[..., 0])
    missing[:, ROOT] |= root_lost
    points[missing], spread[missing], whole[missing] = np.nan, np.nan, np.nan
    return [Pose3D(points[row], whole[row], bool(is_absolute[row]), spread[row])
            for row in range(len(points))]


class PoseFilters:
    """Two banks of filters, one for the picture and one for space; rows are tracks.

    In space the root is filtered in the camera's frame (the depth of the whole body trembles
    most), and the other keypoints relative to it.

    Args:
        settings: how to filter.
        width_px: of the picture.
    """

    def __init__(self, settings: PipelineSettings, width_px: float):
        self.picture = KalmanBank(2, picture_motion(settings, width_px), ACCELERATION_SHARES)
        self.space = KalmanBank(3, space_motion(settings), ACCELERATION_SHARES)
        self.is_absolute = np.zeros(0, bool)
        #: (N,) bool: the root's filter was begun where something stood in for it.
        self.stands_in = np.zeros(0, bool)
        #: (N, 3, 3) of the root's last measurement.
        self._root_noise_m2 = np.zeros((0, 3, 3))
        self.unseen_px2 = Unseen.empty(2)
        self.unseen_m2 = Unseen.empty(3)

    def __len__(self) -> int:
        """Rows."""
        return len(self.is_absolute)

    def configure(self, settings: PipelineSettings, width_px: float) -> None:
        """Change the settings of running filters."""
        self.picture.settings = picture_motion(settings, width_px)
        self.space.settings = space_motion(settings)

    def add_row(self) -> int:
        """Append a row of sleeping filters; its number."""
        self.picture.add_row()
        self.is_absolute = np.append(self.is_absolute, False)
        self.stands_in = np.append(self.stands_in, False)
        self._root_noise_m2 = np.concatenate([self._root_noise_m2, np.zeros((1, 3, 3))])
        self.unseen_px2.add_row()
        self.unseen_m2.add_row()
        return self.space.add_row()

    def remove_row(self, row: int) -> None:
        """Take a row out; those behind it move up."""
        self.picture.remove_row(row)
        self.space.remove_row(row)
        for name in ('is_absolute', 'stands_in', '_root_noise_m2'):
            setattr(self, name, np.delete(getattr(self, name), row, axis=0))
        self.unseen_px2.remove_row(row)
        self.unseen_m2.remove_row(row)

    def reorder(self, row: int, order: np.ndarray) -> None:
        """Keypoint k of a row becomes what `order[k]` (16,) was."""
        self.picture.reorder(row, order)
        self.space.reorder(row, order)
        self.unseen_px2.reorder(row, order)
        self.unseen_m2.reorder(row, order)

    def predict(self, dt_s: float) -> None:
        """Move all filters on by `dt_s` >= 0 seconds."""
        self.picture.predict(dt_s)
        self.space.predict(dt_s)

    def correct(self, poses: Sequence[RawPose], seen: np.ndarray,
                rows: np.ndarray | None = None) -> np.ndarray:
        """Take one frame's poses in.

        Args:
            poses: one a row, None where there is none.
            seen: (N, 16) bool: which keypoints are to be believed.
            rows: (N,) bool: which rows this frame is for. Left out: all.

        Returns:
            (N, 16) bool: whose measurement in the picture was believed.
        """
        in_picture = Measured.in_picture(poses)
        taken = self.picture.correct(in_picture.points, in_picture.noise, in_picture.spread,
                                     seen, rows)
        self._restart_changed(poses)
        in_space = Measured.in_space(poses, seen, self.space.positions[:, ROOT],
                                     self._root_noise_m2)
        seen = self._note_root(in_space, seen)
        taken_3d = self.space.correct(in_space.points, in_space.noise, in_space.spread, seen,
                                      rows)
        root_m2 = np.where(np.isfinite(in_space.points[:, ROOT, :, None]),
                           in_space.noise[:, ROOT], 0.0)
        self.unseen_px2.learn(taken, in_picture.spread, in_picture.noise)
        self.unseen_m2.learn(taken_3d, in_space.spread,
                             in_space.noise + root_m2[:, None] * _OTHERS[:, None, None])
        return taken

    def lose(self, predict_max_s: float) -> None:
        """Put keypoints to sleep that were not seen for longer."""
        lost_2d = self.picture.unseen_s > predict_max_s
        lost_3d = self.space.unseen_s > predict_max_s
        self.picture.reset(lost_2d)
        # The root's place is what the others are told from: it goes when all of them do.
        lost_3d[:, _OTHERS] |= lost_2d[:, _OTHERS]
        lost_3d[:, ROOT] &= lost_3d[:, _OTHERS].all(axis=1)
        self.space.reset(lost_3d)

    def reset_row(self, row: int) -> None:
        """Put every filter of a row to sleep."""
        which = np.zeros((len(self), NUM_KEYPOINTS), bool)
        which[row] = True
        self.picture.reset(which)
        self.space.reset(which)

    def calm_picture(self, scores: np.ndarray) -> list[Pose2D]:
        """The calm poses of all rows in the picture, with scores (N, 16); NaN where lost."""
        points, spread = _calm(self.picture)
        return picture_poses(points, spread, scores, self.unseen_px2)

    def calm_space(self, lengths_m: np.ndarray, std_m: np.ndarray) -> list[Pose3D]:
        """The calm poses of all rows in space; bones as in `space_poses`."""
        points, spread = _calm(self.space)
        return space_poses(points, spread, self.unseen_m2, self.is_absolute,
                           self.stands_in | np.isnan(self.picture.positions[:, ROOT, 0]),
                           lengths_m, std_m)

    def _note_root(self, measured: Measured, seen: np.ndarray) -> np.ndarray:
        """Remember what the root is told by; (N, 16) bool: what its filters are to believe.

        Space is forgotten where the root comes after something else stood in for it.
        """
        found = _measurable(measured, seen)[:, ROOT]
        self._root_noise_m2[found] = measured.noise[found, ROOT]
        if (found & self.stands_in).any():
            self.space.reset(np.repeat((found & self.stands_in)[:, None], NUM_KEYPOINTS, axis=1))
        self.stands_in = (self.stands_in & ~found) | (measured.stands_in & self.is_absolute)
        if measured.stands_in.any():
            seen = seen.copy()
            seen[:, ROOT] |= measured.stands_in
        return seen

    def _restart_changed(self, poses: Sequence[RawPose]) -> None:
        """Forget space where it becomes, or ceases to be, that of the camera."""
        changed = np.zeros((len(self), NUM_KEYPOINTS), bool)
        for row, (_, pose) in enumerate(poses):
            if pose is not None and pose.is_absolute != self.is_absolute[row]:
                self.is_absolute[row] = pose.is_absolute
                changed[row] = True
        if changed.any():
            self.space.reset(changed)


def _calm(bank: KalmanBank) -> tuple[np.ndarray, np.ndarray]:
    """What a bank publishes, and its covariance: how far it lags counts as error."""
    points = bank.calm_positions
    behind = bank.positions - points
    return points, bank.covariances + behind[..., :, None] * behind[..., None, :]
