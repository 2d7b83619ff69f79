import math

import numpy as np
import pytest
from scipy.stats import chi2

from infant_pose_ros.codecs.uncertainty import PictureSpread, SpaceSpread
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.fitting import (
    coverage_factor,
    fit_picture,
    fit_space,
    NOISE_CLIP,
    Samples,
    scaled_picture,
    scaled_space,
)

FRAMES = 1500


def picture_samples(spread, seed=0):
    """Errors (n, 2) that `spread` tells rightly, and their heatmaps."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(FRAMES, 16, 2, 2)) * rng.uniform(1, 8, (FRAMES, 1, 1, 1))
    heat = roots @ roots.swapaxes(-1, -2) + 0.5 * np.eye(2)
    errors = np.einsum('fkij,fkj->fki', np.linalg.cholesky(spread.covariances(heat)),
                       rng.normal(size=(FRAMES, 16, 2)))
    keypoint = np.tile(np.arange(16), FRAMES)
    return Samples(errors.reshape(-1, 2), keypoint, np.ones(len(keypoint))), heat.reshape(-1, 2, 2)


def test_the_spread_that_made_the_errors_is_found():
    made = PictureSpread(0.6, 1.3, tuple(np.linspace(0.0, 3.0, 16)))
    found = fit_picture(*picture_samples(made))
    assert (found.own, found.common) == pytest.approx((0.6, 1.3), abs=0.05)
    # clipping takes the far tail of a Gaussian for a heavier one: a little narrower
    assert np.array(found.log_variance) == pytest.approx(np.linspace(0.0, 3.0, 16), abs=0.15)


def test_a_wider_heatmap_never_means_a_smaller_error():
    made = PictureSpread(1.0, -1.0, (2.0,) * 16)        # a few frames may look so by chance
    assert fit_picture(*picture_samples(made)).common == 0.0


def test_a_few_wild_errors_hardly_count():
    made = PictureSpread(1.0, 1.0, (1.0,) * 16)
    samples, heat = picture_samples(made)
    samples.errors[::50] *= 100.0
    found = fit_picture(samples, heat, NOISE_CLIP)
    assert np.abs(np.array(found.log_variance) - 1.0).max() < 0.4


def test_a_keypoint_that_was_never_seen_gets_the_mean():
    samples, heat = picture_samples(PictureSpread(1.0, 1.0, (2.0,) * 16))
    seen = samples.keypoint != 5
    found = fit_picture(Samples(
        samples.errors[seen], samples.keypoint[seen], samples.weights[seen]), heat[seen])
    assert found.log_variance[5] == pytest.approx(2.0, abs=0.15)


def test_space_is_found_beside_and_along_rays():
    made = SpaceSpread(0.8, 0.5, 1.1, 0.4, tuple(np.linspace(-10, -8, 16)),
                       tuple(np.linspace(-7, -5, 16)))
    rng = np.random.default_rng(1)
    roots = rng.normal(size=(FRAMES, 16, 2, 2)) * np.exp(rng.normal(size=(FRAMES, 1, 1, 1)))
    lateral = 1e-4 * (roots @ roots.swapaxes(-1, -2) + 0.1 * np.eye(2))
    rays = rng.uniform(-0.5, 0.5, (FRAMES, 16, 2))
    deep = np.sqrt(made.along(lateral)) * rng.normal(size=(FRAMES, 16))
    beside = np.einsum('fkij,fkj->fki', np.linalg.cholesky(made.beside(lateral)),
                       rng.normal(size=(FRAMES, 16, 2)))
    errors = np.concatenate([beside + deep[..., None] * rays, deep[..., None]], axis=-1)
    mean = 0.5 * np.log(np.linalg.det(lateral)).mean(axis=1)
    keypoint = np.tile(np.arange(16), FRAMES)
    found = fit_space(
        Samples(errors.reshape(-1, 3), keypoint, np.ones(len(keypoint))), rays.reshape(-1, 2),
        lateral.reshape(-1, 2, 2), np.repeat(mean, 16))
    assert (found.own, found.single, found.common, found.depth) == pytest.approx(
        (0.8, 0.5, 1.1, 0.4), abs=0.05)
    assert np.array(found.log_beside) == pytest.approx(np.linspace(-10, -8, 16), abs=0.15)
    assert np.array(found.log_along) == pytest.approx(np.linspace(-7, -5, 16), abs=0.15)


def test_noise_in_space_is_the_pictures_beside_the_rays():
    made = SpaceSpread(1.0, 1.0, 1.0, 0.0, (-9.0,) * 16, (-6.0,) * 16)
    rng = np.random.default_rng(2)
    lateral = np.tile(1e-4 * np.eye(2), (16 * FRAMES, 1, 1))
    found = fit_space(
        Samples(rng.normal(size=(16 * FRAMES, 3)) * math.exp(-3.0),
                np.tile(np.arange(16), FRAMES), np.ones(16 * FRAMES)),
        np.zeros((16 * FRAMES, 2)), lateral, np.full(16 * FRAMES, math.log(1e-4)),
        only_picture=True)
    assert np.allclose(found.beside(lateral[:16]), made.beside(lateral[:16]))


@pytest.mark.parametrize('ndim', [1, 2, 3])
def test_ellipsoids_are_scaled_to_their_coverage(ndim):
    distances = 4.0 * chi2.rvs(ndim, size=20000, random_state=0)
    assert coverage_factor(distances, np.ones(20000), ndim) == pytest.approx(4.0, rel=0.05)


def test_weights_count_in_the_scale():
    distances = np.concatenate([np.full(900, 1e3), chi2.rvs(2, size=900, random_state=0)])
    weights = np.repeat([1e-9, 1.0], 900)
    assert coverage_factor(distances, weights, 2) == pytest.approx(1.0, rel=0.1)


def test_scaling_multiplies_variances():
    picture = scaled_picture(PictureSpread(1.0, 1.0, (0.0,) * 16), 4.0)
    assert picture.log_variance[0] == pytest.approx(math.log(4.0))
    space = scaled_space(SpaceSpread(1, 1, 1, 1, (-9.0,) * 16, (-6.0,) * 16), 2.0, 3.0)
    assert space.log_beside[0] == pytest.approx(-9.0 + math.log(2.0))
    assert space.log_along[0] == pytest.approx(-6.0 + math.log(3.0))


def test_too_few_samples_are_refused():
    with pytest.raises(InvalidInputError, match='give more frames'):
        Samples(np.zeros((10, 2)), np.zeros(10, int), np.ones(10))
