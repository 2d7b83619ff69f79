"""A training run on disk: state to go on from, curves as CSV and PNG, seeds, schedule."""

from __future__ import annotations

from collections.abc import Callable
import csv
import math
from pathlib import Path
import random
import time
from typing import Any

import numpy as np
import torch

from infant_pose_ros.errors import CheckpointError, SettingsError, TrainingError
from infant_pose_ros.media.plotting import pyplot
from infant_pose_ros.models.torch_files import load_tensors
from infant_pose_ros.training.stopping import Judge


class Run:
    """The folder of one training: `state.pt`, `curves.csv`, `curves.png`, exported weights.

    Raises:
        MissingDependencyError: there is no matplotlib to draw the curves with.
    """

    def __init__(self, folder: str | Path):
        pyplot()        # missing, it is missed before the training and not behind the first look
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
            return load_tensors(self.state_path)
        except ValueError as error:
            raise CheckpointError(
                f'{self.state_path}: damaged; delete it to begin anew: {error}') from error

    def log(self, row: dict[str, float]) -> None:
        """Add one row to the curves; columns that are new stay empty in the rows before."""
        self._write(self._rows() + [{key: f'{value:.6g}' for key, value in row.items()}])

    def _write(self, rows: list[dict[str, str]]) -> None:
        columns = list(dict.fromkeys(key for each in rows for key in each))
        part = self.curves_path.with_suffix('.part')
        with part.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, fieldnames=columns, restval='')
            writer.writeheader()
            writer.writerows(rows)
        part.replace(self.curves_path)

    def forget_after(self, name: str, last: float) -> None:
        """Drop rows of the curves that a killed run wrote after its last stored state."""
        rows = self._rows()
        kept = [row for row in rows if float(row[name]) <= last]
        if not kept:
            self.curves_path.unlink(missing_ok=True)
        elif len(kept) < len(rows):
            self._write(kept)

    def _rows(self) -> list[dict[str, str]]:
        if not self.curves_path.exists():
            return []
        with self.curves_path.open(newline='', encoding='utf-8') as file:
            return list(csv.DictReader(file))

    def plot(self, x: str = 'step') -> Path:
        """Draw every column of the curves, which have at least one row, over `x`."""
        plt, rows = pyplot(), self._rows()
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


def constant_rate(step: int, steps: int, warmup: int) -> float:
    """Share of the learning rate: rises over `warmup` steps and stays."""
    return min((step + 1) / warmup, 1.0)


#: The first compute capability of CUDA with bf16 arithmetic.
AMPERE = (8, 0)
#: Share of the learning rate by (step, steps, warmup).
RATE_SCHEDULES = {'cosine': cosine_rate, 'constant': constant_rate}


def pick_device() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """Number format of the forward pass; None for plain fp32.

    'auto' takes bf16 on a GPU that computes in it and fp32 elsewhere: where bf16 is emulated, as
    on older GPUs and most CPUs, it is slower.

    Raises:
        SettingsError: fp16 without a GPU.
    """
    if precision == 'fp16' and device.type != 'cuda':
        raise SettingsError("precision: 'fp16' needs a GPU, and there is none; take 'fp32', "
                            "'bf16' or 'auto'")
    if precision == 'auto':
        fast = device.type == 'cuda' and torch.cuda.get_device_capability(device) >= AMPERE
        precision = 'bf16' if fast else 'fp32'
    return {'bf16': torch.bfloat16, 'fp16': torch.float16, 'fp32': None}[precision]


class Learner:
    """Takes optimiser steps, keeps the averaged weights and goes on from a run's state.

    Args:
        run: where the state lies; if there is one, it is taken over.
        network, optimiser: what learns; a group's `share` scales its learning rate.
        schedule: share of the rate at each step, as `cosine_rate`.
        rate: peak learning rate. average_decay: of the averaged weights; 0 averages nothing.
        judge: chooses among the looks.
        autocast: number format of the forward pass; fp16 scales the loss.
        seed: with the step's number it seeds what is random inside the network.
    """

    def __init__(self, run: Run, network: torch.nn.Module, optimiser: torch.optim.Optimizer,
                 schedule: Callable[[int], float], rate: float, average_decay: float,
                 judge: Judge, autocast: torch.dtype | None = None, seed: int = 0):
        self.run, self.network, self.optimiser, self.judge = run, network, optimiser, judge
        self.average = Average(network, average_decay)
        self.step = 0
        self.loss = float('nan')
        self._schedule, self._rate, self._seed = schedule, rate, seed
        self._device = next(network.parameters()).device
        self._autocast = autocast
        self._scaler = torch.amp.GradScaler(
            self._device.type, enabled=autocast == torch.float16)
        self._minutes, self._started_s = 0.0, time.monotonic()
        state = run.load_state()
        if state:
            self._restore(state)
        run.forget_after('step', self.step if state else -1)

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state['network'])
        self.optimiser.load_state_dict(state['optimiser'])
        self.average.restore(state['average'], state['average_steps'])
        self.step, self.loss = state['step'], state.get('loss', float('nan'))
        self._minutes = state.get('minutes', 0.0)
        self.judge.restore(state.get('judge', {}))
        self._scaler.load_state_dict(state.get('scaler') or self._scaler.state_dict())

    def learn(self, loss_of: Callable[[], torch.Tensor]) -> None:
        """One step down the gradient of what `loss_of` returns; `self.loss` follows it smoothly.

        Raises:
            TrainingError: the loss is no number any more.
        """
        torch.manual_seed(self._seed * 1_000_003 + self.step)
        with torch.autocast(self._device.type, self._autocast,
                            enabled=self._autocast is not None):
            loss = loss_of()
        for group in self.optimiser.param_groups:
            group['lr'] = self._rate * self._schedule(self.step) * group.get('share', 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self._scaler.step(self.optimiser)
        self._scaler.update()
        self.average.update(self.network)
        self.step += 1
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f'{self.run.folder}: the loss is {value} at step {self.step}; lower '
                'learning_rate and run the command again: it goes on from the last look')
        self.loss = value if self.loss != self.loss else 0.98 * self.loss + 0.02 * value

    def note(self, figures: dict[str, float]) -> None:
        """Add a row to the curves and draw them."""
        self.run.log({'step': self.step, 'minutes': self.minutes,
                      **({'train_loss': self.loss} if self.loss == self.loss else {}), **figures})
        self.run.plot()

    @property
    def minutes(self) -> float:
        """Spent on this run, its earlier parts included."""
        return self._minutes + (time.monotonic() - self._started_s) / 60

    def save(self) -> None:
        """Store the state."""
        self.run.save_state({
            'network': self.network.state_dict(), 'optimiser': self.optimiser.state_dict(),
            'average': self.average.values, 'average_steps': self.average.steps,
            'step': self.step, 'loss': self.loss, 'minutes': self.minutes,
            'judge': self.judge.state(), 'scaler': self._scaler.state_dict()})
