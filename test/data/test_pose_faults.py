import numpy as np
import pytest

from infant_pose_ros.data.pose_faults import faults_2d, faults_3d
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER


def standing():
    """A person who faces us: its right side is on our left; px."""
    keypoints = np.zeros((16, 2))
    for name, x, y in (('ANKLE', 12, 100), ('KNEE', 11, 80), ('HIP', 10, 60), ('WRIST', 20, 60),
                       ('ELBOW', 18, 45), ('SHOULDER', 15, 30)):
        keypoints[Joint[f'R_{name}']], keypoints[Joint[f'L_{name}']] = (50 - x, y), (50 + x, y)
    for joint, y in (('PELVIS', 60), ('THORAX', 30), ('UPPER_NECK', 24), ('HEAD_TOP', 8)):
        keypoints[Joint[joint]] = 50, y
    return keypoints


def in_space():
    return np.concatenate([standing() / 100, np.ones((16, 1))], 1)


def kinds(faults):
    return [kind for kind, _ in faults]


def test_a_right_pose_has_no_fault_even_mirrored_or_with_parts_unknown():
    for pose in (standing(), standing()[list(MIRRORED_ORDER)], np.full((16, 2), np.nan)):
        assert faults_2d(pose, (100, 110)) == []
    some = standing()
    some[[Joint.PELVIS, Joint.L_HIP, Joint.R_WRIST]] = np.nan
    assert faults_2d(some, None) == []
    assert faults_3d(in_space()) == [] and faults_3d(np.full((16, 3), np.nan)) == []


@pytest.mark.parametrize(('x', 'is_fault'), [(-24, False), (-26, True), (123, False), (125, True)])
def test_a_quarter_of_the_longer_side_outside_is_far(x, is_fault):
    pose = np.full((16, 2), np.nan)
    pose[Joint.HEAD_TOP] = x, 20
    faults = faults_2d(pose, (100, 60))
    text = f'head_top at ({x}, 20), in 100x60 px'
    assert faults == ([('far outside', text)] if is_fault else [])
    assert faults_2d(pose, None) == []


def test_a_bone_far_longer_than_all_others_is_named():
    pose = standing()
    pose[Joint.R_ANKLE] = 39, 171        # 91 px from the knee; the trunk has 30
    assert faults_2d(pose, None) == [
        ('impossible shape', 'r_knee to r_ankle is 91 px long, every other bone at most 30 px')]
    pose[Joint.R_ANKLE] = 39, 169
    assert faults_2d(pose, None) == []


def test_left_on_right():
    pose = standing()
    pose[:, 0] = 50
    assert kinds(faults_2d(pose, None)) == ['left on right']
    pose[Joint.L_WRIST, 0] = 52
    assert faults_2d(pose, None) == []


def test_hips_swapped_against_the_shoulders():
    swap = [Joint.L_HIP, Joint.R_HIP]
    pose = standing()
    pose[swap] = pose[swap[::-1]]
    assert kinds(faults_2d(pose, None)) == ['left and right swapped']
    pose[swap] = [[49, 60], [51, 60]]    # seen from the side, they tell nothing
    assert faults_2d(pose, None) == []
    space = in_space()
    space[swap] = space[swap[::-1]]
    assert kinds(faults_3d(space)) == ['left and right swapped']


def test_sides_of_different_length_in_3d():
    pose = in_space()
    pose[Joint.L_ANKLE, 2] += 0.3        # 20.02 cm and 30 cm: 36.07 cm
    assert faults_3d(pose) == [('impossible shape', 'l_knee to l_ankle is 361 mm long, the right '
                                'one 200 mm')]
    assert kinds(faults_3d(np.zeros((16, 3)))) == ['impossible shape']
