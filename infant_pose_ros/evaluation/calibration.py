"""Do the published standard deviations match the errors? Coverage, sharpness and likelihood.

An ellipsoid of a Gaussian error in D dimensions that should hold a share p of the true points is
where the squared Mahalanobis distance stays below the p-quantile of chi square with D degrees of
freedom. How many it really holds is its coverage (see Kuleshov et al. 2018). Wide ellipsoids
cover much and say nothing, so the mean standard deviation and the likelihood stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.media.plotting import pyplot
from infant_pose_ros.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS

#: Nominal shares of a reliability curve.
NOMINAL = tuple(share / 100 for share in range(5, 100, 5))
#: An axis along which nothing can be wrong (m^2 or px^2): the pelvis of a relative pose.
_NO_VARIANCE = 1e-15
_DPI = 90


def squared_distances(errors: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances (...) of errors (..., D) for covariances (..., D, D).

    NaN where either has a NaN, or the covariance is not positive definite.

    Raises:
        InvalidInputError: the shapes don't fit.
    """
    errors, covariances = np.asarray(errors, float), np.asarray(covariances, float)
    if covariances.shape != (*errors.shape, errors.shape[-1]):
        raise InvalidInputError(f'covariances: expected shape {(*errors.shape, errors.shape[-1])}'
                                f', got {covariances.shape}')
    usable = np.isfinite(errors).all(-1) & np.isfinite(covariances).all((-1, -2))
    eye = np.eye(errors.shape[-1])
    safe = np.where(usable[..., None, None], covariances, eye)
    usable &= np.linalg.eigvalsh(safe)[..., 0] > _NO_VARIANCE
    safe = np.where(usable[..., None, None], safe, eye)
    solved = np.linalg.solve(safe, np.nan_to_num(errors)[..., None])[..., 0]
    return np.where(usable, (solved * np.nan_to_num(errors)).sum(-1), np.nan)


@dataclass(frozen=True, eq=False)
class Calibration:
    """How well covariances describe errors, over F frames of 16 keypoints in D dimensions.

    Attributes:
        ndim: D.
        distances: (F, 16) squared Mahalanobis distances, NaN where there is nothing to compare.
        std: (F, 16) root of the mean variance over the axes, px or m.
        log_det: (F, 16) logarithm of the covariance's determinant.
    """

    ndim: int
    distances: np.ndarray
    std: np.ndarray
    log_det: np.ndarray

    @classmethod
    def of(cls, estimate: np.ndarray, truth: np.ndarray, covariances: np.ndarray) -> Calibration:
        """Compare estimates (F, 16, D) and their covariances (F, 16, D, D) with the truth.

        Raises:
            InvalidInputError: the shapes don't fit.
        """
        estimate, truth = np.asarray(estimate, float), np.asarray(truth, float)
        if estimate.shape != truth.shape or estimate.shape[1:2] != (NUM_KEYPOINTS,):
            raise InvalidInputError(f'estimate, truth: expected the same shape (F, '
                                    f'{NUM_KEYPOINTS}, D), got {estimate.shape}, {truth.shape}')
        distances = squared_distances(estimate - truth, covariances)
        known = np.isfinite(distances)
        safe = np.where(known[..., None, None], covariances, np.eye(estimate.shape[-1]))
        std = np.sqrt(np.trace(safe, axis1=-2, axis2=-1) / estimate.shape[-1])
        return cls(estimate.shape[-1], distances, np.where(known, std, np.nan),
                   np.where(known, np.linalg.slogdet(safe)[1], np.nan))

    @classmethod
    def joined(cls, parts: Sequence[Calibration]) -> Calibration:
        """Several videos as one.

        Raises:
            InvalidInputError: none, or of different dimensions.
        """
        if len({part.ndim for part in parts}) != 1:
            raise InvalidInputError('parts: expected one or more of the same dimensions')
        return cls(parts[0].ndim, *(np.concatenate([getattr(part, name) for part in parts])
                                    for name in ('distances', 'std', 'log_det')))

    def __len__(self) -> int:
        """How many keypoints were compared."""
        return int(np.isfinite(self.distances).sum())

    def coverage(self, nominal: float) -> float:
        """Share of the keypoints inside of the ellipsoids of a nominal share; NaN for none."""
        return float(self.coverage_by_keypoint(nominal, pooled=True)[0])

    def coverage_by_keypoint(self, nominal: float, pooled: bool = False) -> np.ndarray:
        """(16,) shares inside, or (1,) of all keypoints as one; NaN where none was compared."""
        if not 0.0 < nominal < 1.0:
            raise InvalidInputError(f'nominal: expected a share between 0 and 1, got {nominal}')
        distances = self.distances.reshape(-1, 1) if pooled else self.distances
        known = np.isfinite(distances)
        inside = (np.where(known, distances, np.inf) <= chi2.ppf(nominal, self.ndim)).sum(0)
        count = known.sum(0)
        return np.where(count > 0, inside / np.maximum(count, 1), np.nan)

    def curve(self) -> np.ndarray:
        """(19,) coverage at each of `NOMINAL`."""
        return np.array([self.coverage(share) for share in NOMINAL])

    @property
    def mean_std(self) -> float:
        """Sharpness: the mean standard deviation of an axis, px or m; NaN for none."""
        return float(self.std[np.isfinite(self.std)].mean()) if len(self) else math.nan

    @property
    def nll(self) -> float:
        """Mean negative logarithm of the likelihood of a keypoint's error; less is better."""
        if not len(self):
            return math.nan
        return 0.5 * float(np.nanmean(self.distances + self.log_det)) + (
            0.5 * self.ndim * math.log(2.0 * math.pi))


def calibration_table(rows: Mapping[str, Calibration]) -> str:
    """A Markdown table, one row a name: coverage of 50 and 90 %, sharpness, likelihood.

    Standard deviations are in px in 2D and in mm in 3D.
    """
    lines = ['| | keypoints | 50 % | 90 % | mean std | NLL |', '|---|---|---|---|---|---|']
    for name, each in rows.items():
        scale, unit = (1e3, 'mm') if each.ndim == 3 else (1.0, 'px')
        lines.append(f'| {name} | {len(each)} | {100 * each.coverage(0.5):.1f} | '
                     f'{100 * each.coverage(0.9):.1f} | {each.mean_std * scale:.1f} {unit} | '
                     f'{each.nll:.2f} |')
    return '\n'.join(lines) + '\n'


def keypoint_table(rows: Mapping[str, Calibration]) -> str:
    """A Markdown table of coverage of 50 / 90 % by keypoint."""
    lines = ['| keypoint | ' + ' | '.join(rows) + ' |', '|---' * (len(rows) + 1) + '|']
    half, most = ([each.coverage_by_keypoint(share) for each in rows.values()]
                  for share in (0.5, 0.9))
    for joint, name in enumerate(KEYPOINT_NAMES):
        cells = [f'{100 * low[joint]:.0f} / {100 * high[joint]:.0f}'
                 for low, high in zip(half, most)]
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def plot_reliability(groups: Mapping[str, Mapping[str, Calibration]], path: Path) -> None:
    """Reliability curves: measured over nominal coverage, one panel a group.

    Args:
        groups: title -> name of a curve -> its calibration. path: of a PNG file.

    Raises:
        InvalidInputError: no group. MissingDependencyError: matplotlib is not installed.
    """
    if not groups:
        raise InvalidInputError('groups: expected at least one panel')
    plt = pyplot()
    figure, axes = plt.subplots(1, len(groups), figsize=(3.6 * len(groups), 3.7), squeeze=False)
    nominal = 100 * np.array(NOMINAL)
    for axis, (title, curves) in zip(axes[0], groups.items()):
        axis.fill_between([0, 100], [-5, 95], [5, 105], color='0.92', label='within 5 points')
        axis.plot([0, 100], [0, 100], color='0.6', lw=0.8)
        for name, each in curves.items():
            axis.plot(nominal, 100 * each.curve(), lw=1.5, label=name)
        axis.set(title=title, xlabel='nominal, %', xlim=(0, 100), ylim=(0, 100), aspect='equal')
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc='upper left', frameon=False)
    axes[0, 0].set_ylabel('measured, %')
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI, metadata={'Software': None})     # the same bytes each time
    plt.close(figure)
