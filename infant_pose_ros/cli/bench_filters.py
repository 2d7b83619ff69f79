"""What a step of the filters costs, for one infant and for eight, and what filterpy's would."""

from __future__ import annotations

from collections.abc import Callable
import time

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.bank import KalmanBank
from infant_pose_ros.filtering.filters import picture_motion, space_motion
from infant_pose_ros.filtering.reference import ReferenceFilter
from infant_pose_ros.filtering.tracks import PoseTracker
from infant_pose_ros.skeleton import NUM_KEYPOINTS
from infant_pose_ros.structures import Pose2D, Pose3D

INFANTS = (1, 8)
STEPS = 200
#: The reference is slow: fewer of its steps are enough.
REFERENCE_STEPS = 20
_STEP_S = 1.0 / 30.0
_SIZE_WH = (640, 480)


def bench_filters(settings: PipelineSettings) -> dict[str, dict[int, float]]:
    """Median milliseconds of a frame, by what is done and for how many infants.

    'kalman': predict and correct all keypoints in the picture and in space. 'tracker': all that
    `PoseTracker` does in a frame: the same, with exchanged sides looked for, bones and output.
    'filterpy': the first, by filterpy's `KalmanFilter`, one keypoint after the other.
    """
    return {
        'kalman': {count: _median_ms(_kalman_step(settings, count), STEPS) for count in INFANTS},
        'tracker': {count: _median_ms(_tracker_step(settings, count), STEPS)
                    for count in INFANTS},
        'filterpy': {count: _median_ms(_reference_step(settings, count), REFERENCE_STEPS)
                     for count in INFANTS}}


def _median_ms(step: Callable[[], None], steps: int) -> float:
    spent_s = []
    for _ in range(steps):
        begin_s = time.perf_counter()
        step()
        spent_s.append(time.perf_counter() - begin_s)
    return float(np.median(spent_s)) * 1e3


def _points(count: int, ndim: int) -> tuple[np.ndarray, np.ndarray]:
    """Still points (N, 16, D), 100 apart, and unit covariances."""
    rng = np.random.default_rng(0)
    points = 100.0 * rng.random((count, NUM_KEYPOINTS, ndim)) + 200.0 * np.arange(
        count)[:, None, None]
    return points, np.tile(np.eye(ndim), (count, NUM_KEYPOINTS, 1, 1))


def _motions(settings: PipelineSettings):
    return (2, picture_motion(settings, _SIZE_WH[0])), (3, space_motion(settings))


def _kalman_step(settings: PipelineSettings, count: int) -> Callable[[], None]:
    banks = []
    for ndim, motion in _motions(settings):
        bank = KalmanBank(ndim, motion, np.ones(NUM_KEYPOINTS))
        for _ in range(count):
            bank.add_row()
        banks.append((bank, *_points(count, ndim)))
    seen = np.ones((count, NUM_KEYPOINTS), bool)

    def step() -> None:
        for bank, points, noise in banks:
            bank.predict(_STEP_S)
            bank.correct(points, noise, noise, seen)
    return step


def _reference_step(settings: PipelineSettings, count: int) -> Callable[[], None]:
    filters = []
    for ndim, motion in _motions(settings):
        points, noise = (array.reshape(-1, *array.shape[2:]) for array in _points(count, ndim))
        filters += [(ReferenceFilter(ndim, motion), *each) for each in zip(points, noise)]

    def step() -> None:
        for reference, point, noise in filters:
            reference.predict(_STEP_S)
            reference.correct(point, noise, noise)
    return step


def _tracker_step(settings: PipelineSettings, count: int) -> Callable[[], None]:
    tracker = PoseTracker(settings.replace(max_infants=8, smoothing=True))
    flat, flat_noise = _points(count, 2)
    deep, deep_noise = _points(count, 3)
    poses = [(Pose2D(flat[row], np.ones(NUM_KEYPOINTS), flat_noise[row]),
              Pose3D(deep[row] * 1e-3, deep_noise[row] * 1e-4, True)) for row in range(count)]
    tracker.advance(0.0, _SIZE_WH)
    tracks = [tracker.begin(*pose).id for pose in poses]
    frame = 0

    def step() -> None:
        nonlocal frame
        frame += 1
        tracker.advance(frame * _STEP_S, _SIZE_WH)
        readings = tracker.unswapped({key: pose[0] for key, pose in zip(tracks, poses)})
        tracker.correct_all({key: (readings[key], pose[1]) for key, pose in zip(tracks, poses)})
    return step
