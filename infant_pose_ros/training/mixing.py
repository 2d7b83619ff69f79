"""Batches with fixed shares of several sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from infant_pose_ros.errors import SettingsError

#: What is left of 1 after rounding, where the shares of other sets add up to it.
NO_SHARE = 1e-9


def share_counts(batch_size: int, shares: Sequence[float]) -> list[int]:
    """Samples of each set in a batch; shares are relative to their sum, 0 leaves a set out.

    Raises:
        SettingsError: nothing is left, or a set that has a share gets no sample.
    """
    total = sum(shares)
    if total <= 0:
        raise SettingsError('training sets: expected at least one with a share above 0, got '
                            'none; name a set or raise its share')
    edges = np.rint(np.cumsum([0.0, *shares]) / total * batch_size).astype(int)
    counts = np.diff(edges).tolist()
    if any(share > 0 and not count for share, count in zip(shares, counts)):
        raise SettingsError(f'batch_size: {batch_size} has no room for the shares '
                            f'{", ".join(f"{share:g}" for share in shares)}; raise it')
    return counts


class MixedSampler(Sampler):
    """Batches of (which set, row, step), with fixed shares of each set; seeded by the step.

    Args:
        sizes: of the sets. shares: of a batch, relative to their sum; a set of size 0 has none.
        batch_size, seed: as said. first_step, steps: the steps to make batches for.
    """

    def __init__(self, sizes: Sequence[int], shares: Sequence[float], batch_size: int, seed: int,
                 first_step: int, steps: int):
        self.sizes, self.seed = tuple(sizes), seed
        self.counts = share_counts(
            batch_size, [share if size else 0.0 for size, share in zip(sizes, shares)])
        self.first_step, self.steps = first_step, steps

    def __iter__(self):
        for step in range(self.first_step, self.steps):
            rng = np.random.default_rng([self.seed, step])
            yield [(which, int(row), step)
                   for which, (size, count) in enumerate(zip(self.sizes, self.counts)) if count
                   for row in rng.integers(0, size, count)]

    def __len__(self) -> int:
        return max(self.steps - self.first_step, 0)


class MixedSets(torch.utils.data.Dataset):
    """Several datasets behind one index (which set, row, step); the step seeds augmentation."""

    def __init__(self, sets: Sequence[torch.utils.data.Dataset]):
        self.sets = tuple(sets)

    def __getitem__(self, index):
        which, row, step = index
        self.sets[which].epoch = step
        return self.sets[which][row]


def mixed_batches(sets: Sequence[torch.utils.data.Dataset], shares: Sequence[float],
                  batch_size: int, seed: int, first_step: int, steps: int, workers: int = 0,
                  collate: Callable | None = None) -> DataLoader:
    """Batches of several sets for the steps from `first_step` on.

    Args:
        sets, shares, batch_size, seed, first_step, steps: as `MixedSampler`.
        workers: processes that prepare samples. collate: makes a batch; None: PyTorch's own.
    """
    sampler = MixedSampler([len(each) for each in sets], shares, batch_size, seed, first_step,
                           steps)
    return DataLoader(MixedSets(sets), batch_sampler=sampler, collate_fn=collate,
                      num_workers=workers, prefetch_factor=4 if workers else None)


def steps_of_a_pass(size: int, shares: Sequence[float], batch_size: int) -> int:
    """Steps in which the first set, of `size`, is gone through once by its share of a batch."""
    return -(-size // max(share_counts(batch_size, shares)[0], 1))
