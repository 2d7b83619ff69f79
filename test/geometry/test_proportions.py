import numpy as np
import pytest

from infant_pose_ros.geometry.proportions import infant_log_odds, proportions, SEGMENTS
from infant_pose_ros.skeleton import Joint


def body(head=1.0, limbs=1.0):
    """(16, 2) px, upright, spread out: an infant's measures, but for `head` and `limbs`."""
    points = np.zeros((16, 2))
    points[Joint.THORAX] = (0, -100)
    points[Joint.UPPER_NECK] = (0, -100 - 30 * head)
    points[Joint.HEAD_TOP] = (0, -100 - 105 * head)
    for side, hip, knee, ankle, shoulder, elbow, wrist in (
            (-1, Joint.R_HIP, Joint.R_KNEE, Joint.R_ANKLE, Joint.R_SHOULDER, Joint.R_ELBOW,
             Joint.R_WRIST),
            (1, Joint.L_HIP, Joint.L_KNEE, Joint.L_ANKLE, Joint.L_SHOULDER, Joint.L_ELBOW,
             Joint.L_WRIST)):
        points[hip], points[shoulder] = (side * 20, 0), (side * 40, -100)
        points[knee] = points[hip] + [side * 60 * limbs, 70 * limbs]
        points[ankle] = points[knee] + [0, 75 * limbs]
        points[elbow] = points[shoulder] + [side * 65 * limbs, 0]
        points[wrist] = points[elbow] + [0, -60 * limbs]
    return points


def in_space(points_px):
    return np.column_stack([points_px / 500, np.full(16, 1.2)])


def test_proportions_by_hand():
    points = np.zeros((16, 2))
    points[Joint.THORAX], points[Joint.HEAD_TOP] = (0, -3), (0, -7)
    points[Joint.UPPER_NECK] = (0, -5)
    shares = proportions(points)
    # Without the head: 4, 3 and six of 0; shoulders and hips lie on points of their own at 0, 0.
    rms = np.sqrt((4 ** 2 + 3 ** 2) / 8)
    assert shares[:3] == pytest.approx(np.log([2 / rms, 4 / rms, 3 / rms]))
    assert shares[3:] == pytest.approx(np.log([0.05] * 6))      # end on
    assert len(shares) == len(SEGMENTS)


def test_proportions_know_neither_size_nor_place_nor_turn():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert proportions(7.0 * body() @ turn + 100.0) == pytest.approx(proportions(body()))


def test_the_longer_side_counts_and_one_side_is_enough():
    points, bent = body(), body()
    bent[Joint.R_ANKLE] = bent[Joint.R_KNEE]
    assert proportions(bent) == pytest.approx(proportions(points))
    bent[Joint.R_ANKLE] = np.nan
    assert proportions(bent) == pytest.approx(proportions(points))
    bent[Joint.L_ANKLE] = np.nan
    assert np.isnan(proportions(bent)).tolist() == [name == 'shin' for name in SEGMENTS]
    assert np.isnan(proportions(np.full((16, 3), np.nan))).all()


def test_small_heads_and_long_limbs_speak_for_an_adult():
    infant, adult = body(), body(head=0.6, limbs=1.5)
    assert infant_log_odds(infant, in_space(infant)) > 0.0
    assert infant_log_odds(adult, in_space(adult)) < -2.0


def test_what_is_missing_says_nothing():
    nothing = np.full((16, 2), np.nan)
    assert infant_log_odds(nothing, None) == 0.0
    adult = body(head=0.6, limbs=1.5)
    whole, flat = infant_log_odds(adult, in_space(adult)), infant_log_odds(adult, None)
    assert whole < flat < 0.0
