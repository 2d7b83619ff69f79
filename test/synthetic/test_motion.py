import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import BONES, FROM_MINI_RGBD, Joint
from infant_pose_ros.synthetic.body import BodyShape
from infant_pose_ros.synthetic.motion import (
    lying_of_roll,
    press,
    sample_adult,
    sample_infant,
    sample_lying,
)

#: Thorax and pelvis are middles of joints, which shoulders and spine move against each other.
_RIGID = [bone for bone in BONES if Joint.THORAX not in bone]


@pytest.fixture(scope='module')
def clip():
    return sample_infant(np.random.default_rng(7), np.arange(240) / 30.0, roll_rad=0.0)


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


def test_bones_keep_their_length_in_stills_and_clips(clip):
    for bodies in (clip, sample_infant(np.random.default_rng(5), np.arange(12) * 30.0)):
        for parent, child in _RIGID:
            length = np.linalg.norm(
                bodies.keypoints_m[:, parent] - bodies.keypoints_m[:, child], axis=1)
            assert np.ptp(length) < 1e-3, (parent, child)


def test_left_and_right_bones_are_equally_long():
    keypoints = sample_infant(np.random.default_rng(6), np.arange(8) * 30.0).keypoints_m
    for left, right in (((Joint.L_ELBOW, Joint.L_WRIST), (Joint.R_ELBOW, Joint.R_WRIST)),
                        ((Joint.L_KNEE, Joint.L_ANKLE), (Joint.R_KNEE, Joint.R_ANKLE))):
        lengths = [np.linalg.norm(keypoints[:, a] - keypoints[:, b], axis=1)
                   for a, b in (left, right)]
        assert lengths[0] == pytest.approx(lengths[1], rel=0.02)


def test_joints_of_mini_rgbd_are_the_common_keypoints_and_the_nose_lies_on_the_face(clip):
    common = [index for index in range(16) if index != Joint.HEAD_TOP]
    from_mini = clip.joints_m[:, list(FROM_MINI_RGBD)]
    assert np.array_equal(from_mini[:, common], clip.keypoints_m[:, common])
    nose = clip.joints_m[:, 24]
    assert (nose[:, 2] > clip.keypoints_m[:, Joint.UPPER_NECK, 2]).mean() > 0.5
    assert np.ptp(np.linalg.norm(nose - clip.keypoints_m[:, Joint.HEAD_TOP], axis=1)) < 1e-3


def test_movement_is_smooth_and_most_of_its_power_lies_below_two_hertz(clip):
    shares = []
    for joint in (Joint.L_WRIST, Joint.R_WRIST, Joint.L_ANKLE, Joint.R_ANKLE):
        velocity = np.diff(clip.keypoints_m[:, joint], axis=0) * 30.0
        power = (np.abs(np.fft.rfft(velocity * np.hanning(len(velocity))[:, None], axis=0)) ** 2
                 ).sum(1)
        frequency = np.fft.rfftfreq(len(velocity), 1 / 30.0)
        shares.append(power[frequency < 2.0].sum() / power.sum())
        speed = np.linalg.norm(velocity, axis=1)
        assert 0.01 < np.median(speed) < 0.5
        assert speed.max() < 4.0
    assert np.mean(shares) > 0.6


def test_seeds_decide_and_moments_far_apart_are_drawn_anew():
    times = np.arange(3) * 30.0
    first, again, other = (sample_infant(np.random.default_rng(seed), times) for seed in (1, 1, 2))
    assert np.array_equal(first.vertices_m, again.vertices_m)
    assert not np.array_equal(first.keypoints_m, other.keypoints_m)
    assert np.abs(first.keypoints_m[1] - first.keypoints_m[0]).max() > 0.05


def test_lying_positions_come_in_their_shares_and_are_known_by_their_roll():
    rng = np.random.default_rng(0)
    names = [sample_lying(rng)[0] for _ in range(2000)]
    assert names.count('supine') / 2000 == pytest.approx(0.75, abs=0.04)
    assert names.count('prone') / 2000 == pytest.approx(0.12, abs=0.03)
    assert lying_of_roll(-3.0) == 'prone'
    assert lying_of_roll(-1.4) == 'right_side'
    assert lying_of_roll(0.3) == 'supine'


def test_adults_are_grown_up_and_stand_or_lie_on_the_floor():
    bodies = sample_adult(np.random.default_rng(2), np.arange(6) * 30.0)
    assert 1.4 < bodies.body_length_m < 2.05
    assert bodies.age_months >= 18 * 12
    lowest = bodies.vertices_m[..., 2].min(1)
    assert (lowest >= 0.0).all() and (lowest < 0.06).all()
    assert np.isfinite(bodies.joints_m).all()


def test_pressing_flattens_softly_and_leaves_the_rest_alone():
    pressed = press(np.array([0.1, 0.004, -0.016, -0.5]))
    assert pressed == pytest.approx([0.1, 0.004, 0.004 * np.exp(-1.0), 0.0], abs=1e-6)
    assert pressed.min() >= 0.0


@pytest.mark.parametrize('times', [
    np.zeros(0), np.array([1.0, 0.0]), np.zeros(2), np.zeros((2, 2)), np.array([0.0, np.nan])])
def test_times_that_do_not_rise_are_refused(times):
    with pytest.raises(InvalidInputError, match='times_s'):
        sample_infant(np.random.default_rng(0), times)


def test_a_movement_can_be_shown_between_its_times():
    times = np.arange(6) / 30
    shape = BodyShape.sample(np.random.default_rng(3))
    first = sample_infant(np.random.default_rng(4), times, 0.0, shape)
    shown = sample_infant(np.random.default_rng(4), times, 0.0, shape,
                                 np.array([0.0, 1 / 60, 1 / 30, 0.15]))
    assert shown.keypoints_m[[0, 2]] == pytest.approx(first.keypoints_m[[0, 1]], abs=1e-9)
    assert len(shown.vertices_m) == 4
    for bad in (np.array([0.0, 0.2]), np.array([-0.01])):
        with pytest.raises(InvalidInputError, match='shown_s: must lie within one movement'):
            sample_infant(np.random.default_rng(4), times, 0.0, shape, bad)
    with pytest.raises(InvalidInputError, match='within one movement'):
        sample_infant(np.random.default_rng(4), np.array([0.0, 9.0]), 0.0, shape, times)
