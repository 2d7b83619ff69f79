"""How sure a measured mean is: a bootstrap over blocks of neighbouring frames.

Frames of a video resemble their neighbours, so resampling single frames would promise far too
much. Blocks of frames are drawn with replacement instead (Kuensch 1989, without overlap), the
same draws for every row of a table, so that differences between rows are paired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.errors import InvalidInputError

#: Frames of a video that are drawn together: 1.7 s at 30 fps.
BLOCK_FRAMES = 50
REPLICATES = 2000
SEED = 0
#: Percentiles of the 95 % interval.
PERCENTILES = (2.5, 97.5)
#: With fewer blocks there is no interval.
MIN_BLOCKS = 5


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; `low` and `high` are NaN where there are too few blocks.

    Attributes:
        value: over all frames, mean over seeds.
        spread: standard deviation over the seeds; NaN for one seed.
    """

    value: float
    low: float
    high: float
    spread: float = float('nan')

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside: for a difference, that it is real."""
        return bool(self.low > 0.0 or self.high < 0.0)


@dataclass(frozen=True, eq=False)
class Ratio:
    """A mean kept as sums over blocks, so that it can be resampled.

    Attributes:
        sums, counts: (S, B) of the values and of how many they are: S seeds, B blocks.
    """

    sums: np.ndarray
    counts: np.ndarray

    def __post_init__(self):
        if self.sums.ndim != 2 or self.sums.shape != self.counts.shape:
            raise InvalidInputError(
                f'bootstrap: expected sums and counts of one shape (seeds, blocks), got '
                f'{self.sums.shape} and {self.counts.shape}')

    @classmethod
    def of(cls, values: np.ndarray, counted: np.ndarray, blocks: np.ndarray) -> Ratio:
        """The mean of those `values` that are `counted`.

        Args:
            values: (S, N, ...): seeds, frames and, say, keypoints. counted: bool, the same shape.
            blocks: (N,) number of each frame's block, from `block_numbers`.

        Raises:
            InvalidInputError: the shapes don't fit.
        """
        if values.shape != counted.shape or values.shape[1:2] != blocks.shape:
            raise InvalidInputError(
                f'bootstrap: expected values and counted of one shape (seeds, {len(blocks)}, ...)'
                f', got {values.shape} and {counted.shape}')
        shape = (*values.shape[:2], -1)
        within = np.eye(int(blocks.max(initial=-1)) + 1)[blocks]
        return cls(np.where(counted, values, 0.0).reshape(shape).sum(axis=-1) @ within,
                   counted.reshape(shape).sum(axis=-1) @ within)

    @property
    def by_seed(self) -> np.ndarray:
        """(S,) the mean for each seed; NaN where nothing counts."""
        return _divided(self.sums.sum(axis=1), self.counts.sum(axis=1))

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return float(self.by_seed.mean())

    def replicates(self, draws: np.ndarray) -> np.ndarray:
        """(R,) the same for each of the draws (R, B) from `draw_blocks`."""
        return _divided(draws @ self.sums.T, draws @ self.counts.T).mean(axis=1)


def block_numbers(sequence: np.ndarray, frame: np.ndarray,
                  block_frames: int = BLOCK_FRAMES) -> np.ndarray:
    """Number the blocks 0, 1, ... in the order of the frames; none spans two sequences.

    Args:
        sequence, frame: (N,) which video each frame comes from, and its number in it.
        block_frames: how many consecutive numbers make a block.

    Returns:
        (N,) int.
    """
    keys = np.stack([np.asarray(sequence), np.asarray(frame) // block_frames], axis=1)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), int)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def draw_blocks(num_blocks: int, replicates: int = REPLICATES, seed: int = SEED) -> np.ndarray:
    """(R, B) how often each block is drawn in each replicate; the same for the same seed.

    Raises:
        InvalidInputError: no blocks or no replicates.
    """
    if num_blocks < 1 or replicates < 1:
        raise InvalidInputError(
            f'bootstrap: expected at least one block and one replicate, got {num_blocks} and '
            f'{replicates}')
    rng = np.random.default_rng(seed)
    shares = np.full(num_blocks, 1.0 / num_blocks)
    return rng.multinomial(num_blocks, shares, size=replicates).astype(np.float64)


def interval(ratio: Ratio, draws: np.ndarray) -> Interval:
    """A mean with its interval."""
    by_seed = ratio.by_seed
    spread = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else float('nan')
    return Interval(ratio.value, *_percentiles(ratio.replicates(draws), draws), spread)


def difference(ratio: Ratio, base: Ratio, draws: np.ndarray) -> Interval:
    """`ratio` less `base`, measured on the same frames, with the interval of the difference.

    Raises:
        InvalidInputError: the two don't have the same blocks.
    """
    if ratio.sums.shape[1] != base.sums.shape[1]:
        raise InvalidInputError(
            f'bootstrap: rows of {ratio.sums.shape[1]} and {base.sums.shape[1]} blocks can not '
            'be compared; evaluate both on the same frames')
    apart = ratio.replicates(draws) - base.replicates(draws)
    return Interval(ratio.value - base.value, *_percentiles(apart, draws))


def _percentiles(values: np.ndarray, draws: np.ndarray) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if draws.shape[1] < MIN_BLOCKS or not values.size:
        return float('nan'), float('nan')
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)


def _divided(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=counts > 0)
