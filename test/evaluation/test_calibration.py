import numpy as np
import pytest
from scipy.stats import norm

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.calibration import (
    Calibration,
    calibration_table,
    keypoint_table,
    NOMINAL,
    plot_reliability,
    squared_distances,
)
from infant_pose_ros.skeleton import ROOT


def gaussian(frames, ndim, seed=0):
    """Errors drawn from covariances of any shape: estimate, truth, covariances."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(frames, 16, ndim, ndim)) + 2 * np.eye(ndim)
    truth = rng.normal(size=(frames, 16, ndim)) * 100
    errors = np.einsum('fkij,fkj->fki', roots, rng.normal(size=truth.shape))
    return truth + errors, truth, roots @ roots.swapaxes(-1, -2)


def test_distances_by_hand():
    errors = np.array([[3.0, 0.0], [0.0, 3.0], [3.0, 3.0]])
    covariances = np.broadcast_to(np.diag([9.0, 1.0]), (3, 2, 2))
    assert squared_distances(errors, covariances).tolist() == pytest.approx([1.0, 9.0, 10.0])


def test_what_is_missing_or_has_no_variance_is_left_out():
    errors = np.array([[np.nan, 0.0], [1.0, 1.0], [0.0, 0.0]])
    covariances = np.stack([np.eye(2), np.full((2, 2), np.nan), np.zeros((2, 2))])
    assert np.isnan(squared_distances(errors, covariances)).all()


@pytest.mark.parametrize('ndim', [2, 3])
def test_right_covariances_cover_what_they_should(ndim):
    calibration = Calibration.of(*gaussian(1500, ndim))
    assert len(calibration) == 24000
    assert np.abs(calibration.curve() - NOMINAL).max() < 0.015
    assert np.abs(calibration.coverage_by_keypoint(0.9) - 0.9).max() < 0.04


def test_inflating_covers_more_but_is_less_sharp_and_less_likely():
    estimate, truth, covariances = gaussian(500, 3)
    right = Calibration.of(estimate, truth, covariances)
    wide, narrow = (Calibration.of(estimate, truth, factor * covariances) for factor in (9, 1 / 9))
    assert wide.coverage(0.5) > 0.9 > right.coverage(0.5) > narrow.coverage(0.5)
    assert wide.mean_std == pytest.approx(3 * right.mean_std)
    assert right.nll < min(wide.nll, narrow.nll)


def test_likelihood_by_hand():
    estimate = np.zeros((1, 16, 2))
    estimate[..., 0] = 2.0
    calibration = Calibration.of(estimate, np.zeros((1, 16, 2)), np.tile(
        4.0 * np.eye(2), (1, 16, 1, 1)))
    assert calibration.nll == pytest.approx(-norm.logpdf(2, 0, 2) - norm.logpdf(0, 0, 2))
    assert calibration.mean_std == pytest.approx(2.0)
    # a squared distance of 1: chi square with 2 degrees of freedom has 39.3 % below
    assert (calibration.coverage(0.39), calibration.coverage(0.40)) == (0.0, 1.0)


def test_videos_are_joined():
    first, second = Calibration.of(*gaussian(3, 2)), Calibration.of(*gaussian(5, 2, seed=1))
    both = Calibration.joined([first, second])
    assert len(both) == len(first) + len(second) == 128
    with pytest.raises(InvalidInputError, match='same dimensions'):
        Calibration.joined([first, Calibration.of(*gaussian(3, 3))])
    with pytest.raises(InvalidInputError, match='same dimensions'):
        Calibration.joined([])


def test_nothing_to_compare_is_nan():
    estimate, truth, covariances = gaussian(2, 2)
    calibration = Calibration.of(np.full_like(estimate, np.nan), truth, covariances)
    assert len(calibration) == 0
    assert np.isnan([calibration.coverage(0.5), calibration.mean_std, calibration.nll]).all()


def test_bad_shapes_and_shares_are_refused():
    estimate, truth, covariances = gaussian(2, 2)
    with pytest.raises(InvalidInputError, match='covariances'):
        Calibration.of(estimate, truth, covariances[..., :1])
    with pytest.raises(InvalidInputError, match='same shape'):
        Calibration.of(estimate, truth[:1], covariances)
    with pytest.raises(InvalidInputError, match='between 0 and 1'):
        Calibration.of(estimate, truth, covariances).coverage(50)


def test_tables_and_plot(tmp_path):
    estimate, truth, covariances = gaussian(50, 3)
    truth[:, ROOT] = np.nan
    calibration = Calibration.of(estimate / 1e3, truth / 1e3, covariances / 1e6)
    row = calibration_table({'3D, raw': calibration}).splitlines()[2].split(' | ')
    assert row[0] == '| 3D, raw' and row[1] == '750'
    assert float(row[4].split()[0]) == pytest.approx(1e3 * calibration.mean_std, abs=0.05)
    assert '| pelvis | nan / nan |' in keypoint_table({'3D': calibration})
    plot_reliability({'3D': {'raw': calibration}}, tmp_path / 'curve.png')
    assert (tmp_path / 'curve.png').read_bytes()[:4] == b'\x89PNG'
    with pytest.raises(InvalidInputError, match='panel'):
        plot_reliability({}, tmp_path / 'none.png')
