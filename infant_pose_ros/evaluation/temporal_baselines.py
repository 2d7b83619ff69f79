"""Filters to compare with, from libraries: One-Euro and Savitzky-Golay.

Each takes values (F, ...) with NaN where nothing was measured and gives finite values of the same
shape; neither knows how sure a measurement is.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import savgol_coeffs, savgol_filter

from infant_pose_ros.errors import MissingDependencyError


def _columns(values: np.ndarray) -> np.ndarray:
    """Values (F, ...) as (F, C)."""
    values = np.asarray(values, float)
    return values.reshape(len(values), int(np.prod(values.shape[1:])))


def held(values: np.ndarray) -> np.ndarray:
    """Values (F, ...) with the last finite one in place of NaN, as who only knows the past must.

    Before the first finite one it is the first.
    """
    flat = _columns(values)
    known = np.isfinite(flat)
    if not len(flat):
        return flat.reshape(np.shape(values))
    last = np.maximum.accumulate(np.where(known, np.arange(len(flat))[:, None], -1), axis=0)
    first = np.where(known.any(axis=0), known.argmax(axis=0), 0)
    rows = np.where(last >= 0, last, first)
    return np.take_along_axis(flat, rows, axis=0).reshape(np.shape(values))


def bridged(values: np.ndarray, stamps_s: np.ndarray) -> np.ndarray:
    """Values (F, ...) with straight lines over NaN, as who also knows the future can."""
    flat = _columns(values).copy()
    for column in flat.T:
        known = np.isfinite(column)
        if known.any():
            column[:] = np.interp(stamps_s, stamps_s[known], column[known])
    return flat.reshape(np.shape(values))


def one_euro_class():
    """`OneEuroFilter` of the library of that name.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        from OneEuroFilter import OneEuroFilter
    except ImportError as error:
        raise MissingDependencyError("the One-Euro filter needs its library: pip install "
                                     "'infant_pose_ros[evaluate]'") from error
    return OneEuroFilter


def one_euro(values: np.ndarray, stamps_s: np.ndarray, min_cutoff_hz: float, beta: float
             ) -> np.ndarray:
    """The One-Euro filter (Casiez, Roussel and Vogel 2012), each coordinate on its own.

    Args:
        values: (F, ...); a NaN is passed over and the last answer held.
        stamps_s: (F,) s, rising.
        min_cutoff_hz: cutoff frequency at rest; less is smoother.
        beta: Hz by which the cutoff rises for each unit of speed (px/s or m/s); more is faster.

    Raises:
        MissingDependencyError: its library is not installed.
    """
    make_filter = one_euro_class()
    flat = _columns(values)
    smooth = np.full(flat.shape, np.nan)
    clock = (np.asarray(stamps_s, float) - stamps_s[0] + 1.0).tolist()    # 0 means none to it
    for column in range(flat.shape[1]):
        keep = None
        for row, value in enumerate(flat[:, column].tolist()):
            if value == value:
                keep = keep or make_filter(30.0, min_cutoff_hz, beta)
                smooth[row, column] = keep(value, clock[row])
    return held(smooth).reshape(np.shape(values))


def savitzky_golay(values: np.ndarray, stamps_s: np.ndarray, window: int, order: int,
                   causal: bool) -> np.ndarray:
    """A polynomial of least squares through `window` frames (Savitzky and Golay 1964).

    It goes by frames, not by stamps. Gaps are bridged (centred) or held (causal).

    Args:
        values: (F, ...), NaN where missing. stamps_s: (F,) s, to bridge gaps by.
        window: frames, odd. order: of the polynomial.
        causal: the polynomial's value at the last of the frames, so that it needs none from the
            future; else at the middle one.
    """
    if not causal:
        known = bridged(values, stamps_s)
        finite = np.where(np.isfinite(known), known, 0.0)       # a column has all or none
        mode = 'interp' if window <= len(known) else 'nearest'
        return np.where(np.isfinite(known), savgol_filter(
            finite, window, order, axis=0, mode=mode), np.nan)
    known = held(values)
    weights = savgol_coeffs(window, order, pos=window - 1, use='dot')
    padded = np.concatenate([np.repeat(known[:1], window - 1, axis=0), known])
    return sum(weight * padded[row:row + len(known)] for row, weight in enumerate(weights))
