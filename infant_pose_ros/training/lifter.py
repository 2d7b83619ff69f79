"""Training of the lifter: true keypoints with made-up errors, then a pose network's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import time

import numpy as np
import torch

from infant_pose_ros.codecs.lifting import CANONICAL_BODY_LENGTH_MM, LiftingCodec
from infant_pose_ros.config import setting, Settings
from infant_pose_ros.data.crops import CROP_SCALE
from infant_pose_ros.data.stills import read_image, Stills
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.inference import PoseEstimator
from infant_pose_ros.models.checkpoints import (
    bundled_checkpoint,
    load_checkpoint,
    Manifest,
    save_checkpoint,
)
from infant_pose_ros.models.lifter import Lifter
from infant_pose_ros.skeleton import Joint, KEYPOINT_NAMES, MIRRORED_ORDER
from infant_pose_ros.training.runs import Run, seed_everything


@dataclass(frozen=True)
class LifterRecipe(Settings):
    """How a lifter is trained."""

    infants: int = setting(1500, 'Infants drawn; each in 32 poses.', low=2)
    views: int = setting(4, 'Cameras that see each pose.', low=1)
    infants_val: int = setting(100, 'Infants to watch, drawn with another seed.', low=1)
    stills: str = setting('', 'Rendered stills for the second step; empty leaves it out.')
    stills_val: str = setting('', 'Rendered stills to watch in the second step.')
    stills_count: int = setting(6000, 'Stills that the pose network looks at.', low=1)
    estimated_share: float = setting(
        0.3, "Share of the pose network's own output in each batch.", low=0.0, high=0.9)
    pose_weights: str = setting('', 'Checkpoint of the pose network; empty: the bundled one.')
    hidden: int = setting(1024, 'Width.', low=8)
    blocks: int = setting(2, 'Residual blocks.', low=1)
    dropout: float = setting(0.2, 'Dropout; 0.5 in the paper.', low=0.0, high=0.9)
    max_norm: float = setting(
        0.0, "Largest norm of a layer's weights; 1 in the paper, 0 for no limit.", low=0.0)
    noise: float = setting(
        0.03, 'Error of keypoints, share of their spread (half normal scale).', low=0.0)
    outlier_share: float = setting(0.03, 'Share of keypoints that are far off.', low=0.0, high=1.0)
    batch_size: int = setting(256, 'Poses a step.', low=2)
    epochs: int = setting(30, 'Passes over the poses.', low=1)
    learning_rate: float = setting(1e-3, 'First rate of Adam.', low=1e-7, high=1.0)
    decay: float = setting(0.88, 'Factor of the rate after each epoch.', low=0.1, high=1.0)
    seed: int = setting(0, 'Seed.', low=0)
    threads: int = setting(0, 'CPU threads; 0 leaves the choice to PyTorch.', low=0, high=256)
    name: str = setting('lifter', 'Name in the manifest.')
    training_data: str = setting('', 'Of the manifest.')


@dataclass(frozen=True, eq=False)
class LiftingPairs:
    """Rays (N, 16, 2) as seen, keypoints (N, 16, 3) as they are, camera frame, m; length (N,)."""

    rays: np.ndarray
    keypoints_m: np.ndarray
    body_length_m: np.ndarray

    @classmethod
    def exact(cls, keypoints_m: np.ndarray, body_length_m: np.ndarray) -> LiftingPairs:
        """Pairs without errors."""
        return cls(keypoints_m[..., :2] / keypoints_m[..., 2:], keypoints_m, body_length_m)

    def disturbed(self, rng: np.random.Generator, recipe: LifterRecipe) -> LiftingPairs:
        """A copy with errors such as a pose network makes, and half of it mirrored."""
        spread = np.sqrt(((self.rays - self.rays.mean(1, keepdims=True)) ** 2).sum(-1).mean(1))
        size = recipe.noise * np.abs(rng.normal(size=(len(self.rays), 1)))
        size = np.where(rng.random(self.rays.shape[:2]) < recipe.outlier_share, 0.35, size)
        rays = self.rays + (size * spread[:, None])[..., None] * rng.normal(size=self.rays.shape)
        keypoints, mirrored = self.keypoints_m.copy(), rng.random(len(rays)) < 0.5
        order = list(MIRRORED_ORDER)
        rays[mirrored] = rays[mirrored][:, order] * [-1, 1]
        keypoints[mirrored] = keypoints[mirrored][:, order] * [-1, 1, 1]
        return LiftingPairs(rays, keypoints, self.body_length_m)

    def encoded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network sees (N, 32) and should say (N, 48), float32."""
        codec = LiftingCodec()
        inputs, view = codec.encode_input(self.rays)
        targets = codec.encode_target(self.keypoints_m, self.body_length_m, view)
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def estimated_pairs(stills: Stills, pose_weights: str, count: int, seed: int,
                    progress=None) -> LiftingPairs:
    """Run a pose network over rendered stills: its real errors beside the truth."""
    estimator = PoseEstimator(
        *load_checkpoint(pose_weights or bundled_checkpoint('pose'), 'pose'))
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(stills))[:count]
    rays = []
    for row in rows:
        crop = Crop.from_keypoints(
            stills.keypoints_px[row], CROP_SCALE, estimator.input_size)
        crop = Crop(crop.centre_px + rng.normal(0, 0.02, 2) * crop.side_px,
                    crop.side_px * np.exp(rng.normal(0, 0.05)),
                    crop.angle_rad + rng.normal(0, 0.12), crop.input_size)
        pose = estimator.estimate(read_image(stills.paths[row]), [crop])[0]
        fx, fy, cx, cy = stills.intrinsics[row]
        rays.append((pose.keypoints_px - [cx, cy]) / [fx, fy])
        if progress:
            progress(1)
    rays = np.array(rays)
    usable = np.isfinite(rays).all((1, 2))
    return LiftingPairs(rays[usable], stills.keypoints_m[rows][usable],
                        stills.body_length_m[rows][usable])


def evaluate_lifter(network: Lifter, pairs: LiftingPairs) -> dict[str, np.ndarray | float]:
    """Errors after the pelvis is aligned, for a body of 600 mm: AJPE and std by joint, mm."""
    network.eval()
    inputs, targets = pairs.encoded()
    with torch.inference_mode():
        output = torch.cat([network(part) for part in inputs.split(4096)])
    difference = (output - targets).numpy().reshape(-1, len(KEYPOINT_NAMES), 3)
    difference = difference - difference[:, Joint.PELVIS:Joint.PELVIS + 1]
    error = np.linalg.norm(difference, axis=-1)
    return {'ajpe_mm': float(error.mean()), 'depth_mm': float(np.abs(difference[..., 2]).mean()),
            'joint_std_mm': np.sqrt((difference ** 2).mean((0, 2)))}


def train_lifter(recipe: LifterRecipe, folder: str | Path, progress=None) -> Path:
    """Train, or go on with, a lifter; returns the exported checkpoint.

    Args:
        recipe: how. folder: of the run. progress: called with (epoch, dict of figures).
    """
    seed_everything(recipe.seed)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    run = Run(folder)
    train = _drawn(run, 'train', recipe.infants, recipe.views, recipe.seed)
    watched = {'true2d': _drawn(run, 'val', recipe.infants_val, 2, recipe.seed + 1_000_003)}
    estimated = None
    if recipe.stills:
        estimated = _estimated(run, 'stills', recipe.stills, recipe, recipe.stills_count)
        watched['estimated2d'] = _estimated(
            run, 'stills_val', recipe.stills_val or recipe.stills, recipe, 600)
    network = Lifter(recipe.hidden, recipe.blocks, recipe.dropout)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    first, state = 0, run.load_state()
    if state:
        network.load_state_dict(state['network'])
        optimiser.load_state_dict(state['optimiser'])
        first = state['epoch']
    else:
        network.set_normalisation(*train.encoded())
    started, metrics = time.monotonic(), {}
    for epoch in range(first, recipe.epochs):
        loss = _epoch(network, optimiser, recipe, epoch, train, estimated)
        metrics = {f'{name}_{key}': value for name, pairs in watched.items()
                   for key, value in evaluate_lifter(network, pairs).items()}
        figures = {key: value for key, value in metrics.items() if np.ndim(value) == 0}
        run.log({'epoch': epoch + 1, 'minutes': (time.monotonic() - started) / 60,
                 'train_loss': loss, **figures})
        run.save_state({'network': network.state_dict(), 'optimiser': optimiser.state_dict(),
                        'epoch': epoch + 1})
        if progress:
            progress(epoch + 1, {'loss': loss, **figures})
    run.plot('epoch')
    source = 'estimated2d' if recipe.stills else 'true2d'
    metrics = metrics or {f'{name}_{key}': value for name, pairs in watched.items()
                          for key, value in evaluate_lifter(network, pairs).items()}
    save_checkpoint(run.folder / 'lifter.safetensors', network, Manifest(
        name=recipe.name, task='lifter', architecture='martinez',
        arguments={'hidden': recipe.hidden, 'blocks': recipe.blocks, 'dropout': recipe.dropout},
        training_data=recipe.training_data, licence='Apache-2.0',
        metrics={**{key: round(value, 3) for key, value in metrics.items() if np.ndim(value) == 0},
                 'body_length_mm': CANONICAL_BODY_LENGTH_MM, 'epochs': recipe.epochs,
                 'joint_std_mm': [round(float(v), 2)
                                  for v in metrics[f'{source}_joint_std_mm']]}), half=True)
    return run.folder / 'lifter.safetensors'


def _epoch(network, optimiser, recipe: LifterRecipe, epoch: int, train: LiftingPairs,
           estimated: LiftingPairs | None) -> float:
    rng = np.random.default_rng([recipe.seed, epoch])
    for group in optimiser.param_groups:
        group['lr'] = recipe.learning_rate * recipe.decay ** epoch
    inputs, targets = train.disturbed(rng, recipe).encoded()
    if estimated is not None:
        extra = int(len(inputs) * recipe.estimated_share / (1 - recipe.estimated_share))
        rows = rng.integers(0, len(estimated.rays), extra)
        more = [values[rows] for values in _mirrored_too(estimated, rng).encoded()]
        inputs, targets = torch.cat([inputs, more[0]]), torch.cat([targets, more[1]])
    order = torch.from_numpy(rng.permutation(len(inputs)))
    network.train()
    total, batches = 0.0, order.split(recipe.batch_size)
    for rows in batches:
        if len(rows) < 2:
            continue
        loss = (network(inputs[rows]) - targets[rows]).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if recipe.max_norm:
            network.clip_weight_norms_(recipe.max_norm)
        total += loss.item()
    return total / len(batches)


def _mirrored_too(pairs: LiftingPairs, rng: np.random.Generator) -> LiftingPairs:
    """The pairs with a fresh half of them mirrored and no errors added."""
    return pairs.disturbed(rng, LifterRecipe(noise=0.0, outlier_share=0.0))


def _drawn(run: Run, name: str, infants: int, views: int, seed: int) -> LiftingPairs:
    """Poses of a run, drawn once and kept."""
    path = run.folder / f'poses_{name}.npz'
    if not path.exists():
        from infant_pose_ros.synthetic.poses import sample_poses

        drawn = sample_poses(infants, views, seed)
        np.savez(path, keypoints_m=drawn.keypoints_m, body_length_m=drawn.body_length_m)
    with np.load(path, allow_pickle=False) as content:
        return LiftingPairs.exact(
            content['keypoints_m'].astype(np.float64), content['body_length_m'])


def _estimated(run: Run, name: str, folder: str, recipe: LifterRecipe,
               count: int) -> LiftingPairs:
    """The pose network's output over stills, made once a run and kept."""
    path = run.folder / f'{name}.npz'
    if not path.exists():
        pairs = estimated_pairs(Stills.open(folder), recipe.pose_weights, count, recipe.seed)
        np.savez(path, rays=pairs.rays, keypoints_m=pairs.keypoints_m,
                 body_length_m=pairs.body_length_m)
    with np.load(path, allow_pickle=False) as content:
        return LiftingPairs(*(content[key] for key in ('rays', 'keypoints_m', 'body_length_m')))
