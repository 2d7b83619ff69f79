import numpy as np
import pytest
from scipy.spatial import ConvexHull

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.growth import body_length_from_age
from infant_pose_ros.skeleton import Joint, LEFT_RIGHT_PAIRS
from infant_pose_ros.synthetic.body import (
    axis_rotation,
    BodyShape,
    pose_bodies,
    rest_pose,
    weight_of,
)


def test_axis_rotation_turns_the_next_axis_to_the_one_after():
    for axis in range(3):
        turned = axis_rotation(axis, np.pi / 2) @ np.eye(3)[(axis + 1) % 3]
        assert turned == pytest.approx(np.eye(3)[(axis + 2) % 3], abs=1e-12)


def test_a_newborn_is_shorter_than_an_infant_of_six_months_and_of_plausible_length():
    newborn = pose_bodies(BodyShape(age=-0.33), {}, 1).body_length_m
    older = pose_bodies(BodyShape(age=0.0), {}, 1).body_length_m
    assert 0.45 < newborn < 0.56
    assert 0.60 < older < 0.75


def test_left_is_left_and_the_pelvis_lies_between_the_hips():
    keypoints = pose_bodies(BodyShape(), {}, 1).keypoints_m[0]
    for left, right in LEFT_RIGHT_PAIRS:
        assert keypoints[left, 0] > 0.02 > -0.02 > keypoints[right, 0]
    assert keypoints[Joint.PELVIS] == pytest.approx(
        (keypoints[Joint.L_HIP] + keypoints[Joint.R_HIP]) / 2)
    heights = keypoints[[Joint.L_ANKLE, Joint.PELVIS, Joint.THORAX, Joint.HEAD_TOP], 2]
    assert (np.diff(heights) > 0).all()


def test_bending_one_knee_moves_that_ankle_back_and_no_other_keypoint():
    straight = pose_bodies(BodyShape(), {}, 1).keypoints_m[0]
    bent = pose_bodies(
        BodyShape(), {'lowerleg01.L': axis_rotation(0, np.array([np.pi / 2]))}, 1).keypoints_m[0]
    moved = np.linalg.norm(bent - straight, axis=1) > 1e-4
    assert np.flatnonzero(moved).tolist() == [Joint.L_ANKLE]
    assert bent[Joint.L_ANKLE, 1] > straight[Joint.L_ANKLE, 1] + 0.05  # the front is at -y


def test_infants_are_as_long_as_the_tables_say_for_their_age():
    rng = np.random.default_rng(0)
    for _ in range(5):
        shape = BodyShape.sample(rng)
        assert 0 <= shape.age_months <= 12
        median = body_length_from_age(shape.age_months)
        bodies = pose_bodies(shape, {}, 1)
        assert bodies.age_months == shape.age_months
        assert bodies.body_length_m == pytest.approx(shape.length_m, rel=1e-4)
        assert abs(bodies.body_length_m / median - 1) < 0.09
        assert np.ptp(bodies.rest_vertices_m[:, 2]) == pytest.approx(shape.length_m, rel=1e-4)


@pytest.mark.parametrize('months, length_m, head_m', [(0, 0.495, 0.342), (6, 0.667, 0.427),
                                                      (12, 0.749, 0.455)])
def test_heads_are_as_large_as_the_tables_say(months, length_m, head_m):
    """WHO's medians (2006, 2007), mean of girls and boys; the head within 6 %."""
    shape = BodyShape.sample(FixedMonths(months))
    vertices, heads = rest_pose(shape)
    skull = vertices[(weight_of(('head',)) > 0.5)]
    height = heads['head'][2] + np.linspace(0.3, 0.8, 11) * (skull[:, 2].max() - heads['head'][2])
    around = max(ConvexHull(skull[np.abs(skull[:, 2] - level) < 0.008][:, :2]).area
                 for level in height)
    assert shape.length_m == pytest.approx(length_m, abs=0.005)
    assert around == pytest.approx(head_m, rel=0.06)


class FixedMonths:
    """A generator of numbers that draws the middle of everything and one age."""

    def __init__(self, months):
        self.months = months

    def uniform(self, low=0.0, high=1.0):
        return self.months if (low, high) == (0, 12.0) else (low + high) / 2

    def normal(self, mean=0.0, std=1.0):
        return mean


def test_adults_are_of_adult_length_and_age():
    shape = BodyShape.sample_adult(np.random.default_rng(1))
    assert 1.45 <= shape.length_m <= 2.0
    assert 18 * 12 <= shape.age_months <= 75 * 12


def test_rotations_of_an_unknown_bone_or_a_wrong_shape_are_refused():
    with pytest.raises(InvalidInputError, match='tail'):
        pose_bodies(BodyShape(), {'tail': np.eye(3)[None]}, 1)
    with pytest.raises(InvalidInputError, match='spine01'):
        pose_bodies(BodyShape(), {'spine01': np.eye(3)[None]}, 2)
