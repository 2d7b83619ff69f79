"""How noisy recorded keypoints are, told from the recording itself.

A keypoints message holds no covariance in the picture, and of 3D the whole standard deviation:
not which part of it is drawn anew in every frame and so can be averaged out. That part shows in
the third differences of four neighbouring frames, in which a moving limb all but cancels and
noise of standard deviation s leaves one of sqrt(1 + 9 + 9 + 1) s. On the raw output for two
sequences of SynthCot-12 at 30 Hz these were as large as those of the true errors to within 2 %;
recordings of far fewer frames a second are judged noisier than they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from infant_pose_ros.codecs.keypoint_clouds import KEYPOINT_DTYPE
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS, ROOT, TrackState
from infant_pose_ros.structures import Pose2D, Pose3D

#: Third differences that a keypoint needs, to be judged by its own.
MIN_COUNT = 30
#: The steps of four neighbouring frames differ by this factor at most.
EVEN_STEPS = 1.5
#: Where a recording is too short: px in a picture 640 px wide, the part of sx sy sz, and the
#: slope of the logarithm with the score, as they were on SynthCot-12.
DEFAULT_STD_PX, DEFAULT_SHARE, DEFAULT_SLOPE = 1.0, 0.1, -5.4
#: The whole error in the picture where a pose has no 3D, px in a picture 640 px wide.
DEFAULT_WHOLE_PX = 5.0
#: Limits: of the noise in the picture (px, 640 wide), of its part of sx sy sz, of the slope.
STD_LIMITS_PX, SHARE_LIMITS, SLOPE_LIMITS = (0.2, 100.0), (0.01, 1.0), (-8.0, 0.0)
RawPose = tuple[Pose2D | None, Pose3D | None]
_THIRD = np.array([-1.0, 3.0, -3.0, 1.0])
_NORMAL_MAD = 0.6745


def noise_std(stamps_s: np.ndarray, values: np.ndarray, score: np.ndarray,
              default: np.ndarray) -> np.ndarray:
    """Standard deviation of what changes from frame to frame, by frame, keypoint and axis.

    The median over a keypoint's frames, which few outliers don't move, times an exponential of
    the score: keypoints that score less are noisier, and how much more so is told from all of
    them together.

    Args:
        stamps_s: (F,) s.
        values: (F, K, D) px or m; NaN where missing.
        score: (F, K).
        default: (K, D), for keypoints with too few frames, at a score of 0.85.

    Returns:
        (F, K, D).
    """
    spread, mean_score = _third_differences(stamps_s, values, score)
    slope = _slope(spread, mean_score)
    scale = np.exp(slope * (mean_score - 0.85))[..., None]
    count = np.isfinite(spread).all(axis=-1).sum(axis=0)
    base = np.array(default, dtype=float)
    for keypoint in np.flatnonzero(count >= MIN_COUNT):
        base[keypoint] = np.nanmedian(spread[:, keypoint] / scale[:, keypoint],
                                      axis=0) / _NORMAL_MAD
    return base * np.exp(slope * (np.nan_to_num(score) - 0.85))[..., None]


def _third_differences(stamps_s: np.ndarray, values: np.ndarray,
                       score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|third differences| (M, K, D) of even steps, to the scale of one value; scores (M, K)."""
    if len(stamps_s) < 4:
        return np.full((0, *values.shape[1:]), np.nan), np.zeros((0, values.shape[1]))
    steps_s = np.lib.stride_tricks.sliding_window_view(np.diff(stamps_s), 3)
    even = (steps_s.min(axis=1) > 0) & (steps_s.max(axis=1) < EVEN_STEPS * steps_s.min(axis=1))
    windows = np.lib.stride_tricks.sliding_window_view(values, 4, axis=0)[even]
    spread = np.abs(windows @ _THIRD) / np.sqrt((_THIRD**2).sum())
    scores = np.lib.stride_tricks.sliding_window_view(score, 4, axis=0)[even]
    return spread, scores.mean(axis=-1)


def _slope(spread: np.ndarray, score: np.ndarray) -> float:
    """By how much the logarithm of the noise changes with the score, all keypoints together."""
    size = np.log(np.maximum(np.linalg.norm(spread, axis=-1), 1e-9))
    known = np.isfinite(size) & np.isfinite(score)
    if known.sum() < MIN_COUNT:
        return DEFAULT_SLOPE
    # About each keypoint's own mean: some are noisier at every score.
    weight = np.maximum(known.sum(axis=0), 1)
    size = size - np.where(known, size, 0.0).sum(axis=0) / weight
    score = score - np.where(known, score, 0.0).sum(axis=0) / weight
    variance = (score[known]**2).sum()
    if variance < 1e-4 * known.sum():
        return DEFAULT_SLOPE
    return float(np.clip((size[known] * score[known]).sum() / variance, *SLOPE_LIMITS))


def reader_of_rows(stamps_s: np.ndarray, rows: np.ndarray, width_px: float
                   ) -> Callable[[int], RawPose]:
    """One track's raw keypoints as poses that a filter can take.

    In 3D the covariance is sx sy sz as recorded, of which the noise is a part: at most all of
    it. The noise is the root's, and the others' relative to the root, as in `Pose3D`. In the
    picture the covariance is what sx and sy are there at the infant's distance, and at least
    the noise.

    Args:
        stamps_s: (F,) s.
        rows: (F, 16) of `KEYPOINT_DTYPE`; all LOST where the track has no pose.
        width_px: of the picture.

    Returns:
        A function that gives the poses of frame 0 .. F - 1; None where nothing was measured.

    Raises:
        InvalidInputError: rows of another shape or type.
    """
    if rows.shape != (len(stamps_s), NUM_KEYPOINTS) or rows.dtype != KEYPOINT_DTYPE:
        raise InvalidInputError(f'rows: expected ({len(stamps_s)}, {NUM_KEYPOINTS}) keypoints, '
                                f'got {rows.shape} {rows.dtype}')
    scale = width_px / 640.0
    there = rows['state'] != TrackState.LOST
    px, m, std_m = (_columns(rows, names, there) for names in ('uv', 'xyz', ('sx', 'sy', 'sz')))
    score = np.where(there, rows['score'], 0.0).astype(float)
    known_px = np.full((NUM_KEYPOINTS, 2), DEFAULT_STD_PX * scale)
    noise_px = np.clip(noise_std(stamps_s, px, score, known_px),
                       *(limit * scale for limit in STD_LIMITS_PX))
    known_m = np.isfinite(std_m)
    usual_m = np.where(known_m, std_m, 0.0).sum(axis=0) / np.maximum(known_m.sum(axis=0), 1)
    noise_m = noise_std(stamps_s, _about_root(m), score, DEFAULT_SHARE * usual_m)
    noise_m = np.clip(noise_m, SHARE_LIMITS[0] * std_m, SHARE_LIMITS[1] * std_m)
    whole_px = np.maximum(noise_px, _in_picture(px, m, std_m, DEFAULT_WHOLE_PX * scale))
    absolute = _is_absolute(m)

    def pose_at(index: int) -> RawPose:
        pose_2d = pose_3d = None
        if there[index].any():
            pose_2d = Pose2D(px[index], score[index], _diagonal(whole_px[index]),
                             _diagonal(noise_px[index]))
            if np.isfinite(m[index]).any():
                pose_3d = Pose3D(m[index], _diagonal(std_m[index]), bool(absolute[index]),
                                 _diagonal(noise_m[index]))
        return pose_2d, pose_3d

    return pose_at


def _columns(rows: np.ndarray, names, there: np.ndarray) -> np.ndarray:
    """(F, 16, len(names)) float64 of these fields; NaN where not `there`."""
    values = np.stack([rows[name] for name in names], axis=-1).astype(float)
    values[~there] = np.nan
    return values


def _in_picture(px: np.ndarray, points_m: np.ndarray, std_m: np.ndarray,
                default_px: float) -> np.ndarray:
    """(F, 16, 2): what sx and sy (m) are in px, by the size of the body in both spaces."""
    both = np.isfinite(px).all(axis=-1) & np.isfinite(points_m).all(axis=-1)
    sizes = []
    for points in (px, points_m[..., :2]):
        count = np.maximum(both.sum(axis=1), 1)[:, None, None]
        known = np.where(both[..., None], points, 0.0)
        away = np.where(both[..., None], points - known.sum(axis=1, keepdims=True) / count, 0.0)
        sizes.append(np.sqrt((away**2).sum(axis=(1, 2))))
    px_per_m = np.divide(sizes[0], sizes[1], out=np.full(len(px), np.nan), where=sizes[1] > 0.0)
    whole_px = std_m[..., :2] * px_per_m[:, None, None]
    return np.where(np.isfinite(whole_px), whole_px, default_px)


def _about_root(points_m: np.ndarray) -> np.ndarray:
    """(F, 16, 3): the root as it is, the others relative to it."""
    root = points_m[:, ROOT]
    relative = points_m - root[:, None]
    relative[:, ROOT] = root
    return relative


def _diagonal(std: np.ndarray) -> np.ndarray:
    """(16, D, D) covariances of (16, D) standard deviations."""
    return std[:, :, None]**2 * np.eye(std.shape[1])


def _is_absolute(points_m: np.ndarray) -> np.ndarray:
    """(F,): relative poses have their pelvis at the origin.

    A frame without a pelvis is as the one before.
    """
    pelvis = points_m[:, ROOT]
    known = np.isfinite(pelvis).all(axis=1)
    answers, last = np.zeros(len(points_m), bool), True
    for index, place in enumerate(pelvis):
        last = bool(np.abs(place).max() > 1e-6) if known[index] else last
        answers[index] = last
    return answers
