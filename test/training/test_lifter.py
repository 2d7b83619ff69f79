import csv

import numpy as np
import pytest
import torch

from infant_pose_ros.models.checkpoints import load_checkpoint
from infant_pose_ros.models.lifter import Lifter
from infant_pose_ros.training import lifter as training
from infant_pose_ros.training.lifter import (
    build_lifter,
    evaluate_lifter,
    joint_jitter,
    LifterRecipe,
    train_lifter,
)
from infant_pose_ros.training.lifting_data import LiftingPairs
from infant_pose_ros.training.transfer import MPI_ORDER


def made_up_poses(seed: int, count: int) -> LiftingPairs:
    """A body that is bent about its pelvis in one way only: depth follows from the picture."""
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 0.1, (16, 3)) * 0 + np.random.default_rng(0).normal(0, 0.1, (16, 3))
    body[6], body[7] = (0, 0, 0), (0, -0.2, 0)
    bend = rng.uniform(0.5, 1.5, (count, 1, 1))
    return LiftingPairs.exact(body * bend * [1, 1, 0.5] + [0, 0, 1.0], np.full(count, 0.6))


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    monkeypatch.setattr(training, 'drawn_pairs', lambda people, count, views, seed: made_up_poses(
        seed, 60 * count))


def recipe(**changes) -> LifterRecipe:
    return LifterRecipe(**{
        'infants': 20, 'infants_val': 3, 'hidden': 64, 'blocks': 1, 'dropout': 0.0,
        'batch_size': 64, 'epochs': 3, 'decay': 0.95, 'noise': 0.0, 'outlier_share': 0.0,
        **changes})


def rows_of(folder) -> list[dict]:
    return list(csv.DictReader((folder / 'curves.csv').open()))


def test_a_tiny_training_learns_and_goes_on(tmp_path):
    train_lifter(recipe(), tmp_path / 'run')
    path = train_lifter(recipe(epochs=8), tmp_path / 'run')
    rows = rows_of(tmp_path / 'run')
    assert [int(row['epoch']) for row in rows] == list(range(1, 9))
    assert float(rows[-1]['true2d_ajpe_mm']) < 0.7 * float(rows[0]['true2d_ajpe_mm'])
    manifest = load_checkpoint(path, 'lifter')[1]
    best = min(rows, key=lambda row: float(row['true2d_ajpe_mm']))
    assert manifest.metrics['epochs'] == int(best['epoch'])
    assert len(manifest.metrics['joint_std_mm']) == 16
    assert 'joint_jitter_mm' not in manifest.metrics


def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path):
    def killer(epoch, _):
        if epoch == 2:
            raise KeyboardInterrupt

    chosen = recipe(epochs=4, dropout=0.3, noise=0.05, infants=4)
    with pytest.raises(KeyboardInterrupt):
        train_lifter(chosen, tmp_path / 'killed', killer)
    path = train_lifter(chosen, tmp_path / 'killed')
    assert path.read_bytes() == train_lifter(chosen, tmp_path / 'whole').read_bytes()


def test_patience_ends_a_training_and_the_best_epoch_is_exported(tmp_path, monkeypatch):
    values = iter([30.0, 20.0, 25.0, 21.0, 5.0])

    def fixed(network, pairs):
        return {'ajpe_mm': next(values), 'mse': 1.0, 'joint_std_mm': np.ones(16)}

    monkeypatch.setattr(training, 'evaluate_lifter', fixed)
    path = train_lifter(recipe(epochs=9, patience=2, infants=2), tmp_path)
    assert len(rows_of(tmp_path)) == 4
    assert load_checkpoint(path, 'lifter')[1].metrics['epochs'] == 2


def test_weights_stay_within_the_norm_asked_for(tmp_path):
    path = train_lifter(recipe(infants=4, epochs=1, max_norm=1.0, loss='distance'), tmp_path)
    module, _ = load_checkpoint(path, 'lifter')
    for name, values in module.state_dict().items():
        if name.endswith('weight') and values.ndim == 2:
            assert values.norm() <= 1.0001, name


def test_a_training_starts_from_adults_with_or_without_the_common_keypoints(tmp_path):
    first = train_lifter(recipe(people='adults', epochs=1, infants=4), tmp_path / 'adults')
    adults, _ = load_checkpoint(first, 'lifter')
    start, pairs = recipe(init_from=str(first), infants=4), made_up_poses(5, 8)
    inputs, _ = pairs.encoded()
    mapped, unmapped = (build_lifter(start.replace(common_keypoints=common), pairs).eval()
                        for common in (True, False))
    with torch.no_grad():
        assert torch.allclose(mapped(inputs), adults(inputs), atol=1e-4)
        # Keypoint k of MPI-INF-3DHP's order stands where the common one's k stood before.
        order = list(MPI_ORDER)
        theirs = inputs.reshape(-1, 16, 2)[:, np.argsort(order)].flatten(1)
        wanted = adults(theirs).reshape(-1, 16, 3)[:, order].flatten(1)
        assert torch.allclose(unmapped(inputs), wanted, atol=1e-3)
    # A run that was killed in its first epoch wrote the look at the start already.
    (tmp_path / 'infants').mkdir()
    (tmp_path / 'infants' / 'curves.csv').write_text('epoch,minutes\n0,0\n')
    train_lifter(start, tmp_path / 'infants')
    rows = rows_of(tmp_path / 'infants')
    assert [int(row['epoch']) for row in rows] == [0, 1, 2, 3]


@pytest.mark.parametrize('share', [0.5, 1.0])
def test_a_pose_network_s_own_output_is_learned_and_decides(
        stills_folder, tiny_checkpoints, tmp_path, monkeypatch, share):
    labels = dict(np.load(stills_folder / '0000' / 'labels.npz'))
    labels['keypoints_m'] = made_up_poses(0, 6).keypoints_m
    np.savez(stills_folder / '0000' / 'labels.npz', **labels)
    chosen = recipe(stills=str(stills_folder), stills_val_count=2, epochs=1, infants=2,
                    pose_weights=str(tiny_checkpoints['pose']), estimated_share=share,
                    sequences=str(stills_folder), sequence_frames=4, cache=str(tmp_path / 'c'))
    path = train_lifter(chosen, tmp_path / 'run')
    metrics = load_checkpoint(path, 'lifter')[1].metrics
    assert {'estimated2d_ajpe_mm', 'true2d_ajpe_mm'} <= set(metrics)
    assert len(metrics['joint_jitter_mm']) == 16
    assert metrics['joint_std_mm'][0] > 0
    names = sorted(path.name.split('_')[0] for path in (tmp_path / 'c').iterdir())
    assert names == ['estimated', 'estimated', 'poses', 'poses', 'sequences']
    # Another run takes what is there.
    monkeypatch.setattr(training, 'seen_pairs', None)
    train_lifter(chosen.replace(seed=1), tmp_path / 'other')


class Fixed(Lifter):
    """Answers what it is given, whatever it sees."""

    def __init__(self, output):
        super().__init__(hidden=8, blocks=1)
        self.output = output

    def forward(self, x):
        return self.output[:len(x)]


def test_errors_by_hand():
    pairs = made_up_poses(3, 4)
    _, targets = pairs.encoded()
    off = targets.reshape(4, 16, 3).clone()
    off[:, 0] += torch.tensor([3.0, 0.0, 4.0])          # 5 mm for one of sixteen
    figures = evaluate_lifter(Fixed(off.flatten(1)), pairs)
    assert figures['ajpe_mm'] == pytest.approx(5 / 16, rel=1e-3)
    assert figures['depth_mm'] == pytest.approx(4 / 16, rel=1e-3)
    assert figures['mse'] == pytest.approx(25 / 48, rel=1e-3)
    assert figures['joint_std_mm'][0] == pytest.approx(np.sqrt(25 / 3), rel=1e-3)


def test_jitter_is_the_change_of_the_error_over_the_root_of_two():
    pairs = made_up_poses(3, 5)
    _, targets = pairs.encoded()
    off = targets.reshape(5, 16, 3).clone()
    off[:, 0, 2] += torch.tensor([20.0, 22.0, 20.0, 22.0, 20.0])    # bias 20, changes of 2
    off[:, 1, 2] += 30.0                                            # bias alone
    off[:, 2, 0] += torch.tensor([5.0, 0.0, 5.0, 0.0, 5.0])         # across the ray
    jitter = joint_jitter(Fixed(off.flatten(1)), pairs)
    assert jitter[0] == pytest.approx(2 / np.sqrt(2), rel=1e-3)
    assert jitter[1:] == pytest.approx(np.zeros(15), abs=1e-3)
