import csv
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from infant_pose_ros.data.crops import CropDataset
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.models.checkpoints import load_checkpoint
from infant_pose_ros.training.pose import (
    averaged_network,
    build_network,
    PoseRecipe,
    train_pose,
)


@pytest.fixture(scope='module')
def figures(tmp_path_factory):
    """Stick figures whose limbs have colours of their own: easy to learn in a minute."""
    folder = tmp_path_factory.mktemp('figures')
    rng = np.random.default_rng(0)
    for name, count in (('train', 24), ('val', 6)):
        (folder / name / '0000').mkdir(parents=True)
        (folder / name / 'meta.json').write_text(json.dumps({}), encoding='utf-8')
        keypoints = np.zeros((count, 16, 2))
        for index in range(count):
            image = np.full((96, 96, 3), 128, np.uint8)
            points = np.array([
                [-10, 34], [-9, 22], [-7, 10], [7, 10], [9, 22], [10, 34], [0, 10], [0, -12],
                [0, -17], [0, -30], [-26, 8], [-20, -2], [-10, -12], [10, -12], [20, -2],
                [26, 8]]) + rng.normal(0, 1.5, (16, 2)) + [48, 46]
            for joint, (x, y) in enumerate(points):
                colour = np.random.default_rng(joint).integers(0, 256, 3).tolist()
                cv2.circle(image, (int(x), int(y)), 4, colour, -1)
            cv2.imwrite(str(folder / name / '0000' / f'{index:05d}.jpg'), image)
            keypoints[index] = points
        np.savez(folder / name / '0000' / 'labels.npz', keypoints_px=keypoints,
                 keypoints_m=np.zeros((count, 16, 3)), visible=np.ones((count, 16), bool),
                 box_xyxy=np.tile([10.0, 10, 90, 90], (count, 1)),
                 body_length_m=np.full(count, 0.6), intrinsics=np.ones((count, 4)))
    return folder


def recipe(folder, **changes) -> PoseRecipe:
    return PoseRecipe(**{
        'infants': str(folder / 'train'), 'infants_val': str(folder / 'val'), 'input_size': 64,
        'backbone': 'efficientnet_lite0', 'deconv_channels': 32, 'batch_size': 8, 'steps': 100,
        'warmup_steps': 5, 'val_every': 20, 'average_decay': 0.9, 'precision': 'fp32',
        'workers': 0, 'learning_rate': 2e-3, **changes})


@pytest.mark.slow
def test_a_tiny_training_learns_goes_on_after_a_stop_and_exports(figures, tmp_path, monkeypatch):
    # Colours tell left from right here, so the figures may not be mirrored or recoloured.
    monkeypatch.setattr('infant_pose_ros.data.crops.MIRRORED_ORDER', tuple(range(16)))
    monkeypatch.setattr('infant_pose_ros.data.crops.recolour', lambda image, rng: image)
    steps = []
    train_pose(recipe(figures, steps=60), tmp_path / 'run', lambda step, _: steps.append(step))
    path = train_pose(recipe(figures, steps=100), tmp_path / 'run',
                      lambda step, _: steps.append(step))
    assert steps == list(range(1, 101))
    rows = list(csv.DictReader((tmp_path / 'run' / 'curves.csv').open()))
    assert [int(row['step']) for row in rows] == [20, 40, 60, 80, 100]
    first, last = float(rows[0]['infants_loss']), float(rows[-1]['infants_loss'])
    assert last < 0.75 * first
    assert float(rows[-1]['infants_error_px']) < float(rows[0]['infants_error_px'])
    best = int(min(rows, key=lambda row: float(row['infants_error_px']))['step'])
    module, manifest = load_checkpoint(path, 'pose')
    assert manifest.input_size == 64 and manifest.metrics['steps'] == best
    assert not module.training


def test_a_run_that_is_killed_between_two_looks_ends_as_if_it_had_not_been(figures, tmp_path):
    def killer(step, _):
        if step == 7:
            raise KeyboardInterrupt

    short = recipe(figures, steps=9, val_every=3, init_from='')
    with pytest.raises(KeyboardInterrupt):
        train_pose(short, tmp_path / 'killed', killer)
    steps = []
    path = train_pose(short, tmp_path / 'killed', lambda step, _: steps.append(step))
    assert steps == [7, 8, 9]
    whole = train_pose(short, tmp_path / 'whole')
    assert path.read_bytes() == whole.read_bytes()
    rows = [[{key: row[key] for key in row if key != 'minutes'} for row in csv.DictReader(
        (tmp_path / name / 'curves.csv').open())] for name in ('killed', 'whole')]
    assert rows[0] == rows[1]


def test_a_run_ends_when_patience_does_and_keeps_the_best(figures, tmp_path, monkeypatch):
    errors = iter([9.0, 7.0, 8.0, 8.5, 6.0])
    monkeypatch.setattr('infant_pose_ros.training.pose.evaluate_pose',
                        lambda *args, **kwargs: {'error_px': next(errors), 'loss': 1.0})
    short = recipe(figures, steps=50, val_every=1, patience=2)
    path = train_pose(short, tmp_path / 'run')
    assert load_checkpoint(path, 'pose')[1].metrics['steps'] == 2
    assert len((tmp_path / 'run' / 'curves.csv').read_text().splitlines()) == 5
    # Run again, it has nothing more to do.
    assert train_pose(short, tmp_path / 'run') == path and next(errors) == 6.0


def test_training_starts_from_a_checkpoint_with_or_without_the_common_keypoints(
        figures, tmp_path):
    first = train_pose(recipe(figures, steps=1, val_every=1), tmp_path / 'adults')
    start = recipe(figures, init_from=str(first))
    same, unmapped = build_network(start), build_network(start.replace(common_keypoints=False))
    adults, _ = load_checkpoint(first, 'pose')
    assert torch.equal(same.heatmaps.weight, adults.heatmaps.weight)
    # Channel 12 of LSP's order is the neck; read as the common order it is the right shoulder.
    assert torch.equal(unmapped.heatmaps.weight[12], adults.heatmaps.weight[8])
    train_pose(start.replace(steps=1, val_every=1), tmp_path / 'infants')
    rows = list(csv.DictReader((tmp_path / 'infants' / 'curves.csv').open()))
    assert [row['step'] for row in rows] == ['0', '1']
    with pytest.raises(SettingsError, match='init_from'):
        build_network(start.replace(deconv_channels=16))


def test_adults_alone_whole_pictures_and_paper_loss(figures, tmp_path):
    alone = recipe(figures, infants='', infants_val='', adults=str(figures / 'train'),
                   adults_val_count=4, adults_rendered=str(figures / 'val'), crop=False,
                   activation='none', mse_foreground=5.0, steps=2, val_every=0, recolours=False)
    path = train_pose(alone.replace(schedule='constant', average_decay=0.0), tmp_path / 'run')
    manifest = load_checkpoint(path, 'pose')[1]
    assert manifest.metrics['crop'] is False and 'whole pictures' in manifest.training_data
    rows = list(csv.DictReader((tmp_path / 'run' / 'curves.csv').open()))
    assert {'adults_pck02', 'adults_error_px'} <= set(rows[0]) and len(rows) == 1


@pytest.mark.parametrize('activation', ['softmax', 'none'])
def test_bf16_learns_nearly_the_same(figures, tmp_path, activation):
    def first_loss(precision):
        losses = []
        train_pose(recipe(figures, steps=1, val_every=1, precision=precision,
                          activation=activation), tmp_path / precision,
                   lambda _, row: losses.append(row['loss']))
        return losses[0]
    assert first_loss('bf16') == pytest.approx(first_loss('fp32'), rel=0.02)


def test_a_run_without_anything_to_watch_or_to_learn_is_refused(figures, tmp_path):
    with pytest.raises(SettingsError, match='nothing to watch'):
        train_pose(recipe(figures, infants_val=''), tmp_path)
    with pytest.raises(SettingsError, match='at least one'):
        train_pose(recipe(figures, infants=''), tmp_path)
    with pytest.raises(SettingsError, match='1 and 0.1 leave nothing for infants'):
        train_pose(recipe(figures, adults=str(figures / 'val'), adults_share=1.0), tmp_path)


def test_evaluation_by_hand(figures):
    from infant_pose_ros.codecs.heatmaps import HeatmapCodec
    from infant_pose_ros.data.stills import Stills
    from infant_pose_ros.training.losses import heatmap_cross_entropy
    from infant_pose_ros.training.pose import evaluate_pose

    codec = HeatmapCodec(64)
    dataset = CropDataset(Stills.open(figures / 'val'), codec, False)
    truth = iter([torch.from_numpy(np.stack([dataset[i][1] for i in range(6)]))])

    class Oracle(torch.nn.Module):
        def forward(self, image):
            return next(truth).clamp_min(1e-9).log()

    figures_of = evaluate_pose(Oracle(), dataset, codec, heatmap_cross_entropy)
    assert figures_of['loss'] == pytest.approx(0.0, abs=1e-3)
    assert figures_of['error_px'] < 1.0
    assert figures_of['pck02'] == 1.0 and figures_of['pckh1'] == 1.0


def test_what_is_watched_and_exported_is_blended_with_the_start(monkeypatch):
    def network(backbone, deconv_channels, pretrained=''):
        layer = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(layer.weight, 2.0 if pretrained == 'movenet' else 0.0)
        return layer
    monkeypatch.setattr('infant_pose_ros.training.pose.PoseNetwork', network)
    trained = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(trained.weight, 6.0)
    learner = SimpleNamespace(average=SimpleNamespace(values=trained.state_dict()))
    blended = PoseRecipe(backbone='movenet_lightning', pretrained='movenet', blend=0.75)
    assert averaged_network(blended, learner).weight.item() == 5.0
    assert averaged_network(PoseRecipe(), learner).weight.item() == 6.0


@pytest.mark.parametrize('start', [
    {'backbone': 'efficientnet_lite0'}, {'backbone': 'movenet_lightning', 'pretrained': ''}])
def test_a_blend_needs_a_start_that_knows_keypoints(start, tmp_path):
    with pytest.raises(SettingsError, match='blend: 0.5 needs a start'):
        train_pose(PoseRecipe(blend=0.5, **start), tmp_path)
