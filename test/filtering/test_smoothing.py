from filterpy.kalman import KalmanFilter
import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.bank import KalmanBank
from infant_pose_ros.filtering.motion import motion_model, MotionSettings
from infant_pose_ros.filtering.smoothing import Pass, smooth_track
from infant_pose_ros.filtering.tracks import PoseTracker
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER, TrackState
from infant_pose_ros.structures import Pose2D, Pose3D

DT = 1 / 30
SIZE = (640, 480)
SETTINGS = PipelineSettings(bone_stiffness=0.0)
WRIST = Joint.R_WRIST
GRID_PX = np.stack(np.divmod(np.arange(16), 4)[::-1], axis=1) * 40.0 + [200.0, 150.0]
GRID_M = np.concatenate([(GRID_PX - [260.0, 210.0]) * 1e-3, np.full((16, 1), 0.9)], axis=1)


def swinging(frames, seed=0, px=1.0, mm=3.0):
    """Stamps, true and noisy poses of a grid that swings sideways by 40 px and 40 mm."""
    rng = np.random.default_rng(seed)
    stamps_s = 5.0 + np.cumsum(rng.uniform(0.02, 0.05, frames))
    swing = np.sin(2 * np.pi * 0.7 * (stamps_s - 5.0))[:, None] * np.array([[40.0, 0.0]])
    truth_px = GRID_PX + swing[:, None]
    truth_m = GRID_M + np.pad(swing, ((0, 0), (0, 1)))[:, None] * 1e-3
    poses_2d = [Pose2D(points + rng.normal(0, px, points.shape), np.full(16, 0.9),
                       np.tile(np.eye(2) * 25.0, (16, 1, 1)),
                       np.tile(np.eye(2) * px**2, (16, 1, 1))) for points in truth_px]
    poses_3d = [Pose3D(points + rng.normal(0, mm * 1e-3, points.shape),
                       np.tile(np.eye(3) * 4e-4, (16, 1, 1)), True,
                       np.tile(np.eye(3) * (mm * 1e-3)**2, (16, 1, 1))) for points in truth_m]
    return stamps_s, truth_px, truth_m, poses_2d, poses_3d


def without(pose, joints, score=0.0):
    scores = pose.score.copy()
    scores[list(joints)] = score
    return Pose2D(pose.keypoints_px, scores, pose.covariance_px2, pose.noise_px2)


def test_the_way_back_is_filterpys():
    rng = np.random.default_rng(3)
    bank = KalmanBank(2, MotionSettings(50.0, 1e3), np.ones(1))
    bank.add_row()
    bank.keeps_prior = True
    kept, reference = Pass(), KalmanFilter(dim_x=4, dim_z=2)
    reference.H = np.eye(2, 4)
    steps_s = np.concatenate([[0.0], rng.uniform(0.02, 0.06, 20)])
    place, noise = np.zeros(2), np.diag([1.0, 4.0])
    means, covariances, models = [], [], []
    for step_s in steps_s:
        place = place + rng.normal(0, 0.3, 2)
        bank.predict(step_s)
        bank.correct(place[None, None], noise[None, None], noise[None, None] * 1e4,
                     np.ones((1, 1), bool))
        kept.note(step_s, bank)
        means.append(kept.means[-1][0])
        covariances.append(kept.covariances[-1][0])
        # what was added to the prediction is the process noise, manoeuvres' share included
        transition, _ = motion_model(2, step_s, 1.0)
        models.append((transition, np.zeros((4, 4)) if len(means) == 1 else (
            kept.prior_covariances[-1][0] - transition @ covariances[-2] @ transition.T)))
    smoothed, spread = kept.smoothed()
    expected, expected_spread, _, _ = reference.rts_smoother(
        np.array(means), np.array(covariances), Fs=[f for f, _ in models],
        Qs=[q for _, q in models])
    assert np.allclose(smoothed[:, 0], expected[:, :2], rtol=1e-9, atol=1e-9)
    assert np.allclose(spread[:, 0], expected_spread[:, :2, :2], rtol=1e-9, atol=1e-9)


def test_smoother_than_the_causal_filter_and_not_late():
    stamps_s, truth_px, truth_m, poses_2d, poses_3d = swinging(150)
    smoothed = smooth_track(stamps_s, poses_2d, poses_3d, SIZE, SETTINGS)
    tracker, causal = PoseTracker(SETTINGS), []
    for stamp_s, pose_2d, pose_3d in zip(stamps_s, poses_2d, poses_3d):
        tracker.advance(float(stamp_s), SIZE)
        if not tracker.tracks:
            tracker.begin(pose_2d, pose_3d)
        causal.append(tracker.correct(1, pose_2d, pose_3d))

    def errors(estimates):
        flat = np.array([estimate.smooth_2d.keypoints_px for estimate in estimates]) - truth_px
        deep = np.array([estimate.smooth_3d.keypoints_m for estimate in estimates]) - truth_m
        return np.sqrt((flat[10:]**2).mean()), np.sqrt((deep[10:]**2).mean())

    assert (np.array(errors(smoothed)) < 0.7 * np.array(errors(causal))).all()
    assert errors(smoothed)[0] < 0.9 and errors(smoothed)[1] < 3e-3
    assert all((estimate.state == TrackState.MEASURED).all() for estimate in smoothed)
    assert all(estimate.smooth_3d.is_absolute for estimate in smoothed)
    # bias (25 - 1 px^2) stays, noise is averaged out
    assert 24.0 < smoothed[75].smooth_2d.covariance_px2[0, 0, 0] < 24.6


def test_a_short_gap_is_bridged_from_both_sides_and_a_long_one_is_lost():
    stamps_s, truth_px, _, poses_2d, poses_3d = swinging(120, px=0.3)
    for frame in range(60, 70):
        poses_2d[frame] = without(poses_2d[frame], [WRIST])
    short = smooth_track(stamps_s, poses_2d, poses_3d, SIZE, SETTINGS)
    states = [int(estimate.state[WRIST]) for estimate in short]
    assert set(states[60:70]) == {TrackState.PREDICTED}
    assert set(states[:60] + states[70:]) == {TrackState.MEASURED}
    offsets = [np.linalg.norm(short[frame].smooth_2d.keypoints_px[WRIST] - truth_px[frame, WRIST])
               for frame in range(60, 70)]
    assert max(offsets) < 12.0      # the wrist itself moves 60 px meanwhile
    spread = [np.trace(estimate.smooth_2d.noise_px2[WRIST]) for estimate in short]
    assert spread[65] > 5 * spread[40] and spread[65] > spread[61]
    for frame in range(60, 90):
        poses_2d[frame] = without(poses_2d[frame], [WRIST])
    long = smooth_track(stamps_s, poses_2d, poses_3d, SIZE, SETTINGS)
    assert long[88].state[WRIST] == TrackState.LOST and long[95].state[WRIST] == 2
    assert np.isnan(long[88].smooth_2d.keypoints_px[WRIST]).all()
    assert np.isnan(long[88].smooth_3d.keypoints_m[WRIST]).all()
    assert long[88].score[WRIST] == 0.0


def test_frames_without_a_pose_and_a_long_pause():
    stamps_s, truth_px, _, poses_2d, poses_3d = swinging(60)
    stamps_s = np.where(np.arange(60) >= 30, stamps_s + 10.0, stamps_s)
    for frame in (10, 11):
        poses_2d[frame] = poses_3d[frame] = None
    smoothed = smooth_track(stamps_s, poses_2d, poses_3d, SIZE, SETTINGS)
    assert (smoothed[10].state == TrackState.PREDICTED).all()
    assert np.abs(smoothed[10].smooth_2d.keypoints_px - truth_px[10]).max() < 6.0
    # nothing is carried over the pause
    assert np.abs(smoothed[30].smooth_2d.keypoints_px - truth_px[30]).max() < 6.0


def test_a_swapped_frame_is_put_back():
    stamps_s, truth_px, truth_m, poses_2d, poses_3d = swinging(60, px=0.3)
    order = list(MIRRORED_ORDER)
    swapped = poses_2d[30]
    poses_2d[30] = Pose2D(swapped.keypoints_px[order], swapped.score, swapped.covariance_px2,
                          swapped.noise_px2)
    poses_3d[30] = Pose3D(poses_3d[30].keypoints_m[order], poses_3d[30].covariance_m2, True,
                          poses_3d[30].noise_m2)
    smoothed = smooth_track(stamps_s, poses_2d, poses_3d, SIZE, SETTINGS)
    assert np.abs(smoothed[30].smooth_2d.keypoints_px - truth_px[30]).max() < 3.0
    assert np.abs(smoothed[30].smooth_3d.keypoints_m - truth_m[30]).max() < 0.012
    assert (smoothed[30].state == TrackState.MEASURED).all()


def test_nothing_and_misuse():
    stamps_s, _, _, poses_2d, poses_3d = swinging(3)
    assert smooth_track([], [], [], SIZE, SETTINGS) == []
    alone = smooth_track(stamps_s[:1], poses_2d[:1], [None], SIZE, SETTINGS)[0]
    assert np.allclose(alone.smooth_2d.keypoints_px, poses_2d[0].keypoints_px)
    assert np.isnan(alone.smooth_3d.keypoints_m).all()
    with pytest.raises(InvalidInputError, match='3 stamps, 2 and 3 poses'):
        smooth_track(stamps_s, poses_2d[:2], poses_3d, SIZE, SETTINGS)
    with pytest.raises(InvalidInputError, match='rising'):
        smooth_track(stamps_s[::-1], poses_2d, poses_3d, SIZE, SETTINGS)
    with pytest.raises(InvalidInputError, match='poses_3d'):
        smooth_track(stamps_s, [None, *poses_2d[1:]], poses_3d, SIZE, SETTINGS)
