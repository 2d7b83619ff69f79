import numpy as np
import pytest

from infant_pose_ros.synthetic.kinematics import FREEDOM_INDEX, freedoms
from infant_pose_ros.synthetic.movement import (
    coloured_noise,
    LYING,
    plateau,
    PRONE,
    sample_movement,
    SUPINE,
    within_limits,
)

LOW = np.array([row.low for row in freedoms().values()])
HIGH = np.array([row.high for row in freedoms().values()])


def test_plateau_rises_holds_and_falls():
    times = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0])
    assert plateau(times, 1.0, 1.0, 1.0, 3.0) == pytest.approx([0, 0, 0.5, 1, 1, 0.5, 0])


def test_limits_leave_the_middle_alone_and_bend_what_goes_beyond():
    middle = ((LOW + HIGH) / 2)[None]
    assert within_limits(middle) == pytest.approx(middle)
    assert (within_limits(middle + 500.0) <= HIGH).all()
    assert (within_limits(middle - 500.0) >= LOW).all()


def test_noise_has_unit_variance_and_its_power_falls_off():
    noise = coloured_noise(np.random.default_rng(0), np.arange(6000) / 30.0, 40, 0.3, 0.8, 2.2)
    assert noise.std() == pytest.approx(1.0, abs=0.05)
    power = (np.abs(np.fft.rfft(noise, axis=0)) ** 2).sum(1)
    frequency = np.fft.rfftfreq(len(noise), 1 / 30.0)
    band = [power[(frequency >= low) & (frequency < low + 0.5)].sum() for low in (0.3, 0.8, 1.3)]
    assert band[0] > band[1] > band[2]


@pytest.mark.parametrize('lying', list(LYING))
def test_angles_stay_within_the_joint_limits(lying):
    for seed in range(6):
        movement = sample_movement(
            np.random.default_rng(seed), np.arange(300) / 30.0, lying, 0.0, 0.0)
        assert (movement.angles_deg >= LOW).all() and (movement.angles_deg <= HIGH).all()


def test_the_same_seed_gives_the_same_movement():
    times = np.arange(5) / 30.0
    first, again, other = (sample_movement(
        np.random.default_rng(seed), times, SUPINE, 0.0, 0.0) for seed in (4, 4, 5))
    assert np.array_equal(first.angles_deg, again.angles_deg)
    assert not np.array_equal(first.angles_deg, other.angles_deg)


def test_left_and_right_move_apart_and_there_are_quiet_and_lively_phases():
    movement = sample_movement(
        np.random.default_rng(2), np.arange(1800) / 30.0, SUPINE, 0.0, 0.0)
    left, right = (movement.angles_deg[:, FREEDOM_INDEX[f'knee_flexion.{side}']] for side in 'LR')
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.9
    assert movement.activity.min() < 0.5 < 0.8 < movement.activity.max()


def test_prone_the_head_is_turned_to_a_side():
    for seed in range(10):
        movement = sample_movement(np.random.default_rng(seed), np.zeros(1), PRONE, np.pi, 0.0)
        assert abs(movement.angles_deg[0, FREEDOM_INDEX['head_turn']]) > 45


def test_reaches_weigh_between_nothing_and_one():
    reaches = {}
    for seed in range(8):
        reaches |= sample_movement(
            np.random.default_rng(seed), np.arange(600) / 30.0, SUPINE, 0.0, 0.0).reaches
    assert any(second == 'mouth' for _, second in reaches)
    for weight in reaches.values():
        assert 0.0 <= weight.min() and weight.max() <= 1.0
