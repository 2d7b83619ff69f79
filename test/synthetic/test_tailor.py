import numpy as np
import pytest

from infant_pose_ros.synthetic.body import NOSE_VERTEX
from infant_pose_ros.synthetic.tailor import face_map, tailor_columns, tailor_map


def test_arms_and_legs_are_measured_from_shoulder_and_hip_to_wrist_and_ankle():
    where = tailor_map()
    off_the_arms = where.arm < 0.02
    foot, hand = where.foot > 0.9, where.hand > 0.9
    shin = (where.height > 0.1) & (where.height < 0.15) & (where.hand < 0.1) & off_the_arms
    assert where.leg[foot].min() > 0.8
    assert 0.6 < np.median(where.leg[shin]) < 0.95
    assert np.median(where.leg[(where.height > 0.55) & off_the_arms]) < 0.05
    assert where.arm[hand].min() > 0.9


def test_limbs_are_known_from_each_other_and_from_the_trunk():
    where = tailor_map()
    trunk = (where.arm < 0.02) & (where.leg < 0.02)
    assert 0.1 < trunk.mean() < 0.9
    assert not ((where.arm > 0.3) & (where.leg > 0.3)).any()
    assert where.height.min() == 0.0 and where.height.max() == 1.0
    assert where.front[NOSE_VERTEX] > 0.5


def test_both_sides_are_measured_alike():
    where, side = tailor_map(), face_map()[:, 3]
    for share in (where.arm, where.leg):
        left, right = (np.sort(share[side == sign]) for sign in (1, -1))
        assert np.quantile(left, [0.7, 0.9]) == pytest.approx(
            np.quantile(right, [0.7, 0.9]), abs=0.02)


def test_face_coordinates_put_the_eyes_half_a_distance_either_side():
    face, eye = face_map(), tailor_map().eye > 0.9
    for side in (1, -1):
        assert face[eye & (face[:, 3] == side), :3].mean(0) == pytest.approx(
            [0.5 * side, 0, 0], abs=0.03)


def test_the_columns_are_the_map_and_then_the_face():
    columns, where = tailor_columns(), tailor_map()
    assert columns.shape == (len(where.arm), 12) and columns.dtype == np.float32
    assert np.array_equal(columns[:, 1], where.leg) and np.array_equal(columns[:, 7], where.eye)
    assert np.array_equal(columns[:, 8:], face_map())
