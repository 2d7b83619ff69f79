"""A training run on disk: state to go on from, curves as CSV and PNG, seeds, schedule."""

from __future__ import annotations

import csv
import math
from pathlib import Path
import pickle
import random
import struct
import time
from typing import Any

import numpy as np
import torch

from infant_pose_ros.errors import CheckpointError


class Run:
    """The folder of one training: `state.pt`, `curves.csv`, `curves.png`, exported weights."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state_path = self.folder / 'state.pt'
        self.curves_path = self.folder / 'curves.csv'

    def save_state(self, state: dict[str, Any]) -> None:
        """Replace the stored state at one stroke, so that a kill never leaves half a file."""
        part = self.state_path.with_suffix('.part')
        torch.save(state, part)
        part.replace(self.state_path)

    def load_state(self) -> dict[str, Any] | None:
        """The stored state, or None at the beginning; only tensors and plain values are read.

        Raises:
            CheckpointError: the file is damaged.
        """
        if not self.state_path.exists():
            return None
        try:
            return torch.load(self.state_path, map_location='cpu', weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError,
                struct.error) as error:
            raise CheckpointError(
                f'{self.state_path}: damaged; delete it to begin anew: {error}') from error

    def log(self, row: dict[str, float]) -> None:
        """Add one row to the curves; columns that are new stay empty in the rows before."""
        rows = self._rows() + [{key: f'{value:.6g}' for key, value in row.items()}]
        columns = list(dict.fromkeys(key for each in rows for key in each))
        part = self.curves_path.with_suffix('.part')
        with part.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, fieldnames=columns, restval='')
            writer.writeheader()
            writer.writerows(rows)
        part.replace(self.curves_path)

    def _rows(self) -> list[dict[str, str]]:
        if not self.curves_path.exists():
            return []
        with self.curves_path.open(newline='', encoding='utf-8') as file:
            return list(csv.DictReader(file))

    def plot(self, x: str = 'step') -> Path:
        """Draw every column of the curves over `x`."""
        import matplotlib

        matplotlib.use('Agg')
        import matplotlib.pyplot as plt

        rows = self._rows()
        columns = [key for key in rows[0] if key != x]
        figure, axes = plt.subplots(1, len(columns), figsize=(3.2 * len(columns), 2.8))
        for axis, key in zip(np.atleast_1d(axes), columns):
            known = [row for row in rows if row[key]]
            axis.plot([float(row[x]) for row in known], [float(row[key]) for row in known], '.-')
            axis.set_title(key)
            axis.set_xlabel(x)
            axis.grid(alpha=0.3)
        figure.tight_layout()
        path = self.folder / 'curves.png'
        figure.savefig(path, dpi=90)
        plt.close(figure)
        return path


class Average:
    """Exponential moving average of a module's weights and buffers."""

    def __init__(self, module: torch.nn.Module, decay: float):
        self.decay = decay
        self.steps = 0
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items()}

    def restore(self, values: dict[str, torch.Tensor], steps: int) -> None:
        """Go on from stored values, on the device where the module's lie."""
        for key, value in self.values.items():
            value.copy_(values[key])
        self.steps = steps

    @torch.no_grad()
    def update(self, module: torch.nn.Module) -> None:
        """Take one step towards the module; faster in the beginning."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for key, value in module.state_dict().items():
            if value.dtype.is_floating_point:
                self.values[key].lerp_(value, 1 - decay)
            else:
                self.values[key].copy_(value)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def cosine_rate(step: int, steps: int, warmup: int) -> float:
    """Share of the learning rate: rises over `warmup` steps, then falls to 1 % as a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    progress = min((step - warmup) / max(steps - warmup, 1), 1.0)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))


class Learner:
    """Takes optimiser steps, keeps the averaged weights and goes on from a run's state.

    Args:
        run: where the state lies; if there is one, it is taken over.
        network, optimiser: what learns; a group's `share` scales its learning rate.
        rate: peak learning rate. steps, warmup_steps: of the schedule.
        average_decay: of the averaged weights.
    """

    def __init__(self, run: Run, network: torch.nn.Module, optimiser: torch.optim.Optimizer,
                 rate: float, steps: int, warmup_steps: int, average_decay: float):
        self.run, self.network, self.optimiser = run, network, optimiser
        self.average = Average(network, average_decay)
        self.step = 0
        self.loss = float('nan')
        self._schedule = (rate, steps, warmup_steps)
        self._started_s = time.monotonic()
        state = run.load_state()
        if state:
            network.load_state_dict(state['network'])
            optimiser.load_state_dict(state['optimiser'])
            self.average.restore(state['average'], state['average_steps'])
            self.step = state['step']

    def learn(self, loss: torch.Tensor) -> None:
        """One step down the gradient of `loss`; `self.loss` follows it smoothly."""
        rate, steps, warmup_steps = self._schedule
        for group in self.optimiser.param_groups:
            group['lr'] = rate * cosine_rate(self.step, steps, warmup_steps) * group.get(
                'share', 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.average.update(self.network)
        self.step += 1
        value = loss.item()
        self.loss = value if self.loss != self.loss else 0.98 * self.loss + 0.02 * value

    def record(self, figures: dict[str, float]) -> None:
        """Store the state and add a row to the curves."""
        self.run.log({'step': self.step, 'minutes': (time.monotonic() - self._started_s) / 60,
                      'train_loss': self.loss, **figures})
        self.run.plot()
        self.run.save_state({
            'network': self.network.state_dict(), 'optimiser': self.optimiser.state_dict(),
            'average': self.average.values, 'average_steps': self.average.steps,
            'step': self.step})
