"""Left and right exchanged in a reading: found by where the track expects each keypoint.

A pose network that takes an infant's left for its right does so for the whole body, for all of
the arms or legs, or for one pair of keypoints, and mostly for a few frames only. The reading is
compared with the track's prediction, once as it is and once for each such exchange; the exchange
that explains it better, by a margin, is undone. When readings insist on it for long, the track
was the one that had it wrong, and gives in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import itertools
from typing import NamedTuple

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import Joint, LEFT_RIGHT_PAIRS, NUM_KEYPOINTS

#: Readings that insist on the other side for longer are right, and the track is wrong, s.
PATIENCE_S = 0.7
#: What an exchange must explain better, nats, by what is exchanged: the whole body, one limb's
#: three pairs or its outer two, one pair alone. The sum where arms and legs differ.
WHOLE_MARGIN, LIMB_MARGIN, PAIR_MARGIN = 4.0, 5.0, 4.0
#: A trunk whose hips and shoulders point opposite ways counts for so much, nats, against that.
TWIST_NATS = 3.0
#: Hips or shoulders nearer than this to each other say little of the trunk's sides, px.
TWIST_REACH_PX = 8.0
#: Degrees of freedom of Student's t, whose tails are as long as those of readings.
TAIL = 3.0
#: Smallest standard deviation of a reading from its prediction, px.
FLOOR_PX = 1.0
#: The share of the predicted variance that readings really show is averaged over this time, s,
#: begins so, and stays in this range. One reading counts at most so many times the share.
SPREAD_TIME_S, FIRST_SPREAD, SPREAD_RANGE, SPREAD_JUMP = 0.5, 0.3, (0.02, 4.0), 4.0
#: The share is taken this much too large: tails again.
SPREAD_CARE = 1.5

_LEFT, _RIGHT = np.array(LEFT_RIGHT_PAIRS).T
_OTHER = np.arange(NUM_KEYPOINTS)
_OTHER[_LEFT], _OTHER[_RIGHT] = _RIGHT, _LEFT
_UNIT = np.eye(2)
_FIRST_SPREAD = np.full(NUM_KEYPOINTS, FIRST_SPREAD)
_NEVER_S = np.full(len(LEFT_RIGHT_PAIRS), np.nan)
_LEGS = tuple(LEFT_RIGHT_PAIRS.index(pair) for pair in (
    (Joint.L_HIP, Joint.R_HIP), (Joint.L_KNEE, Joint.R_KNEE), (Joint.L_ANKLE, Joint.R_ANKLE)))
_ARMS = tuple(LEFT_RIGHT_PAIRS.index(pair) for pair in (
    (Joint.L_SHOULDER, Joint.R_SHOULDER), (Joint.L_ELBOW, Joint.R_ELBOW),
    (Joint.L_WRIST, Joint.R_WRIST)))


def _hypotheses() -> tuple[np.ndarray, np.ndarray]:
    """(H, 6) bool: the pairs that each exchanges, and (H,) the margin that it needs."""
    choices = [((), 0.0), ((0, 1, 2), LIMB_MARGIN), ((1, 2), LIMB_MARGIN)]
    choices += [((one,), PAIR_MARGIN) for one in range(3)]
    pairs = np.zeros((len(choices) ** 2, len(LEFT_RIGHT_PAIRS)), bool)
    margins = np.zeros(len(pairs))
    for row, ((legs, leg_margin), (arms, arm_margin)) in enumerate(
            itertools.product(choices, choices)):
        pairs[row, [_LEGS[index] for index in legs]] = True
        pairs[row, [_ARMS[index] for index in arms]] = True
        margins[row] = WHOLE_MARGIN if pairs[row].all() else leg_margin + arm_margin
    return pairs, margins


_EXCHANGED, _MARGINS = _hypotheses()
_WEIGHTS = _EXCHANGED.T.astype(float)
#: (6, H) bool: the pair that is exchanged alone.
_SINGLE_PAIR = (_EXCHANGED & (_EXCHANGED.sum(axis=1) == 1)[:, None]).T
_TWISTS = _EXCHANGED[:, _LEGS[0]] ^ _EXCHANGED[:, _ARMS[0]]


def unswap(predicted_px: np.ndarray, predicted_cov: np.ndarray, measured_px: np.ndarray,
           measured_cov: np.ndarray, seen: np.ndarray, spread: np.ndarray | None = None
           ) -> np.ndarray:
    """Where each keypoint stands in a reading that may have exchanged left and right.

    Each reading's place is judged by Student's t around the prediction. Of all exchanges of the
    legs' pairs and the arms' pairs (none, all three, the outer two, one alone), the likeliest is
    taken, provided that it beats no exchange by its margin. One pair alone needs both its
    keypoints. Touching keypoints can't be told apart, and stay.

    Args:
        predicted_px: (N, 16, 2) where N tracks expect their keypoints; NaN where they don't.
        predicted_cov: (N, 16, 2, 2) px^2.
        measured_px: (N, 16, 2) the readings. measured_cov: (N, 16, 2, 2) px^2.
        seen: (N, 16) bool: which readings are to be believed.
        spread: (N, 16) the variance that readings show over the one that the two covariances
            promise. Left out: 1.

    Returns:
        (N, 16) int: `measured_px[n][order[n]]` has left and right as the track has them.

    Raises:
        InvalidInputError: a shape doesn't fit.
    """
    count = len(predicted_px)
    for name, value, shape in (
            ('predicted_px', predicted_px, (2,)), ('predicted_cov', predicted_cov, (2, 2)),
            ('measured_px', measured_px, (2,)), ('measured_cov', measured_cov, (2, 2)),
            ('seen', seen, ())):
        if np.shape(value) != (count, NUM_KEYPOINTS, *shape):
            raise InvalidInputError(
                f'unswap: expected {name} of shape {(count, NUM_KEYPOINTS, *shape)}, got '
                f'{np.shape(value)}')
    if spread is None:
        spread = np.ones((count, NUM_KEYPOINTS))
    return _order(_judge(predicted_px, predicted_cov, measured_px, measured_cov, seen, spread)[0])


class SwapVerdict(NamedTuple):
    """What was found in one frame of N tracks.

    Attributes:
        order: (N, 16) int: `measured[order]` is right, for the track as it is to be.
        track_order: (N, 16) int: the track's own keypoints are to be put in this order first:
            `state[track_order]`; 0..15 where the track doesn't give in.
    """

    order: np.ndarray
    track_order: np.ndarray


class SwapWatch:
    """Undoes exchanges for the tracks of one camera, and tells when a track must give in.

    It remembers of each track how well its predictions fit, so that it hangs little on how the
    filter is tuned, and since when each pair is being exchanged.
    """

    def __init__(self, patience_s: float = PATIENCE_S):
        """Make a watch that remembers no track.

        Args:
            patience_s: a track gives in to readings that insist for so long, s.
        """
        self.patience_s = patience_s
        #: By track: spread (16,), since when each pair is exchanged (6,) s, last stamp (1,) s.
        self._memory: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def look(self, track_ids: Sequence[int], stamp_s: float, predicted_px: np.ndarray,
             predicted_cov: np.ndarray, measured_px: np.ndarray, measured_cov: np.ndarray,
             seen: np.ndarray) -> SwapVerdict:
        """Judge one frame's readings of N tracks; the arrays are those of `unswap`.

        Args:
            track_ids: N different ids; one that is new begins without memory.
            stamp_s: of the frame, s.
        """
        new = (_FIRST_SPREAD, _NEVER_S, np.array([stamp_s]))
        known = np.array([np.concatenate(self._memory.get(key, new)) for key in track_ids])
        spread, since_s, last_s = np.split(
            known.reshape(-1, NUM_KEYPOINTS + len(LEFT_RIGHT_PAIRS) + 1),
            [NUM_KEYPOINTS, NUM_KEYPOINTS + len(LEFT_RIGHT_PAIRS)], axis=1)
        exchanged, distances, usable = _judge(
            predicted_px, predicted_cov, measured_px, measured_cov, seen, spread)
        since_s = np.where(exchanged, np.where(np.isnan(since_s), stamp_s, since_s), np.nan)
        gives_in = stamp_s - since_s >= self.patience_s    # False with NaN
        track_order = _order(gives_in)
        spread = _updated_spread(
            spread, distances, usable, _each_keypoint(exchanged), stamp_s - last_s)
        spread = np.take_along_axis(spread, track_order, axis=1)
        since_s[gives_in] = np.nan
        for row, key in enumerate(track_ids):
            self._memory[key] = spread[row], since_s[row], new[2]
        return SwapVerdict(_order(exchanged & ~gives_in), track_order)

    def forget(self, track_ids: Iterable[int]) -> None:
        """Drop the memory of tracks that ended; ids without one are allowed."""
        for key in track_ids:
            self._memory.pop(key, None)


def _judge(predicted_px: np.ndarray, predicted_cov: np.ndarray, measured_px: np.ndarray,
           measured_cov: np.ndarray, seen: np.ndarray, spread: np.ndarray
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs (N, 6) that were exchanged; how far readings lie, and which of them count.

    The last two are (2, N, 16): Mahalanobis distances squared over `spread`, and bool, of each
    keypoint's own reading and of its counterpart's.
    """
    seen = np.asarray(seen, bool) & np.isfinite(measured_px).all(axis=2)
    expected = np.isfinite(predicted_px).all(axis=2)
    usable = np.stack([seen, seen[:, _OTHER]]) & expected
    offsets = np.stack([measured_px, measured_px[:, _OTHER]]) - predicted_px
    covariances = np.stack([measured_cov, measured_cov[:, _OTHER]]) + predicted_cov
    costs, distances = _student_cost(
        np.where(usable[..., None], offsets, 0.0),
        np.where(usable[..., None, None], covariances, _UNIT), spread)
    costs = np.where(usable, costs, 0.0)
    own, crossed = costs[..., _LEFT] + costs[..., _RIGHT]
    comparable = ((seen[:, _LEFT] == seen[:, _RIGHT])
                  | (expected[:, _LEFT] == expected[:, _RIGHT]))
    gains = np.where(comparable, own - crossed, 0.0)
    merits = gains @ _WEIGHTS - _MARGINS
    merits -= TWIST_NATS * _untwisted(measured_px, seen)[:, None] * _TWISTS
    both = seen[:, _LEFT] & seen[:, _RIGHT]
    lacking = (~both) @ _SINGLE_PAIR
    best = np.where(lacking, -np.inf, merits).argmax(axis=1)
    return _EXCHANGED[best], distances, usable


def _student_cost(offsets_px: np.ndarray, covariances: np.ndarray, spread: np.ndarray
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Negative log likelihood (..., 16) but for a constant, and squared distance over spread."""
    covariances = spread[..., None, None] * covariances + FLOOR_PX**2 * _UNIT
    xx, xy, yy = covariances[..., 0, 0], covariances[..., 0, 1], covariances[..., 1, 1]
    x, y = offsets_px[..., 0], offsets_px[..., 1]
    determinant = xx * yy - xy * xy
    distance = (yy * x * x - 2.0 * xy * x * y + xx * y * y) / determinant
    return (0.5 * np.log(determinant) + 0.5 * (TAIL + 2.0) * np.log1p(distance / TAIL), distance)


def _untwisted(points_px: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N,) -1..1: how much hips and shoulders point the same way; 0 where they can't tell."""
    hips = points_px[:, Joint.L_HIP] - points_px[:, Joint.R_HIP]
    shoulders = points_px[:, Joint.L_SHOULDER] - points_px[:, Joint.R_SHOULDER]
    lengths = np.linalg.norm(hips, axis=1) * np.linalg.norm(shoulders, axis=1)
    known = seen[:, [Joint.L_HIP, Joint.R_HIP, Joint.L_SHOULDER, Joint.R_SHOULDER]].all(axis=1)
    return np.where(known, (hips * shoulders).sum(axis=1) / (lengths + TWIST_REACH_PX**2), 0.0)


def _updated_spread(spread: np.ndarray, distances: np.ndarray, usable: np.ndarray,
                    exchanged: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
    """`spread` (N, 16) after the readings that were chosen; `exchanged` (N, 16) says which."""
    shown = np.where(exchanged, distances[1], distances[0]) / 2.0 * spread
    counts = np.where(exchanged, usable[1], usable[0])
    shown = SPREAD_CARE * np.minimum(shown, SPREAD_JUMP * spread)
    share = 1.0 - np.exp(-np.maximum(dt_s, 0.0) / SPREAD_TIME_S)
    return np.where(counts, np.clip(spread + share * (shown - spread), *SPREAD_RANGE), spread)


def _each_keypoint(pairs: np.ndarray) -> np.ndarray:
    """(N, 16) bool of the keypoints in (N, 6) pairs."""
    keypoints = np.zeros((len(pairs), NUM_KEYPOINTS), bool)
    keypoints[:, _LEFT] = keypoints[:, _RIGHT] = pairs
    return keypoints


def _order(pairs: np.ndarray) -> np.ndarray:
    """(N, 16) int: the order that exchanges (N, 6) pairs."""
    return np.where(_each_keypoint(pairs), _OTHER, np.arange(NUM_KEYPOINTS))
