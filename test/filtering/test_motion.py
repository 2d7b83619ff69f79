import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering import motion
from infant_pose_ros.filtering.motion import (
    ACCELERATION_SHARES,
    Calm,
    manoeuvre_factor,
    motion_model,
    MotionSettings,
    rise,
)
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER


def test_motion_model_by_hand():
    # T = 0.2 s, dt = 0.2 s: e = 1/e0 = 0.367879; reach T (1 - e) = 0.126424
    # position T^2 (dt - 2 T (1-e) + T (1-e^2)/2) = 0.04 (0.2 - 0.252848 + 0.0864665) = 0.00134473
    # crossed T^2 (1-e)^2 / 2 = 0.00799153; velocity T (1-e^2)/2 = 0.0864665
    transition, noise = motion_model(2, 0.2, 3.0)
    assert np.allclose(transition, [[1, 0, .126424, 0], [0, 1, 0, .126424],
                                    [0, 0, .367879, 0], [0, 0, 0, .367879]], atol=1e-6)
    assert np.allclose(noise / 3.0, [[.00134473, 0, .00799153, 0], [0, .00134473, 0, .00799153],
                                     [.00799153, 0, .0864665, 0], [0, .00799153, 0, .0864665]],
                       atol=1e-7)


def test_one_long_step_equals_two_short_ones():
    long_f, long_q = motion_model(3, 0.1, 2.0)
    short_f, short_q = motion_model(3, 0.05, 2.0)
    assert np.allclose(short_f @ short_f, long_f)
    assert np.allclose(short_f @ short_q @ short_f.T + short_q, long_q)


def test_a_lasting_velocity_is_the_model_of_constant_velocity(monkeypatch):
    monkeypatch.setattr(motion, 'VELOCITY_TIME_S', 1e4)
    transition, noise = motion_model(2, 0.2, 1.0)
    # dt^3/3 = 0.0026667, dt^2/2 = 0.02
    assert np.allclose(transition[0], [1, 0, .2, 0], atol=1e-5)
    assert noise[2, 2] == pytest.approx(0.2, rel=1e-4)
    assert noise[0, 2] == pytest.approx(0.02, rel=1e-4)


def test_no_step_changes_nothing():
    transition, noise = motion_model(3, 0.0, 5.0)
    assert np.array_equal(transition, np.eye(6)) and not noise.any()


@pytest.mark.parametrize('dt_s', [-0.01, np.nan, np.inf])
def test_bad_step_is_refused(dt_s):
    with pytest.raises(InvalidInputError, match='dt_s'):
        motion_model(2, dt_s, 1.0)


@pytest.mark.parametrize(('changes', 'word'), [
    ({'acceleration_std': 0.0}, 'acceleration_std'), ({'gate_sigma': -1.0}, 'gate_sigma'),
    ({'acceleration_std': np.nan}, 'acceleration_std'), ({'lag_s': -0.1}, 'lag_s'),
    ({'lag_speed': 0.0}, 'lag_speed')])
def test_bad_settings_are_named(changes, word):
    with pytest.raises(InvalidInputError, match=word):
        MotionSettings(**{'acceleration_std': 1.0, 'gate_sigma': 5.0, **changes})


def test_density_by_hand():
    # 3^2 / 30
    assert MotionSettings(3.0, 5.0).density == pytest.approx(0.3)


def test_shares_are_the_same_on_both_sides():
    assert np.array_equal(ACCELERATION_SHARES, ACCELERATION_SHARES[list(MIRRORED_ORDER)])
    assert ACCELERATION_SHARES[Joint.L_WRIST] == 1.0 > ACCELERATION_SHARES[Joint.L_HIP]
    with pytest.raises(ValueError, match='read-only'):
        ACCELERATION_SHARES[0] = 2.0


def test_manoeuvre_factor():
    # With gain 0.5 white innovations leave 0.5/1.5 = 1/3 of their variance in the mean: a drift
    # of squared distance 1/3 is what noise explains; 2.2 times that is free.
    gain = np.array(0.5)
    assert manoeuvre_factor(np.array(1 / 3), gain) == 1.0
    assert manoeuvre_factor(np.array(2.2 / 3), gain) == pytest.approx(1.0)
    assert manoeuvre_factor(np.array(4.2 / 3), gain) == pytest.approx(3.0)


def one_calm():
    calm = Calm.empty(1, 2)
    calm.add_row()
    return calm


def test_calm_follows_a_step_by_its_time_constant():
    calm, settings = one_calm(), MotionSettings(1.0, 5.0, lag_s=0.1, lag_speed=10.0)
    still = np.zeros((1, 1, 2))
    calm.follow(np.array([[[5.0, 1.0]]]), still, np.array([0.0]), settings)
    assert calm.positions[0, 0].tolist() == [5.0, 1.0]      # begins where the filter is
    calm.follow(np.array([[[6.0, 1.0]]]), still, np.array([0.1]), settings)
    assert calm.positions[0, 0] == pytest.approx([5.0 + 1 - np.exp(-1), 1.0])
    calm.follow(np.array([[[6.0, 1.0]]]), still, np.array([0.0]), settings)
    assert calm.positions[0, 0] == pytest.approx([5.0 + 1 - np.exp(-1), 1.0])


def test_calm_lags_less_when_it_moves_and_not_at_all_without_a_lag():
    fast, slow = one_calm(), one_calm()
    settings = MotionSettings(1.0, 5.0, lag_s=0.1, lag_speed=10.0)
    for calm, speed in ((fast, 1e6), (slow, 0.0)):
        calm.follow(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), np.array([0.0]), settings)
        calm.follow(np.array([[[1.0, 0.0]]]), np.array([[[speed, 0.0]]]), np.array([0.02]),
                    settings)
    share = motion.FAST_LAG_SHARE
    assert fast.positions[0, 0, 0] == pytest.approx(1 - np.exp(-0.2 / share), rel=1e-3)
    assert slow.positions[0, 0, 0] == pytest.approx(1 - np.exp(-0.2))
    free = one_calm()
    for place in (0.0, 1.0):
        free.follow(np.full((1, 1, 2), place), np.zeros((1, 1, 2)), np.array([0.02]),
                    MotionSettings(1.0, 5.0))
    assert free.positions[0, 0, 0] == pytest.approx(1.0)


def test_calm_forgets_and_sleeps():
    calm, settings = one_calm(), MotionSettings(1.0, 5.0, lag_s=0.1, lag_speed=10.0)
    calm.follow(np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), np.array([0.0]), settings)
    calm.reset(np.ones((1, 1), bool))
    calm.follow(np.full((1, 1, 2), 9.0), np.zeros((1, 1, 2)), np.array([0.01]), settings)
    assert calm.positions[0, 0].tolist() == [9.0, 9.0]
    calm.follow(np.full((1, 1, 2), np.nan), np.full((1, 1, 2), np.nan), np.array([0.01]),
                settings)
    assert np.isnan(calm.positions).all() and (calm.velocities == 0.0).all()
    calm.remove_row(0)
    assert calm.positions.shape == (0, 1, 2)


def test_rise():
    assert rise(0.0, 0.1) == 0.0 and rise(0.1, 0.1) == pytest.approx(0.632121, abs=1e-6)
    assert rise(0.1, 0.0) == 1.0
