"""Exchanged sides are undone, touching keypoints are left alone, and a track gives in."""

import math

import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.swaps import SwapWatch, unswap
from infant_pose_ros.skeleton import Joint, LEFT_RIGHT_PAIRS, MIRRORED_ORDER, NUM_KEYPOINTS

STRAIGHT = np.arange(NUM_KEYPOINTS)
ALL_SEEN = np.ones((1, NUM_KEYPOINTS), bool)
LEGS = [Joint.R_ANKLE, Joint.R_KNEE, Joint.R_HIP, Joint.L_HIP, Joint.L_KNEE, Joint.L_ANKLE]
ARMS = [Joint.R_WRIST, Joint.R_ELBOW, Joint.R_SHOULDER,
        Joint.L_SHOULDER, Joint.L_ELBOW, Joint.L_WRIST]


def pose() -> np.ndarray:
    """(1, 16, 2) an upright infant seen from the front, px: its left is on the right."""
    half_widths = {'ankle': 50.0, 'knee': 60.0, 'hip': 20.0, 'wrist': 90.0, 'elbow': 70.0,
                   'shoulder': 35.0}
    points = np.zeros((NUM_KEYPOINTS, 2))
    points[:, 1] = [200, 150, 100, 100, 150, 200, 100, 0, -20, -60, 100, 50, 0, 0, 50, 100]
    for left, right in LEFT_RIGHT_PAIRS:
        width = half_widths[Joint(left).name.lower()[2:]]
        points[left, 0], points[right, 0] = width, -width
    return points[None]


def covariances(variance_px2: float) -> np.ndarray:
    return np.tile(variance_px2 * np.eye(2), (1, NUM_KEYPOINTS, 1, 1))


def exchanged(keypoints) -> np.ndarray:
    """The order that exchanges `keypoints` with their counterparts."""
    order = STRAIGHT.copy()
    for keypoint in keypoints:
        order[keypoint] = MIRRORED_ORDER[keypoint]
    return order


def find(measured: np.ndarray, predicted: np.ndarray | None = None, seen=ALL_SEEN) -> np.ndarray:
    predicted = pose() if predicted is None else predicted
    return unswap(predicted, covariances(4.0), measured, covariances(5.0), seen)[0]


@pytest.mark.parametrize('keypoints', [
    [], LEGS + ARMS, LEGS, ARMS, [Joint.L_WRIST, Joint.R_WRIST], [Joint.L_HIP, Joint.R_HIP],
    [Joint.L_KNEE, Joint.R_KNEE, Joint.L_ANKLE, Joint.R_ANKLE],
    [Joint.L_ELBOW, Joint.R_ELBOW, Joint.L_ANKLE, Joint.R_ANKLE]])
def test_every_exchange_is_undone(keypoints):
    order = exchanged(keypoints)
    shifted = pose() + (3.0, -2.0)
    assert find(shifted[:, order]).tolist() == order.tolist()


def wrists_apart(distance_px: float) -> np.ndarray:
    points = pose()
    points[0, Joint.L_WRIST] = (0.0, 100.0)
    points[0, Joint.R_WRIST] = (distance_px, 100.0)
    return points


def test_a_pair_turns_where_student_says_so():
    # Variance 4 + 5 + 1 px^2 of floor = 10; t of 3 degrees. Exchanged wrists at a distance D
    # cost 2 * 2.5 ln(1 + D^2 / 30), which reaches the margin of 4 at D = 6.06 px.
    limit = math.sqrt(30.0 * math.expm1(4.0 / 5.0))
    assert limit == pytest.approx(6.06, abs=0.01)
    wrists = exchanged([Joint.L_WRIST, Joint.R_WRIST])
    for distance, order in ((limit - 0.05, STRAIGHT), (limit + 0.05, wrists)):
        predicted = wrists_apart(distance)
        assert find(predicted[:, wrists], predicted).tolist() == order.tolist()


def test_small_spread_tells_nearer_keypoints_apart():
    # With 9 px^2 * 1/9 + 1 = 2 px^2 the limit is sqrt(6 (e^0.8 - 1)) = 2.71 px.
    wrists = exchanged([Joint.L_WRIST, Joint.R_WRIST])
    for distance, order in ((2.6, STRAIGHT), (2.8, wrists)):
        predicted = wrists_apart(distance)
        found = unswap(predicted, covariances(4.0), predicted[:, wrists], covariances(5.0),
                       ALL_SEEN, np.full((1, NUM_KEYPOINTS), 1 / 9))
        assert found[0].tolist() == order.tolist()


def test_a_twisted_trunk_needs_less_to_be_turned_back():
    # Hips at D: cos -1 weakened by reach gives 3 D 70 / (70 D + 64) nats of the 4 needed.
    hips = exchanged([Joint.L_HIP, Joint.R_HIP])
    predicted = pose()
    predicted[0, Joint.L_HIP, 0], predicted[0, Joint.R_HIP, 0] = 2.5, -2.5
    # D = 5: 5 ln(1 + 25 / 30) = 3.03 nats, 2.54 of the trunk: more than 4.
    assert find(predicted[:, hips], predicted).tolist() == hips.tolist()
    # Without shoulders the trunk can't tell, and 3.03 are too few.
    seen = ALL_SEEN.copy()
    seen[0, [Joint.L_SHOULDER, Joint.R_SHOULDER]] = False
    assert find(predicted[:, hips], predicted, seen).tolist() == STRAIGHT.tolist()


def test_one_keypoint_of_a_pair_is_no_proof_of_its_own():
    # The left wrist was read at the right one's place, the right one was not seen.
    measured, seen = pose(), ALL_SEEN.copy()
    measured[0, Joint.L_WRIST] = measured[0, Joint.R_WRIST]
    seen[0, Joint.R_WRIST] = False
    assert find(measured, seen=seen).tolist() == STRAIGHT.tolist()
    # In an exchange of both arms it goes along.
    order = exchanged(ARMS)
    assert find(pose()[:, order], seen=seen).tolist() == order.tolist()


def test_what_is_missing_proves_nothing():
    order = exchanged(LEGS + ARMS)
    unknown = np.full((1, NUM_KEYPOINTS, 2), np.nan)
    assert find(pose()[:, order], unknown).tolist() == STRAIGHT.tolist()
    assert find(unknown).tolist() == STRAIGHT.tolist()
    assert find(pose()[:, order], seen=~ALL_SEEN).tolist() == STRAIGHT.tolist()
    half = pose()
    half[0, [Joint.R_ANKLE, Joint.L_ELBOW]] = np.nan
    assert find(half).tolist() == STRAIGHT.tolist()
    assert find(half[:, order]).tolist() == order.tolist()


def test_tracks_are_judged_apart():
    order = exchanged(ARMS)
    predicted = np.concatenate([pose(), pose() + 300.0, pose() - 50.0])
    measured = predicted.copy()
    measured[1] = measured[1][order]
    found = unswap(predicted, np.repeat(covariances(4.0), 3, 0), measured,
                   np.repeat(covariances(5.0), 3, 0), np.repeat(ALL_SEEN, 3, 0))
    assert found.tolist() == [STRAIGHT.tolist(), order.tolist(), STRAIGHT.tolist()]
    nothing = unswap(*(value[:0] for value in (
        predicted, covariances(4.0), measured, covariances(5.0), ALL_SEEN)))
    assert nothing.shape == (0, NUM_KEYPOINTS)


def test_wrong_shapes_are_named():
    with pytest.raises(InvalidInputError, match=r'measured_px of shape \(1, 16, 2\)'):
        unswap(pose(), covariances(1.0), pose()[0], covariances(1.0), ALL_SEEN)


def watch_for(watch: SwapWatch, seconds: float, measured: np.ndarray, begin_s: float = 0.0,
              predicted: np.ndarray | None = None):
    """Verdicts at 10 Hz from `begin_s` on."""
    predicted = pose() if predicted is None else predicted
    return [watch.look([7], begin_s + index / 10, predicted, covariances(4.0), measured,
                       covariances(5.0), ALL_SEEN)
            for index in range(round(seconds * 10))]


def test_a_track_gives_in_to_readings_that_insist():
    order = exchanged(LEGS)
    verdicts = watch_for(SwapWatch(patience_s=0.45), 0.6, pose()[:, order])
    for verdict in verdicts[:5]:        # 0.0 to 0.4 s
        assert verdict.order.tolist() == [order.tolist()]
        assert verdict.track_order.tolist() == [STRAIGHT.tolist()]
    assert verdicts[5].order.tolist() == [STRAIGHT.tolist()]
    assert verdicts[5].track_order.tolist() == [order.tolist()]


def test_patience_begins_anew_after_a_right_reading():
    watch, order = SwapWatch(patience_s=0.45), exchanged(LEGS)
    watch_for(watch, 0.4, pose()[:, order])
    watch_for(watch, 0.1, pose(), 0.4)
    for verdict in watch_for(watch, 0.5, pose()[:, order], 0.5):
        assert verdict.track_order.tolist() == [STRAIGHT.tolist()]


def test_a_forgotten_track_begins_anew():
    watch, order = SwapWatch(patience_s=0.45), exchanged(LEGS)
    watch_for(watch, 0.5, pose()[:, order])
    watch.forget([7, 8])
    assert watch_for(watch, 0.1, pose()[:, order], 0.5)[0].order.tolist() == [order.tolist()]


def test_good_predictions_sharpen_the_watch():
    # A new track has a spread of 0.3: 0.3 * 9 + 1 = 3.7 px^2, and wrists 3 px apart, which
    # cost 5 ln(1 + 9 / 11.1) = 2.97 < 4, stay. After seconds of readings that fit, it is 0.02:
    # 1.18 px^2, and 5 ln(1 + 9 / 3.54) = 6.3.
    watch, wrists = SwapWatch(), exchanged([Joint.L_WRIST, Joint.R_WRIST])
    predicted = wrists_apart(3.0)
    first = watch_for(watch, 0.1, predicted[:, wrists], 0.0, predicted)
    watch_for(watch, 5.0, predicted, 0.1, predicted)
    later = watch_for(watch, 0.1, predicted[:, wrists], 5.1, predicted)
    assert first[0].order.tolist() == [STRAIGHT.tolist()]
    assert later[0].order.tolist() == [wrists.tolist()]


def test_tracks_are_remembered_apart():
    watch, order = SwapWatch(patience_s=0.45), exchanged(ARMS)
    predicted = np.concatenate([pose(), pose() + 300.0])
    measured = np.stack([predicted[0], predicted[1][order]])
    for index in range(6):
        ids, rows = ([4, 9], [0, 1]) if index % 2 else ([9, 4], [1, 0])
        verdict = watch.look(ids, index / 10, predicted[rows], np.repeat(covariances(4.0), 2, 0),
                             measured[rows], np.repeat(covariances(5.0), 2, 0),
                             np.repeat(ALL_SEEN, 2, 0))
    assert verdict.track_order.tolist() == [STRAIGHT.tolist(), order.tolist()]
    nobody = watch.look([], 1.0, predicted[:0], covariances(1.0)[:0], measured[:0],
                        covariances(1.0)[:0], ALL_SEEN[:0])
    assert nobody.order.shape == nobody.track_order.shape == (0, NUM_KEYPOINTS)
