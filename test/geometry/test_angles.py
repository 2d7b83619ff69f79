import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.angles import bone_quaternions, joint_angles
from infant_pose_ros.skeleton import Joint, JOINT_ANGLES, PARENTS, ROOT


def pose_m(**places):
    keypoints = np.full((16, 3), np.nan)
    for name, place in places.items():
        keypoints[Joint[name.upper()]] = place
    return keypoints


@pytest.mark.parametrize('wrist, angle', [
    ((2, 0, 0), np.pi), ((1, 1, 0), np.pi / 2), ((1, 0, -3), np.pi / 2),
    ((0.5, 0, 0), 0), ((2, 1, 0), 3 * np.pi / 4)])
def test_an_elbow_by_hand(wrist, angle):
    angles = joint_angles(pose_m(r_shoulder=(0, 0, 0), r_elbow=(1, 0, 0), r_wrist=wrist))
    assert angles['r_elbow'] == pytest.approx(angle, abs=1e-9)


def test_names_and_missing_angles():
    angles = joint_angles(pose_m(l_hip=(0, 0, 0), l_knee=(0, 1, 0), l_ankle=(0, 1, 1)))
    assert list(angles) == list(JOINT_ANGLES)
    assert angles.pop('l_knee') == pytest.approx(np.pi / 2)
    assert np.isnan(list(angles.values())).all()


def test_coinciding_keypoints_have_no_angle():
    assert all(np.isnan(angle) for angle in joint_angles(np.zeros((16, 3))).values())


def test_angles_do_not_depend_on_where_the_body_lies():
    keypoints = np.random.default_rng(0).normal(size=(16, 3))
    turned = Rotation.from_rotvec([1, 2, 3]).apply(keypoints) * 0.3 + [1, 2, 3]
    assert joint_angles(turned) == pytest.approx(joint_angles(keypoints))


def test_z_axes_point_to_the_parents():
    keypoints = np.random.default_rng(1).normal(size=(16, 3))
    quaternions = bone_quaternions(keypoints)
    z_axes = Rotation.from_quat(quaternions).apply([0, 0, 1])
    bones = keypoints[list(PARENTS)] - keypoints
    for child in range(16):
        expected = (0, 0, 1) if child == ROOT else bones[child] / np.linalg.norm(bones[child])
        np.testing.assert_allclose(z_axes[child], expected, atol=1e-9)


@pytest.mark.parametrize('thorax, quaternion', [
    ((0, 0, -1), (0, 0, 0, 1)),  # the parent lies along +z: nothing to turn
    ((0, 0, 1), (1, 0, 0, 0)),  # straight against z: half a turn about x
    ((-1, 0, 0), (0, np.sqrt(0.5), 0, np.sqrt(0.5)))])  # along +x: a quarter about y
def test_a_bone_by_hand(thorax, quaternion):
    found = bone_quaternions(pose_m(pelvis=(0, 0, 0), thorax=thorax))[Joint.THORAX]
    np.testing.assert_allclose(found, quaternion, atol=1e-12)


@pytest.mark.parametrize('keypoints', [
    np.full((16, 3), np.nan), np.zeros((16, 3)), pose_m(pelvis=(0, 0, 0), l_hip=(1, 0, 1e-12)),
    pose_m(pelvis=(0, 0, 0), thorax=(1e-7, 0, 1))])
def test_quaternions_are_always_finite_and_of_unit_length(keypoints):
    quaternions = bone_quaternions(keypoints)
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1)


def test_missing_bones_have_the_identity():
    np.testing.assert_array_equal(
        bone_quaternions(np.full((16, 3), np.nan)), np.tile([0, 0, 0, 1.0], (16, 1)))


def test_shapes_are_checked():
    for function in (joint_angles, bone_quaternions):
        with pytest.raises(InvalidInputError, match=r'\(16, 3\)'):
            function(np.zeros((16, 2)))
