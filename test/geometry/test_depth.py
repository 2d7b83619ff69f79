import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.depth import (
    checked_depth,
    fuse_depth,
    joint_depths,
    JointDepths,
    length_from_mattress,
    measured_length,
    sample_depth,
    trunk_facing,
    weighted_median,
)
from infant_pose_ros.skeleton import Joint, ROOT
from infant_pose_ros.structures import Pose3D


def supine_m(distance_m=1.0):
    """(16, 3) an infant on its back, its head up in the picture: its left is on the right."""
    body = np.zeros((16, 3))
    body[:] = (0.0, 0.0, 0.0)
    left = {Joint.L_HIP: (0.04, 0.0), Joint.L_SHOULDER: (0.06, -0.2), Joint.L_ELBOW: (0.12, -0.15),
            Joint.L_WRIST: (0.15, -0.1), Joint.L_KNEE: (0.06, 0.1), Joint.L_ANKLE: (0.06, 0.2)}
    for joint, (x, y) in left.items():
        right = Joint[joint.name.replace('L_', 'R_', 1)]
        body[joint, :2], body[right, :2] = (x, y), (-x, y)
    body[Joint.THORAX, 1], body[Joint.UPPER_NECK, 1], body[Joint.HEAD_TOP, 1] = -0.2, -0.22, -0.35
    return body + (0.0, 0.0, distance_m)


def pose_of(points_m, std_m=0.03, root_std_m=0.05, noise_std_m=0.0005):
    root_m2 = np.diag([1e-6, 1e-6, root_std_m ** 2])
    covariance_m2 = np.tile(std_m ** 2 * np.eye(3), (16, 1, 1)) + root_m2
    covariance_m2[ROOT] = root_m2 + 1e-6 * np.eye(3)
    noise_m2 = np.tile(noise_std_m ** 2 * np.eye(3), (16, 1, 1))
    return Pose3D(points_m, covariance_m2, True, noise_m2)


def depths_of(depth_m, std_m=0.005, offset_m=0.0, body_length_m=0.6):
    return JointDepths(np.array(depth_m, float), np.full(16, std_m), np.full(16, offset_m),
                       body_length_m)


def test_a_sample_is_the_median_of_what_is_known_around():
    depth_m = np.full((480, 640), 1.2, np.float32)
    depth_m[100:103, 200:203] = 0.0         # 9 of 25 unknown, the rest tells
    depth_m[99, 199] = 55.0
    depth_m[300:320, 300:320] = np.nan
    points = np.full((16, 2), np.nan)
    points[:6] = [(201, 101), (310, 310), (-3, 10), (10, 480), (639.4, 479.4), (1e300, 5)]
    found = sample_depth(depth_m, points)
    assert found[0] == pytest.approx(1.2) and found[4] == pytest.approx(1.2)
    assert np.isnan(np.delete(found, [0, 4])).all()


@pytest.mark.parametrize('depth_m, message', [
    (np.zeros((480, 640), np.uint16), 'floating point metres'),
    (np.zeros((480, 640, 1), np.float32), 'floating point metres'),
    ([[1.0]], 'list'),
    (np.zeros((240, 320), np.float32), '320x240 but the picture is 640x480'),
])
def test_what_is_no_depth_of_this_picture_is_refused(depth_m, message):
    with pytest.raises(InvalidInputError, match=message):
        checked_depth(depth_m, (640, 480))


def test_which_side_faces_the_camera():
    body = supine_m()
    middle = body[[Joint.PELVIS, Joint.THORAX]].mean(axis=0)
    assert trunk_facing(body)[0] == pytest.approx(0.995, abs=0.01)    # seen from a bit below
    turned = {}
    for name, angle in (('left', np.pi / 2), ('back', np.pi)):
        cos, sin = np.cos(angle), np.sin(angle)
        about_y = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        turned[name] = trunk_facing((body - middle) @ about_y.T + middle)
    assert turned['back'][0] == pytest.approx(-0.995, abs=0.01)
    assert turned['left'] == pytest.approx((0.0, 0.995), abs=0.01)    # its left side is up
    body[Joint.L_HIP] = np.nan
    assert trunk_facing(body).tolist() == [0.0, 0.0]


def test_the_trunk_is_thicker_than_a_wrist():
    depth_m = np.full((480, 640), 0.9, np.float32)
    points_px = np.tile([320.0, 240.0], (16, 1))
    supine = joint_depths(depth_m, points_px, supine_m(), 0.6)
    assert supine.offset_m[Joint.PELVIS] == pytest.approx(0.6 * (0.106 + 0.033 * 0.995), abs=1e-4)
    assert supine.offset_m[Joint.L_WRIST] < 0.02
    assert supine.offset_m[Joint.L_HIP] == pytest.approx(supine.offset_m[Joint.R_HIP])
    assert np.allclose(supine.depth_m, 0.9 + supine.offset_m, atol=1e-6)
    twice = joint_depths(depth_m, points_px, supine_m(), 1.2)
    assert np.allclose(twice.offset_m, 2 * supine.offset_m)


def test_weighted_median_by_hand():
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.ones(3)) == 2.0
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([5.0, 1.0, 1.0])) == 3.0
    assert weighted_median(np.array([4.0]), np.array([0.1])) == 4.0


def test_depth_moves_the_pose_along_the_line_of_sight():
    truth = supine_m(1.10) + (0.22, -0.11, 0.0)
    lifted = truth * (1.0 / 1.1)            # all too near, on the same rays
    fused = fuse_depth(pose_of(lifted, root_std_m=0.10), depths_of(truth[:, 2]))
    assert fused.used.all()
    assert np.abs(fused.pose.keypoints_m[ROOT] - truth[ROOT]).max() < 0.006
    root_m = fused.pose.keypoints_m[ROOT]
    assert root_m[:2] / root_m[2] == pytest.approx((0.2, -0.1), abs=1e-9)


def test_a_joint_moves_along_its_own_ray_by_the_share_that_the_variances_give():
    body = supine_m()
    depth_m = body[:, 2].copy()
    depth_m[Joint.L_KNEE] += 0.04
    pose = pose_of(body, std_m=0.0198, root_std_m=0.001)
    fused = fuse_depth(pose, depths_of(depth_m, std_m=0.0198))
    before, after = body[Joint.L_KNEE], fused.pose.keypoints_m[Joint.L_KNEE]
    # A knee's depth is off by 0.033 of 0.6 m; the same measured: half of the way.
    assert after[2] - before[2] == pytest.approx(0.02, abs=0.002)
    assert after[:2] / after[2] == pytest.approx(before[:2] / before[2], abs=1e-4)
    variances = [one.covariance_m2[Joint.L_KNEE, 2, 2] for one in (pose, fused.pose)]
    assert variances[1] == pytest.approx(variances[0] / 2, rel=0.05)
    assert np.linalg.eigvalsh(fused.pose.covariance_m2 - fused.pose.noise_m2).min() > -1e-9
    assert np.linalg.eigvalsh(fused.pose.noise_m2).min() > 0


def test_what_is_in_front_of_a_limb_is_not_taken_for_it():
    body = supine_m()
    depth_m = body[:, 2].copy()
    arm = [Joint.R_WRIST, Joint.R_ELBOW, Joint.R_SHOULDER]
    depth_m[arm] -= 0.25                    # an adult's hand over the infant's arm
    depth_m[Joint.HEAD_TOP] += 0.5          # beside the head
    fused = fuse_depth(pose_of(body), depths_of(depth_m))
    assert not fused.used[[*arm, Joint.HEAD_TOP]].any() and fused.used.sum() == 12
    assert np.abs(fused.pose.keypoints_m - body).max() < 0.01


def test_what_lies_right_in_front_is_less_credible_than_what_lies_behind():
    body, off_m = supine_m(), 0.10
    for sign, believed in ((-1, False), (1, True)):
        depth_m = body[:, 2].copy()
        depth_m[Joint.L_WRIST] += sign * off_m
        fused = fuse_depth(pose_of(body, root_std_m=0.005), depths_of(depth_m))
        assert fused.used[Joint.L_WRIST] == believed


def test_depths_that_say_nothing_change_nothing():
    body = supine_m()
    pose = pose_of(body)
    assert fuse_depth(pose, depths_of(np.full(16, np.nan))) is None
    assert fuse_depth(pose, depths_of(body[:, 2] + 3.0)) is None        # some other place
    few = np.full(16, np.nan)
    few[:3] = body[:3, 2]
    assert fuse_depth(pose, depths_of(few)) is None
    headless = body.copy()
    headless[ROOT] = np.nan
    assert fuse_depth(pose_of(headless), depths_of(body[:, 2])) is None


def test_missing_keypoints_stay_missing():
    body = supine_m()
    body[Joint.L_ANKLE] = np.nan
    depth_m = supine_m()[:, 2]
    depth_m[Joint.R_ANKLE] = np.nan
    fused = fuse_depth(pose_of(body), depths_of(depth_m))
    assert np.isnan(fused.pose.keypoints_m[Joint.L_ANKLE]).all()
    assert np.isfinite(np.delete(fused.pose.keypoints_m, Joint.L_ANKLE, axis=0)).all()
    assert not fused.used[[Joint.L_ANKLE, Joint.R_ANKLE]].any()


def test_an_uncertain_length_lets_depth_decide():
    truth = supine_m(1.3)
    lifted = truth / 1.3
    pose = pose_of(lifted, root_std_m=0.02)
    assert fuse_depth(pose, depths_of(truth[:, 2])) is None             # 0.3 m off: not this one
    fused = fuse_depth(pose, depths_of(truth[:, 2]), scale_std=0.15)
    assert np.abs(fused.pose.keypoints_m[ROOT] - truth[ROOT]).max() < 0.02


@pytest.mark.parametrize('factor', [0.8, 1.0, 1.3])
def test_the_length_that_fits_picture_and_depth(factor):
    lifted = supine_m(1.0)                  # of a 0.6 m body, its surface 0.05 m nearer
    surface_m = (lifted[:, 2] - 0.05) * factor
    depths = depths_of(surface_m + 0.05, offset_m=0.05)
    assert measured_length(pose_of(lifted), depths) == pytest.approx(0.6 * factor)
    surface_m[:6] = 0.3                     # something lies on the legs
    depths = depths_of(surface_m + 0.05, offset_m=0.05)
    assert measured_length(pose_of(lifted), depths) == pytest.approx(0.6 * factor, rel=0.05)
    assert measured_length(pose_of(lifted), depths_of(np.full(16, np.nan))) is None


def test_the_length_of_which_the_trunk_lies_on_the_mattress():
    # On the back, trunk 0.06 of the length above the mattress: 1.0 + 0.06 * 0.6 m for 0.6 m.
    body = supine_m(1.0)
    height = 0.13 - 0.07 * trunk_facing(body)[0]
    assert length_from_mattress(pose_of(body), 0.6, 1.0 + 0.6 * height) == pytest.approx(0.6)
    assert length_from_mattress(pose_of(body), 0.6, 2 * (1.0 + 0.6 * height)) == pytest.approx(1.2)
    body[Joint.THORAX] = np.nan
    assert length_from_mattress(pose_of(body), 0.6, 1.0) is None
