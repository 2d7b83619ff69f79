import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.filters import Measured, PoseFilters, space_poses, Unseen
from infant_pose_ros.filtering.motion import LAG_SPEED_PX_S
from infant_pose_ros.skeleton import Joint, ROOT
from infant_pose_ros.structures import Pose2D, Pose3D

NO_BONES = np.full((1, 15), np.nan)
UNKNOWN, NO_NOISE = np.full((1, 3), np.nan), np.zeros((1, 3, 3))
ALL = np.ones((1, 16), bool)


def body(root=(0.1, 0.2, 1.0), missing=()):
    """A pose in space whose keypoint k lies k cm to the right of the root, and noise of k mm."""
    points = np.array(root) + np.arange(16)[:, None] * [0.01, 0.0, 0.0]
    points[ROOT] = root
    points[list(missing)] = np.nan
    noise = np.arange(1.0, 17)[:, None, None]**2 * np.eye(3) * 1e-6
    return Pose3D(points, np.tile(np.eye(3) * 9e-4, (16, 1, 1)), True, noise)


def flat(score=0.9):
    return Pose2D(np.zeros((16, 2)), np.full(16, score), np.tile(np.eye(2) * 25, (16, 1, 1)),
                  np.tile(np.eye(2), (16, 1, 1)))


def test_in_space_the_root_is_a_place_and_the_others_are_relative_to_it():
    measured = Measured.in_space([(flat(), body())], ALL, UNKNOWN, NO_NOISE)
    assert np.allclose(measured.points[0, ROOT], (0.1, 0.2, 1.0))
    assert np.allclose(measured.points[0, Joint.L_WRIST], (0.15, 0.0, 0.0))
    assert np.allclose(measured.noise[0, Joint.L_WRIST], np.eye(3) * 256e-6)


def test_without_the_root_its_prediction_or_the_hips_stand_in():
    hidden = body(missing=[ROOT])
    predicted = Measured.in_space([(flat(), hidden)], ALL, np.array([[0.1, 0.2, 1.1]]),
                                  np.eye(3)[None] * 1e-4)
    assert np.allclose(predicted.points[0, Joint.L_WRIST], (0.15, 0.0, -0.1))
    assert np.allclose(predicted.noise[0, Joint.L_WRIST], np.eye(3) * 356e-6)
    assert np.isnan(predicted.points[0, ROOT]).all() and not predicted.stands_in[0]
    hips = Measured.in_space([(flat(), hidden)], ALL, UNKNOWN, NO_NOISE)
    # the hips, 2 and 3 cm to the right: 2.5 cm between
    assert hips.stands_in[0] and np.allclose(hips.points[0, ROOT], (0.125, 0.2, 1.0))
    assert np.allclose(hips.points[0, Joint.L_WRIST], (0.125, 0.0, 0.0))


def test_without_root_and_hips_what_else_is_seen_stands_in():
    head = body(missing=set(range(16)) - {Joint.HEAD_TOP, Joint.THORAX})
    measured = Measured.in_space([(flat(), head)], ALL, UNKNOWN, NO_NOISE)
    assert np.allclose(measured.points[0, ROOT],
                       head.keypoints_m[[Joint.HEAD_TOP, Joint.THORAX]].mean(axis=0))
    unknown = Measured.in_space([(flat(), body(missing=range(16)))], ALL, UNKNOWN, NO_NOISE)
    assert np.isnan(unknown.points).all() and not unknown.stands_in[0]


def test_a_root_that_is_not_seen_is_no_place_to_measure_from():
    seen = ALL.copy()
    seen[0, ROOT] = False
    measured = Measured.in_space([(flat(), body())], seen, np.array([[0.1, 0.2, 1.1]]), NO_NOISE)
    assert np.allclose(measured.points[0, Joint.L_WRIST], (0.15, 0.0, -0.1))


def test_a_pose_relative_to_a_hidden_root_stays_so():
    relative = body(root=(0.0, 0.0, 0.0))
    keypoints_m = relative.keypoints_m.copy()
    keypoints_m[ROOT] = np.nan
    pose = Pose3D(keypoints_m, relative.covariance_m2, False, relative.noise_m2)
    filters = PoseFilters(PipelineSettings(), 640.0)
    filters.add_row()
    seen = ALL.copy()
    seen[0, ROOT] = False
    for _ in range(30):
        filters.predict(1 / 30)
        filters.correct([(flat(), pose)], seen)
        filters.lose(0.5)
    published = filters.calm_space(NO_BONES, NO_BONES)[0]
    assert np.isnan(published.keypoints_m[ROOT]).all()
    assert np.allclose(published.keypoints_m[Joint.L_WRIST], (0.15, 0.0, 0.0))


def test_nothing_measured_is_missing():
    for measured in (Measured.in_picture([(None, None)]), Measured.in_space(
            [(flat(), None)], ALL, np.zeros((1, 3)), NO_NOISE)):
        assert np.isnan(measured.points).all() and np.isnan(measured.noise).all()


def test_root_and_limbs_meet_again():
    filters = PoseFilters(PipelineSettings(), 640.0)
    filters.add_row()
    for _ in range(3):
        filters.predict(1 / 30)
        filters.correct([(flat(), body())], np.ones((1, 16), bool))
    pose = filters.calm_space(NO_BONES, NO_BONES)[0]
    assert np.allclose(pose.keypoints_m, body().keypoints_m)
    assert pose.is_absolute
    # the root's own error is every keypoint's
    assert (pose.covariance_m2[Joint.L_WRIST, 0, 0] > pose.noise_m2[Joint.L_WRIST, 0, 0])


def test_a_root_that_nobody_saw_is_not_published_but_used():
    filters = PoseFilters(PipelineSettings(predict_max_s=0.1), 640.0)
    filters.add_row()
    seen = np.ones((1, 16), bool)
    filters.correct([(flat(), body())], seen)
    seen[0, ROOT] = False
    for _ in range(6):
        filters.predict(0.05)
        filters.correct([(flat(), body(missing=[ROOT]))], seen)
        filters.lose(0.1)
    pose = filters.calm_space(NO_BONES, NO_BONES)[0]
    assert np.isnan(pose.keypoints_m[ROOT]).all()
    assert np.allclose(pose.keypoints_m[Joint.L_WRIST], body().keypoints_m[Joint.L_WRIST])


def test_errors_are_told_while_the_root_is_hidden():
    filters = PoseFilters(PipelineSettings(), 640.0)
    filters.add_row()
    filters.correct([(flat(), body())], ALL)
    hidden = body(missing=[ROOT])
    noise, covariance = hidden.noise_m2.copy(), hidden.covariance_m2.copy()
    noise[ROOT] = covariance[ROOT] = np.nan
    seen = ALL.copy()
    seen[0, ROOT] = False
    for _ in range(4):
        filters.predict(1 / 30)
        filters.correct([(flat(), Pose3D(hidden.keypoints_m, covariance, True, noise))], seen)
    pose = filters.calm_space(NO_BONES, NO_BONES)[0]
    assert np.isfinite(pose.covariance_m2).all()
    assert (np.linalg.eigvalsh(pose.covariance_m2)[:, 0] > 0.0).all()


def test_without_errors_of_the_root_the_others_are_told():
    filters = PoseFilters(PipelineSettings(), 640.0)
    filters.add_row()
    noise = body().noise_m2.copy()
    noise[ROOT] = np.nan
    pose = Pose3D(body().keypoints_m, body().covariance_m2, True, noise)
    for _ in range(3):
        filters.correct([(flat(), pose)], ALL)
        filters.predict(1 / 30)
    published = filters.calm_space(NO_BONES, NO_BONES)[0]
    assert np.isnan(published.keypoints_m[ROOT]).all()
    assert np.allclose(published.keypoints_m[Joint.L_WRIST], body().keypoints_m[Joint.L_WRIST])
    assert np.isfinite(published.covariance_m2[Joint.L_WRIST]).all()


def test_the_root_takes_over_from_what_stood_in_for_it():
    filters = PoseFilters(PipelineSettings(), 640.0)
    filters.add_row()
    seen = ALL.copy()
    seen[0, ROOT] = False
    for _ in range(20):
        filters.correct([(flat(), body(missing=[ROOT]))], seen)
        filters.predict(1 / 30)
    before = filters.calm_space(NO_BONES, NO_BONES)[0].keypoints_m
    filters.correct([(flat(), body())], ALL)
    after = filters.calm_space(NO_BONES, NO_BONES)[0].keypoints_m
    assert np.isnan(before[ROOT]).all()
    assert np.allclose(before[Joint.L_WRIST], body().keypoints_m[Joint.L_WRIST])
    assert np.allclose(after, body().keypoints_m)      # at once, root and all


def test_unseen_error_stays_and_noise_counts_no_more_than_the_covariance():
    unseen = Unseen.empty(2)
    unseen.add_row()
    taken = np.zeros((1, 16), bool)
    taken[0, :2] = True
    spread, noise = np.tile(np.eye(2) * 4.0, (1, 16, 1, 1)), np.tile(np.eye(2), (1, 16, 1, 1))
    noise[0, 1] *= 8.0      # says more than the whole error
    unseen.learn(taken, spread, noise)
    own = np.tile(np.eye(2) * 0.5, (1, 16, 1, 1))
    whole = unseen.whole(own)[0]
    assert np.allclose(whole[0], np.eye(2) * 3.5)       # 4 - 1 + 0.5
    assert np.allclose(whole[1], np.eye(2) * 0.25)      # half of the noise counts
    assert np.allclose(whole[2], np.eye(2) * 0.5)       # never measured: no bias known
    unseen.reorder(0, np.array([1, 0, *range(2, 16)]))
    assert np.allclose(unseen.whole(own)[0, 1], np.eye(2) * 3.5)


def test_noise_that_is_long_where_the_covariance_is_not_leaves_a_covariance():
    noise = np.tile([[1.975, 1.925], [1.925, 1.975]], (1, 16, 1, 1))    # variances 3.9 and 0.05
    spread = np.tile(2.0 * np.eye(2), (1, 16, 1, 1))
    unseen = Unseen(np.zeros((1, 16, 2, 2)), np.ones((1, 16)))
    unseen.learn(np.ones((1, 16), bool), spread, noise)
    assert np.allclose(unseen.share, 2 / 3.9)
    calm = 1e-3 * np.tile(np.eye(2), (1, 16, 1, 1))
    assert np.linalg.eigvalsh(unseen.whole(calm)).min() > 0


def test_settings_scale_with_the_picture():
    settings = PipelineSettings(acceleration_std_2d=100.0)
    wide = PoseFilters(settings, 1280.0).picture.settings
    assert wide.acceleration_std == 200.0 and wide.lag_speed == 2 * LAG_SPEED_PX_S
    filters = PoseFilters(settings, 640.0)
    filters.configure(settings.replace(smoothing_lag_ms=0.0), 640.0)
    assert filters.picture.settings.lag_s == filters.space.settings.lag_s == 0.0
    assert wide.lag_s == pytest.approx(settings.smoothing_lag_ms * 1e-3)


def test_bones_pull_limbs_but_not_the_root():
    points = np.zeros((1, 16, 3))
    points[0, ROOT] = (1.0, 2.0, 3.0)
    points[0, :, 0] += np.where(np.arange(16) == ROOT, 0.0, np.arange(16) * 0.1)
    spread = np.tile(np.eye(3) * 1e-4, (1, 16, 1, 1))
    unseen = Unseen.empty(3)
    unseen.add_row()
    free, pulled = (space_poses(points, spread, unseen, np.array([True]), np.array([False]),
                                lengths, np.full((1, 15), 0.01))[0]
                    for lengths in (NO_BONES, np.full((1, 15), 0.2)))
    assert np.allclose(free.keypoints_m[ROOT], pulled.keypoints_m[ROOT])
    assert np.allclose(free.keypoints_m[Joint.L_HIP], (1.3, 2.0, 3.0))
    assert pulled.keypoints_m[Joint.L_HIP, 0] < 1.29
