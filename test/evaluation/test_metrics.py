import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.metrics import (
    acceleration_error,
    ajpe,
    box_ious,
    delay_frames,
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


def test_acceleration_error_by_hand():
    # x = t^2 against rest, dt = 0.5: second difference 2 dt^2 / dt^2 = 2 everywhere.
    times = np.arange(6) * 0.5
    pred = np.zeros((6, 16, 2))
    pred[:, :, 0] = times[:, None]**2
    assert acceleration_error(pred, np.zeros_like(pred), 0.5) == pytest.approx(2.0)
    assert acceleration_error(pred + 7.0, pred, 0.5) == pytest.approx(0.0, abs=1e-9)
    pred[0] = NAN
    assert acceleration_error(pred, np.zeros_like(pred), 0.5) == pytest.approx(2.0)
    assert np.isnan(acceleration_error(pred[:2], pred[:2], 0.5))
    with pytest.raises(InvalidInputError, match='dt_s'):
        acceleration_error(pred, pred, 0.0)


def test_jitter_by_hand():
    # 0, 1, 0, 1, 0: third differences 4, -4: standard deviation 4 / dt^3
    signal = np.array([0.0, 1.0, 0.0, 1.0, 0.0])
    assert jitter(signal, 0.5) == pytest.approx(4 / 0.125)
    assert jitter(np.arange(8.0)**2, 1.0) == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(jitter(signal[:3], 1.0))
    assert np.isnan(jitter(np.full(9, NAN), 1.0))
    with pytest.raises(InvalidInputError, match='dt_s'):
        jitter(signal, -1.0)


@pytest.mark.parametrize('delay', [0.0, 3.0, -2.0, 1.5])
def test_delay_is_found(delay):
    frames = np.arange(200)[:, None, None]
    phases = np.arange(32).reshape(16, 2)
    truth = 50 * np.sin(frames / 9 + phases) + 10 * np.sin(frames / 4 + 2 * phases)
    late = frames - delay
    pred = 50 * np.sin(late / 9 + phases) + 10 * np.sin(late / 4 + 2 * phases)
    noise = np.random.default_rng(0).normal(0, 3, pred.shape)
    assert delay_frames(pred + noise, truth) == pytest.approx(delay, abs=0.15)
    pred[20:30, 3] = NAN
    assert delay_frames(pred, truth) == pytest.approx(delay, abs=0.15)


def test_delay_of_nothing():
    still = np.ones((40, 16, 2))
    assert np.isnan(delay_frames(still, still))
    assert np.isnan(delay_frames(still[:3], still[:3]))
    assert np.isnan(delay_frames(still[:0], still[:0]))
