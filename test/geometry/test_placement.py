import numpy as np
import pytest
from scipy.optimize import least_squares

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.placement import place_root

SIGMA = 0.002  # about 1 px of a 500 px lens
WEIGHTS = np.full(16, 1 / SIGMA ** 2)


def pose_m(seed=0):
    return np.random.default_rng(seed).normal(0, 0.12, (16, 3))


def rays_of(points_m):
    return points_m[:, :2] / points_m[:, 2:]


@pytest.mark.parametrize('translation', [(0, 0, 1), (0.3, -0.2, 0.8), (-1, 0.5, 4)])
def test_exact_rays_give_the_exact_place(translation):
    relative = pose_m()
    found, covariance, _ = place_root(relative, rays_of(relative + translation), WEIGHTS)
    np.testing.assert_allclose(found, translation, atol=1e-9)
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_four_points_by_hand():
    # A square of 0.2 m, seen at +-0.1: it is 1 m away, and z = 0 in all of it.
    relative = np.full((16, 3), np.nan)
    relative[:4] = [[-.1, -.1, 0], [.1, -.1, 0], [.1, .1, 0], [-.1, .1, 0]]
    rays = relative[:, :2].copy()
    found, covariance, _ = place_root(relative, rays, np.full(16, 100.0))
    np.testing.assert_allclose(found, [0, 0, 1], atol=1e-12)
    # A^T A is diagonal: 4 rows for tx, 4 for ty, and the sum of u^2 + v^2, 8 * 0.01, for tz.
    np.testing.assert_allclose(covariance, np.diag([1 / 400, 1 / 400, 1 / 8]), atol=1e-12)


def test_points_without_weight_or_place_are_left_out():
    relative = pose_m()
    rays = rays_of(relative + (0, 0, 1))
    weights = WEIGHTS.copy()
    rays[0], weights[0] = (50, 50), 0
    rays[1] = np.nan
    relative[2] = np.nan
    weights[3], rays[3] = np.nan, (9, 9)
    found, *_ = place_root(relative, rays, weights)
    np.testing.assert_allclose(found, (0, 0, 1), atol=1e-9)


def test_the_covariance_is_that_of_repeated_trials():
    rng = np.random.default_rng(1)
    relative, truth = pose_m(), np.array([0.1, 0.05, 1.0])
    rays = rays_of(relative + truth)
    trials = [place_root(relative, rays + rng.normal(0, SIGMA, (16, 2)), WEIGHTS)[0]
              for _ in range(400)]
    _, covariance, _ = place_root(relative, rays, WEIGHTS)
    np.testing.assert_allclose(np.mean(trials, axis=0), truth, atol=0.003)
    np.testing.assert_allclose(
        np.std(trials, axis=0), np.sqrt(np.diag(covariance)), rtol=0.2)


def test_a_pose_that_does_not_fit_is_less_certain():
    relative, truth = pose_m(), (0, 0, 1.0)
    rays = rays_of(relative + truth)
    _, fits, _ = place_root(relative, rays, WEIGHTS)
    _, misfits, _ = place_root(
        relative + np.random.default_rng(2).normal(0, 0.02, (16, 3)), rays, WEIGHTS)
    assert np.trace(misfits) > 5 * np.trace(fits)


def test_heavy_points_count_for_more():
    relative = pose_m()
    rays = rays_of(relative + (0, 0, 1))
    rays[5] += 0.05
    light = WEIGHTS.copy()
    light[5] *= 1e-6
    off = [np.linalg.norm(place_root(relative, rays, w)[0] - (0, 0, 1))
           for w in (WEIGHTS, light)]
    assert off[1] < off[0] / 100


def test_near_and_far_points_count_by_their_error_in_the_picture():
    rng = np.random.default_rng(4)
    relative = rng.normal(0, (0.2, 0.2, 0.01), (16, 3))
    relative[8:, 2] += 3  # half of the points are four times as far away
    rays = rays_of(relative + (0, 0, 1)) + rng.normal(0, SIGMA, (16, 2))
    found, *_ = place_root(relative, rays, WEIGHTS)
    best = least_squares(lambda t: (rays_of(relative + t) - rays).ravel(), (0, 0, 1)).x
    np.testing.assert_allclose(found, best, atol=5e-4)


def test_a_badly_lifted_point_counts_for_less():
    relative = pose_m()
    rays = rays_of(relative + (0, 0, 1))
    relative[5] += (0.002, -0.002, 0.0)
    variance = np.full(16, 1e-6)
    variance[5] = 0.04
    trusting, doubting = (np.linalg.norm(place_root(relative, rays, WEIGHTS, v)[0] - (0, 0, 1))
                          for v in (1e-6, variance))
    assert doubting < trusting / 20


def test_point_variance_by_hand():
    # The square again; at 1 m, a ray's variance of 0.01 and the point's of 0.03 m^2 add up.
    relative = np.full((16, 3), np.nan)
    relative[:4] = [[-.1, -.1, 0], [.1, -.1, 0], [.1, .1, 0], [-.1, .1, 0]]
    _, covariance, _ = place_root(relative, relative[:, :2], np.full(16, 100.0), 0.03)
    np.testing.assert_allclose(covariance, np.diag([1 / 100, 1 / 100, 1 / 2]), atol=1e-12)


def test_the_gain_tells_how_the_place_follows_the_rays():
    relative = pose_m()
    rays = rays_of(relative + (0.1, 0, 1))
    rays[3] = np.nan
    place = place_root(relative, rays, WEIGHTS)
    moved = rays.copy()
    moved[7] += (1e-5, -2e-5)
    depth = relative[7, 2] + 1
    expected = place.gain[:, 7] @ (np.array([1e-5, -2e-5]) * depth)
    np.testing.assert_allclose(
        place_root(relative, moved, WEIGHTS)[0] - place.translation_m, expected, rtol=0.02,
        atol=1e-8)
    assert place.gain.shape == (3, 16, 2)
    assert not place.gain[:, 3].any()


def test_three_points_are_too_few():
    relative = pose_m()
    rays = rays_of(relative + (0, 0, 1))
    weights = np.zeros(16)
    weights[:3] = 1
    with pytest.raises(InvalidInputError, match='got 3'):
        place_root(relative, rays, weights)


def test_one_ray_for_all_points_fixes_no_depth():
    with pytest.raises(InvalidInputError, match='depth'):
        place_root(np.zeros((16, 3)), np.full((16, 2), 0.1), WEIGHTS)


def test_a_mirrored_picture_lies_behind_the_camera():
    relative = pose_m() * (1, 1, 0)
    with pytest.raises(InvalidInputError, match='behind'):
        place_root(relative, -rays_of(relative + (0, 0, 1)), WEIGHTS)


def test_shapes_are_checked():
    with pytest.raises(InvalidInputError, match='expected shapes'):
        place_root(pose_m(), np.zeros((15, 2)), WEIGHTS)


def test_one_wrong_keypoint_hardly_moves_the_place():
    rng = np.random.default_rng(3)
    relative = pose_m()
    rays = rays_of(relative + (0, 0, 1)) + rng.normal(0, SIGMA, (16, 2))
    clean = place_root(relative, rays, WEIGHTS)
    rays[11] += (0.1, -0.06)                # 60 px
    spoilt = place_root(relative, rays, WEIGHTS)
    assert np.linalg.norm(spoilt.translation_m - clean.translation_m) < 0.005
    assert np.abs(spoilt.gain[:, 11]).max() < 0.05 * np.abs(spoilt.gain[:, 12]).max()


def test_ellipsoids_hold_as_many_places_as_they_say():
    # Points and rays err by what is claimed of them; 50 % lie within a squared distance of
    # 2.366 and 90 % within 6.251 (chi square, 3 degrees of freedom).
    rng = np.random.default_rng(6)
    truth, distances = np.array([0.1, 0.05, 1.1]), []
    for trial in range(600):
        relative = pose_m(trial)
        rays = rays_of(relative + truth) + rng.normal(0, 3 * SIGMA, (16, 2))
        relative[:, :2] += rng.normal(0, 0.01, (16, 2))
        found, covariance, _ = place_root(relative, rays, WEIGHTS / 9, 1e-4)
        distances.append((found - truth) @ np.linalg.solve(covariance, found - truth))
    assert np.mean(np.array(distances) < 2.366) == pytest.approx(0.5, abs=0.08)
    assert np.mean(np.array(distances) < 6.251) == pytest.approx(0.9, abs=0.05)
