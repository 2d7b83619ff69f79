"""Bone lengths are learned, and pull what is uncertain."""

import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.bones import bone_lengths, BoneMemory, constrain
from infant_pose_ros.skeleton import BONES, Joint, LEFT_RIGHT_PAIRS, NUM_KEYPOINTS

FOREARM = BONES.index((Joint.R_ELBOW, Joint.R_WRIST))
OTHER_FOREARM = BONES.index((Joint.L_ELBOW, Joint.L_WRIST))
SURE = np.ones(NUM_KEYPOINTS)


def pose() -> np.ndarray:
    """(16, 3) an infant on its back, m."""
    points = np.zeros((NUM_KEYPOINTS, 3))
    points[:, 1] = [.20, .12, 0, 0, .12, .20, 0, -.15, -.20, -.30, -.05, -.09, -.15, -.15, -.09,
                    -.05]
    widths = dict(zip(LEFT_RIGHT_PAIRS, (.05, .08, .04, .16, .12, .06)))
    for (left, right), width in widths.items():
        points[left, 0], points[right, 0] = width, -width
    return points


def covariances(variance_m2: float = 1e-4) -> np.ndarray:
    return np.tile(variance_m2 * np.eye(3), (1, NUM_KEYPOINTS, 1, 1))


def only_forearm(length_m: float, std_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and deviations of which only the right forearm's are known."""
    lengths, std = np.full((2, 1, len(BONES)), np.nan)
    lengths[0, FOREARM], std[0, FOREARM] = length_m, std_m
    return lengths, std


def stretched() -> np.ndarray:
    """(1, 16, 3) a pose whose right forearm is 0.12 m long, along x."""
    points = pose()[None]
    points[0, Joint.R_WRIST] = points[0, Joint.R_ELBOW] - (0.12, 0.0, 0.0)
    return points


def test_lengths_in_the_order_of_bones():
    lengths = bone_lengths(np.stack([pose(), 2.0 * pose()]))
    assert lengths.shape == (2, 15)
    assert lengths[0, FOREARM] == pytest.approx(np.hypot(.04, .04))
    np.testing.assert_allclose(lengths[1], 2.0 * lengths[0])
    missing = pose()
    missing[Joint.R_WRIST] = np.nan
    assert np.flatnonzero(np.isnan(bone_lengths(missing))).tolist() == [FOREARM]


def test_the_less_certain_end_moves_more():
    # 0.02 m too long. Variances 2e-4 (wrist), 1e-4 (elbow) and 0.01^2 of the bone: of 4e-4 the
    # wrist takes a half, the elbow a quarter, and a quarter stays.
    covariance = covariances()
    covariance[0, Joint.R_WRIST] *= 2.0
    before = stretched()
    points, after = constrain(before, covariance, *only_forearm(0.10, 0.01))
    moved = points - before
    assert moved[0, Joint.R_WRIST] == pytest.approx([0.010, 0.0, 0.0])
    assert moved[0, Joint.R_ELBOW] == pytest.approx([-0.005, 0.0, 0.0])
    assert np.count_nonzero(moved) == 2
    # Along the bone 2e-4 - (2e-4)^2 / 4e-4 and 1e-4 - (1e-4)^2 / 4e-4; nothing across it.
    assert after[0, Joint.R_WRIST] == pytest.approx(np.diag([1e-4, 2e-4, 2e-4]))
    assert after[0, Joint.R_ELBOW] == pytest.approx(np.diag([7.5e-5, 1e-4, 1e-4]))


def test_certain_keypoints_hold():
    covariance = covariances()
    covariance[0, Joint.R_ELBOW] = 0.0
    before = stretched()
    points, after = constrain(before, covariance, *only_forearm(0.10, 1e-6))
    assert (points[0, Joint.R_ELBOW] == before[0, Joint.R_ELBOW]).all()
    assert np.linalg.norm(points[0, Joint.R_WRIST] - points[0, Joint.R_ELBOW]) == (
        pytest.approx(0.10, abs=1e-6))
    assert after[0, Joint.R_WRIST, 0, 0] == pytest.approx(0.0, abs=1e-11)


def test_missing_keypoints_stay_missing_and_leave_their_neighbours():
    points, covariance = stretched(), covariances()
    points[0, Joint.R_WRIST] = np.nan
    covariance[0, Joint.R_WRIST] = np.nan
    lengths = bone_lengths(pose())[None]
    after, spread = constrain(points, covariance, lengths, 0.01 * lengths)
    assert np.isnan(after[0, Joint.R_WRIST]).all()
    assert np.isnan(spread[0, Joint.R_WRIST]).all()
    seen = np.arange(NUM_KEYPOINTS) != Joint.R_WRIST
    np.testing.assert_allclose(after[0, seen], points[0, seen], atol=1e-12)


def test_unknown_lengths_change_nothing():
    unknown = np.full((1, len(BONES)), np.nan)
    points, covariance = constrain(stretched(), covariances(), unknown, unknown)
    np.testing.assert_array_equal(points, stretched())
    np.testing.assert_array_equal(covariance, covariances())


def test_a_scattered_body_is_pulled_together():
    rng = np.random.default_rng(3)
    scattered = pose() + 0.01 * rng.standard_normal((50, NUM_KEYPOINTS, 3))
    lengths = np.tile(bone_lengths(pose()), (50, 1))
    points, covariance = constrain(
        scattered, np.repeat(covariances(), 50, 0), lengths, np.full_like(lengths, 0.002))
    lack_before = np.abs(bone_lengths(scattered) - lengths).mean()
    lack_after = np.abs(bone_lengths(points) - lengths).mean()
    assert lack_after < 0.45 * lack_before
    error_before, error_after = (
        np.linalg.norm(body - pose(), axis=-1).mean() for body in (scattered, points))
    assert error_after < 0.9 * error_before
    assert np.linalg.eigvalsh(covariance).min() > 0.0


def test_no_tracks():
    points, covariance = constrain(np.zeros((0, 16, 3)), np.zeros((0, 16, 3, 3)),
                                   *BoneMemory().lengths([]))
    assert points.shape == (0, 16, 3) and covariance.shape == (0, 16, 3, 3)


def test_both_sides_share_a_length():
    points = pose()
    points[Joint.R_WRIST] = points[Joint.R_ELBOW] + (0.0, 0.0, 0.10)
    points[Joint.L_WRIST] = points[Joint.L_ELBOW] + (0.0, 0.0, 0.12)
    memory, score = BoneMemory(), SURE.copy()
    memory.observe([1], 0.0, points[None], score[None])
    score[Joint.R_WRIST] = 0.5
    memory.observe([2], 0.0, points[None], score[None])
    lengths, std = memory.lengths([2, 1, 3])
    assert lengths[1, [FOREARM, OTHER_FOREARM]] == pytest.approx([0.11, 0.11])
    # (0.5 * 0.10 + 1 * 0.12) / 1.5
    assert lengths[0, [FOREARM, OTHER_FOREARM]] == pytest.approx([0.1133, 0.1133], abs=1e-4)
    assert np.isnan(lengths[2]).all() and np.isnan(std[2]).all()
    # (0.011)^2 counts five times, two deviations of 0.01 once each: 0.0107^2.
    assert std[1, FOREARM] == pytest.approx(np.sqrt((5 * 0.011**2 + 2 * 0.01**2) / 7))


def learned(seconds: float, points: np.ndarray = None) -> BoneMemory:
    memory = BoneMemory()
    for index in range(round(10 * seconds)):
        memory.observe([1], index / 10, (pose() if points is None else points)[None], SURE[None])
    return memory


def test_a_wild_pose_hardly_moves_a_learned_length():
    memory = learned(10.0)
    wild = pose()
    wild[Joint.R_WRIST] += (0.5, 0.0, 0.0)
    memory.observe([1], 10.0, wild[None], SURE[None])
    true_m = bone_lengths(pose())[FOREARM]
    assert memory.lengths([1])[0][0, FOREARM] == pytest.approx(true_m, rel=2e-3)


def test_unsure_and_missing_keypoints_teach_nothing():
    memory, score, wild = learned(1.0), SURE.copy(), pose()
    wild[Joint.R_WRIST] += (0.5, 0.0, 0.0)
    wild[Joint.L_ANKLE] = np.nan
    score[Joint.R_WRIST] = 0.2
    before = memory.lengths([1])[0]
    memory.observe([1], 1.0, wild[None], score[None])
    memory.observe([1], 1.1, np.full((1, *wild.shape), np.nan),
                   np.full((1, NUM_KEYPOINTS), np.nan))
    np.testing.assert_allclose(memory.lengths([1])[0], before)


def test_another_scale_is_followed_within_seconds():
    memory = learned(10.0)
    for index in range(20):
        memory.observe([1], 10.0 + index / 10, 1.2 * pose()[None], SURE[None])
    np.testing.assert_allclose(
        memory.lengths([1])[0][0], 1.2 * bone_lengths(pose()), rtol=0.01)


def test_a_learned_bone_keeps_a_share_of_freedom():
    lengths, std = learned(20.0).lengths([1])
    np.testing.assert_allclose(std, 0.01 * lengths)


def test_forgotten_tracks_are_unknown():
    memory = learned(0.2)
    memory.forget([1, 5])
    assert np.isnan(memory.lengths([1])[0]).all()


def test_wrong_shapes_are_named():
    with pytest.raises(InvalidInputError, match=r'keypoints_m \(1, 16, 3\)'):
        BoneMemory().observe([1], 0.0, np.zeros((1, 15, 3)), SURE[None])
    with pytest.raises(InvalidInputError, match=r'lengths_m of shape \(1, 15\)'):
        constrain(stretched(), covariances(), np.zeros(15), np.zeros((1, 15)))


def test_tracks_of_one_frame_are_learned_as_one_by_one():
    rng = np.random.default_rng(2)
    together, apart = BoneMemory(), BoneMemory()
    for frame in range(20):
        points = pose() + rng.normal(0.0, 0.01, (3, NUM_KEYPOINTS, 3))
        points[rng.random((3, NUM_KEYPOINTS)) < 0.1] = np.nan
        score = rng.random((3, NUM_KEYPOINTS))
        together.observe([4, 5, 6], frame / 30, points, score)
        for row, key in enumerate((4, 5, 6)):
            apart.observe([key], frame / 30, points[[row]], score[[row]])
    for one, other in zip(together.lengths([6, 4, 5]), apart.lengths([6, 4, 5])):
        assert np.isfinite(one).all() and one == pytest.approx(other)


def test_ends_in_one_place_are_no_bone():
    memory = BoneMemory()
    memory.observe([1], 0.0, np.zeros((1, NUM_KEYPOINTS, 3)), SURE[None])
    assert np.isnan(memory.lengths([1])[0]).all()
    memory.observe([1], 0.1, pose()[None], SURE[None])
    assert memory.lengths([1])[0][0] == pytest.approx(bone_lengths(pose()))
