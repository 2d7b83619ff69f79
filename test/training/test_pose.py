import csv
import json

import cv2
import numpy as np
import pytest

from infant_pose_ros.data.crops import CropDataset
from infant_pose_ros.models.checkpoints import load_checkpoint
from infant_pose_ros.training.pose import MixedSampler, PoseRecipe, train_pose


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
        'warmup_steps': 5, 'val_every': 20, 'average_decay': 0.9, 'bfloat16': False,
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
    module, manifest = load_checkpoint(path, 'pose')
    assert manifest.input_size == 64 and manifest.metrics['steps'] == 100
    assert not module.training


def test_batches_hold_their_share_of_adults_and_are_seeded():
    batches = list(MixedSampler((100, 50), 8, 0.25, seed=3, first_step=0, steps=4))
    assert all(sum(which for which, _, _ in batch) == 2 for batch in batches)
    again = list(MixedSampler((100, 50), 8, 0.25, seed=3, first_step=2, steps=4))
    assert again == batches[2:]
    alone = list(MixedSampler((100, 0), 8, 0.25, seed=3, first_step=0, steps=1))
    assert all(which == 0 for which, _, _ in alone[0])


def test_evaluation_by_hand(figures):
    import torch

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
