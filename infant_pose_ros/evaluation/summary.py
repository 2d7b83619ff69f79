"""What came of a run: frames, rate, age and, where the truth is known, accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infant_pose_ros.evaluation.metrics import ajpe, head_units, joint_errors, pckh
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.geometry.alignment import root_aligned
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """The answer for one frame, as it was received.

    Attributes:
        stamp_s: capture time, s. received_s: when the answer came, s, on the same clock.
        keypoints_px: (16, 2) frame px of the main infant; NaN where lost; None: no infant.
        keypoints_m: (16, 3) m; NaN where lost; None: no infant.
        state: (16,) of `TrackState`; None: a keypoint with finite px counts as found.
        score: (16,) 0..1, or None.
    """

    stamp_s: float
    received_s: float
    keypoints_px: np.ndarray | None = None
    keypoints_m: np.ndarray | None = None
    state: np.ndarray | None = None
    score: np.ndarray | None = None


def summarise(records: Sequence[FrameRecord], truth: ClipTruth | None, frames_in: int,
              frames_dropped: int, frames_lost_in_transport: int = 0
              ) -> dict[str, int | float | None]:
    """Put a run into numbers.

    Args:
        records: the answered frames, in any order.
        truth: of the clip that was played, with the stamps of the records' clock, or None.
            Frames that it doesn't have are left out of what needs it.
        frames_in: frames that the camera published.
        frames_dropped: frames that arrived and were left out, as too old or for a newer one.
        frames_lost_in_transport: frames that never arrived.

    Returns:
        `frames_in`, `frames_answered`, `frames_dropped`, `frames_lost_in_transport`, `rate_hz`,
        `age_ms_p50`, `age_ms_p95`, `joints_found` (share of the visible keypoints, or of all
        without a truth, that are not lost) and, with a truth, `pckh1`, `pckh2` (shares; a
        missing keypoint is a miss; the unit is the clip's median head in the picture),
        `ajpe_px`, `ajpe_mm` (pelvis on pelvis; found keypoints only). None where nothing can be
        said, so that it is valid JSON.
    """
    ages_ms = [1e3 * (record.received_s - record.stamp_s) for record in records]
    summary = {
        'frames_in': int(frames_in),
        'frames_answered': len(records),
        'frames_dropped': int(frames_dropped),
        'frames_lost_in_transport': int(frames_lost_in_transport),
        'rate_hz': _rate_hz([record.received_s for record in records]),
        'age_ms_p50': _number(np.percentile(ages_ms, 50)) if ages_ms else None,
        'age_ms_p95': _number(np.percentile(ages_ms, 95)) if ages_ms else None,
        'joints_found': None,
    }
    if truth is None:
        found = np.array([_found(record) for record in records])
        summary['joints_found'] = _number(found.mean()) if found.size else None
        return summary
    matched = [(record, index) for record in records
               if (index := truth.for_stamp(record.stamp_s)) is not None]
    return summary | _accuracy([record for record, _ in matched], truth,
                               np.array([index for _, index in matched], int))


def summary_table(summary: dict[str, int | float | None]) -> str:
    """Lines of 'label  value', aligned, for those keys of `summarise` that are there."""
    rows = [(label, 'unknown' if summary[key] is None else pattern.format(summary[key]))
            for key, (label, pattern) in _ROWS.items() if key in summary]
    label_width = max((len(label) for label, _ in rows), default=0)
    value_width = max((len(value.split(' ')[0]) for _, value in rows), default=0)
    lines = []
    for label, text in rows:
        value, _, unit = text.partition(' ')
        lines.append(f'{label:<{label_width}}  {value:>{value_width}} {unit}'.rstrip())
    return '\n'.join(lines)


_ROWS = {
    'frames_in': ('frames in', '{}'),
    'frames_answered': ('  answered', '{}'),
    'frames_dropped': ('  dropped', '{}'),
    'frames_lost_in_transport': ('  lost in transport', '{}'),
    'rate_hz': ('rate', '{:.1f} Hz'),
    'age_ms_p50': ('age of result, median', '{:.1f} ms'),
    'age_ms_p95': ('age of result, 95 %', '{:.1f} ms'),
    'joints_found': ('joints found', '{:.1%}'),
    'pckh1': ('2D PCKh 1.0', '{:.1%}'),
    'pckh2': ('2D PCKh 2.0', '{:.1%}'),
    'ajpe_px': ('2D mean joint error', '{:.2f} px'),
    'ajpe_mm': ('3D mean joint error', '{:.1f} mm'),
}


def _accuracy(records: list[FrameRecord], truth: ClipTruth, indices: np.ndarray
              ) -> dict[str, float | None]:
    """The keys that need the truth; row i of `records` is its frame `indices[i]`."""
    keypoints_px = _stacked([record.keypoints_px for record in records], 2)
    keypoints_m = _stacked([record.keypoints_m for record in records], 3)
    found = np.array([_found(record) for record in records]).reshape(-1, NUM_KEYPOINTS)
    visible = truth.visible[indices]
    errors_px = joint_errors(keypoints_px, truth.keypoints_px[indices])
    truth_m = truth.keypoints_m[indices]
    errors_m = joint_errors(root_aligned(keypoints_m, truth_m), truth_m)
    units = head_units(truth.keypoints_px)
    unit = np.median(units[np.isfinite(units)]) if np.isfinite(units).any() else np.nan
    return {
        'joints_found': _number(found[visible].mean()) if visible.any() else None,
        'pckh1': _number(pckh(errors_px, unit, 1.0)),
        'pckh2': _number(pckh(errors_px, unit, 2.0)),
        'ajpe_px': _number(ajpe(errors_px)),
        'ajpe_mm': _number(1e3 * ajpe(errors_m)),
    }


def _found(record: FrameRecord) -> np.ndarray:
    """(16,) bool: which keypoints the record has."""
    if record.keypoints_px is None:
        return np.zeros(NUM_KEYPOINTS, bool)
    if record.state is None:
        return np.isfinite(record.keypoints_px).all(axis=-1)
    return np.asarray(record.state) != TrackState.LOST


def _stacked(poses: list[np.ndarray | None], ndim: int) -> np.ndarray:
    """(F, 16, ndim); NaN where a pose is None."""
    nothing = np.full((NUM_KEYPOINTS, ndim), np.nan)
    rows = [nothing if pose is None else pose for pose in poses]
    return np.array(rows, dtype=np.float64).reshape(-1, NUM_KEYPOINTS, ndim)


def _rate_hz(received_s: list[float]) -> float | None:
    span_s = max(received_s) - min(received_s) if received_s else 0.0
    return (len(received_s) - 1) / span_s if span_s > 0.0 else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
