import pytest

from infant_pose_ros.ros.pace import Pace


def paced(*times_s):
    pace = Pace()
    for at_s in times_s:
        pace.tick(at_s)
    return pace


@pytest.mark.parametrize('times_s, period_s', [
    ((), 0.0), ((5.0,), 0.0), ((5.0, 9.0), 4.0), ((5.0, 9.0, 10.0), 1.0),
    ((0.0, 1.0, 2.0, 60.0, 61.0), 1.0),                 # a pause changes nothing
    ((0.0, 9.0, *range(10, 21)), 1.0)])                 # nor does what lies far back
def test_the_period_is_the_median_of_the_last_intervals(times_s, period_s):
    assert paced(*times_s).period_s == period_s


def test_the_last_one_is_news_for_two_seconds_or_three_periods():
    often, seldom = paced(10.0, 10.1), paced(10.0, 13.0)
    assert often.is_recent(12.1) and not often.is_recent(12.2)
    assert seldom.recent_s() == 9.0
    assert seldom.is_recent(22.0) and not seldom.is_recent(22.1)
    assert often.is_recent(15.0, least_s=5.0)


def test_what_never_came_is_no_news():
    assert not paced().is_recent(0.0) and paced(7.0).is_recent(8.0)
