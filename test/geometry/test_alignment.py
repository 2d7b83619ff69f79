import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.alignment import root_aligned
from infant_pose_ros.skeleton import ROOT


def poses(seed, *shape):
    return np.random.default_rng(seed).normal(size=(*shape, 16, 3))


def test_root_aligned_moves_and_does_nothing_else():
    pred, truth = poses(0, 5), poses(1, 5)
    aligned = root_aligned(pred, truth)
    np.testing.assert_allclose(aligned[:, ROOT], truth[:, ROOT])
    np.testing.assert_allclose(np.diff(aligned, axis=1), np.diff(pred, axis=1))
    np.testing.assert_allclose(root_aligned(truth + 7, truth), truth)


def test_root_aligned_spreads_a_missing_pelvis_only_over_its_own_pose():
    pred, truth = poses(0, 2), poses(1, 2)
    pred[0, ROOT] = np.nan
    aligned = root_aligned(pred, truth)
    assert np.isnan(aligned[0]).all()
    assert np.isfinite(aligned[1]).all()


def test_bad_input():
    with pytest.raises(InvalidInputError, match='one shape'):
        root_aligned(poses(0, 2), poses(0))
