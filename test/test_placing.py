import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.scale import BodyScales, combined_scale
from infant_pose_ros.placing import put_in_place, rescaled, with_scale_error
from infant_pose_ros.skeleton import Joint, ROOT
from infant_pose_ros.structures import Pose2D, Pose3D

FOCAL_PX = 600.0


def body_m(length_m=0.6, distance_m=1.0):
    rng = np.random.default_rng(4)
    body = rng.uniform(-0.2, 0.2, (16, 3)) * (1, 1, 0.02)
    body[ROOT] = 0.0
    body[Joint.THORAX] = (0.0, -0.15, 0.0)
    for left, right, x, y in ((Joint.L_SHOULDER, Joint.R_SHOULDER, 0.06, -0.15),
                              (Joint.L_HIP, Joint.R_HIP, 0.04, 0.0)):
        body[left], body[right] = (x, y, 0.0), (-x, y, 0.0)
    return (body + (0.0, 0.0, distance_m)) * length_m / 0.6


def pose_of(points_m, is_absolute=True, std_m=0.02):
    covariance_m2 = np.tile(np.eye(3) * std_m ** 2, (16, 1, 1))
    return Pose3D(points_m, covariance_m2, is_absolute, 0.01 * covariance_m2)


def seen(points_m):
    return Pose2D(points_m[:, :2] / points_m[:, 2:] * FOCAL_PX + (320, 240), np.ones(16),
                  np.tile(np.eye(2), (16, 1, 1)))


def place(points_m, settings, track=None, scales=None, depth_m=None, **kwargs):
    scales = scales or BodyScales(settings)
    return put_in_place(pose_of(points_m, **kwargs), seen(body_m()), scales, track, depth_m,
                        settings.mattress_distance_m)


def flat_depth(distance_m):
    return np.full((480, 640), distance_m, np.float32)


def test_the_error_of_the_length_lies_along_the_line_of_sight():
    points = body_m()
    before, after = pose_of(points), with_scale_error(pose_of(points), 0.1)
    added = after.covariance_m2 - before.covariance_m2
    assert np.allclose(added[3], 0.01 * np.outer(points[3], points[3]))
    assert np.array_equal(after.noise_m2, before.noise_m2)
    assert np.array_equal(after.keypoints_m, points)


def test_everything_metric_is_proportional_to_the_length():
    twice = rescaled(pose_of(body_m()), 2.0)
    assert np.allclose(twice.keypoints_m, 2 * body_m())
    assert np.allclose(twice.covariance_m2[0], 4 * 0.02 ** 2 * np.eye(3))


def test_without_a_camera_nothing_is_placed():
    placed = place(body_m() - (0, 0, 1.0), PipelineSettings(mattress_distance_m=1.0),
                   depth_m=flat_depth(1.0), is_absolute=False)
    assert placed.placement == 'none' and placed.measured_length_m is None
    assert placed.scale.origin == 'assumed'


def test_without_depth_the_reprojection_places():
    placed = place(body_m(), PipelineSettings(body_length_m=0.6))
    assert placed.placement == 'reprojection' and placed.scale.origin == 'given'
    assert np.array_equal(placed.pose.keypoints_m, body_m())
    assert placed.pose.covariance_m2[ROOT, 2, 2] == pytest.approx(0.02 ** 2 + (0.01 * 1.0) ** 2)


def test_depth_places_and_tells_the_length():
    # A body of 0.75 m that was lifted as one of 0.6 m: 1.25 m away instead of 1 m.
    truth = body_m(0.75)
    surface_m = np.median(truth[:, 2]) - 0.06
    placed = place(body_m(), PipelineSettings(), depth_m=flat_depth(surface_m))
    assert placed.placement == 'depth' and placed.scale.origin == 'estimated'
    assert placed.measured_length_m == pytest.approx(0.75, rel=0.06)
    assert placed.pose.keypoints_m[ROOT, 2] == pytest.approx(1.25, abs=0.05)
    width_m = np.ptp(placed.pose.keypoints_m[:, 0])
    assert width_m == pytest.approx(np.ptp(truth[:, 0]), rel=0.06)


def test_a_given_length_is_not_measured():
    placed = place(body_m(), PipelineSettings(body_length_m=0.6), depth_m=flat_depth(0.95))
    assert placed.placement == 'depth' and placed.measured_length_m is None
    assert placed.scale == (0.6, 0.01, 'given')


def test_the_first_measurement_sets_the_size_and_later_ones_only_count():
    settings = PipelineSettings(mattress_distance_m=1.3)
    scales = BodyScales(settings)
    first = place(body_m(), settings, None, scales)
    assert first.scale == combined_scale(scales.prior, first.measured_length_m)
    assert first.pose.keypoints_m[ROOT, 2] == pytest.approx(first.scale.length_m / 0.6)
    scales.observe(5, 0.0, first.measured_length_m)
    assert scales.of(5) == first.scale
    later = place(body_m(scales.of(5).length_m), settings, 5, scales)
    assert np.array_equal(later.pose.keypoints_m, body_m(scales.of(5).length_m))
    assert later.measured_length_m == pytest.approx(first.measured_length_m)


def test_a_length_that_no_infant_has_is_not_believed():
    placed = place(body_m(), PipelineSettings(mattress_distance_m=4.0))
    assert placed.measured_length_m is None and placed.scale.origin == 'assumed'
    placed = place(body_m(), PipelineSettings(age_months=2.0), depth_m=flat_depth(3.0))
    assert placed.measured_length_m is None and placed.placement == 'reprojection'


def test_a_frame_without_depth_stays_where_depth_put_the_one_before():
    settings = PipelineSettings(body_length_m=0.6)
    scales = BodyScales(settings)
    by_depth = place(body_m(), settings, 1, scales, flat_depth(1.00))
    assert by_depth.placement == 'depth'
    scales.note_distance_factors({1: by_depth.distance_factor})
    without = place(body_m(), settings, 1, scales)
    assert without.placement == 'reprojection' and without.distance_factor is None
    assert without.pose.keypoints_m[ROOT] == pytest.approx(by_depth.pose.keypoints_m[ROOT])
    assert abs(by_depth.pose.keypoints_m[ROOT, 2] - 1.0) > 0.01
    relative_m = without.pose.keypoints_m - without.pose.keypoints_m[ROOT]
    assert relative_m == pytest.approx(body_m() - body_m()[ROOT])
