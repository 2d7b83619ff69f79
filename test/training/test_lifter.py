import csv

import numpy as np
import pytest

from infant_pose_ros.models.checkpoints import load_checkpoint
from infant_pose_ros.training import lifter as training
from infant_pose_ros.training.lifter import LifterRecipe, LiftingPairs, train_lifter


def made_up_poses(seed: int, count: int) -> LiftingPairs:
    """A body that is bent about its pelvis in one way only: depth follows from the picture."""
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 0.1, (16, 3)) * 0 + np.random.default_rng(0).normal(0, 0.1, (16, 3))
    body[6], body[7] = (0, 0, 0), (0, -0.2, 0)
    bend = rng.uniform(0.5, 1.5, (count, 1, 1))
    return LiftingPairs.exact(body * bend * [1, 1, 0.5] + [0, 0, 1.0], np.full(count, 0.6))


def test_pairs_are_disturbed_by_the_noise_asked_for_and_mirrored_by_half():
    pairs = made_up_poses(1, 400)
    quiet = LifterRecipe(noise=0.0, outlier_share=0.0)
    same = pairs.disturbed(np.random.default_rng(0), quiet)
    kept = np.isclose(same.keypoints_m, pairs.keypoints_m).all((1, 2))
    assert 0.4 < kept.mean() < 0.6
    assert np.allclose(same.rays, same.keypoints_m[..., :2] / same.keypoints_m[..., 2:])
    noisy = pairs.disturbed(np.random.default_rng(0), LifterRecipe(noise=0.05, outlier_share=0.0))
    off = np.linalg.norm(noisy.rays - same.rays, axis=-1).mean()
    spread = np.sqrt(((pairs.rays - pairs.rays.mean(1, keepdims=True)) ** 2).sum(-1).mean())
    # E|n| of a half normal times the mean length of a 2D normal: 0.798 * 1.253
    assert off == pytest.approx(0.05 * spread * 0.798 * 1.253, rel=0.15)


def test_a_tiny_training_learns_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(training, '_drawn', lambda run, name, infants, views, seed: made_up_poses(
        seed, 60 * infants))
    recipe = LifterRecipe(infants=20, infants_val=3, hidden=64, blocks=1, dropout=0.0,
                          batch_size=64, epochs=3, decay=0.95, noise=0.0, outlier_share=0.0)
    train_lifter(recipe, tmp_path / 'run')
    path = train_lifter(recipe.replace(epochs=8), tmp_path / 'run')
    rows = list(csv.DictReader((tmp_path / 'run' / 'curves.csv').open()))
    assert [int(row['epoch']) for row in rows] == list(range(1, 9))
    assert float(rows[-1]['true2d_ajpe_mm']) < 0.7 * float(rows[0]['true2d_ajpe_mm'])
    manifest = load_checkpoint(path, 'lifter')[1]
    assert len(manifest.metrics['joint_std_mm']) == 16


def test_weights_stay_within_the_norm_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(training, '_drawn', lambda run, name, infants, views, seed: made_up_poses(
        seed, 60 * infants))
    path = train_lifter(LifterRecipe(infants=4, infants_val=2, hidden=32, blocks=1, epochs=1,
                                     batch_size=32, max_norm=1.0), tmp_path / 'run')
    module, _ = load_checkpoint(path, 'lifter')
    for name, values in module.state_dict().items():
        if name.endswith('weight') and values.ndim == 2:
            assert values.norm() <= 1.0001, name
