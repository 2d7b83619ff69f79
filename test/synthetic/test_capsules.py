import numpy as np
import pytest

from infant_pose_ros.synthetic.body import BodyShape
from infant_pose_ros.synthetic.capsules import CapsuleBody, closest, crossings, measure
from infant_pose_ros.synthetic.kinematics import forward_points, FREEDOM_NAMES


def test_closest_points_of_crossed_segments_and_of_ends():
    first = np.array([[[0.0, 0, 0], [2, 0, 0]], [[0, 0, 0], [1, 0, 0]]])
    second = np.array([[[1.0, -1, 1], [1, 3, 1]], [[3, 0, 0], [4, 0, 0]]])
    s, t = closest(first, second)
    assert s == pytest.approx([0.5, 1.0])
    assert t == pytest.approx([0.25, 0.0])


def test_crossing_of_two_capsules_is_the_sum_of_their_radii_less_the_distance():
    body = CapsuleBody(
        {}, [], (), ends=np.array([[0, 1], [2, 3]]), span=np.array([[0.0, 1.0], [0.0, 1.0]]),
        radii_m=np.array([[0.03, 0.05], [0.02, 0.02]]), capsule_names=('a', 'b'),
        pairs=np.array([[0, 1]]), thickness_m=np.zeros(4))
    points = np.array([[[0.0, 0, 0], [1, 0, 0], [0.5, -1, 0.04], [0.5, 1, 0.04]]])
    depth, s, t, direction = crossings(body, points)
    assert depth[0, 0] == pytest.approx(0.04 + 0.02 - 0.04)
    assert (s[0, 0], t[0, 0]) == pytest.approx((0.5, 0.5))
    assert direction[0, 0] == pytest.approx([0.0, 0.0, 1.0], abs=1e-6)


def test_a_body_at_rest_crosses_nothing_and_is_the_same_on_both_sides():
    body = measure(BodyShape(age=-0.25))
    rest = forward_points(body.heads_m, body.points, np.zeros((1, len(FREEDOM_NAMES))))
    assert crossings(body, rest)[0].max() < 0.004
    radii = dict(zip(body.capsule_names, body.radii_m))
    for name in ('thigh', 'forearm'):
        assert radii[f'{name}.L'] == pytest.approx(radii[f'{name}.R'], abs=0.002)
    assert 0.03 < radii['thigh.L'][0] < 0.06 < radii['trunk.L'][0] + 0.015
    assert (body.radii_m > 0.005).all()
