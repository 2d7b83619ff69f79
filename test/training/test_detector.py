import csv

import numpy as np
import pytest
import torch

from infant_pose_ros.data.boxes import BoxDataset
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.models.checkpoints import load_checkpoint
from infant_pose_ros.training.detector import (
    DetectorRecipe,
    evaluate_company,
    evaluate_detector,
    false_share,
    train_detector,
)


def answer(boxes, scores):
    class Fixed(torch.nn.Module):
        def forward(self, images):
            return [{'boxes': torch.tensor(boxes).reshape(-1, 4), 'scores': torch.tensor(scores)}]
    return Fixed()


def test_evaluation_by_hand(stills_folder):
    dataset = BoxDataset(Stills.open(stills_folder), (160, 120), False)  # truth 50 30 110 90
    exact = evaluate_detector(answer([[50.0, 30, 110, 90]], [0.9]), dataset)
    assert exact == {'iou': pytest.approx(1.0), 'found': 1.0}
    half = evaluate_detector(answer([[50.0, 30, 80, 90]], [0.9]), dataset)
    assert half['iou'] == pytest.approx(0.5) and half['found'] == 0.0
    unsure = evaluate_detector(answer([[50.0, 30, 110, 90]], [0.2]), dataset)
    assert unsure == {'iou': 0.0, 'found': 0.0}


def test_others_that_pass_for_infants_by_hand(stills_folder):
    dataset = BoxDataset(Stills.open(stills_folder), (160, 120), False, nobody=True)
    assert all(len(target['boxes']) == 0 for _, target in (dataset[i] for i in range(6)))
    assert false_share(answer([[0.0, 0, 9, 9]], [0.6]), dataset) == 1.0
    assert false_share(answer([[0.0, 0, 9, 9]], [0.4]), dataset) == 0.0
    assert false_share(answer(np.zeros((0, 4), np.float32).tolist(), []), dataset) == 0.0


def test_infants_side_by_side_by_hand(stills_folder):
    dataset = BoxDataset(Stills.open(stills_folder), (160, 120), False)  # truth 50 30 110 90
    own, beside, unsure = [50.0, 30, 110, 90], [50.0, 30, 140, 120], [0.0, 0, 9, 9]
    figures = evaluate_company(answer([own, beside, unsure], [0.9, 0.8, 0.4]), dataset)
    assert figures == {'company_found': 1.0, 'company_wrong': 0.5}
    figures = evaluate_company(answer([beside], [0.9]), dataset)
    assert figures == {'company_found': 0.0, 'company_wrong': 1.0}
    figures = evaluate_company(answer([unsure], [0.4]), dataset)
    assert figures == {'company_found': 0.0, 'company_wrong': 0.0}


def recipe(stills_folder, **changes) -> DetectorRecipe:
    return DetectorRecipe(**{
        'infants': str(stills_folder), 'infants_val': str(stills_folder), 'width': 96,
        'height': 72, 'batch_size': 4, 'steps': 40, 'warmup_steps': 2, 'val_every': 20,
        'val_count': 2, 'workers': 0, 'learning_rate': 1e-3, **changes})


@pytest.mark.slow
def test_a_tiny_training_runs_and_its_loss_falls(stills_folder, tmp_path):
    losses = []
    path = train_detector(
        recipe(stills_folder), tmp_path / 'run', lambda _, row: losses.append(row['loss']))
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
    rows = list(csv.DictReader((tmp_path / 'run' / 'curves.csv').open()))
    assert [int(row['step']) for row in rows] == [20, 40]
    assert load_checkpoint(path, 'detector')[1].arguments == {'min_size': 72, 'max_size': 96}


def test_a_run_that_is_killed_goes_on_from_a_checkpoint_with_negatives(stills_folder, tmp_path):
    def killer(step, _):
        if step == 3:
            raise KeyboardInterrupt

    first = train_detector(recipe(stills_folder, steps=1, val_every=1), tmp_path / 'first')
    second = recipe(
        stills_folder, steps=4, val_every=2, init_from=str(first), negatives=str(stills_folder),
        negatives_val=str(stills_folder), adults=str(stills_folder), adults_val_count=2,
        adults_share=0.25, negatives_share=0.25, box_weight=2.0, refine=True)
    with pytest.raises(KeyboardInterrupt):
        train_detector(second, tmp_path / 'killed', killer)
    path = train_detector(second, tmp_path / 'killed')
    whole = train_detector(second, tmp_path / 'whole')
    assert path.read_bytes() == whole.read_bytes()
    rows = list(csv.DictReader((tmp_path / 'killed' / 'curves.csv').open()))
    assert {'iou', 'found', 'adults_found', 'false_negatives_val'} <= set(rows[0])


def test_bf16_learns_the_last_stage_too(stills_folder, tmp_path):
    losses = []
    train_detector(recipe(stills_folder, steps=2, val_every=2, refine=True, precision='bf16'),
                   tmp_path, lambda _, row: losses.append(row['loss']))
    assert len(losses) == 2 and np.isfinite(losses).all()


def test_a_detector_without_infants_is_refused(stills_folder, tmp_path):
    with pytest.raises(SettingsError, match='infants_val'):
        train_detector(DetectorRecipe(), tmp_path)
    crowded = recipe(stills_folder, adults=str(stills_folder), adults_val_count=2,
                     negatives=str(stills_folder), adults_share=0.7, negatives_share=0.3)
    with pytest.raises(SettingsError, match='0.7 and 0.3 leave nothing for infants'):
        train_detector(crowded, tmp_path)
