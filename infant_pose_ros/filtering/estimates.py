"""The answer for one track in one frame, and how it is put together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState
from infant_pose_ros.structures import Pose2D, Pose3D


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


def track_states(points_px: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """(..., 16) uint8 of `TrackState`: of filters at (..., 16, 2), whose `taken` were measured."""
    return np.where(np.isnan(points_px[..., 0]), TrackState.LOST, np.where(
        taken, TrackState.MEASURED, TrackState.PREDICTED)).astype(np.uint8)


def faded_scores(last_score: np.ndarray, unseen_s: np.ndarray, states: np.ndarray,
                 settings: PipelineSettings) -> np.ndarray:
    """(..., 16) scores: a predicted keypoint's falls to half of its last one; 0 where lost."""
    fade = 1.0 - 0.5 * np.minimum(unseen_s / max(settings.predict_max_s, 1e-9), 1.0)
    return np.where(states == TrackState.LOST, 0.0, last_score * fade)


def reordered(pose: Pose2D, order: np.ndarray) -> Pose2D:
    """A pose whose keypoint k is what `order[k]` (16,) was."""
    return Pose2D(pose.keypoints_px[order], pose.score[order], pose.covariance_px2[order],
                  pose.noise_px2[order])


def raw_estimate(track_id: int, pose_2d: Pose2D | None, pose_3d: Pose3D | None, seen: np.ndarray,
                 is_absolute: bool) -> TrackEstimate:
    """The pose of this frame as it came, less what was not `seen` (16,).

    Args:
        is_absolute: of the 3D pose where there is none.
    """
    no_points = np.full((NUM_KEYPOINTS, 3), np.nan)
    no_covariances = np.full((NUM_KEYPOINTS, 3, 3), np.nan)
    flat, deep = seen[:, None], seen[:, None, None]
    if pose_2d is None:
        pose_2d = Pose2D(no_points[:, :2], np.zeros(NUM_KEYPOINTS),
                         no_covariances[:, :2, :2])
    if pose_3d is None:
        pose_3d = Pose3D(no_points, no_covariances, is_absolute)
    score = np.where(seen, pose_2d.score, 0.0)
    return TrackEstimate(
        track_id,
        Pose2D(np.where(flat, pose_2d.keypoints_px, np.nan), score,
               np.where(deep, pose_2d.covariance_px2, np.nan),
               np.where(deep, pose_2d.noise_px2, np.nan)),
        Pose3D(np.where(flat, pose_3d.keypoints_m, np.nan),
               np.where(deep, pose_3d.covariance_m2, np.nan), pose_3d.is_absolute,
               np.where(deep, pose_3d.noise_m2, np.nan)),
        np.where(seen, TrackState.MEASURED, TrackState.LOST).astype(np.uint8), score)
