import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.estimates import (
    faded_scores,
    raw_estimate,
    reordered,
    track_states,
)
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER, TrackState
from infant_pose_ros.structures import Pose2D, Pose3D

ALL = np.ones(16, bool)


def flat():
    points = np.arange(32.0).reshape(16, 2)
    return Pose2D(points, np.linspace(0.1, 0.85, 16), np.tile(np.eye(2), (16, 1, 1)))


def deep():
    return Pose3D(np.arange(48.0).reshape(16, 3), np.tile(np.eye(3), (16, 1, 1)), True)


def test_states_and_scores():
    points = np.zeros((16, 2))
    points[2] = np.nan
    taken = np.arange(16) == 0
    states = track_states(points, taken)
    assert states[:3].tolist() == [TrackState.MEASURED, TrackState.PREDICTED, TrackState.LOST]
    unseen_s = np.where(taken, 0.0, 0.25)
    unseen_s[2] = np.inf
    scores = faded_scores(np.full(16, 0.8), unseen_s, states, PipelineSettings(predict_max_s=0.5))
    # Half of predict_max_s: three quarters of the score.
    assert scores[:3] == pytest.approx([0.8, 0.6, 0.0])


def test_reordered_and_back():
    order = np.array(MIRRORED_ORDER)
    mirrored = reordered(flat(), order)
    assert (mirrored.keypoints_px[Joint.L_WRIST] == flat().keypoints_px[Joint.R_WRIST]).all()
    assert mirrored.score[Joint.L_WRIST] == flat().score[Joint.R_WRIST]
    assert (reordered(mirrored, order).keypoints_px == flat().keypoints_px).all()


def test_a_raw_pose_loses_what_was_not_seen():
    seen = ALL.copy()
    seen[3] = False
    estimate = raw_estimate(7, flat(), deep(), seen, False)
    assert estimate.id == 7 and estimate.smooth_3d.is_absolute
    assert np.isnan(estimate.smooth_2d.keypoints_px[3]).all()
    assert np.isnan(estimate.smooth_3d.covariance_m2[3]).all()
    assert estimate.state[3] == TrackState.LOST and estimate.score[3] == 0.0
    assert (estimate.smooth_3d.keypoints_m[seen] == deep().keypoints_m[seen]).all()


def test_no_pose_is_all_lost():
    estimate = raw_estimate(1, None, None, ~ALL, True)
    assert estimate.smooth_3d.is_absolute
    assert np.isnan(estimate.smooth_2d.keypoints_px).all()
    assert (estimate.state == TrackState.LOST).all() and (estimate.score == 0.0).all()
