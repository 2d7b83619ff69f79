import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.metrics import (
    ajpe,
    box_ious,
    head_units,
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
