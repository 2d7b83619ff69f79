import numpy as np
import pytest

from infant_pose_ros.filtering.people import (
    MOST_READINGS_UNFOLLOWED,
    PeopleMemory,
    Person,
)
from infant_pose_ros.skeleton import Joint

SIZE_WH = (640, 480)


def body(x=0.0):
    """A body of 100 px with a trunk of 40 px."""
    pose = np.zeros((16, 2))
    pose[Joint.HEAD_TOP], pose[Joint.R_ANKLE] = (0, -60), (0, 40)
    pose[[Joint.THORAX, Joint.R_SHOULDER, Joint.L_SHOULDER]] = (0, -40)
    return pose + [x, 0.0]


def test_evidence_is_a_mean_of_bounded_readings():
    person = Person(1, body(), body(), 0.0)
    for log_odds in (2.0, -1.0, 100.0):
        person.weigh(log_odds)
    assert person.log_odds == pytest.approx((2.0 - 1.0 + 4.0) / 3)
    assert person.readings == 3


def test_evidence_against_one_who_is_not_followed_fades():
    person = Person(0, body(), body(), 0.0)
    for _ in range(50):
        person.weigh(-2.0, MOST_READINGS_UNFOLLOWED)
    assert person.readings == MOST_READINGS_UNFOLLOWED
    person.weigh(2.0, MOST_READINGS_UNFOLLOWED)
    assert person.log_odds == pytest.approx(-2.0 + 4.0 / MOST_READINGS_UNFOLLOWED)


def test_the_anchor_stays_where_the_detector_agreed():
    person = Person(1, body(), body(), 0.0)
    person.see(body(50.0), 1.0, False)
    assert (person.pose_px[0, 0], person.anchor_px[0, 0], person.seen_s) == (50.0, 0.0, 1.0)
    person.see(body(60.0), 2.0, True)
    assert person.anchor_px[0, 0] == 60.0


def test_a_disturbed_reading_lies_where_the_person_was():
    person = Person(1, body(), body(), 0.0)
    for index in range(30):
        person.follow(2.0, 0.9, body(), index / 30, False)
    near, far = body(20.0), body(30.0)      # 0.2 and 0.3 of 100 px
    assert not person.is_elsewhere(far, 0.7)
    assert (person.is_elsewhere(near, 0.6), person.is_elsewhere(far, 0.6)) == (False, True)
    person.follow(2.0, 0.6, near, 1.0, False)
    assert person.is_elsewhere(far, 0.9)    # in doubt: it was disturbed just before
    person.return_as(1.0, body(60.0))       # found there; back where it was is right, too
    assert [person.is_elsewhere(body(x), 0.9) for x in (0.0, 60.0, 30.0, 90.0)] == [
        False, False, True, True]
    for index in range(15):
        person.follow(2.0, 0.9, body(60.0), 2.0 + index / 30, False)
    assert not person.is_elsewhere(body(), 0.9)


def test_what_disturbs_for_long_becomes_usual():
    person = Person(1, body(), body(), 0.0)
    for index in range(30):
        person.follow(2.0, 0.9, body(), index / 30, False)
    for index in range(100):
        person.follow(2.0, 0.6, body(index), 1.0 + index / 30, False)
    assert person.doubts is None and person.pose_px[0, 0] == 99.0


def test_another_who_is_read_in_an_infants_place():
    person = Person(1, body(), body(), 0.0)
    for index in range(30):
        person.follow(2.0, 0.9, body(index), index / 30, False)
    assert (person.log_odds, person.doubts, person.pose_px[0, 0]) == (2.0, None, 29.0)
    person.follow(2.0, 0.6, body(40), 1.0, False)        # something gets in the way: 0.6 < 0.675
    for _ in range(5):
        assert not person.is_another(-1.1)
        person.follow(-2.0, 0.9, body(60), 1.1, True)
    assert person.is_another(-1.1)
    assert not person.is_another(-2.1)
    # What was remembered before stays.
    assert (person.log_odds, person.pose_px[0, 0], person.anchor_px[0, 0]) == (2.0, 29.0, 0.0)


def test_a_doubt_that_is_cleared():
    person = Person(1, body(), body(), 0.0)
    for _ in range(10):
        person.follow(2.0, 0.9, body(), 0.0, False)
    person.follow(2.0, 0.5, body(), 0.5, False)
    for _ in range(15):
        person.follow(1.0, 0.9, body(5), 1.0, False)
        assert not person.is_another(-1.1)
    assert person.doubts is None
    assert person.pose_px[0, 0] == 5.0


def test_weak_evidence_is_no_other_person():
    person = Person(1, body(), body(), 0.0, log_odds=0.3)
    assert not person.differs(-1.5, -1.1)       # an infant that lies on its side
    assert person.differs(-1.8, -1.1)
    assert not Person(1, body(), body(), 0.0, log_odds=3.0).differs(0.0, -1.1)


def test_the_missing_are_recognised_and_the_living_are_not():
    memory = PeopleMemory()
    one, two = memory.add(1, body(0.0), 0.0), memory.add(2, body(200.0), 0.0)
    poses = np.stack([body(202.0), body(2.0), body(100.0)])
    assert memory.recognise(poses, 0.5, set()) == {0: two, 1: one}
    assert memory.recognise(poses, 0.5, {1}) == {0: two}
    assert memory.missing({1}) == [two]
    assert memory.of(2) is two and memory.of(3) is None
    assert memory.recognise(np.zeros((0, 16, 2)), 0.5, set()) == {}
    assert PeopleMemory().recognise(poses, 0.5, set()) == {}


def test_one_who_strayed_is_recognised_at_the_anchor_too():
    memory = PeopleMemory()
    person = memory.add(1, body(0.0), 0.0)
    person.see(body(300.0), 1.0, False)
    assert memory.recognise(body(0.0)[None], 1.0, set()) == {0: person}
    assert memory.recognise(body(300.0)[None], 1.0, set()) == {0: person}


def test_who_is_forgotten():
    memory = PeopleMemory()
    for track, seen_s in ((1, 0.0), (2, 5.0), (3, 0.0), (0, 0.0)):
        memory.add(track, body(), seen_s)
    memory.forget(10.0, 10.0, SIZE_WH, {3})
    assert len(memory.people) == 4
    memory.forget(10.1, 10.0, SIZE_WH, {3})
    assert [person.track for person in memory.people] == [2, 3]
    memory.forget(4.0, 10.0, SIZE_WH, {3})       # time went back
    assert [person.track for person in memory.people] == [3]
    memory.forget(4.0, 10.0, (320, 240), {3})
    assert memory.people == []
