"""Training of the detector: infants, and pictures with nobody but adults or toys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from infant_pose_ros.config import setting, Settings
from infant_pose_ros.data.boxes import BoxDataset
from infant_pose_ros.data.company import Company
from infant_pose_ros.data.sets import open_set, split_set
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.geometry.boxes import box_iou
from infant_pose_ros.models.checkpoints import Manifest, save_checkpoint
from infant_pose_ros.models.detector import ARCHITECTURES, build_detector
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
from infant_pose_ros.training.transfer import load_start

#: LSPet's boxes go around keypoints: widen them to the person, as MPII's rule does.
_ADULT_PADDING = 0.12
#: Boxes that score less do not count when a network is looked at.
_SCORE_MIN = 0.5


@dataclass(frozen=True)
class DetectorRecipe(Settings):
    """How a detector is trained. Sets are named as `data.sets.open_set` says."""

    infants: str = setting('', 'Infants to train on; pictures without a box count as empty.')
    infants_val: str = setting('', 'Infants to watch.')
    empty_share: float = setting(
        0.12, "Share of the infants' pictures that are cut to a part without the infant.",
        low=0.0, high=0.9)
    padding: float = setting(
        0.0, "Share of an infant's box by which it is widened on each side.", low=0.0, high=1.0)
    adults: str = setting('', 'Photographs of adults, such as LSPet; empty leaves them out.')
    adults_as: str = setting(
        'negative', "'negative': adults are no infants; 'infant': people are people.",
        choices=('negative', 'infant'))
    adults_share: float = setting(0.15, 'Share of photographs in a batch.', low=0.0, high=1.0)
    adults_val_count: int = setting(500, "Last pictures of 'adults' left out, to watch.", low=1)
    negatives: str = setting(
        '', 'Sets without infants (rendered adults, empty beds); empty leaves them out.')
    negatives_val: str = setting('', 'Sets without infants to watch.')
    negatives_share: float = setting(0.15, 'Share of them in a batch.', low=0.0, high=1.0)
    company: str = setting(
        '', 'Sets with masks whose infants are laid beside others; empty leaves all alone.')
    company_val: str = setting('', 'The same beside infants to watch.')
    company_share: float = setting(
        0.4, "Share of the infants' pictures in which others lie beside.", low=0.0, high=1.0)
    architecture: str = setting('fasterrcnn_efficientnet_lite0_fpn', 'A Faster R-CNN.',
                                choices=tuple(ARCHITECTURES))
    width: int = setting(320, 'Width of the input, px.', low=64, high=1333)
    height: int = setting(240, 'Height of the input, px.', low=64, high=1333)
    pretrained: str = setting('', 'State dict of the backbone; Lite0 brings its own.')
    refine: bool = setting(
        False, 'A last stage that moves the edges of the boxes (efficientnet_lite0 alone).')
    init_from: str = setting('', 'Checkpoint to start from; it may lack the last stage.')
    box_weight: float = setting(
        1.0, "Weight of the box head's regression loss; torchvision's is 1.", low=0.0, high=100.0)
    batch_size: int = setting(8, 'Pictures a step.', low=1, high=256)
    steps: int = setting(1500, 'Optimiser steps at most.', low=1)
    learning_rate: float = setting(3e-4, 'Peak rate.', low=1e-7, high=1.0)
    schedule: str = setting('cosine', 'How the rate goes on after it has risen.',
                            choices=tuple(RATE_SCHEDULES))
    warmup_steps: int = setting(100, 'Steps over which the rate rises.', low=1)
    weight_decay: float = setting(1e-2, 'Decoupled weight decay.', low=0.0, high=1.0)
    average_decay: float = setting(
        0.99, 'Decay of the averaged weights; 0 averages nothing.', low=0.0, high=1.0)
    val_every: int = setting(
        250, 'Steps between two looks at the held-out sets; 0: one pass over the infants.', low=0)
    val_count: int = setting(200, 'Pictures looked at of each held-out set; 0: all.', low=0)
    patience: int = setting(0, 'Looks without better IoU before the end; 0: never.', low=0)
    min_improvement: float = setting(
        0.001, 'Share by which a look must be better to count.', low=0.0, high=1.0)
    precision: str = setting(
        'auto', "Number format: 'auto' takes bf16 on a GPU and fp32 on a CPU.",
        choices=('auto', 'fp32', 'bf16', 'fp16'))
    workers: int = setting(1, 'Processes that prepare pictures.', low=0, high=64)
    threads: int = setting(0, 'CPU threads; 0 leaves the choice to PyTorch.', low=0, high=256)
    seed: int = setting(0, 'Seed.', low=0)
    name: str = setting('detector', 'Name in the manifest.')
    training_data: str = setting('', 'Of the manifest.')


def collate(batch):
    """Keep pictures and targets as lists: their number of boxes differs."""
    return [item[0] for item in batch], [item[1] for item in batch]


def _answers(network: torch.nn.Module, dataset: BoxDataset
             ) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes (N, 4) that score at least `_SCORE_MIN`, the best first, and true ones (K, 4)."""
    device = next((values.device for values in network.parameters()), torch.device('cpu'))
    network.eval()
    answers = []
    with torch.inference_mode():
        for index in range(len(dataset)):
            image, target = dataset[index]
            output = network([image.to(device)])[0]
            boxes = output['boxes'][output['scores'] >= _SCORE_MIN].float().cpu().numpy()
            answers.append((boxes, target['boxes'].numpy()))
    return answers


def evaluate_detector(network: torch.nn.Module, dataset: BoxDataset) -> dict[str, float]:
    """Mean IoU of the best box (0 where there is none) and share of pictures with a good one."""
    overlaps = np.array([box_iou(boxes[:1], truth).max(initial=0.0)
                         for boxes, truth in _answers(network, dataset)])
    return {'iou': float(overlaps.mean()), 'found': float((overlaps > 0.5).mean())}


def false_share(network: torch.nn.Module, dataset: BoxDataset) -> float:
    """Share of pictures in which the detector sees an infant."""
    return float(np.mean([len(boxes) > 0 for boxes, _ in _answers(network, dataset)]))


def evaluate_company(network: torch.nn.Module, dataset: BoxDataset) -> dict[str, float]:
    """Of infants that lie side by side: the share found, and of boxes that hold no single one."""
    found, wrong, num_true, num_boxes = 0, 0, 0, 0
    for boxes, truth in _answers(network, dataset):
        is_good = box_iou(boxes, truth) > 0.5
        found, wrong = found + is_good.any(0).sum(), wrong + (~is_good.any(1)).sum()
        num_true, num_boxes = num_true + len(truth), num_boxes + len(boxes)
    return {'company_found': float(found / max(num_true, 1)),
            'company_wrong': float(wrong / max(num_boxes, 1))}


@dataclass(frozen=True, eq=False)
class _Sets:
    """Sets to learn from with their shares of a batch; infants and others to watch."""

    train: tuple[BoxDataset, ...]
    shares: tuple[float, ...]
    infants: BoxDataset
    others: dict[str, BoxDataset]
    company: BoxDataset | None

    @classmethod
    def open(cls, recipe: DetectorRecipe) -> _Sets:
        """Open those that the recipe names.

        Raises:
            SettingsError: no infants to learn from or to watch, or no share is left for them.
            DatasetError: a set can't be read.
        """
        if not recipe.infants or not recipe.infants_val:
            raise SettingsError('infants, infants_val: a detector needs both; name two sets')
        size, seed, count = (recipe.width, recipe.height), recipe.seed, recipe.val_count
        held_out = open_set(recipe.infants_val, 'mask')
        infants = BoxDataset(held_out.people().spread(count), size, False,
                             padding=recipe.padding)
        strips = infants.strips()
        others = {'false_strips': strips} if len(strips) else {}
        rest = (1.0 - (recipe.adults_share if recipe.adults else 0.0)
                - (recipe.negatives_share if recipe.negatives else 0.0))
        if rest < NO_SHARE:
            raise SettingsError(
                f'adults_share, negatives_share: {recipe.adults_share:g} and '
                f'{recipe.negatives_share:g} leave nothing for infants; lower one')
        train, shares = [BoxDataset(
            open_set(recipe.infants, 'mask'), size, True, seed, recipe.padding,
            recipe.empty_share, company=_company(recipe.company),
            company_share=recipe.company_share)], [rest]
        if recipe.adults:
            adults, watched = split_set(recipe.adults, recipe.adults_val_count)
            train.append(BoxDataset(adults, size, True, seed + 1, _ADULT_PADDING, 0.0,
                                    nobody=recipe.adults_as == 'negative'))
            shares.append(recipe.adults_share)
            others['adults_found'] = BoxDataset(watched.spread(count), size, False)
        if recipe.negatives:
            train.append(BoxDataset(open_set(recipe.negatives), size, True, seed + 2,
                                    empty_share=0.0, nobody=True))
            shares.append(recipe.negatives_share)
        if recipe.negatives_val:
            others['false_negatives_val'] = BoxDataset(
                open_set(recipe.negatives_val).spread(count), size, False, nobody=True)
        share_counts(recipe.batch_size, shares)     # or it says why they don't fit
        pairs = recipe.company_val and BoxDataset(
            infants.stills, size, False, seed, recipe.padding,
            company=_company(recipe.company_val), company_share=1.0)
        return cls(tuple(train), tuple(shares), infants, others, pairs or None)

    def look(self, network: torch.nn.Module) -> dict[str, float]:
        """Figures on infants, and how often others pass for one."""
        return {**evaluate_detector(network, self.infants),
                **{name: false_share(network, dataset) for name, dataset in self.others.items()},
                **(evaluate_company(network, self.company) if self.company else {})}


def _company(source: str) -> Company | None:
    return Company(open_set(source)) if source else None


def _arguments(recipe: DetectorRecipe) -> dict[str, int]:
    return {'min_size': recipe.height, 'max_size': recipe.width,
            **({'refine': True} if recipe.refine else {})}


def _start(recipe: DetectorRecipe) -> torch.nn.Module:
    arguments = _arguments(recipe)
    if recipe.init_from:
        network = build_detector(recipe.architecture, **arguments)
        load_start(network, recipe.init_from, 'detector', arguments, 'roi_heads.refiner.')
        return network
    lite = recipe.architecture == 'fasterrcnn_efficientnet_lite0_fpn'
    return build_detector(
        recipe.architecture, pretrained=lite or recipe.pretrained or False, **arguments)


def train_detector(recipe: DetectorRecipe, folder: str | Path, progress=None) -> Path:
    """Train, or go on with, a detector; returns the exported checkpoint: the best mean IoU.

    Args:
        recipe: how. folder: of the run; if it holds a state, training goes on from there.
        progress: called with (step, dict of current figures) after each step.
    """
    seed_everything(recipe.seed)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    device = pick_device()
    sets = _Sets.open(recipe)
    network = _start(recipe).to(device)
    schedule = partial(RATE_SCHEDULES[recipe.schedule], steps=recipe.steps,
                       warmup=recipe.warmup_steps)
    learner = Learner(
        Run(folder), network, torch.optim.AdamW(
            [values for values in network.parameters() if values.requires_grad],
            lr=recipe.learning_rate, weight_decay=recipe.weight_decay),
        schedule, recipe.learning_rate, recipe.average_decay,
        Judge('-iou', recipe.patience, recipe.min_improvement),
        autocast_type(recipe.precision, device), recipe.seed)
    every = recipe.val_every or steps_of_a_pass(
        len(sets.train[0]), sets.shares, recipe.batch_size)
    network.train()
    for images, targets in () if learner.judge.is_over else mixed_batches(
            sets.train, sets.shares, recipe.batch_size, recipe.seed, learner.step, recipe.steps,
            recipe.workers, collate):
        learner.learn(lambda images=images, targets=targets: _loss(
            recipe, network, [image.to(device) for image in images],
            [{key: value.to(device) for key, value in target.items()} for target in targets]))
        if progress:
            progress(learner.step, {'loss': learner.loss})
        if learner.step % every == 0 or learner.step == recipe.steps:
            _look(recipe, learner, sets)
            if learner.judge.is_over:
                break
    return learner.run.folder / 'detector.safetensors'


def _loss(recipe: DetectorRecipe, network: torch.nn.Module, images, targets) -> torch.Tensor:
    losses = network(images, targets)
    return sum(value * (recipe.box_weight if name == 'loss_box_reg' else 1.0)
               for name, value in losses.items())


def _look(recipe: DetectorRecipe, learner: Learner, sets: _Sets) -> None:
    """Look at the held-out sets, keep the weights if they are the best, store the state."""
    twin = build_detector(recipe.architecture, **_arguments(recipe))
    twin.load_state_dict(learner.average.values)
    figures = sets.look(twin.to(next(learner.network.parameters()).device))
    if learner.judge.choose(figures):
        save_checkpoint(learner.run.folder / 'detector.safetensors', twin, Manifest(
            name=recipe.name, task='detector', architecture=recipe.architecture,
            arguments=_arguments(recipe), keypoints=[], input_size=0,
            training_data=recipe.training_data, licence='Apache-2.0',
            metrics={'steps': learner.step, 'batch_size': recipe.batch_size,
                     **{key: round(value, 4) for key, value in figures.items()}}), half=True)
    learner.note(figures)
    learner.save()
