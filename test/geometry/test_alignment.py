import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.alignment import root_aligned, similarity_align
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


def test_similarity_align_undoes_a_similarity():
    truth = poses(2)
    pred = Rotation.from_rotvec([0.5, 2, -1]).apply(truth) * 3.5 + [1, -20, 3]
    np.testing.assert_allclose(similarity_align(pred, truth), truth, atol=1e-9)


def test_similarity_align_in_the_plane_by_hand():
    # A quarter turn, twice the size, moved by (5, 5).
    truth = np.array([[0.0, 0], [1, 0], [0, 2]])
    pred = np.array([[5.0, 5], [5, 7], [1, 5]])
    np.testing.assert_allclose(similarity_align(pred, truth), truth, atol=1e-12)


def test_similarity_align_does_not_mirror():
    truth = poses(3)
    mirrored = truth * (-1, 1, 1)
    error = np.linalg.norm(similarity_align(mirrored, truth) - truth, axis=1).mean()
    assert error > 0.3
    assert error < np.linalg.norm(truth - truth.mean(axis=0), axis=1).mean()


def test_no_other_similarity_is_closer():
    truth, pred = poses(4), poses(4) + poses(5) * 0.2
    aligned = similarity_align(pred, truth)
    best = ((aligned - truth) ** 2).sum()
    rng = np.random.default_rng(6)
    for _ in range(50):
        nudge = Rotation.from_rotvec(rng.normal(0, 0.05, 3))
        other = nudge.apply(aligned) * rng.normal(1, 0.03) + rng.normal(0, 0.02, 3)
        assert ((other - truth) ** 2).sum() > best


def test_missing_points_are_left_out():
    truth = poses(7)
    pred = 2 * truth + 1
    pred[3] = np.nan
    truth[5] = np.nan
    aligned = similarity_align(pred, truth)
    assert np.isnan(aligned[3]).all()
    np.testing.assert_allclose(aligned[5], (pred[5] - 1) / 2)
    np.testing.assert_allclose(aligned[6:], truth[6:])


def test_bad_input():
    with pytest.raises(InvalidInputError, match='one shape'):
        root_aligned(poses(0, 2), poses(0))
    with pytest.raises(InvalidInputError, match='one pose'):
        similarity_align(poses(0, 2), poses(0, 2))
    with pytest.raises(InvalidInputError, match='got 0'):
        similarity_align(np.full((16, 3), np.nan), poses(0))
    with pytest.raises(InvalidInputError, match='coincide'):
        similarity_align(np.ones((16, 3)), poses(0))
