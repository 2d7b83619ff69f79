import numpy as np
import pytest

from infant_pose_ros.evaluation.temporal_conditions import (
    Event,
    LIMBS,
    place_events,
    SIDES,
    STAMP_JITTER_S,
    wandering,
    with_dropouts,
    with_swaps,
)
from infant_pose_ros.skeleton import Joint, LEFT_RIGHT_PAIRS, MIRRORED_ORDER


def test_events_leave_time_to_settle_and_take_turns():
    groups = ((0, 1), (4, 5))
    events = place_events(150, 5, groups, 0)
    assert [(event.start, event.stop, event.joints) for event in events] == [
        (30, 35, (0, 1)), (65, 70, (4, 5)), (100, 105, (0, 1))]
    assert [event.joints for event in place_events(150, 5, groups, 1)] == [
        (4, 5), (0, 1), (4, 5)]
    assert place_events(60, 5, groups, 0) == []
    assert Event(3, 5, ()).frames.tolist() == [3, 4]


def test_limbs_and_sides():
    assert set(LIMBS['left arm']) == {Joint.L_WRIST, Joint.L_ELBOW}
    (body,), (arms,), (legs,) = SIDES['whole body'], SIDES['arms'], SIDES['legs']
    assert sorted(body) == sorted(j for pair in LEFT_RIGHT_PAIRS for j in pair)
    assert set(arms) | set(legs) == set(body)
    for groups in SIDES.values():       # each with the other side of all that it has
        assert all({MIRRORED_ORDER[j] for j in group} == set(group) for group in groups)


def test_dropouts_take_the_score_alone(make_recording):
    recording = make_recording(60)
    dropped = with_dropouts(recording, [Event(30, 32, (10, 11))])
    assert (dropped.score[30:32, 10:12] == 0).all()
    assert np.count_nonzero(dropped.score == 0) == 4
    assert dropped.keypoints_px is recording.keypoints_px
    assert (recording.score > 0).all()


def test_swaps_exchange_all_of_a_reading(make_recording):
    recording = make_recording(60)
    (arms,) = SIDES['arms']
    swapped = with_swaps(recording, [Event(40, 41, arms)])
    for left, right in LEFT_RIGHT_PAIRS:
        one, other = (right, left) if left in arms else (left, right)
        for name in ('keypoints_px', 'score', 'covariance_px2', 'noise_px2'):
            before, after = getattr(recording, name), getattr(swapped, name)
            assert np.array_equal(after[40, left], before[40, one])
            assert np.array_equal(after[40, right], before[40, other])
    assert np.array_equal(swapped.keypoints_px[41], recording.keypoints_px[41])
    assert np.array_equal(swapped.keypoints_px[40, Joint.THORAX],
                          recording.keypoints_px[40, Joint.THORAX])


@pytest.mark.parametrize(('rate', 'steps'), [(60.0, {1, 2, 3, 4}), (30.0, {1, 2})])
def test_the_rate_wanders_in_whole_steps(make_recording, rate, steps):
    recording = make_recording(1200, rate)
    part = wandering(recording, np.random.default_rng(0))
    gaps = np.rint(np.diff(part.times_s) * rate).astype(int)
    assert set(gaps) == steps
    assert np.isin(part.times_s, recording.times_s).all()
    off_s = part.stamps_s - part.times_s
    assert 0.5 * STAMP_JITTER_S < np.abs(off_s).max() <= STAMP_JITTER_S
    assert (np.diff(part.stamps_s) > 0).all()
    which = np.searchsorted(recording.times_s, part.times_s)
    assert np.array_equal(part.truth_m, recording.truth_m[which])
    assert np.array_equal(part.score, recording.score[which])
