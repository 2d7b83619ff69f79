"""Training of the 2D pose network: ImageNet, then photographs of adults beside renderings."""

from __future__ import annotations

from dataclasses import dataclass
import itertools
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from infant_pose_ros.codecs.heatmaps import HeatmapCodec
from infant_pose_ros.config import setting, Settings
from infant_pose_ros.data.crops import CropDataset
from infant_pose_ros.data.lsp import split_lspet
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.models.checkpoints import Manifest, save_checkpoint
from infant_pose_ros.models.pose import PoseNetwork
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.training.losses import heatmap_cross_entropy, heatmap_mse
from infant_pose_ros.training.runs import Learner, Run, seed_everything

LOSSES = {'softmax': heatmap_cross_entropy, 'none': heatmap_mse}


@dataclass(frozen=True)
class PoseRecipe(Settings):
    """How a pose network is trained."""

    infants: str = setting('', 'Folder of rendered stills to train on.')
    infants_val: str = setting('', 'Folder of rendered stills to watch.')
    adults: str = setting('', 'Folder of LSPet (photographs of adults); empty leaves them out.')
    adults_val_count: int = setting(500, 'Last pictures of LSPet kept to watch.', low=1)
    adults_share: float = setting(
        0.35, 'Share of adults in every batch, against forgetting photographs.', low=0.0, high=1.0)
    backbone: str = setting('efficientnet_lite0', 'Backbone of the network.')
    deconv_channels: int = setting(128, 'Filters of the deconvolutions.', low=8, high=1024)
    input_size: int = setting(192, 'Side of the crop, px.', low=64, high=512)
    activation: str = setting('softmax', "'softmax': cross-entropy; 'none': the paper's MSE.",
                              choices=('softmax', 'none'))
    pretrained: str = setting('', 'State dict of a ResNet; Lite0 brings its own.')
    batch_size: int = setting(32, 'Crops a step.', low=2, high=1024)
    steps: int = setting(2000, 'Optimiser steps.', low=1)
    learning_rate: float = setting(1e-3, 'Peak rate of the head.', low=1e-7, high=1.0)
    backbone_rate: float = setting(0.5, 'Rate of the backbone over that of the head.',
                                   low=0.0, high=10.0)
    warmup_steps: int = setting(100, 'Steps over which the rate rises.', low=1)
    weight_decay: float = setting(1e-4, 'Decoupled weight decay.', low=0.0, high=1.0)
    average_decay: float = setting(0.995, 'Decay of the averaged weights.', low=0.0, high=1.0)
    val_every: int = setting(250, 'Steps between two looks at the held-out sets.', low=1)
    bfloat16: bool = setting(True, 'Mixed precision in bfloat16.')
    workers: int = setting(1, 'Processes that prepare crops.', low=0, high=64)
    threads: int = setting(0, 'CPU threads; 0 leaves the choice to PyTorch.', low=0, high=256)
    seed: int = setting(0, 'Seed.', low=0)
    name: str = setting('pose', 'Name in the manifest.')
    training_data: str = setting('', 'Of the manifest.')


class MixedSampler(Sampler):
    """Endless batches of (which set, row): a fixed share of adults in each; seeded by step."""

    def __init__(self, sizes: tuple[int, int], batch_size: int, share: float, seed: int,
                 first_step: int, steps: int):
        self.sizes, self.batch_size, self.seed = sizes, batch_size, seed
        self.adults = int(round(batch_size * share)) if sizes[1] else 0
        self.first_step, self.steps = first_step, steps

    def __iter__(self):
        for step in range(self.first_step, self.steps):
            rng = np.random.default_rng([self.seed, step])
            infants = rng.integers(0, self.sizes[0], self.batch_size - self.adults)
            adults = rng.integers(0, self.sizes[1], self.adults) if self.adults else []
            yield ([(0, int(i), step) for i in infants] + [(1, int(i), step) for i in adults])

    def __len__(self) -> int:
        return max(self.steps - self.first_step, 0)


class MixedCrops(torch.utils.data.Dataset):
    """The two sets behind one index (which set, row, step); the step seeds the augmentation."""

    def __init__(self, sets: tuple[CropDataset, ...]):
        self.sets = sets

    def __getitem__(self, index):
        which, row, step = index
        self.sets[which].epoch = step
        return self.sets[which][row]


def evaluate_pose(network: torch.nn.Module, dataset: CropDataset, codec: HeatmapCodec,
                  loss_of, batch_size: int = 32) -> dict[str, float]:
    """Loss, mean error in crop px, PCK at 0.2 of the trunk and PCKh 1.0 of visible keypoints."""
    network.eval()
    errors, heads, trunks, losses = [], [], [], []
    with torch.inference_mode():
        for image, heatmaps, weight, keypoints in DataLoader(dataset, batch_size):
            output = network(image.float() / 255)
            losses.append(float(loss_of(output, heatmaps, weight)))
            predicted = codec.decode(output.float().numpy())[0]
            truth = np.where((weight.numpy() > 0.9)[..., None], keypoints.numpy(), np.nan)
            errors.append(np.linalg.norm(predicted - truth, axis=-1))
            points = keypoints.numpy()
            heads.append(np.linalg.norm(
                points[:, Joint.HEAD_TOP] - points[:, Joint.UPPER_NECK], axis=-1))
            trunks.append(np.linalg.norm(
                points[:, Joint.L_SHOULDER] - points[:, Joint.R_HIP], axis=-1))
    error, head, trunk = (np.concatenate(v) for v in (errors, heads, trunks))
    known = np.isfinite(error)

    def share(unit, k):
        mask = known & np.isfinite(unit)[:, None]
        return float((error < k * unit[:, None])[mask].mean())
    return {'loss': float(np.mean(losses)), 'error_px': float(error[known].mean()),
            'pck02': share(trunk, 0.2), 'pckh1': share(head, 1.0)}


def train_pose(recipe: PoseRecipe, folder: str | Path, progress=None) -> Path:
    """Train, or go on with, a pose network; returns the exported checkpoint.

    Args:
        recipe: how. folder: of the run; if it holds a state, training goes on from there.
        progress: called with (step, dict of current figures) after each step.
    """
    seed_everything(recipe.seed)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    codec = HeatmapCodec(recipe.input_size, activation=recipe.activation)
    train = MixedCrops((CropDataset(Stills.open(recipe.infants), codec, True, recipe.seed),))
    watched = {'infants': CropDataset(Stills.open(recipe.infants_val), codec, False)}
    if recipe.adults:
        adults, held_out = split_lspet(recipe.adults, recipe.adults_val_count)
        train = MixedCrops(train.sets + (CropDataset(adults, codec, True, recipe.seed + 1),))
        watched['adults'] = CropDataset(held_out, codec, False)
    lite = recipe.backbone == 'efficientnet_lite0'
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    network = PoseNetwork(recipe.backbone, recipe.deconv_channels,
                          pretrained=lite or recipe.pretrained or False)
    network = network.to(device, memory_format=torch.channels_last)
    backbone = list(network.backbone.parameters())
    head = list(itertools.chain(network.deconvs.parameters(), network.heatmaps.parameters()))
    optimiser = torch.optim.AdamW(
        [{'params': head, 'share': 1.0}, {'params': backbone, 'share': recipe.backbone_rate}],
        lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    learner = Learner(Run(folder), network, optimiser, recipe.learning_rate, recipe.steps,
                      recipe.warmup_steps, recipe.average_decay)
    sizes = (len(train.sets[0]), len(train.sets[1]) if recipe.adults else 0)
    loader = DataLoader(
        train, batch_sampler=MixedSampler(
            sizes, recipe.batch_size, recipe.adults_share, recipe.seed, learner.step,
            recipe.steps),
        num_workers=recipe.workers, prefetch_factor=4 if recipe.workers else None)
    loss_of, path = LOSSES[recipe.activation], learner.run.folder / 'pose.safetensors'
    network.train()
    for image, heatmaps, weight, _ in loader:
        image = image.to(device, memory_format=torch.channels_last).float() / 255
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
            output = network(image)
        learner.learn(loss_of(output, heatmaps.to(device), weight.to(device)))
        if progress:
            progress(learner.step, {'loss': learner.loss})
        if learner.step % recipe.val_every == 0 or learner.step == recipe.steps:
            metrics = _watch(recipe, learner.average.values, watched, codec)
            learner.record(metrics)
            export_pose(recipe, learner.average.values, metrics, path, learner.step)
    return path


def _watch(recipe: PoseRecipe, weights: dict[str, torch.Tensor],
           watched: dict[str, CropDataset], codec: HeatmapCodec) -> dict[str, float]:
    """Figures of the averaged weights on each held-out set, on the CPU."""
    twin = PoseNetwork(recipe.backbone, recipe.deconv_channels).to(
        memory_format=torch.channels_last)
    twin.load_state_dict(weights)
    return {f'{name}_{key}': value for name, dataset in watched.items()
            for key, value in evaluate_pose(
                twin, dataset, codec, LOSSES[recipe.activation]).items()}


def export_pose(recipe: PoseRecipe, weights: dict[str, torch.Tensor], metrics: dict[str, float],
                path: Path, steps: int) -> Manifest:
    """Write the weights with their manifest."""
    network = PoseNetwork(recipe.backbone, recipe.deconv_channels)
    network.load_state_dict(weights)
    return save_checkpoint(path, network, Manifest(
        name=recipe.name, task='pose', architecture='simple_baseline',
        arguments={'backbone': recipe.backbone, 'deconv_channels': recipe.deconv_channels},
        input_size=recipe.input_size, activation=recipe.activation,
        training_data=recipe.training_data, licence='Apache-2.0',
        metrics={'steps': steps, 'batch_size': recipe.batch_size,
                 **{key: round(value, 4) for key, value in metrics.items()}}), half=True)
