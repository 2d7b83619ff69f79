"""Measures how well covariances match the errors, raw and smoothed, and writes it down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from infant_pose_ros.codecs.uncertainty import PictureUncertainty
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.evaluation.calibrating import lift_all, Readings
from infant_pose_ros.evaluation.calibration import (
    Calibration,
    calibration_table,
    keypoint_table,
    plot_reliability,
)
from infant_pose_ros.filtering.smoothing import smooth_track
from infant_pose_ros.filtering.tracks import PoseTracker
from infant_pose_ros.lifting import PoseLifter
from infant_pose_ros.skeleton import NUM_KEYPOINTS, ROOT
from infant_pose_ros.structures import Pose2D, Pose3D

SPACES = ('2D', '3D absolute', '3D relative')
RAW, KALMAN, RTS = 'raw', 'Kalman', 'Rauch-Tung-Striebel'

#: Space -> method -> calibration.
Measured = dict[str, dict[str, Calibration]]


def measure(readings: Sequence[Readings], picture: PictureUncertainty | None,
            lifter: PoseLifter, settings: PipelineSettings) -> Measured:
    """Coverage of raw and smoothed poses; in space with each infant's true length.

    Args:
        picture: of the network that the readings come from. lifter: with its calibration.
        settings: of the filters.
    """
    found: Measured = {space: {} for space in SPACES}
    parts: dict[tuple[str, str], list[Calibration]] = {}
    for each in readings:
        poses_2d = each.poses(picture)
        for space, is_absolute in (('3D absolute', True), ('3D relative', False)):
            poses_3d = lift_all(lifter, poses_2d, each, is_absolute)
            for method, answers in _answers(each, poses_2d, poses_3d, settings).items():
                parts.setdefault((space, method), []).append(_in_space(each, answers, is_absolute))
                if is_absolute:
                    parts.setdefault(('2D', method), []).append(_in_picture(each, answers))
    for (space, method), calibrations in parts.items():
        found[space][method] = Calibration.joined(calibrations)
    return found


def _answers(readings: Readings, poses_2d: list[Pose2D], poses_3d: list[Pose3D | None],
             settings: PipelineSettings) -> dict[str, list[tuple[Pose2D | None, Pose3D | None]]]:
    """What each method says in every frame."""
    seen = readings.seen(settings.keypoint_score_min)
    followed = seen.any(axis=1)
    tracker, causal = PoseTracker(settings), []
    for index, stamp_s in enumerate(readings.stamps_s):
        tracker.advance(float(stamp_s), readings.size_wh)
        if followed[index] and not tracker.tracks:
            tracker.begin(poses_2d[index], poses_3d[index])
        causal.append(None if not tracker.tracks else tracker.correct(
            tracker.tracks[0].id, *((poses_2d[index], poses_3d[index]) if followed[index]
                                    else (None, None))))
        tracker.end_stale()
    smooth = smooth_track(
        readings.stamps_s, [pose if known else None for pose, known in zip(poses_2d, followed)],
        [pose if known else None for pose, known in zip(poses_3d, followed)], readings.size_wh,
        settings)
    raw = [(_only_2d(pose_2d, row), pose_3d and _only_3d(pose_3d, row))
           for pose_2d, pose_3d, row in zip(poses_2d, poses_3d, seen)]
    return {RAW: raw, **{method: [(each and each.smooth_2d, each and each.smooth_3d)
                                  for each in estimates]
                         for method, estimates in ((KALMAN, causal), (RTS, smooth))}}


def _only_2d(pose: Pose2D, seen: np.ndarray) -> Pose2D:
    return Pose2D(np.where(seen[:, None], pose.keypoints_px, np.nan), pose.score,
                  pose.covariance_px2, pose.noise_px2)


def _only_3d(pose: Pose3D, seen: np.ndarray) -> Pose3D:
    return Pose3D(np.where(seen[:, None], pose.keypoints_m, np.nan), pose.covariance_m2,
                  pose.is_absolute, pose.noise_m2)


def _in_picture(readings: Readings, answers: list) -> Calibration:
    return _compared([(pose.keypoints_px, pose.covariance_px2) if pose else None
                      for pose, _ in answers], readings.truth_px)


def _in_space(readings: Readings, answers: list, is_absolute: bool) -> Calibration:
    truth_m = readings.truth_m
    if not is_absolute:
        truth_m = truth_m - truth_m[:, ROOT:ROOT + 1]
    return _compared([(pose.keypoints_m, pose.covariance_m2) if pose else None
                      for _, pose in answers], truth_m, skip=None if is_absolute else ROOT)


def _compared(answers: list, truth: np.ndarray, skip: int | None = None) -> Calibration:
    ndim = truth.shape[-1]
    nothing = tuple(np.full((NUM_KEYPOINTS, *shape), np.nan) for shape in ((ndim,), (ndim, ndim)))
    points, covariances = (np.stack(column) for column in zip(*(each or nothing
                                                                for each in answers)))
    if skip is not None:
        points[:, skip] = np.nan
    return Calibration.of(points, truth, covariances)


def write_report(measured: Measured, folder: Path, measured_on: str) -> str:
    """Write `calibration.md` and `reliability.png`; the table of all keypoints as text.

    Args:
        measured_on: the sequences, for a reader.

    Raises:
        OSError: the folder can not be written. MissingDependencyError: matplotlib is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = {f'{space}, {method}': each for space, methods in measured.items()
            for method, each in methods.items()}
    table = calibration_table(rows)
    by_keypoint = keypoint_table({space: methods[RAW] for space, methods in measured.items()})
    (folder / 'calibration.md').write_text(
        '# Calibration\n\nShare of the true points inside of ellipsoids that should hold 50 and '
        f'90 %, on {measured_on}.\n\n{table}\nBy keypoint, raw, 50 / 90 %:\n\n{by_keypoint}\n'
        '![Measured over nominal coverage](reliability.png)\n', encoding='utf-8')
    plot_reliability(measured, folder / 'reliability.png')
    return table
