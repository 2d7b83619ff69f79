"""Training of the detector: Faster R-CNN on rendered infants, and people on photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from infant_pose_ros.config import setting, Settings
from infant_pose_ros.data.boxes import BoxDataset
from infant_pose_ros.data.lsp import split_lspet
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.geometry.boxes import box_iou
from infant_pose_ros.models.checkpoints import Manifest, save_checkpoint
from infant_pose_ros.models.detector import build_detector
from infant_pose_ros.training.pose import MixedCrops, MixedSampler
from infant_pose_ros.training.runs import Learner, Run, seed_everything

#: LSPet's boxes go around keypoints: widen them to the person, as MPII's rule does.
_ADULT_PADDING = 0.12


@dataclass(frozen=True)
class DetectorRecipe(Settings):
    """How a detector is trained."""

    infants: str = setting('', 'Folder of rendered stills to train on.')
    infants_val: str = setting('', 'Folder of rendered stills to watch.')
    adults: str = setting('', 'Folder of LSPet; empty leaves photographs out.')
    adults_share: float = setting(0.15, 'Share of photographs in a batch.', low=0.0, high=1.0)
    adults_val_count: int = setting(500, 'Last pictures of LSPet left out.', low=1)
    architecture: str = setting('fasterrcnn_efficientnet_lite0_fpn', 'A Faster R-CNN.')
    width: int = setting(320, 'Width of the input, px.', low=64, high=1333)
    height: int = setting(240, 'Height of the input, px.', low=64, high=1333)
    pretrained: str = setting('', 'State dict of the backbone; Lite0 brings its own.')
    batch_size: int = setting(8, 'Pictures a step.', low=1, high=256)
    steps: int = setting(1500, 'Optimiser steps.', low=1)
    learning_rate: float = setting(3e-4, 'Peak rate.', low=1e-7, high=1.0)
    warmup_steps: int = setting(100, 'Steps over which the rate rises.', low=1)
    average_decay: float = setting(0.99, 'Decay of the averaged weights.', low=0.0, high=1.0)
    val_every: int = setting(250, 'Steps between two looks at the held-out set.', low=1)
    val_count: int = setting(200, 'Pictures looked at.', low=1)
    workers: int = setting(1, 'Processes that prepare pictures.', low=0, high=64)
    threads: int = setting(0, 'CPU threads; 0 leaves the choice to PyTorch.', low=0, high=256)
    seed: int = setting(0, 'Seed.', low=0)
    name: str = setting('detector', 'Name in the manifest.')
    training_data: str = setting('', 'Of the manifest.')


def collate(batch):
    """Keep pictures and targets as lists: their number of boxes differs."""
    return [item[0] for item in batch], [item[1] for item in batch]


def evaluate_detector(network: torch.nn.Module, dataset: BoxDataset, count: int,
                      score_min: float = 0.5) -> dict[str, float]:
    """Mean IoU of the best box (0 where there is none) and share of pictures with a box."""
    network.eval()
    overlaps = []
    with torch.inference_mode():
        for index in range(min(count, len(dataset))):
            image, target = dataset[index]
            output = network([image])[0]
            boxes = output['boxes'][output['scores'] >= score_min].numpy()
            overlaps.append(
                float(box_iou(boxes[:1], target['boxes'].numpy()).max()) if len(boxes) else 0.0)
    overlaps = np.array(overlaps)
    return {'iou': float(overlaps.mean()), 'found': float((overlaps > 0.5).mean())}


def train_detector(recipe: DetectorRecipe, folder: str | Path, progress=None) -> Path:
    """Train, or go on with, a detector; returns the exported checkpoint.

    Args:
        recipe: how. folder: of the run. progress: called with (step, dict of figures).
    """
    seed_everything(recipe.seed)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    size = (recipe.width, recipe.height)
    sets = [BoxDataset(Stills.open(recipe.infants), size, True, recipe.seed)]
    if recipe.adults:
        adults, _ = split_lspet(recipe.adults, recipe.adults_val_count)
        sets.append(BoxDataset(adults, size, True, recipe.seed + 1, _ADULT_PADDING, 0.0))
    watched = BoxDataset(Stills.open(recipe.infants_val), size, False)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    arguments = {'min_size': recipe.height, 'max_size': recipe.width}
    lite = recipe.architecture == 'fasterrcnn_efficientnet_lite0_fpn'
    network = build_detector(recipe.architecture, pretrained=lite or recipe.pretrained or False,
                             **arguments).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate)
    learner = Learner(Run(folder), network, optimiser, recipe.learning_rate, recipe.steps,
                      recipe.warmup_steps, recipe.average_decay)
    loader = DataLoader(
        MixedCrops(tuple(sets)), collate_fn=collate, num_workers=recipe.workers,
        batch_sampler=MixedSampler(
            (len(sets[0]), len(sets[1]) if recipe.adults else 0), recipe.batch_size,
            recipe.adults_share, recipe.seed, learner.step, recipe.steps))
    path = learner.run.folder / 'detector.safetensors'
    network.train()
    for images, targets in loader:
        losses = network([image.to(device) for image in images],
                         [{k: v.to(device) for k, v in target.items()} for target in targets])
        learner.learn(sum(losses.values()))
        if progress:
            progress(learner.step, {'loss': learner.loss})
        if learner.step % recipe.val_every == 0 or learner.step == recipe.steps:
            twin = build_detector(recipe.architecture, **arguments)
            twin.load_state_dict(learner.average.values)
            metrics = evaluate_detector(twin, watched, recipe.val_count)
            learner.record(metrics)
            save_checkpoint(path, twin, Manifest(
                name=recipe.name, task='detector', architecture=recipe.architecture,
                arguments=arguments, keypoints=[], input_size=0,
                training_data=recipe.training_data, licence='Apache-2.0',
                metrics={'steps': learner.step, 'batch_size': recipe.batch_size,
                         **{key: round(value, 4) for key, value in metrics.items()}}), half=True)
    return path
