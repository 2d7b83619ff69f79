"""Put a predicted pose over the true one before their errors are measured."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import ROOT


def root_aligned(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Move poses `pred` (..., 16, 3) so that their pelvis lies at that of `truth`.

    Where a pelvis is NaN in either, the whole pose becomes NaN.

    Raises:
        InvalidInputError: the shapes differ.
    """
    pred, truth = (np.asarray(value, dtype=np.float64) for value in (pred, truth))
    if pred.shape != truth.shape or pred.ndim < 2:
        raise InvalidInputError(
            f'alignment: expected two poses of one shape (..., points, dimensions), got '
            f'{pred.shape} and {truth.shape}')
    return pred - pred[..., ROOT:ROOT + 1, :] + truth[..., ROOT:ROOT + 1, :]
