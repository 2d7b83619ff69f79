import csv

import numpy as np
import pytest
import torch

from infant_pose_ros.data.boxes import BoxDataset
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.models.checkpoints import load_checkpoint
from infant_pose_ros.training.detector import DetectorRecipe, evaluate_detector, train_detector


def answer(boxes, scores):
    class Fixed(torch.nn.Module):
        def forward(self, images):
            return [{'boxes': torch.tensor(boxes).reshape(-1, 4), 'scores': torch.tensor(scores)}]
    return Fixed()


def test_evaluation_by_hand(stills_folder):
    dataset = BoxDataset(Stills.open(stills_folder), (160, 120), False)  # truth 50 30 110 90
    exact = evaluate_detector(answer([[50.0, 30, 110, 90]], [0.9]), dataset, 3)
    assert exact == {'iou': pytest.approx(1.0), 'found': 1.0}
    half = evaluate_detector(answer([[50.0, 30, 80, 90]], [0.9]), dataset, 3)
    assert half['iou'] == pytest.approx(0.5) and half['found'] == 0.0
    unsure = evaluate_detector(answer([[50.0, 30, 110, 90]], [0.2]), dataset, 3)
    assert unsure == {'iou': 0.0, 'found': 0.0}


@pytest.mark.slow
def test_a_tiny_training_runs_and_its_loss_falls(stills_folder, tmp_path):
    recipe = DetectorRecipe(
        infants=str(stills_folder), infants_val=str(stills_folder), width=96, height=72,
        batch_size=4, steps=40, warmup_steps=2, val_every=20, val_count=2, workers=0,
        learning_rate=1e-3)
    losses = []
    path = train_detector(recipe, tmp_path / 'run', lambda _, row: losses.append(row['loss']))
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
    rows = list(csv.DictReader((tmp_path / 'run' / 'curves.csv').open()))
    assert [int(row['step']) for row in rows] == [20, 40]
    assert load_checkpoint(path, 'detector')[1].arguments == {'min_size': 72, 'max_size': 96}
