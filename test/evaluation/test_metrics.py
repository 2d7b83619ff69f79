import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.metrics import (
    acceleration_error,
    ajpe,
    box_ious,
    delay_frames,
    derivative,
    head_units,
    jitter,
    joint_errors,
    pckh,
)
from infant_pose_ros.skeleton import Joint

NAN, INF = np.nan, np.inf


def test_joint_errors_by_hand():
    truth = np.zeros((2, 16, 2))
    pred = np.zeros((2, 16, 2))
    pred[0, 0] = [3, 4]
    pred[0, 1] = [NAN, 0]
    truth[1, 2] = NAN
    pred[1, 3], truth[1, 3] = NAN, NAN
    errors = joint_errors(pred, truth)
    assert errors.shape == (2, 16)
    assert errors[0, 0] == 5.0 and errors[0, 1] == INF and errors[0, 2] == 0.0
    assert np.isnan(errors[1, 2]) and np.isnan(errors[1, 3])


def test_joint_errors_takes_3d_and_refuses_a_mixture():
    assert joint_errors(np.ones((16, 3)), np.zeros((16, 3))) == pytest.approx(np.sqrt(3))
    with pytest.raises(InvalidInputError, match='shape'):
        joint_errors(np.ones((16, 3)), np.zeros((16, 2)))


def test_ajpe_leaves_out_what_is_missing():
    assert ajpe([[1.0, 2.0], [NAN, INF]]) == 1.5
    assert np.isnan(ajpe([NAN, INF]))
    assert np.isnan(ajpe([]))


def test_pckh_by_hand():
    errors = np.full((2, 16), NAN)
    errors[0, :4] = [5, 9.9, 10, INF]  # unit 10: two of four
    errors[1, :2] = [19, 21]  # unit 20: one of two
    assert pckh(errors, np.array([10.0, 20.0]), 1.0) == pytest.approx(3 / 6)
    assert pckh(errors, np.array([10.0, 20.0]), 2.0) == pytest.approx(5 / 6)
    assert pckh(errors, np.array([10.0, NAN]), 1.0) == pytest.approx(2 / 4)
    assert pckh(errors, 10.0, 1.0) == pytest.approx(2 / 6)
    assert np.isnan(pckh(np.full((3, 16), NAN), 10.0, 1.0))
    assert np.isnan(pckh(np.zeros((0, 16)), np.zeros(0), 1.0))


def test_head_units():
    truth = np.zeros((3, 16, 2))
    truth[:, Joint.HEAD_TOP] = [[3, 4], [0, 2], [NAN, 1]]
    assert head_units(truth)[:2].tolist() == [5.0, 2.0]
    assert np.isnan(head_units(truth)[2])


def test_box_ious_by_hand():
    truth = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [NAN] * 4])
    pred = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [NAN] * 4, [0, 0, 1, 1]])
    ious = box_ious(pred, truth)
    assert ious[:3] == pytest.approx([1.0, 1 / 3, 0.0])
    assert np.isnan(ious[3])
    assert box_ious(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0,)


UNEVEN_S = np.array([0.0, 0.1, 0.35, 0.4, 0.9, 1.0, 1.6])


def test_derivatives_by_hand():
    # 0, 1, 4 at 0, 1, 2 s: speeds 1 and 3, acceleration 2.
    assert derivative(np.array([0.0, 1.0, 4.0]), np.arange(3.0), 1).tolist() == [1.0, 3.0]
    assert derivative(np.array([0.0, 1.0, 4.0]), np.arange(3.0), 2).tolist() == [2.0]
    # Uneven: x = 3 t^2 has the acceleration 6, x = t^3 the third derivative 6, everywhere.
    assert derivative(3 * UNEVEN_S**2, UNEVEN_S, 2) == pytest.approx([6.0] * 5)
    assert derivative(UNEVEN_S**3, UNEVEN_S, 3) == pytest.approx([6.0] * 4)
    assert derivative(np.zeros((2, 16, 3)), np.arange(2.0), 3).shape == (0, 16, 3)
    for stamps in ([0.0, 1.0, 1.0], [0.0, 1.0], [0.0, 2.0, 1.0]):
        with pytest.raises(InvalidInputError, match='stamps_s: expected 3 rising'):
            derivative(np.zeros(3), np.array(stamps), 2)


def test_acceleration_error_by_hand():
    # x = t^2 against rest: 2 everywhere, whatever the steps.
    for stamps in (np.arange(7) * 0.5, UNEVEN_S):
        pred = np.zeros((7, 16, 2))
        pred[:, :, 0] = stamps[:, None]**2
        assert acceleration_error(pred, np.zeros_like(pred), stamps) == pytest.approx(2.0)
        assert acceleration_error(pred + 7.0, pred, stamps) == pytest.approx(0.0, abs=1e-9)
        pred[0] = NAN
        assert acceleration_error(pred, np.zeros_like(pred), stamps) == pytest.approx(2.0)
    assert np.isnan(acceleration_error(pred[:2], pred[:2], UNEVEN_S[:2]))


def test_jitter_by_hand():
    # 0, 1, 0, 1, 0: third differences 4, -4: standard deviation 4 / dt^3
    signal = np.array([0.0, 1.0, 0.0, 1.0, 0.0])
    assert jitter(signal, np.arange(5) * 0.5) == pytest.approx(4 / 0.125)
    assert jitter(UNEVEN_S**2, UNEVEN_S) == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(jitter(signal[:3], np.arange(3.0)))
    assert np.isnan(jitter(np.full(9, NAN), np.arange(9.0)))


def moving(times_s):
    phases = np.arange(32).reshape(16, 2)
    frames = times_s[:, None, None] * 30
    return 50 * np.sin(frames / 9 + phases) + 10 * np.sin(frames / 4 + 2 * phases)


@pytest.mark.parametrize('delay', [0.0, 3.0, -2.0, 1.5])
def test_delay_is_found(delay):
    stamps = np.arange(200) / 30
    truth, pred = moving(stamps), moving(stamps - delay / 30)
    noise = np.random.default_rng(0).normal(0, 3, pred.shape)
    assert delay_frames(pred + noise, truth, stamps) == pytest.approx(delay, abs=0.15)
    pred[20:30, 3] = NAN
    assert delay_frames(pred, truth, stamps) == pytest.approx(delay, abs=0.15)
    assert delay_frames(pred, truth, stamps, 60.0) == pytest.approx(2 * delay, abs=0.3)


def test_delay_is_found_with_uneven_steps():
    stamps = np.cumsum(np.random.default_rng(1).choice([1, 2, 3, 4], 200)) / 60
    pred = moving(stamps - 2.5 / 30)
    assert delay_frames(pred, moving(stamps), stamps) == pytest.approx(2.5, abs=0.15)


def test_delay_of_nothing():
    still, stamps = np.ones((40, 16, 2)), np.arange(40) / 30
    assert np.isnan(delay_frames(still, still, stamps))
    assert np.isnan(delay_frames(still[:3], still[:3], stamps[:3]))
    assert np.isnan(delay_frames(still[:0], still[:0], stamps[:0]))
    with pytest.raises(InvalidInputError, match='rate_hz'):
        delay_frames(still, still, stamps, 0.0)
