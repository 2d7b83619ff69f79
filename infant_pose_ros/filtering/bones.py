"""Bones keep their length: learned from an infant's lifted poses, and softly enforced.

The lifter knows proportions well, so that in plain sight this corrects little. It counts where a
limb is hidden: its keypoints are predicted on, but can't leave the body.

Angles are left alone: of the lifter's knees less than 1 % bent the wrong way, and which way an
elbow bends can't be told from keypoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import BONES, MIRRORED_ORDER, NUM_KEYPOINTS, ROOT

#: Lengths are averaged over this time, s; a common growth of all bones (another scale of the
#: body) is followed within the second.
LENGTH_TIME_S, GROWTH_TIME_S = 5.0, 0.5
#: A bone whose ends score less is not learned from.
SCORE_MIN = 0.25
#: What a bone deviates by before anything is known, as a share of its length; so many sure
#: readings that counts. It is never less than the second share.
FIRST_STD_SHARE, FIRST_STD_COUNT, LEAST_STD_SHARE = 0.1, 5.0, 0.01
#: A reading is taken to deviate by at most so many standard deviations.
CLIP_SIGMA = 2.5
_SHORTEST_M = 1e-6

_PARENT, _CHILD = np.array(BONES).T
_KEYS = [frozenset({min(end, MIRRORED_ORDER[end]) for end in bone}) for bone in BONES]
#: (15,) number of each bone's kind: left and right are of one kind, as long as each other.
_KINDS = np.array([list(dict.fromkeys(_KEYS)).index(key) for key in _KEYS])
_NUM_KINDS = int(_KINDS.max()) + 1
#: (15, 9) sums what bones have over those of one kind.
_BY_KIND = (_KINDS[:, None] == np.arange(_NUM_KINDS)).astype(float)


def _groups() -> list[tuple[np.ndarray, np.ndarray]]:
    """Bones (g,), children and parents (2, g), outward, in groups that share no keypoint."""
    waiting = dict(enumerate(BONES))
    reached, last_group = {int(ROOT)}, [-1] * NUM_KEYPOINTS
    groups: list[list[int]] = [[] for _ in BONES]
    while waiting:
        bone = max((index for index, (parent, _) in waiting.items() if parent in reached),
                   key=lambda index: (_reach(BONES[index][1]), -index))
        parent, child = waiting.pop(bone)
        number = last_group[parent] + 1
        groups[number].append(bone)
        last_group[parent] = last_group[child] = number
        reached.add(child)
    return [(np.array(group), np.stack([_CHILD[group], _PARENT[group]]))
            for group in groups if group]


def _reach(keypoint: int) -> int:
    """Most bones from a keypoint to an end of the skeleton."""
    return max((1 + _reach(child) for parent, child in BONES if parent == keypoint), default=0)


_GROUPS = _groups()
#: (2, 1, 1) the sign of a pull on children and on parents.
_OUTWARD = np.array([1.0, -1.0])[:, None, None]


def bone_lengths(keypoints_m: np.ndarray) -> np.ndarray:
    """Lengths (..., 15) of `skeleton.BONES` in poses (..., 16, 3), m; NaN where an end is."""
    return np.linalg.norm(keypoints_m[..., _CHILD, :] - keypoints_m[..., _PARENT, :], axis=-1)


class BoneMemory:
    """The bone lengths of each track of one camera, and how far readings deviate from them.

    A running mean over `LENGTH_TIME_S`, weighted by the score of a bone's worse end; deviations
    are clipped. Left and right share one length.
    """

    def __init__(self):
        """Know no track."""
        self._known: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray, float]] = {}

    def observe(self, track_ids: Sequence[int], stamp_s: float, keypoints_m: np.ndarray,
                score: np.ndarray) -> None:
        """Learn from the lifted poses of a frame.

        Args:
            track_ids: whose they are, N different ones.
            stamp_s: of the frame, s.
            keypoints_m: (N, 16, 3), not smoothed; NaN where missing.
            score: (N, 16) 0..1.

        Raises:
            InvalidInputError: a shape doesn't fit.
        """
        shape = (len(track_ids), NUM_KEYPOINTS)
        if np.shape(keypoints_m) != (*shape, 3) or np.shape(score) != shape:
            raise InvalidInputError(
                f'bones: expected keypoints_m {(*shape, 3)} and score {shape}, got '
                f'{np.shape(keypoints_m)} and {np.shape(score)}')
        read_m = bone_lengths(keypoints_m)
        weight = np.minimum(score[:, _CHILD], score[:, _PARENT])
        counts = (weight >= SCORE_MIN) & np.isfinite(read_m) & (read_m > _SHORTEST_M)
        weight, read_m = np.where(counts, weight, 0.0), np.where(counts, read_m, 0.0)
        empty = np.full(_NUM_KINDS, np.nan)
        new = empty, empty, np.zeros(_NUM_KINDS), stamp_s
        known = [self._known.get(key, new) for key in track_ids]
        length, variance, total = np.array(
            [each[:3] for each in known]).reshape(-1, 3, _NUM_KINDS).swapaxes(0, 1)
        dt_s = np.maximum(stamp_s - np.array([each[3] for each in known]), 0.0)[:, None]
        total = total * np.exp(-dt_s / LENGTH_TIME_S)
        seen = weight @ _BY_KIND
        begins = np.isnan(length) & (seen > 0.0)
        mean = (weight * read_m) @ _BY_KIND / np.where(seen > 0.0, seen, 1.0)
        length = np.where(begins, mean, length)
        variance = np.where(begins, (FIRST_STD_SHARE * length) ** 2, variance)
        length = length * _growth(read_m, counts, length, dt_s)
        deviation = np.where(counts, read_m - length[:, _KINDS], 0.0)
        limit = CLIP_SIGMA * np.sqrt(variance)[:, _KINDS]   # known wherever a reading counts
        deviation = np.where(counts, np.clip(deviation, -limit, limit), 0.0)
        total = total + seen
        step = (weight * deviation) @ _BY_KIND
        square = (weight * deviation**2) @ _BY_KIND
        length = length + step / np.maximum(total, SCORE_MIN)
        variance = variance + np.where(
            seen > 0.0, (square - seen * variance) / (total + FIRST_STD_COUNT), 0.0)
        for row, key in enumerate(track_ids):
            self._known[key] = length[row], variance[row], total[row], stamp_s

    def lengths(self, track_ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Lengths (N, 15) of the tracks' bones and their standard deviations, m; NaN unknown."""
        unknown = np.full(_NUM_KINDS, np.nan)
        rows = [self._known.get(key, (unknown, unknown))[:2] for key in track_ids]
        length, variance = np.array(rows).reshape(-1, 2, _NUM_KINDS).swapaxes(0, 1)
        std = np.maximum(np.sqrt(variance), LEAST_STD_SHARE * length)
        return length[:, _KINDS], std[:, _KINDS]

    def forget(self, track_ids: Iterable[int]) -> None:
        """Drop tracks that ended; unknown ids are allowed."""
        for key in track_ids:
            self._known.pop(key, None)


def _growth(read_m: np.ndarray, counts: np.ndarray, length: np.ndarray, dt_s: np.ndarray
            ) -> np.ndarray:
    """By how much (N, 1) all lengths (N, 9) grow to follow the median of what was read (N, 15)."""
    ratio = np.sort(np.divide(read_m, length[:, _KINDS], out=np.full(read_m.shape, np.inf),
                              where=counts), axis=1)
    count, rows = counts.sum(axis=1), np.arange(len(counts))
    median = 0.5 * (ratio[rows, np.maximum(count - 1, 0) // 2]
                    + ratio[rows, np.minimum(count // 2, len(BONES) - 1)])
    return np.where(count > 0, median, 1.0)[:, None] ** (1.0 - np.exp(-dt_s / GROWTH_TIME_S))


def constrain(points_m: np.ndarray, covariance_m2: np.ndarray, lengths_m: np.ndarray,
              std_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pull poses to their bones' lengths, each keypoint as far as it is uncertain.

    One extended Kalman update a bone with the pseudo-measurement |child - parent| = length, from
    the root outward. With u the bone's direction and C the two covariances, the child moves by
    C_child u (length - |bone|) / (u' C_child u + u' C_parent u + std^2), and the parent the other
    way. The correlation that this leaves between the two is dropped.

    Args:
        points_m: (N, 16, 3) smoothed poses in any frame; NaN where missing.
        covariance_m2: (N, 16, 3, 3) theirs; zeros hold a keypoint where it is.
        lengths_m: (N, 15) of `skeleton.BONES`. std_m: (N, 15), > 0. NaN leaves a bone free.

    Returns:
        Points and covariances as given, constrained.

    Raises:
        InvalidInputError: a shape doesn't fit.
    """
    count = len(points_m)
    for name, value, shape in (
            ('points_m', points_m, (count, NUM_KEYPOINTS, 3)),
            ('covariance_m2', covariance_m2, (count, NUM_KEYPOINTS, 3, 3)),
            ('lengths_m', lengths_m, (count, len(BONES))),
            ('std_m', std_m, (count, len(BONES)))):
        if np.shape(value) != shape:
            raise InvalidInputError(
                f'bones: expected {name} of shape {shape}, got {np.shape(value)}')
    known = np.isfinite(points_m).all(axis=2) & np.isfinite(covariance_m2).all(axis=(2, 3))
    points = np.where(known[..., None], points_m, 0.0)
    covariance = np.where(known[..., None, None], covariance_m2, 0.0)
    usable = known[:, _CHILD] & known[:, _PARENT] & np.isfinite(lengths_m) & np.isfinite(std_m)
    lengths = np.where(usable, lengths_m, 0.0)
    variance = np.where(usable, std_m, np.inf) ** 2
    for bones, ends in _GROUPS:
        bone = points[:, ends[0]] - points[:, ends[1]]
        length = np.maximum(np.sqrt((bone * bone).sum(axis=-1)), _SHORTEST_M)
        direction = bone / length[..., None]
        towards = (covariance[:, ends] @ direction[:, None, ..., None])[..., 0]
        total = ((towards[:, 0] + towards[:, 1]) * direction).sum(axis=-1) + variance[:, bones]
        pull = (lengths[:, bones] - length) / total
        points[:, ends] += towards * (pull[:, None, :, None] * _OUTWARD)
        covariance[:, ends] -= (towards[..., :, None] * towards[..., None, :]
                                / total[:, None, :, None, None])
    return (np.where(known[..., None], points, points_m),
            np.where(known[..., None, None], covariance, covariance_m2))
