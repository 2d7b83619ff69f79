"""Training of the 2D pose network: adults, then infants, with adults beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from infant_pose_ros.codecs.heatmaps import HeatmapCodec
from infant_pose_ros.config import setting, Settings
from infant_pose_ros.data.crops import CropDataset
from infant_pose_ros.data.sets import open_set, split_set
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.models.checkpoints import Manifest, save_checkpoint
from infant_pose_ros.models.pose import PoseNetwork
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.training.blending import blend_
from infant_pose_ros.training.losses import heatmap_cross_entropy, heatmap_mse
from infant_pose_ros.training.mixing import (
    mixed_batches,
    NO_SHARE,
    share_counts,
    steps_of_a_pass,
)
from infant_pose_ros.training.runs import (
    autocast_type,
    Learner,
    pick_device,
    RATE_SCHEDULES,
    Run,
    seed_everything,
)
from infant_pose_ros.training.stopping import Judge
from infant_pose_ros.training.transfer import load_start, LSP_ORDER, reorder_


@dataclass(frozen=True)
class PoseRecipe(Settings):
    """How a pose network is trained. Sets are named as `data.sets.open_set` says."""

    infants: str = setting('', 'Infants to train on; empty for the stage of adults.')
    infants_val: str = setting('', 'Infants to watch; empty watches none.')
    adults: str = setting('', 'Photographs of adults, such as LSPet; empty leaves them out.')
    adults_val: str = setting(
        '', "Photographs of adults to watch; empty takes the last of 'adults'.")
    adults_val_count: int = setting(500, "Last pictures of 'adults' kept to watch.", low=1)
    adults_share: float = setting(
        0.35, 'Share of adults in every batch, against forgetting photographs.', low=0.0, high=1.0)
    adults_rendered: str = setting('', 'Rendered adults; empty leaves them out.')
    adults_rendered_share: float = setting(
        0.1, 'Share of rendered adults in every batch.', low=0.0, high=1.0)
    backbone: str = setting('efficientnet_lite0', 'Backbone of the network.')
    deconv_channels: int = setting(128, 'Filters of the deconvolutions.', low=8, high=1024)
    input_size: int = setting(192, 'Side of the crop, px.', low=64, high=512)
    activation: str = setting('softmax', "'softmax': cross-entropy; 'none': the paper's MSE.",
                              choices=('softmax', 'none'))
    mse_foreground: float = setting(
        0.0, 'Extra weight of cells near a keypoint in the MSE, against collapse to empty maps.',
        low=0.0, high=1000.0)
    pretrained: str = setting(
        '', "Start of the backbone: a ResNet's state dict or MoveNet's folder; Lite0 brings its "
        'own.')
    init_from: str = setting('', 'Checkpoint to start from, such as that of the adults.')
    common_keypoints: bool = setting(
        True, "False: the checkpoint of 'init_from' is taken to speak LSP's order of keypoints, "
        'and nobody maps it to the common one.')
    crop: bool = setting(
        True, 'False: the network sees the whole picture, not turned, in place of a crop.')
    recolours: bool = setting(True, 'Change light, colours, sharpness and noise in training.')
    batch_size: int = setting(32, 'Crops a step.', low=2, high=1024)
    steps: int = setting(2000, 'Optimiser steps at most.', low=1)
    learning_rate: float = setting(1e-3, 'Peak rate of the head.', low=1e-7, high=1.0)
    backbone_rate: float = setting(0.5, 'Rate of the backbone over that of the head.',
                                   low=0.0, high=10.0)
    schedule: str = setting('cosine', 'How the rate goes on after it has risen.',
                            choices=tuple(RATE_SCHEDULES))
    warmup_steps: int = setting(100, 'Steps over which the rate rises.', low=1)
    weight_decay: float = setting(1e-4, 'Decoupled weight decay.', low=0.0, high=1.0)
    average_decay: float = setting(
        0.995, 'Decay of the averaged weights; 0 averages nothing.', low=0.0, high=1.0)
    blend: float = setting(
        1.0, "Share of the trained weights in what is watched and exported; the rest is MoveNet's "
        "own, read from 'pretrained'.", low=0.0, high=1.0)
    val_every: int = setting(
        250, 'Steps between two looks at the held-out sets; 0: one pass over the first set.',
        low=0)
    val_count: int = setting(0, 'Pictures looked at of each held-out set; 0: all.', low=0)
    watch: str = setting('error_px', 'What the best weights are chosen by.',
                         choices=('error_px', 'loss'))
    patience: int = setting(0, 'Looks without improvement before the end; 0: never.', low=0)
    min_improvement: float = setting(
        0.001, 'Share by which a look must be better to count.', low=0.0, high=1.0)
    adults_drop_max: float = setting(
        0.02, 'How far below the best look of the run PCK on photographs of adults may be where '
        'infants choose the weights.', low=0.0, high=1.0)
    precision: str = setting(
        'auto', "Number format: 'auto' takes bf16 on a GPU and fp32 on a CPU.",
        choices=('auto', 'fp32', 'bf16', 'fp16'))
    workers: int = setting(1, 'Processes that prepare crops.', low=0, high=64)
    threads: int = setting(0, 'CPU threads; 0 leaves the choice to PyTorch.', low=0, high=256)
    seed: int = setting(0, 'Seed.', low=0)
    name: str = setting('pose', 'Name in the manifest.')
    training_data: str = setting('', 'Of the manifest.')


@dataclass(frozen=True, eq=False)
class _Sets:
    """Sets to learn from with their shares of a batch, and sets to watch by name."""

    train: tuple[CropDataset, ...]
    shares: tuple[float, ...]
    watched: dict[str, CropDataset]
    has_infants: bool

    @classmethod
    def open(cls, recipe: PoseRecipe, codec: HeatmapCodec) -> _Sets:
        """Open those that the recipe names.

        Raises:
            SettingsError: nothing to learn from or to watch, or no share is left for infants.
            DatasetError: a set can't be read.
        """
        train, shares, watched = [], [], {}

        def learn(stills, share: float) -> None:
            train.append(CropDataset(stills.people(), codec, True, recipe.seed + len(train),
                                     not recipe.crop, recipe.recolours))
            shares.append(share)

        def watch(name: str, stills) -> None:
            watched[name] = CropDataset(stills.people().spread(recipe.val_count), codec, False,
                                        whole=not recipe.crop)

        rest = (1.0 - (recipe.adults_share if recipe.adults else 0.0)
                - (recipe.adults_rendered_share if recipe.adults_rendered else 0.0))
        if recipe.infants and rest < NO_SHARE:
            raise SettingsError(
                f'adults_share, adults_rendered_share: {recipe.adults_share:g} and '
                f'{recipe.adults_rendered_share:g} leave nothing for infants; lower one, or '
                'leave infants out')
        if recipe.infants:
            learn(open_set(recipe.infants), rest)
        if recipe.infants_val:
            watch('infants', open_set(recipe.infants_val))
        if recipe.adults:
            if recipe.adults_val:
                adults, held_out = open_set(recipe.adults), open_set(recipe.adults_val)
            else:
                adults, held_out = split_set(recipe.adults, recipe.adults_val_count)
            learn(adults, recipe.adults_share)
            watch('adults', held_out)
        elif recipe.adults_val:
            watch('adults', open_set(recipe.adults_val))
        if recipe.adults_rendered:
            learn(open_set(recipe.adults_rendered), recipe.adults_rendered_share)
        if not watched:
            raise SettingsError('infants_val: nothing to watch; name a held-out set of infants, '
                                'or adults')
        share_counts(recipe.batch_size, shares)     # or it says why they don't fit
        return cls(tuple(train), tuple(shares), watched, bool(recipe.infants))

    def judge(self, recipe: PoseRecipe) -> Judge:
        """Infants choose where they are learned and watched, else adults."""
        limits = (recipe.patience, recipe.min_improvement)
        if not self.has_infants or 'infants' not in self.watched:
            name = 'adults' if 'adults' in self.watched else 'infants'
            return Judge(f'{name}_{recipe.watch}', *limits)
        guarded = 'adults_pck02' if 'adults' in self.watched else ''
        return Judge(f'infants_{recipe.watch}', *limits, guarded, recipe.adults_drop_max)


def loss_function(recipe: PoseRecipe):
    """(output, heatmaps, weight) -> loss, as the recipe says."""
    if recipe.activation == 'softmax':
        return heatmap_cross_entropy
    return partial(heatmap_mse, foreground=recipe.mse_foreground)


def evaluate_pose(network: torch.nn.Module, dataset: CropDataset, codec: HeatmapCodec,
                  loss_of, batch_size: int = 32, device: torch.device | str = 'cpu',
                  workers: int = 0) -> dict[str, float]:
    """Loss, mean error in crop px, PCK at 0.2 of the trunk and PCKh 1.0 of visible keypoints."""
    network.eval()
    errors, heads, trunks, losses = [], [], [], []
    with torch.inference_mode():
        for image, heatmaps, weight, keypoints in DataLoader(
                dataset, batch_size, num_workers=workers):
            output = network(_on(device, image)).float().cpu()
            losses.append(float(loss_of(output, heatmaps, weight)))
            predicted = codec.decode(output.numpy())[0]
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


def _on(device: torch.device | str, image: torch.Tensor) -> torch.Tensor:
    """(N, 3, S, S) uint8 as the network takes it, channels last."""
    return image.to(device, memory_format=torch.channels_last).float() / 255


def build_network(recipe: PoseRecipe) -> PoseNetwork:
    """The network at the start of a run.

    Raises:
        SettingsError, CheckpointError, InvalidInputError: the start doesn't fit.
    """
    arguments = {'backbone': recipe.backbone, 'deconv_channels': recipe.deconv_channels}
    if recipe.init_from:
        network = PoseNetwork(**arguments)
        load_start(network, recipe.init_from, 'pose', arguments)
        if not recipe.common_keypoints:
            reorder_(network.heatmaps, LSP_ORDER)
        return network
    lite = recipe.backbone == 'efficientnet_lite0'
    return PoseNetwork(**arguments, pretrained=lite or recipe.pretrained or False)


def _optimiser(recipe: PoseRecipe, network: PoseNetwork) -> torch.optim.Optimizer:
    groups = {True: [], False: []}
    for name, values in network.named_parameters():
        groups[name.startswith('backbone.')].append(values)
    return torch.optim.AdamW(
        [{'params': groups[False], 'share': 1.0},
         {'params': groups[True], 'share': recipe.backbone_rate}],
        lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def train_pose(recipe: PoseRecipe, folder: str | Path, progress=None) -> Path:
    """Train, or go on with, a pose network; returns the exported checkpoint.

    The weights of the best look are exported: the lowest error (or loss) on infants among looks
    whose PCK on photographs of adults stays within `adults_drop_max` of the best look of the
    run. Without infants to learn from, adults choose. The start of a run that has `init_from` is
    looked at, too, as step 0, but never chosen.

    Args:
        recipe: how. folder: of the run; if it holds a state, training goes on from there.
        progress: called with (step, dict of current figures) after each step.
    """
    if recipe.blend < 1 and not (recipe.pretrained and recipe.backbone.startswith('movenet')):
        raise SettingsError(
            f'blend: {recipe.blend} needs a start that knows keypoints already; take a MoveNet '
            f"backbone and its folder as 'pretrained', or blend=1 (backbone: {recipe.backbone})")
    seed_everything(recipe.seed)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    device = pick_device()
    autocast = autocast_type(recipe.precision, device)
    codec = HeatmapCodec(recipe.input_size, activation=recipe.activation)
    sets = _Sets.open(recipe, codec)
    network = build_network(recipe).to(device, memory_format=torch.channels_last)
    schedule = partial(RATE_SCHEDULES[recipe.schedule], steps=recipe.steps,
                       warmup=recipe.warmup_steps)
    learner = Learner(Run(folder), network, _optimiser(recipe, network), schedule,
                      recipe.learning_rate, recipe.average_decay, sets.judge(recipe), autocast,
                      recipe.seed)
    loss_of = loss_function(recipe)
    if learner.step == 0 and recipe.init_from:
        learner.note(_look(recipe, learner, sets, codec))
    every = recipe.val_every or steps_of_a_pass(
        len(sets.train[0]), sets.shares, recipe.batch_size)
    network.train()
    for image, heatmaps, weight, _ in () if learner.judge.is_over else mixed_batches(
            sets.train, sets.shares, recipe.batch_size, recipe.seed, learner.step, recipe.steps,
            recipe.workers):
        learner.learn(lambda image=image, heatmaps=heatmaps, weight=weight: loss_of(
            network(_on(device, image)), heatmaps.to(device), weight.to(device)))
        if progress:
            progress(learner.step, {'loss': learner.loss})
        if learner.step % every == 0 or learner.step == recipe.steps:
            figures = _look(recipe, learner, sets, codec)
            if learner.judge.choose(figures):
                export_pose(recipe, learner, figures)
            learner.note(figures)
            learner.save()
            if learner.judge.is_over:
                break
    return learner.run.folder / 'pose.safetensors'


def averaged_network(recipe: PoseRecipe, learner: Learner) -> PoseNetwork:
    """A network with the averaged, blended weights, on the CPU."""
    network = PoseNetwork(recipe.backbone, recipe.deconv_channels)
    network.load_state_dict(learner.average.values)
    if recipe.blend < 1:
        start = PoseNetwork(recipe.backbone, recipe.deconv_channels, pretrained=recipe.pretrained)
        blend_(network, start, recipe.blend)
    return network


def _look(recipe: PoseRecipe, learner: Learner, sets: _Sets,
          codec: HeatmapCodec) -> dict[str, float]:
    """Figures of the averaged weights on each held-out set."""
    device = next(learner.network.parameters()).device
    twin = averaged_network(recipe, learner).to(device, memory_format=torch.channels_last)
    workers = recipe.workers if device.type == 'cuda' else 0
    return {f'{name}_{key}': value for name, dataset in sets.watched.items()
            for key, value in evaluate_pose(
                twin, dataset, codec, loss_function(recipe), device=device,
                workers=workers).items()}


def export_pose(recipe: PoseRecipe, learner: Learner, figures: dict[str, float]) -> Manifest:
    """Write the averaged weights with their manifest into the folder of the run."""
    metrics = {key: round(value, 4) for key, value in figures.items() if value == value}
    if recipe.blend < 1:
        metrics['blend'] = recipe.blend
    data = recipe.training_data
    if not recipe.crop:
        data, metrics['crop'] = f'{data}; whole pictures in place of crops', False
    return save_checkpoint(
        learner.run.folder / 'pose.safetensors', averaged_network(recipe, learner), Manifest(
            name=recipe.name, task='pose', architecture='simple_baseline',
            arguments={'backbone': recipe.backbone, 'deconv_channels': recipe.deconv_channels},
            input_size=recipe.input_size, activation=recipe.activation, training_data=data,
            licence='Apache-2.0', metrics={
                'steps': learner.step, 'batch_size': recipe.batch_size, **metrics}), half=True)
