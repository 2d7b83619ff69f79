import numpy as np
import pytest

from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.motion import freedoms, sample_angles, sample_infant


def test_the_same_seed_gives_the_same_movement():
    times = np.arange(5) / 30.0
    first = sample_angles(np.random.default_rng(4), times)
    again = sample_angles(np.random.default_rng(4), times)
    other = sample_angles(np.random.default_rng(5), times)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first['knee_flexion.L'], other['knee_flexion.L'])


def test_angles_stay_within_the_joint_limits():
    limits = freedoms()
    for seed in range(20):
        angles = sample_angles(np.random.default_rng(seed), np.arange(300) / 30.0)
        for name, values in angles.items():
            assert limits[name].low <= values.min() and values.max() <= limits[name].high, name


def test_movement_is_smooth_and_there_is_some():
    angles = sample_angles(np.random.default_rng(1), np.arange(600) / 30.0)
    steps = np.abs(np.diff(angles['elbow_flexion.R']))
    assert steps.max() < 15.0  # degrees in a 30th of a second
    assert np.ptp(angles['elbow_flexion.R']) > 10.0


def test_left_and_right_move_apart():
    angles = sample_angles(np.random.default_rng(2), np.arange(900) / 30.0)
    left, right = angles['knee_flexion.L'], angles['knee_flexion.R']
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.9


@pytest.mark.parametrize('roll_rad, side', [(0.0, 1), (np.pi, -1)])
def test_an_infant_on_its_back_has_its_left_hand_side_where_it_belongs(roll_rad, side):
    bodies = sample_infant(np.random.default_rng(3), np.zeros(1), roll_rad=roll_rad)
    keypoints = bodies.keypoints_m[0]
    up = keypoints[Joint.THORAX] - keypoints[Joint.PELVIS]
    left = keypoints[Joint.L_SHOULDER] - keypoints[Joint.R_SHOULDER]
    # Seen from above, turning from up to left is clockwise on the back.
    assert np.sign(up[0] * left[1] - up[1] * left[0]) == -side
    assert bodies.vertices_m[..., 2].min() >= 0.0
    assert keypoints[:, 2].min() > 0.0
