"""Keypoints to heatmaps and back: training targets and inference share one class."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS

ACTIVATIONS = ('softmax', 'none')


class HeatmapCodec:
    """Gaussian heatmaps in the manner of SimpleBaseline (Xiao et al. 2018), one per keypoint.

    The centre of cell (row i, column j) sits at model px ((j + 0.5) * stride - 0.5,
    (i + 0.5) * stride - 0.5), so that the cells tile the input picture exactly.

    Args:
        input_size: width and height of the network's input, model px.
        stride: model px per cell.
        sigma_cells: standard deviation of the targets, cells.
        activation: what the network's output is. 'softmax': logits, trained by cross-entropy
            over each map. 'none': heatmaps with a peak of 1, trained by their squared error.

    Raises:
        InvalidInputError: an argument is out of range.
    """

    def __init__(self, input_size: int, stride: int = 4, sigma_cells: float = 2.0,
                 activation: str = 'softmax'):
        if input_size <= 0 or stride <= 0 or input_size % stride:
            raise InvalidInputError(
                f'heatmaps: input_size must be a positive multiple of stride, got {input_size} '
                f'and {stride}')
        if not 0 < sigma_cells < math.inf:
            raise InvalidInputError(f'heatmaps: sigma_cells must be positive, got {sigma_cells}')
        if activation not in ACTIVATIONS:
            raise InvalidInputError(
                f"heatmaps: unknown activation '{activation}'; known: {', '.join(ACTIVATIONS)}")
        self.input_size = int(input_size)
        self.stride = int(stride)
        self.sigma_cells = float(sigma_cells)
        self.activation = activation
        self.heatmap_size = self.input_size // self.stride
        self._cells = np.arange(self.heatmap_size, dtype=np.float32)
        self._radius = math.ceil(2 * self.sigma_cells)
        # One cell wider than the window: its edges move by less than that when it is recentred.
        self._offsets = np.arange(-self._radius - 1, self._radius + 2)
        near = np.arange(-self._radius, self._radius + 1)
        share = np.exp(-0.5 * (near / self.sigma_cells) ** 2)
        #: Variance of a target inside the window, cells^2: blur that says nothing of the error.
        self._blur = float((near ** 2 * share).sum() / share.sum())
        middle = np.float32((self.heatmap_size - 1) / 2)
        self._map_powers = _powers(self._cells - middle)
        self._offset_powers = _powers(self._offsets.astype(np.float32))

    def model_to_cells(self, points_model: np.ndarray) -> np.ndarray:
        """Model px (..., 2) to heatmap coordinates (x, y) in cells."""
        return (np.asarray(points_model) + 0.5) / self.stride - 0.5

    def cells_to_model(self, points_cells: np.ndarray) -> np.ndarray:
        """Heatmap coordinates (..., 2) in cells to model px."""
        return (np.asarray(points_cells) + 0.5) * self.stride - 0.5

    def encode(self, keypoints_model: np.ndarray,
               visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Training targets of one picture.

        Args:
            keypoints_model: (16, 2) model px; NaN where unknown.
            visible: (16,) bool, which keypoints to learn from.

        Returns:
            heatmaps (16, h, w) float32, Gaussians with a peak of 1 at the exact sub-cell place,
            and weight (16,) float32: 1, or 0 (and an empty map) for a keypoint that is unknown,
            outside of the input picture or not visible.
        """
        keypoints = np.asarray(keypoints_model, dtype=np.float32)
        visible = np.asarray(visible, dtype=bool)
        if keypoints.ndim != 2 or keypoints.shape[1] != 2 or visible.shape != keypoints.shape[:1]:
            raise InvalidInputError(
                f'heatmaps: expected keypoints (16, 2) and visible (16,), got '
                f'{keypoints.shape} and {visible.shape}')
        inside = (keypoints >= -0.5) & (keypoints < self.input_size - 0.5)  # False with NaN
        known = visible & inside.all(axis=1)
        places = self.model_to_cells(np.where(known[:, None], keypoints, 0)).astype(np.float32)
        away = self._cells - places[..., None]  # (16, 2, cells)
        lines = np.exp(away * away * np.float32(-0.5 / self.sigma_cells ** 2))
        lines[:, 1] *= known[:, None]
        return lines[:, 1, :, None] * lines[:, 0, None, :], known.astype(np.float32)

    def decode(self, output: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keypoints from a network's output.

        The place is the mean of the map inside a window of radius ceil(2 sigma) cells, begun at
        the highest cell and moved once onto the mean, which takes away the bias towards the
        cell's centre. The covariance is the second moment inside of that window less the
        targets' own blur, at least (stride / 4)^2 in each direction, plus (1 - score) times the
        covariance of the whole map.

        Args:
            output: (N, 16, h, w) of numbers, as `activation` says.

        Returns:
            keypoints_model (N, 16, 2) model px, score (N, 16) 0..1 and covariance_model
            (N, 16, 2, 2) model px^2, all float64. The score is the share of the map's mass
            inside the window ('softmax') or the peak's height ('none'). Where a map holds no
            peak (NaN, or nothing above 0 with 'none') the score is 0 and the rest NaN.

        Raises:
            InvalidInputError: the shape doesn't fit.
        """
        output = np.asarray(output, dtype=np.float32)
        size = self.heatmap_size
        if output.ndim != 4 or output.shape[2:] != (size, size):
            raise InvalidInputError(
                f'heatmaps: expected an output of shape (N, {NUM_KEYPOINTS}, {size}, {size}), '
                f'got {output.shape}')
        batch_shape = output.shape[:2]
        flat = np.ascontiguousarray(output).reshape(-1, size * size)
        index = flat.argmax(axis=1)
        peak = flat[np.arange(len(flat)), index]
        # NaN wins every argmax, so a finite peak means that the map holds no NaN.
        has_peak = np.isfinite(peak) if self.activation == 'softmax' else (
            np.isfinite(peak) & (peak > 0))
        peak = np.where(has_peak, peak, 0)
        flat = self._to_mass(flat, peak, has_peak)
        maps = flat.reshape(-1, size, size)
        whole = _moments(self._map_powers.T @ (maps @ self._map_powers))
        peak_xy = np.stack([index % size, index // size], axis=1)
        window = self._window_moments(maps, peak_xy)
        score = (window.mass / whole.mass if self.activation == 'softmax' else peak).clip(0, 1)
        score = np.where(has_peak, score, 0.0).astype(np.float64)
        cells_cov = _floored(window.covariance - self._blur * np.eye(2), 0.25 ** 2)
        cells_cov = cells_cov + (1 - score)[:, None, None] * whole.covariance
        keypoints = self.cells_to_model(peak_xy + window.mean)
        keypoints[~has_peak] = np.nan
        cells_cov[~has_peak] = np.nan
        return (keypoints.reshape(*batch_shape, 2), score.reshape(batch_shape),
                (cells_cov * self.stride ** 2).reshape(*batch_shape, 2, 2))

    def _to_mass(self, flat: np.ndarray, peak: np.ndarray, has_peak: np.ndarray) -> np.ndarray:
        """Maps (K, cells) that are nowhere negative; all 1 where there is no peak."""
        if self.activation == 'softmax':
            flat = np.exp(flat - peak[:, None])
        else:
            flat = np.maximum(flat, 0)
        if not has_peak.all():
            flat[~has_peak] = 1
        return flat

    def _window_moments(self, maps: np.ndarray, peak_xy: np.ndarray) -> _Moments:
        """Moments of maps (K, h, w) in cells around `peak_xy` (K, 2), inside the window."""
        columns, rows = (peak_xy[:, axis, None] + self._offsets for axis in (0, 1))
        last = self.heatmap_size - 1
        windows = maps[np.arange(len(maps))[:, None, None], rows.clip(0, last)[:, :, None],
                       columns.clip(0, last)[:, None, :]]
        windows *= ((rows >= 0) & (rows <= last))[:, :, None]
        windows *= ((columns >= 0) & (columns <= last))[:, None, :]
        centre = np.zeros((len(maps), 2))
        for _ in range(2):
            # Share of each line of cells that a window of 2 radius + 1 cells there covers.
            away = np.abs(self._offsets - centre[..., None])
            share = (self._radius + 1 - away).clip(0, 1).astype(np.float32)[..., None]
            powers = share * self._offset_powers  # (K, 2, offsets, 3)
            moments = _moments(powers[:, 1].swapaxes(1, 2) @ (windows @ powers[:, 0]))
            centre = moments.mean.clip(-1, 1)
        return moments


class _Moments(NamedTuple):
    """Mass (K,), mean (K, 2) as x, y, and covariance (K, 2, 2), float64."""

    mass: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray


def _powers(values: np.ndarray) -> np.ndarray:
    """(n,) to (n, 3): 1, v, v^2."""
    return np.stack([np.ones_like(values), values, values * values], axis=1)


def _moments(sums: np.ndarray) -> _Moments:
    """From `sums[k, a, b]`, the sum over a map of its mass times y^a x^b."""
    sums = sums.astype(np.float64)
    mass = sums[:, 0, 0]
    sums = sums / mass[:, None, None]
    mean = np.stack([sums[:, 0, 1], sums[:, 1, 0]], axis=1)
    covariance = np.empty((len(sums), 2, 2))
    covariance[:, 0, 0] = sums[:, 0, 2] - mean[:, 0] ** 2
    covariance[:, 1, 1] = sums[:, 2, 0] - mean[:, 1] ** 2
    covariance[:, 0, 1] = covariance[:, 1, 0] = sums[:, 1, 1] - mean[:, 0] * mean[:, 1]
    return _Moments(mass, mean, covariance)


def _floored(covariance: np.ndarray, floor: float) -> np.ndarray:
    """Covariances (K, 2, 2) with no variance below `floor` in any direction.

    In closed form: the eigenvalues of a symmetric 2x2 matrix are its half trace +- a radius.
    """
    half = (covariance[:, 0, 0] + covariance[:, 1, 1]) / 2
    difference = (covariance[:, 0, 0] - covariance[:, 1, 1]) / 2
    radius = np.hypot(difference, covariance[:, 0, 1])
    low, high = half - radius, half + radius
    new_low, new_high = np.maximum(low, floor), np.maximum(high, floor)
    stretch = np.where(radius > 1e-12, (new_high - new_low) / np.maximum(2 * radius, 1e-12), 0)
    deviator = covariance - half[:, None, None] * np.eye(2)
    new_half = (new_low + new_high) / 2
    return stretch[:, None, None] * deviator + new_half[:, None, None] * np.eye(2)
