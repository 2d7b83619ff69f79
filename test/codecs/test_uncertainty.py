import math

import numpy as np
import pytest

from infant_pose_ros.codecs.uncertainty import (
    LEAST_PX,
    PictureSpread,
    PictureUncertainty,
    share_inside,
    SpaceSpread,
    SpaceUncertainty,
    USUAL_LOG_HEAT,
    USUAL_LOG_LATERAL,
)
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import ROOT

SAME = (USUAL_LOG_HEAT,) * 16
SIDES = (USUAL_LOG_LATERAL,) * 16
DEPTH = (2 * math.log(0.05),) * 16      # 5 % of the length
PLAIN = SpaceSpread(1.0, 1.0, 1.0, 0.0, SIDES, DEPTH)


def random_covariances(*shape, size=1.0):
    roots = np.random.default_rng(4).normal(size=(*shape, 2, 2)) * math.sqrt(size)
    return roots @ roots.swapaxes(-1, -2) + 0.1 * size * np.eye(2)


def test_exponents_of_1_keep_the_heatmaps_covariance():
    heat = random_covariances(5, 16)
    assert np.allclose(PictureSpread(1.0, 1.0, SAME).covariances(heat), heat)


def test_variances_along_the_heatmaps_axes_by_hand():
    # axes at 45 degrees, variances 4 and 1: mean logarithm log 2, either log 2 away from it
    heat = np.broadcast_to([[2.5, 1.5], [1.5, 2.5]], (16, 2, 2))
    spread = PictureSpread(0.5, 2.0, (math.log(9.0) + 2.0 * USUAL_LOG_HEAT,) * 16)
    # middle 9 x 2^2 = 36, ratio of the axes 4^0.5: 36 sqrt 2 and 36 / sqrt 2
    high, low = 36 * math.sqrt(2), 36 / math.sqrt(2)
    expected = [[(high + low) / 2, (high - low) / 2], [(high - low) / 2, (high + low) / 2]]
    assert np.allclose(spread.covariances(heat)[3], expected)


def test_each_keypoint_has_its_own_variance():
    spread = PictureSpread(1.0, 0.0, (0.0,) * 15 + (math.log(4.0),))
    covariances = spread.covariances(np.tile(np.eye(2), (16, 1, 1)))
    assert np.allclose(covariances[0], np.eye(2))
    assert np.allclose(covariances[15], 4 * np.eye(2))


def test_round_heatmaps_and_missing_ones_make_no_trouble():
    heat = np.tile(7.0 * np.eye(2), (16, 1, 1))
    heat[2] = np.nan
    covariances = PictureSpread(0.3, 1.0, SAME).covariances(heat)
    assert np.allclose(covariances[0], 7 * np.eye(2))
    assert np.isnan(covariances[2]).all()


def test_nothing_is_believed_to_be_exact():
    spread = PictureSpread(1.0, 1.0, (-50.0,) * 16)
    assert np.allclose(spread.covariances(random_covariances(16)), LEAST_PX ** 2 * np.eye(2))


def test_noise_is_never_more_than_the_error():
    uncertainty = PictureUncertainty(
        PictureSpread(1.0, 1.0, SAME), PictureSpread(1.0, 1.0, (USUAL_LOG_HEAT + 3.0,) * 16))
    error, noise = uncertainty.covariances(random_covariances(16))
    assert np.allclose(error, noise)
    assert np.linalg.eigvalsh(noise).min() > 0


def test_the_share_of_the_noise_that_the_error_holds_by_hand():
    # axes at 45 degrees, variances 3.9 and 0.05: each variance along x and y is 1.975
    turned = np.array([[1.975, 1.925], [1.925, 1.975]])
    noise = np.stack([np.eye(2), np.diag([1.0, 8.0]), turned, np.zeros((2, 2)),
                      np.full((2, 2), np.nan)])
    error = np.stack([2 * np.eye(2), np.diag([4.0, 2.0]), 2 * np.eye(2), np.zeros((2, 2)),
                      np.eye(2)])
    assert np.allclose(share_inside(noise, error), [1.0, 0.25, 2 / 3.9, 1.0, np.nan],
                       equal_nan=True)


def test_what_the_error_has_beyond_the_noise_is_a_covariance():
    uncertainty = PictureUncertainty(       # the noise is longer along the heatmap's long axis
        PictureSpread(0.2, 1.0, SAME), PictureSpread(1.0, 1.0, SAME))
    heat = random_covariances(200, 16)
    error, noise = uncertainty.covariances(heat)
    assert np.linalg.eigvalsh(error - noise).min() > -1e-9
    assert np.linalg.eigvalsh(noise).min() > 0


def test_in_space_the_picture_tells_what_is_beside_the_ray_and_depth_lies_along_it():
    rays = np.zeros((16, 2))
    rays[4] = 0.5, 0.0
    lateral = np.tile(np.diag([1e-4, 4e-4]), (16, 1, 1))
    covariances = PLAIN.covariances(rays, lateral)
    assert np.allclose(covariances[0], np.diag([1e-4, 4e-4, 25e-4]))
    assert np.allclose(covariances[4], np.array(
        [[1e-4 + 0.25 * 25e-4, 0, 0.5 * 25e-4], [0, 4e-4, 0], [0.5 * 25e-4, 0, 25e-4]]))


def test_depth_follows_the_mean_over_the_keypoints_that_are_known():
    # ten times the usual variance everywhere, but for one that is missing: exponent 2 makes 100
    spread = SpaceSpread(1.0, 1.0, 1.0, 2.0, SIDES, DEPTH)
    lateral = np.tile(10 * math.exp(USUAL_LOG_LATERAL) * np.eye(2), (16, 1, 1))
    lateral[9] = np.nan
    covariances = spread.covariances(np.zeros((16, 2)), lateral)
    assert covariances[0, 2, 2] == pytest.approx(100 * 0.05 ** 2)
    assert np.isnan(covariances[9, :2, :2]).any()


def test_one_keypoints_own_size_counts_less_than_that_of_all():
    spread = SpaceSpread(1.0, 0.0, 1.0, 0.0, SIDES, DEPTH)
    lateral = np.tile(np.exp(USUAL_LOG_LATERAL) * np.eye(2), (16, 1, 1))
    lateral[3] *= math.exp(16.0)        # raises the mean of the logarithms by 1
    beside = spread.beside(lateral)
    assert np.allclose(beside, np.exp(USUAL_LOG_LATERAL + 1.0) * np.eye(2))


def space_uncertainty():
    return SpaceUncertainty(PLAIN, SpaceSpread(1.0, 1.0, 1.0, 0.0, SIDES, (-12.0,) * 16),
                            PLAIN, PLAIN)


def test_space_scales_with_the_body_and_the_depth():
    small, large = (space_uncertainty().covariances(
        np.zeros((16, 2)), np.tile(1e-6 * np.eye(2), (16, 1, 1)),
        np.tile(1e-8 * np.eye(2), (16, 1, 1)), np.full(16, length), length, True)
        for length in (0.5, 1.0))
    assert np.allclose(large[0], 4 * small[0])
    assert np.allclose(large[0][0], np.diag([1e-6, 1e-6, 0.05 ** 2]))


def test_noise_is_of_the_pelvis_place_and_of_the_others_relative_to_it():
    loud = SpaceSpread(1.0, 1.0, 1.0, 0.0, SIDES, (math.log(1e-2),) * 16)
    quiet, still = (SpaceSpread(1.0, 1.0, 1.0, 0.0, SIDES, (math.log(variance),) * 16)
                    for variance in (1e-4, 1e-6))
    _, noise = SpaceUncertainty(loud, quiet, loud, still).covariances(
        np.zeros((16, 2)), np.tile(1e-6 * np.eye(2), (16, 1, 1)),
        np.tile(1e-7 * np.eye(2), (16, 1, 1)), np.ones(16), 1.0, True)
    assert np.allclose(noise[ROOT], np.diag([1e-7, 1e-7, 1e-4]), atol=0)
    assert np.allclose(noise[0], np.diag([1e-7, 1e-7, 1e-6]), atol=0)


def test_a_relative_pelvis_has_no_error():
    error, noise = space_uncertainty().covariances(
        np.zeros((16, 2)), np.tile(1e-6 * np.eye(2), (16, 1, 1)),
        np.tile(1e-6 * np.eye(2), (16, 1, 1)), np.ones(16), 0.6, False)
    assert not error[ROOT].any() and not noise[ROOT].any()
    assert np.linalg.eigvalsh(error[0]).min() > 0 and np.isfinite(noise).all()


@pytest.mark.parametrize('uncertainty', [
    PictureUncertainty(PictureSpread(0.7, 1.2, SAME), PictureSpread(1.0, 1.3, DEPTH)),
    space_uncertainty()])
def test_round_trip(uncertainty):
    assert type(uncertainty).from_dict(uncertainty.to_dict()) == uncertainty


@pytest.mark.parametrize('change', [
    {'error': None}, {'extra': 1}, {'error': {'own': 1.0}},
    {'error': {'own': 1.0, 'common': 1.0, 'log_variance': [0.0] * 15}},
    {'error': {'own': 1.0, 'common': math.nan, 'log_variance': [0.0] * 16}},
    {'error': {'own': 1.0, 'common': 1.0, 'log_variance': ['x'] * 16}}])
def test_malformed_content_is_refused(change):
    content = PictureUncertainty(
        PictureSpread(0.7, 1.2, SAME), PictureSpread(1.0, 1.3, DEPTH)).to_dict() | change
    with pytest.raises(InvalidInputError, match='uncertainty'):
        PictureUncertainty.from_dict(content)
