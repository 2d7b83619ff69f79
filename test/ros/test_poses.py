import math

import numpy as np
import pytest
from std_msgs.msg import Header

from infant_pose_ros.ros.poses import encode_poses, JointStateEncoder
from infant_pose_ros.skeleton import Joint, JOINT_ANGLES

HEADER = Header(frame_id='cot_optical')


def bent_elbow(keypoints_m, angle_rad):
    """Shoulder above the elbow, wrist turned by `angle_rad` away from the upper arm."""
    keypoints_m = keypoints_m.copy()
    elbow = keypoints_m[Joint.R_ELBOW]
    keypoints_m[Joint.R_SHOULDER] = elbow + (0.0, -0.1, 0.0)
    keypoints_m[Joint.R_WRIST] = elbow + (
        0.1 * math.sin(angle_rad), -0.1 * math.cos(angle_rad), 0.0)
    return keypoints_m


def test_poses_keep_all_16_places(make_result, make_infant):
    infant = make_infant(lost=[Joint.HEAD_TOP])
    message = encode_poses(make_result([infant]), HEADER)
    assert len(message.poses) == 16
    assert message.header.frame_id == 'cot_optical'
    assert math.isnan(message.poses[Joint.HEAD_TOP].position.x)
    assert message.poses[Joint.HEAD_TOP].orientation.w == 1.0
    assert message.poses[0].position.z == pytest.approx(infant.smooth_3d.keypoints_m[0, 2])


def test_poses_point_z_to_the_parent(make_result, make_infant):
    infant = make_infant()
    pose = encode_poses(make_result([infant]), HEADER).poses[Joint.R_WRIST]
    q = pose.orientation
    z_axis = np.array([2 * (q.x * q.z + q.w * q.y), 2 * (q.y * q.z - q.w * q.x),
                       1 - 2 * (q.x ** 2 + q.y ** 2)])
    points = infant.smooth_3d.keypoints_m
    bone = points[Joint.R_ELBOW] - points[Joint.R_WRIST]
    np.testing.assert_allclose(z_axis, bone / np.linalg.norm(bone), atol=1e-6)


def test_no_infant_gives_empty_messages(make_result):
    assert not encode_poses(make_result([]), HEADER).poses
    message = JointStateEncoder().encode(make_result([]), HEADER)
    assert (list(message.name), list(message.position)) == ([], [])


def test_another_infant_never_stands_in_for_the_main_one(make_result, make_infant):
    result = make_result([make_infant(track=2)], main_track=1)
    assert not encode_poses(result, HEADER).poses
    assert not JointStateEncoder().encode(result, HEADER).name


def test_joint_velocity_is_the_change_of_the_angle_over_time(make_result, make_infant):
    encoder, plain = JointStateEncoder(), make_infant().smooth_3d.keypoints_m
    index = list(JOINT_ANGLES).index('r_elbow')
    first = encoder.encode(make_result(
        [make_infant(keypoints_m=bent_elbow(plain, 1.0))], stamp_s=10.0), HEADER)
    second = encoder.encode(make_result(
        [make_infant(keypoints_m=bent_elbow(plain, 1.3))], stamp_s=10.1), HEADER)
    assert list(second.name) == list(JOINT_ANGLES)
    assert first.position[index] == pytest.approx(1.0)
    assert math.isnan(first.velocity[index])
    assert second.velocity[index] == pytest.approx(3.0)  # 0.3 rad in 0.1 s


@pytest.mark.parametrize('track, stamp_s, was_reset', [
    (2, 10.1, False), (1, 10.0, False), (1, 9.0, False), (1, 10.1, True)])
def test_no_velocity_over_another_infant_or_a_jump(
        make_result, make_infant, track, stamp_s, was_reset):
    encoder = JointStateEncoder()
    encoder.encode(make_result([make_infant(track=1)], stamp_s=10.0), HEADER)
    message = encoder.encode(
        make_result([make_infant(track=track)], stamp_s=stamp_s, was_reset=was_reset), HEADER)
    assert np.isnan(message.velocity).all()


def test_missing_joint_keeps_its_name_with_nan(make_result, make_infant):
    message = JointStateEncoder().encode(
        make_result([make_infant(lost=[Joint.L_ANKLE])]), HEADER)
    values = dict(zip(message.name, message.position))
    assert math.isnan(values['l_knee']) and math.isfinite(values['r_knee'])
