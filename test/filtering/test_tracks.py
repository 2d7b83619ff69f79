import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering import tracks as tracks_module
from infant_pose_ros.filtering.tracks import PoseTracker
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER, ROOT, TrackState
from infant_pose_ros.structures import Pose2D, Pose3D

DT = 1 / 30
SIZE = (640, 480)
WRIST = Joint.R_WRIST
GRID_PX = np.stack(np.divmod(np.arange(16), 4)[::-1], axis=1) * 40.0 + [200.0, 150.0]
GRID_M = np.concatenate([(GRID_PX - [260.0, 210.0]) * 1e-3, np.full((16, 1), 0.9)], axis=1)


def pose_2d(shift=(0.0, 0.0), score=0.8, low=(), var=4.0):
    scores = np.full(16, score)
    scores[list(low)] = 0.1
    return Pose2D(GRID_PX + np.array(shift), scores, np.tile(np.eye(2) * var, (16, 1, 1)))


def pose_3d(shift=(0.0, 0.0, 0.0), is_absolute=True):
    return Pose3D(GRID_M + np.array(shift), np.tile(np.eye(3) * 4e-4, (16, 1, 1)), is_absolute)


def started(**changes):
    tracker = PoseTracker(PipelineSettings(**{'bone_stiffness': 0.0, **changes}))
    tracker.advance(10.0, SIZE)
    return tracker, tracker.begin(pose_2d(), pose_3d()).id


def run(tracker, track_id, frames, first=1, **kinds):
    """Feed the same pose for some frames; the last estimate."""
    for frame in range(first, first + frames):
        tracker.advance(10.0 + frame * DT, SIZE)
        estimate = tracker.correct(track_id, pose_2d(**kinds), pose_3d())
    return estimate


def test_begin_and_first_estimate():
    tracker, track_id = started()
    track = tracker.tracks[0]
    assert (track_id, track.id, track.unseen_s) == (1, 1, 0.0)
    assert np.allclose(track.keypoints_px, GRID_PX)
    assert np.allclose(track.covariance_px2, np.eye(2) * 4.0)
    assert track.box_xyxy.tolist() == [200, 150, 320, 270]
    assert track.score == pytest.approx(0.8)
    estimate = tracker.correct(track_id, pose_2d(), pose_3d())
    assert (estimate.state == TrackState.MEASURED).all()
    assert estimate.state.dtype == np.uint8
    # The first pose, given twice, counts once: its own covariance comes back.
    assert np.allclose(estimate.smooth_2d.covariance_px2, np.eye(2) * 4.0)
    assert np.allclose(estimate.smooth_3d.keypoints_m, GRID_M)
    assert np.allclose(estimate.score, 0.8)
    assert estimate.smooth_3d.is_absolute


def test_an_infant_that_is_back_keeps_its_id():
    tracker = PoseTracker(PipelineSettings())
    tracker.advance(0.0, SIZE)
    assert [tracker.begin(pose_2d(), None).id for _ in range(3)] == [1, 2, 3]
    tracker.end(2)
    assert tracker.begin(pose_2d((50.0, 0.0)), None, track_id=2).id == 2
    assert tracker.begin(pose_2d((80.0, 0.0)), None, track_id=1).id == 1     # anew, in one step
    assert sorted(track.id for track in tracker.tracks) == [1, 2, 3]
    assert tracker.begin(pose_2d(), None).id == 4


def test_smoothing_follows_and_calms():
    rng = np.random.default_rng(5)
    tracker, track_id = started()
    raw_error, smooth_error, places_m = [], [], []
    for frame in range(1, 90):
        tracker.advance(10.0 + frame * DT, SIZE)
        shift = np.array([20.0, 0.0]) * frame * DT
        noise = rng.normal(0, 2.0, (16, 2))
        estimate = tracker.correct(
            track_id, pose_2d(shift + noise), pose_3d([0.06 * frame * DT, 0.0, 0.0]))
        raw_error.append(noise)
        smooth_error.append(estimate.smooth_2d.keypoints_px - GRID_PX - shift)
        places_m.append(estimate.smooth_3d.keypoints_m)
    raw_error, smooth_error = np.array(raw_error[20:]), np.array(smooth_error[20:])
    assert np.sqrt(np.mean(smooth_error**2)) < 0.72 * np.sqrt(np.mean(raw_error**2))
    assert np.std(np.diff(smooth_error, 3, axis=0)) < 0.1 * np.std(np.diff(raw_error, 3, axis=0))
    speeds = np.diff(places_m[20:], axis=0) / DT
    assert np.allclose(speeds.mean(axis=(0, 1)), [0.06, 0, 0], atol=0.02)


def test_prediction_moves_the_crop_before_the_picture_is_read():
    tracker, track_id = started()
    for frame in range(1, 31):
        tracker.advance(10.0 + frame * DT, SIZE)
        tracker.correct(track_id, pose_2d([3.0 * frame, 0.0], var=0.1), pose_3d())
    tracker.advance(10.0 + 31 * DT, SIZE)
    assert np.allclose(tracker.tracks[0].keypoints_px, GRID_PX + [92.0, 0.0], atol=1.0)


def test_a_keypoint_is_predicted_then_lost_then_found():
    tracker, track_id = started(predict_max_s=0.5)
    run(tracker, track_id, 10)
    states, spread, scores = [], [], []
    for frame in range(11, 31):
        estimate = run(tracker, track_id, 1, first=frame, low=[WRIST])
        states.append(int(estimate.state[WRIST]))
        spread.append(np.trace(estimate.smooth_2d.covariance_px2[WRIST]))
        scores.append(estimate.score[WRIST])
        assert estimate.state[Joint.L_WRIST] == TrackState.MEASURED
    # 0.5 s are 15 frames; rounding of the stamps may cost the last one.
    assert states[:14] == [TrackState.PREDICTED] * 14
    assert states[15:] == [TrackState.LOST] * 5
    assert (np.diff(spread[:14]) > 0).all() and np.isnan(spread[15:]).all()
    assert (np.diff(scores[:14]) < 0).all() and min(scores[:14]) > 0.39
    assert scores[15:] == [0.0] * 5
    assert np.isnan(estimate.smooth_2d.keypoints_px[WRIST]).all()
    assert np.isnan(estimate.smooth_3d.keypoints_m[WRIST]).all()
    found = run(tracker, track_id, 1, first=31)
    assert found.state[WRIST] == TrackState.MEASURED
    assert np.allclose(found.smooth_2d.keypoints_px[WRIST], GRID_PX[WRIST], atol=1e-6)


def test_a_lost_keypoint_stays_in_the_crop_and_goes_along():
    tracker, track_id = started(predict_max_s=0.1)
    run(tracker, track_id, 5)
    low = [Joint.L_WRIST]  # the far corner of the grid
    for frame in range(6, 90):
        tracker.advance(10.0 + frame * DT, SIZE)
        estimate = tracker.correct(
            track_id, pose_2d([min(frame - 5, 50), 0.0], low=low), pose_3d())
    track = tracker.tracks[0]
    assert estimate.state[Joint.L_WRIST] == TrackState.LOST
    assert np.isnan(track.covariance_px2[Joint.L_WRIST]).all()
    assert np.allclose(track.keypoints_px[Joint.L_WRIST], GRID_PX[15] + [50, 0], atol=4.0)
    assert np.allclose(track.box_xyxy, [250, 150, 370, 270], atol=4.0)


def test_an_outlier_is_predicted_and_a_jump_believed_at_the_third():
    tracker, track_id = started()
    run(tracker, track_id, 20)
    points = GRID_PX.copy()
    points[WRIST] += [300.0, 0.0]
    jumped = Pose2D(points, np.full(16, 0.9), np.tile(np.eye(2) * 4.0, (16, 1, 1)))
    states = []
    for frame in (21, 22, 23):
        tracker.advance(10.0 + frame * DT, SIZE)
        estimate = tracker.correct(track_id, jumped, pose_3d())
        states.append(int(estimate.state[WRIST]))
    assert states == [TrackState.PREDICTED, TrackState.PREDICTED, TrackState.MEASURED]
    assert np.allclose(estimate.smooth_2d.keypoints_px[WRIST], points[WRIST], atol=1.0)


def test_unseen_frames_predict_lose_and_end_the_track():
    tracker, track_id = started(predict_max_s=0.3, track_max_s=0.6)
    run(tracker, track_id, 10)
    answers = {}
    for frame in range(11, 31):
        tracker.advance(10.0 + frame * DT, SIZE)
        estimate = tracker.correct(track_id, None, None)
        answers[frame] = set(estimate.state.tolist())
        ended = tracker.end_stale()
        if ended:
            break
        assert np.isfinite(tracker.tracks[0].box_xyxy).all()
    assert answers[15] == {TrackState.PREDICTED}
    assert answers[21] == {TrackState.LOST}
    assert ended == [track_id] and frame in (28, 29)  # 0.6 s are 18 frames after the tenth
    assert tracker.tracks == ()
    with pytest.raises(InvalidInputError, match='no track 1'):
        tracker.correct(track_id, None, None)


def test_the_3d_filter_lives_on_its_own():
    tracker, track_id = started(predict_max_s=0.2)
    run(tracker, track_id, 3)
    for frame in range(4, 14):
        tracker.advance(10.0 + frame * DT, SIZE)
        estimate = tracker.correct(track_id, pose_2d(), None)
        if frame == 6:
            assert np.allclose(estimate.smooth_3d.keypoints_m, GRID_M, atol=1e-6)
    assert (estimate.state == TrackState.MEASURED).all()
    assert np.isnan(estimate.smooth_3d.keypoints_m).all()


def test_lost_in_the_picture_is_lost_in_space():
    tracker, track_id = started(predict_max_s=0.2)
    run(tracker, track_id, 20)
    states = []
    for frame in range(21, 30):
        points = GRID_PX.copy()
        points[WRIST] += [300.0, 200.0] if frame % 2 else [-300.0, -200.0]
        tracker.advance(10.0 + frame * DT, SIZE)
        estimate = tracker.correct(track_id, Pose2D(
            points, np.full(16, 0.9), np.tile(np.eye(2) * 4.0, (16, 1, 1))), pose_3d())
        states.append(int(estimate.state[WRIST]))
        lost = states[-1] == TrackState.LOST
        assert np.isnan(estimate.smooth_3d.keypoints_m[WRIST]).all() == lost
    assert states[:5] == [TrackState.PREDICTED] * 5 and TrackState.LOST in states


def test_only_noise_is_averaged_out_and_bias_stays_in_what_is_told():
    tracker, track_id = started()
    noise_m2, covariance_m2 = np.eye(3) * 1e-6, np.diag([9e-4, 9e-4, 16e-4])
    for frame in range(1, 31):
        tracker.advance(10.0 + frame * DT, SIZE)
        moved = GRID_M + [0.3 * frame * DT, 0.0, 0.0]    # an infant that moves at 0.3 m/s
        estimate = tracker.correct(track_id, pose_2d(), Pose3D(
            moved, np.tile(covariance_m2, (16, 1, 1)), True, np.tile(noise_m2, (16, 1, 1))))
        if frame > 5:
            # 1 mm of noise: little more than one frame (10 mm) behind, not the 30 mm that the
            # covariance says
            assert np.abs(estimate.smooth_3d.keypoints_m - moved).max() < 0.013
    smooth = estimate.smooth_3d
    # The filter's own error counts how far the calm pose lags behind it.
    assert (np.trace(smooth.noise_m2, axis1=1, axis2=2) < 0.013**2).all()
    own = smooth.noise_m2 + np.where(np.arange(16) == ROOT, 0, 1)[:, None, None] * (
        smooth.noise_m2[ROOT])
    assert np.allclose(smooth.covariance_m2 - own, covariance_m2 - 2 * noise_m2, atol=1.1e-6)
    tracker.advance(10.0 + 31 * DT, SIZE)
    predicted = tracker.correct(track_id, None, None).smooth_3d
    assert (np.diagonal(predicted.covariance_m2, axis1=1, axis2=2)
            > np.diag(covariance_m2) - 3e-6).all()


def test_relative_to_absolute_restarts_3d_alone():
    tracker, track_id = started()
    run(tracker, track_id, 20)
    tracker.advance(10.0 + 21 * DT, SIZE)
    relative = Pose3D(GRID_M - [0, 0, 0.9], np.tile(np.eye(3) * 4e-4, (16, 1, 1)), False)
    estimate = tracker.correct(track_id, pose_2d(), relative)
    assert not estimate.smooth_3d.is_absolute
    assert np.allclose(estimate.smooth_3d.keypoints_m, relative.keypoints_m)
    assert np.allclose(estimate.smooth_3d.covariance_m2, np.eye(3) * 4e-4)
    assert estimate.smooth_2d.covariance_px2[0, 0, 0] < 3.5


def test_time():
    tracker, _ = started(gap_reset_s=2.0)
    assert not tracker.advance(10.0, SIZE)
    assert not tracker.advance(12.0, SIZE)
    assert len(tracker.tracks) == 1
    assert tracker.advance(11.9, SIZE)
    assert tracker.tracks == ()
    tracker.begin(pose_2d(), pose_3d())
    assert tracker.advance(14.0, SIZE)
    assert tracker.tracks == ()
    assert not tracker.advance(14.5, SIZE)


def test_another_picture_size_begins_anew():
    tracker, _ = started()
    assert tracker.advance(10.1, (1280, 720))
    assert tracker.tracks == ()


@pytest.mark.parametrize('stamp_s, size_wh, word', [
    (float('nan'), SIZE, 'stamp_s'), (float('inf'), SIZE, 'stamp_s'), (1.0, (0, 480), 'size_wh')])
def test_bad_frames_are_named(stamp_s, size_wh, word):
    tracker, _ = started()
    with pytest.raises(InvalidInputError, match=word):
        tracker.advance(stamp_s, size_wh)
    assert len(tracker.tracks) == 1


def test_acceleration_scales_with_the_picture():
    spreads = []
    for width in (640, 1280):
        tracker = PoseTracker(PipelineSettings())
        tracker.advance(0.0, (width, 480))
        tracker.begin(pose_2d(var=1e-6), None)
        tracker.advance(0.1, (width, 480))
        spreads.append(np.sqrt(tracker.tracks[0].covariance_px2[0, 0, 0]))
    assert spreads[1] == pytest.approx(2 * spreads[0], rel=1e-3)


def test_ids_rise_and_wrap_past_the_living(monkeypatch):
    monkeypatch.setattr(tracks_module, 'MAX_TRACK_ID', 4)
    tracker, first = started()
    ids = []
    for _ in range(4):
        ids.append(tracker.begin(pose_2d(), pose_3d()).id)
        tracker.end(ids[-1])
    assert first == 1
    assert ids == [2, 3, 4, 2]


def test_ids_are_not_reused_after_a_reset():
    tracker, first = started()
    tracker.reset()
    assert tracker.tracks == ()
    assert not tracker.advance(3.0, (320, 240))
    second = tracker.begin(pose_2d(), pose_3d()).id
    assert tracker.advance(1.0, (320, 240))
    assert [first, second, tracker.begin(pose_2d(), pose_3d()).id] == [1, 2, 3]


def test_two_tracks_do_not_mix():
    tracker, first = started()
    second = tracker.begin(pose_2d([200.0, 0.0]), pose_3d()).id
    tracker.advance(10.0 + DT, SIZE)
    a = tracker.correct(first, pose_2d(), pose_3d())
    b = tracker.correct(second, pose_2d([200.0, 0.0]), pose_3d())
    assert np.allclose(b.smooth_2d.keypoints_px - a.smooth_2d.keypoints_px, [200.0, 0.0])
    tracker.end(first)
    assert [track.id for track in tracker.tracks] == [second]


def test_without_smoothing_raw_poses_pass():
    tracker, track_id = started(smoothing=False)
    tracker.advance(10.0 + DT, SIZE)
    raw, deep = pose_2d([7.0, -3.0], low=[WRIST]), pose_3d([0.01, 0, 0])
    estimate = tracker.correct(track_id, raw, deep)
    others = np.arange(16) != WRIST
    assert np.array_equal(estimate.smooth_2d.keypoints_px[others], raw.keypoints_px[others])
    assert np.array_equal(estimate.smooth_3d.keypoints_m[others], deep.keypoints_m[others])
    assert estimate.state[WRIST] == TrackState.LOST and estimate.score[WRIST] == 0.0
    assert np.isnan(estimate.smooth_2d.keypoints_px[WRIST]).all()
    assert (estimate.state[others] == TrackState.MEASURED).all()
    tracker.advance(10.0 + 2 * DT, SIZE)
    nothing = tracker.correct(track_id, None, None)
    assert (nothing.state == TrackState.LOST).all()
    assert np.isnan(nothing.smooth_2d.keypoints_px).all()
    assert np.isnan(nothing.smooth_3d.covariance_m2).all()


def test_new_settings_reach_running_tracks():
    tracker, track_id = started()
    run(tracker, track_id, 20)
    tracker.update_settings(PipelineSettings(acceleration_std_2d=100.0, keypoint_score_min=0.85))
    tracker.advance(10.0 + 21 * DT, SIZE)
    assert (tracker.correct(track_id, pose_2d(), None).state == TrackState.PREDICTED).all()
    assert tracker.correct(track_id, pose_2d(score=0.9), None).state[0] == TrackState.MEASURED


def test_missing_points_and_empty_poses():
    tracker, track_id = started()
    tracker.advance(10.0 + DT, SIZE)
    nothing = Pose2D(np.full((16, 2), np.nan), np.zeros(16), np.full((16, 2, 2), np.nan))
    estimate = tracker.correct(track_id, nothing, None)
    assert (estimate.state == TrackState.PREDICTED).all()
    assert tracker.tracks[0].score == 0.0
    with pytest.raises(InvalidInputError, match='2 finite keypoints'):
        tracker.begin(nothing, None)


def test_misuse_is_named():
    with pytest.raises(InvalidInputError, match='advance'):
        PoseTracker(PipelineSettings()).begin(pose_2d(), None)
    tracker, track_id = started()
    with pytest.raises(InvalidInputError, match='pose_3d'):
        tracker.correct(track_id, None, pose_3d())
    with pytest.raises(InvalidInputError, match='no track 9'):
        tracker.end(9)


def test_the_first_pose_given_twice_teaches_bones_once():
    settings = PipelineSettings(bone_stiffness=1.0)
    once, twice = PoseTracker(settings), PoseTracker(settings)
    for tracker in (once, twice):
        tracker.advance(0.0, SIZE)
        tracker.begin(pose_2d(), pose_3d())
    twice.correct(1, pose_2d(), pose_3d())
    longer = Pose3D(GRID_M * 1.1, pose_3d().covariance_m2, True)
    for tracker in (once, twice):
        tracker.advance(DT, SIZE)
    ends = [tracker.correct(1, pose_2d(), longer).smooth_3d.keypoints_m
            for tracker in (once, twice)]
    assert np.allclose(*ends, atol=1e-12)


def test_exchanges_are_forgotten_while_they_are_not_looked_for():
    tracker, track_id = started(swap_patience_s=0.5)
    swapped = Pose2D(pose_2d().keypoints_px[list(MIRRORED_ORDER)], np.full(16, 0.8),
                     pose_2d().covariance_px2)
    tracker.advance(10.0 + DT, SIZE)
    read = tracker.unswapped({track_id: swapped})[track_id]
    assert np.allclose(read.keypoints_px, GRID_PX)
    tracker.update_settings(PipelineSettings(swap_patience_s=0.0))
    run(tracker, track_id, 30, first=2)
    assert tracker.unswapped({track_id: swapped})[track_id] is swapped
    tracker.update_settings(PipelineSettings(swap_patience_s=0.5))
    tracker.advance(10.0 + 32 * DT, SIZE)
    # one reading is not insisting
    read = tracker.unswapped({track_id: swapped})[track_id]
    assert np.allclose(read.keypoints_px, GRID_PX)
