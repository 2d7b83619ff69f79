"""Training of the lifter: adults, then infants' true keypoints, then a pose network's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

import numpy as np
import torch

from infant_pose_ros.codecs.lifting import CANONICAL_BODY_LENGTH_MM
from infant_pose_ros.config import setting, Settings
from infant_pose_ros.data.sets import open_set
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.models.checkpoints import Manifest, save_checkpoint
from infant_pose_ros.models.lifter import Lifter
from infant_pose_ros.skeleton import Joint, KEYPOINT_NAMES
from infant_pose_ros.training.lifting_data import (
    drawn_pairs,
    estimate_key,
    LiftingPairs,
    PairsCache,
    recorded_pairs,
    seen_pairs,
    sequence_pairs,
    split_stills,
)
from infant_pose_ros.training.runs import Run, seed_everything
from infant_pose_ros.training.stopping import Judge
from infant_pose_ros.training.transfer import load_start, MPI_ORDER, reorder_

#: Drawn people to watch have a seed that is so far from that of the others.
_VAL_SEED = 1_000_003


@dataclass(frozen=True)
class LifterRecipe(Settings):
    """How a lifter is trained. Sets are named as `data.sets.open_set` says."""

    people: str = setting('infants', 'Who is drawn from the body model.',
                          choices=('infants', 'adults'))
    infants: int = setting(1500, 'People drawn; each in 32 poses.', low=2)
    views: int = setting(4, 'Cameras that see each pose.', low=1)
    infants_val: int = setting(100, 'People to watch, drawn with another seed.', low=1)
    poses: str = setting('', 'A set with 3D keypoints in place of drawn people; also DIR#train '
                         'of MPI-INF-3DHP.')
    poses_val: str = setting('', 'The same to watch.')
    stills: str = setting('', 'Pictures with 3D truth for the last step; empty leaves it out.')
    stills_val: str = setting('', "The same to watch; empty keeps the last of 'stills'.")
    stills_count: int = setting(6000, 'Pictures that the pose network looks at.', low=1)
    stills_val_count: int = setting(600, 'The same to watch.', low=1)
    sequences: str = setting(
        '', 'Set in the format of MINI-RGBD, whose consecutive frames give the jitter; empty '
        'leaves it out of the manifest.')
    sequence_frames: int = setting(150, 'First frames of each sequence.', low=3)
    estimated_share: float = setting(
        0.3, "Share of the pose network's own output in each batch.", low=0.0, high=1.0)
    pose_weights: str = setting('', 'Checkpoint of the pose network; empty: the bundled one.')
    init_from: str = setting('', 'Checkpoint to start from, such as that of the adults.')
    common_keypoints: bool = setting(
        True, "False: the checkpoint of 'init_from' is taken to speak MPI-INF-3DHP's order of "
        'keypoints, and nobody maps it to the common one.')
    hidden: int = setting(1024, 'Width.', low=8)
    blocks: int = setting(2, 'Residual blocks.', low=1)
    dropout: float = setting(0.2, 'Dropout; 0.5 in the paper.', low=0.0, high=0.9)
    max_norm: float = setting(
        0.0, "Largest norm of a layer's weights; 1 in the paper, 0 for no limit.", low=0.0)
    noise: float = setting(
        0.03, 'Error of keypoints, share of their spread (half normal scale).', low=0.0)
    outlier_share: float = setting(0.03, 'Share of keypoints that are far off.', low=0.0, high=1.0)
    loss: str = setting('mse', "'mse', the paper's, or 'distance': the mean distance of joints.",
                        choices=('mse', 'distance'))
    batch_size: int = setting(256, 'Poses a step.', low=2)
    epochs: int = setting(30, 'Passes over the poses at most.', low=1)
    learning_rate: float = setting(1e-3, 'First rate of Adam.', low=1e-7, high=1.0)
    decay: float = setting(0.88, 'Factor of the rate after each epoch.', low=0.1, high=1.0)
    watch: str = setting('ajpe_mm', 'What the best weights are chosen by.',
                         choices=('ajpe_mm', 'mse'))
    patience: int = setting(0, 'Epochs without improvement before the end; 0: never.', low=0)
    min_improvement: float = setting(
        0.001, 'Share by which an epoch must be better to count.', low=0.0, high=1.0)
    seed: int = setting(0, "Seed of the network's start and of the errors.", low=0)
    data_seed: int = setting(0, 'Seed of what is drawn.', low=0)
    cache: str = setting(
        '', 'Folder for what is drawn and estimated, shared by runs; empty: in that of the run.')
    threads: int = setting(0, 'CPU threads; 0 leaves the choice to PyTorch.', low=0, high=256)
    name: str = setting('lifter', 'Name in the manifest.')
    training_data: str = setting('', 'Of the manifest.')


@dataclass(frozen=True, eq=False)
class _Sets:
    """Poses to learn from, without and with a pose network's errors, and to watch by name."""

    true2d: LiftingPairs
    estimated2d: LiftingPairs | None
    watched: dict[str, LiftingPairs]
    sequences: LiftingPairs | None

    @classmethod
    def open(cls, recipe: LifterRecipe, cache: PairsCache) -> _Sets:
        """Draw, read and estimate, or take what the cache holds."""
        seed = recipe.data_seed

        def poses(source: str, count: int, views: int, seed: int) -> LiftingPairs:
            if source:
                return recorded_pairs(source)
            key = (recipe.people, count, views, seed)
            return cache.get('poses', key, lambda: drawn_pairs(*key))

        def estimated(stills: Stills, count: int) -> LiftingPairs:
            key = (*estimate_key(stills, recipe.pose_weights), count, seed)
            return cache.get('estimated', key, lambda: seen_pairs(
                stills, recipe.pose_weights, count, seed))

        true2d = poses(recipe.poses, recipe.infants, recipe.views, seed)
        watched = {'true2d': poses(
            recipe.poses_val, recipe.infants_val, 2, seed + _VAL_SEED)}
        learned = sequences = None
        if recipe.stills:
            stills, held_out = split_stills(
                recipe.stills, recipe.stills_val, recipe.stills_val_count)
            learned = estimated(stills, recipe.stills_count)
            watched['estimated2d'] = estimated(held_out, recipe.stills_val_count)
        if recipe.sequences:
            frames = open_set(recipe.sequences).people()
            key = (*estimate_key(frames, recipe.pose_weights), recipe.sequence_frames)
            sequences = cache.get('sequences', key, lambda: sequence_pairs(
                frames, recipe.pose_weights, recipe.sequence_frames))
        return cls(true2d, learned, watched, sequences)

    @property
    def deciding(self) -> str:
        """The watched set that chooses the weights."""
        return 'estimated2d' if 'estimated2d' in self.watched else 'true2d'

    def epoch(self, recipe: LifterRecipe, rng: np.random.Generator):
        """Inputs and targets of one epoch: the share of estimated ones beside as many others."""
        pairs, share = [], recipe.estimated_share if self.estimated2d is not None else 0.0
        if share < 1:
            pairs.append(self.true2d.disturbed(rng, recipe.noise, recipe.outlier_share))
        if share > 0:
            count = len(self.estimated2d) if share == 1 else (
                round(len(self.true2d) * share / (1 - share)))
            rows = rng.permutation(count) % len(self.estimated2d)
            pairs.append(self.estimated2d.part(rows).disturbed(rng, 0.0, 0.0))
        inputs, targets = zip(*(each.encoded() for each in pairs))
        return torch.cat(inputs), torch.cat(targets)


def lifting_errors(network: Lifter, pairs: LiftingPairs) -> np.ndarray:
    """Errors (N, 16, 3), mm, for a body of 600 mm, in the view's axes, pelvis aligned."""
    network.eval()
    inputs, targets = pairs.encoded()
    with torch.inference_mode():
        output = torch.cat([network(part) for part in inputs.split(4096)])
    difference = (output - targets).numpy().reshape(-1, len(KEYPOINT_NAMES), 3)
    return difference - difference[:, Joint.PELVIS:Joint.PELVIS + 1]


def evaluate_lifter(network: Lifter, pairs: LiftingPairs) -> dict[str, Any]:
    """AJPE, error in depth, mean square and standard deviation by joint, mm, as above."""
    difference = lifting_errors(network, pairs)
    return {'ajpe_mm': float(np.linalg.norm(difference, axis=-1).mean()),
            'depth_mm': float(np.abs(difference[..., 2]).mean()),
            'mse': float((difference ** 2).mean()),
            'joint_std_mm': np.sqrt((difference ** 2).mean((0, 2)))}


def joint_jitter(network: Lifter, pairs: LiftingPairs) -> np.ndarray:
    """Part of the error along the ray (16,), mm for a body of 600 mm, that is new in each frame.

    The standard deviation of the change of the error from a frame to the next, over sqrt(2).

    Args:
        pairs: frames in order; those that can't be used are NaN.
    """
    depth_error = np.full(pairs.rays.shape[:2], np.nan)
    usable = np.isfinite(pairs.rays).all((1, 2)) & np.isfinite(pairs.keypoints_m).all((1, 2))
    rows = np.flatnonzero(usable)
    depth_error[rows] = lifting_errors(network, pairs.part(rows))[..., 2]
    change = np.diff(depth_error, axis=0)
    change = change[np.isfinite(change).all(1)]
    return np.sqrt((change ** 2).mean(0) / 2)


def build_lifter(recipe: LifterRecipe, pairs: LiftingPairs) -> Lifter:
    """The network at the start of a run, normalised by `pairs` where it starts from nothing.

    Raises:
        SettingsError, CheckpointError: `init_from` doesn't fit.
    """
    network = Lifter(recipe.hidden, recipe.blocks, recipe.dropout)
    if not recipe.init_from:
        network.set_normalisation(*pairs.encoded())
        return network
    load_start(network, recipe.init_from, 'lifter',
               {'hidden': recipe.hidden, 'blocks': recipe.blocks})
    if not recipe.common_keypoints:
        reorder_(network.first[0], MPI_ORDER, 2, of_inputs=True)
        reorder_(network.last, MPI_ORDER, 3)
        order = list(MPI_ORDER)
        for name, width in (('input', 2), ('output', 3)):
            for values in (getattr(network, f'{name}_mean'), getattr(network, f'{name}_std')):
                values.copy_(values.reshape(-1, width)[order].flatten())
    return network


def train_lifter(recipe: LifterRecipe, folder: str | Path, progress=None) -> Path:
    """Train, or go on with, a lifter; returns the exported checkpoint: the best epoch.

    The pose network's output on held-out pictures chooses it, where the recipe has it, else true
    keypoints of held-out poses.

    Args:
        recipe: how. folder: of the run. progress: called with (epoch, dict of figures).
    """
    seed_everything(recipe.seed)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    run = Run(folder)
    sets = _Sets.open(recipe, PairsCache(recipe.cache or run.folder))
    network = build_lifter(recipe, sets.true2d)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    judge = Judge(f'{sets.deciding}_{recipe.watch}', recipe.patience, recipe.min_improvement)
    first, minutes, state = 0, 0.0, run.load_state()
    if state:
        network.load_state_dict(state['network'])
        optimiser.load_state_dict(state['optimiser'])
        judge.restore(state['judge'])
        first, minutes = state['epoch'], state['minutes']
    run.forget_after('epoch', first if state else -1)
    if not state and recipe.init_from:
        run.log({'epoch': 0, 'minutes': 0, **_plain(_look(network, sets))})
    started_s = time.monotonic()
    for epoch in range(first, recipe.epochs):
        if judge.is_over:
            break
        loss = _epoch(network, optimiser, recipe, epoch, sets)
        figures = _look(network, sets)
        if judge.choose(_plain(figures)):
            _export(recipe, run, network, sets, epoch + 1, figures)
        spent = minutes + (time.monotonic() - started_s) / 60
        run.log({'epoch': epoch + 1, 'minutes': spent, 'train_loss': loss, **_plain(figures)})
        run.save_state({'network': network.state_dict(), 'optimiser': optimiser.state_dict(),
                        'judge': judge.state(), 'epoch': epoch + 1, 'minutes': spent})
        if progress:
            progress(epoch + 1, {'loss': loss, **_plain(figures)})
    run.plot('epoch')
    return run.folder / 'lifter.safetensors'


def _look(network: Lifter, sets: _Sets) -> dict[str, Any]:
    return {f'{name}_{key}': value for name, pairs in sets.watched.items()
            for key, value in evaluate_lifter(network, pairs).items()}


def _plain(figures: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in figures.items() if np.ndim(value) == 0}


def _epoch(network: Lifter, optimiser: torch.optim.Optimizer, recipe: LifterRecipe, epoch: int,
           sets: _Sets) -> float:
    rng = np.random.default_rng([recipe.seed, epoch])
    torch.manual_seed(recipe.seed * 1_000_003 + epoch)      # dropout
    for group in optimiser.param_groups:
        group['lr'] = recipe.learning_rate * recipe.decay ** epoch
    inputs, targets = sets.epoch(recipe, rng)
    order = torch.from_numpy(rng.permutation(len(inputs)))
    batches = [rows for rows in order.split(recipe.batch_size) if len(rows) > 1]
    network.train()
    total = 0.0
    for rows in batches:
        difference = network(inputs[rows]) - targets[rows]
        loss = difference.square().mean() if recipe.loss == 'mse' else (
            difference.unflatten(1, (-1, 3)).norm(dim=-1).mean())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if recipe.max_norm:
            network.clip_weight_norms_(recipe.max_norm)
        total += loss.item()
    return total / len(batches)


def _export(recipe: LifterRecipe, run: Run, network: Lifter, sets: _Sets, epochs: int,
            figures: dict[str, Any]) -> Manifest:
    """Write the weights with their manifest; inference reads its spread and jitter by joint."""
    metrics = {**{key: round(value, 3) for key, value in _plain(figures).items()},
               'body_length_mm': CANONICAL_BODY_LENGTH_MM, 'epochs': epochs}
    by_joint = {'joint_std_mm': figures[f'{sets.deciding}_joint_std_mm']}
    if sets.sequences is not None:
        by_joint['joint_jitter_mm'] = joint_jitter(network, sets.sequences)
    metrics.update({name: [round(float(value), 2) for value in values]
                    for name, values in by_joint.items()})
    return save_checkpoint(run.folder / 'lifter.safetensors', network, Manifest(
        name=recipe.name, task='lifter', architecture='martinez',
        arguments={'hidden': recipe.hidden, 'blocks': recipe.blocks, 'dropout': recipe.dropout},
        training_data=recipe.training_data, licence='Apache-2.0', metrics=metrics), half=True)
