from types import SimpleNamespace

import pytest

from infant_pose_ros.ros.overlay import RateMeter, StampMatcher


def test_matcher_pairs_by_stamp_whichever_comes_first():
    matcher = StampMatcher(('image', 'keypoints'), 5)
    assert matcher.add('image', 10, 'i10') is None
    assert matcher.add('keypoints', 10, 'k10') == {'image': 'i10', 'keypoints': 'k10'}
    assert matcher.add('keypoints', 20, 'k20') is None
    assert matcher.add('image', 20, 'i20') == {'image': 'i20', 'keypoints': 'k20'}
    assert len(matcher) == 0


def test_matcher_never_pairs_different_stamps_and_leaves_out_the_unanswered():
    matcher = StampMatcher(('image', 'keypoints'), 5)
    for stamp in (1, 2, 3, 4):
        matcher.add('image', stamp, f'i{stamp}')
    assert matcher.add('keypoints', 3, 'k3') == {'image': 'i3', 'keypoints': 'k3'}
    assert len(matcher) == 1  # 1 and 2 are gone, 4 still waits
    assert matcher.add('keypoints', 2, 'k2') is None
    assert matcher.add('keypoints', 4, 'k4') == {'image': 'i4', 'keypoints': 'k4'}


def test_matcher_keeps_no_more_than_it_may():
    matcher = StampMatcher(('image', 'keypoints'), 3)
    for stamp in range(10):
        assert matcher.add('image', stamp, stamp) is None
    assert len(matcher) == 3
    assert matcher.add('keypoints', 6, 'k') is None
    assert matcher.add('keypoints', 9, 'k') == {'image': 9, 'keypoints': 'k'}


def test_matcher_keeps_no_more_bytes_than_it_may(monkeypatch):
    monkeypatch.setattr('infant_pose_ros.ros.overlay.MAX_WAITING_BYTES', 1000)
    matcher = StampMatcher(('image', 'keypoints'), 60)
    for stamp in range(5):
        matcher.add('image', stamp, SimpleNamespace(data=bytes(400)))
    assert len(matcher) == 2
    large = SimpleNamespace(data=bytes(5000))
    matcher.add('image', 9, large)
    assert len(matcher) == 1    # the newest one may wait, whatever its size
    assert matcher.add('keypoints', 9, 'k') == {'image': large, 'keypoints': 'k'}


def test_matcher_goes_on_after_a_jump_back():
    matcher = StampMatcher(('image', 'keypoints'), 2)
    for stamp in (100, 101):
        matcher.add('image', stamp, 'before')
    assert matcher.add('image', 1, 'after') is None
    assert matcher.add('keypoints', 1, 'k') == {'image': 'after', 'keypoints': 'k'}


def test_matcher_waits_for_all_of_three():
    matcher = StampMatcher(('image', 'keypoints', 'keypoints_raw'), 5)
    assert matcher.add('image', 1, 'i') is None
    assert matcher.add('keypoints', 1, 'k') is None
    assert set(matcher.add('keypoints_raw', 1, 'r')) == {'image', 'keypoints', 'keypoints_raw'}


def test_rate_from_stamps_and_anew_after_a_jump_back():
    meter = RateMeter()
    assert meter.tick(1_000_000_000) is None
    assert meter.tick(1_100_000_000) == pytest.approx(10.0)
    assert meter.tick(1_150_000_000) == pytest.approx(2 / 0.15)
    assert meter.tick(5) is None


def test_what_is_left_out_is_told():
    left_out = []
    matcher = StampMatcher(('image', 'keypoints'), 2, left_out.append)
    matcher.add('image', 1, 'a')
    matcher.add('keypoints', 2, 'b')
    assert matcher.add('image', 2, 'c') == {'keypoints': 'b', 'image': 'c'}
    assert left_out == [{'image': 'a'}]
    for stamp in (3, 4, 5):
        matcher.add('image', stamp, stamp)
    assert left_out == [{'image': 'a'}, {'image': 3}]


def test_of_two_messages_with_one_stamp_the_first_is_left_out():
    left_out = []
    matcher = StampMatcher(('image', 'keypoints'), 5, left_out.append)
    assert matcher.add('image', 1, 'a') is None and matcher.add('image', 1, 'b') is None
    assert left_out == [{'image': 'a'}]
    assert matcher.add('keypoints', 1, 'k') == {'image': 'b', 'keypoints': 'k'}


def test_all_that_waits_can_be_given_up():
    left_out = []
    matcher = StampMatcher(('image', 'keypoints'), 5, left_out.append)
    matcher.add('image', 1, 'a')
    matcher.add('keypoints', 2, 'b')
    matcher.give_up()
    assert left_out == [{'image': 'a'}, {'keypoints': 'b'}] and len(matcher) == 0
