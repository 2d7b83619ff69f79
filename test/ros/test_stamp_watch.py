import pytest

from infant_pose_ros.ros.faults import Severity
from infant_pose_ros.ros.stamp_watch import StampWatch

MS = 1_000_000
START_NS = 1_700_000_000_000 * MS


def watched(stamps_ms, period_s=0.1, clock_ahead_ms=20):
    """A watch that saw these stamps, one every `period_s`, and the time of the last one."""
    watch, now_s = StampWatch(), 50.0
    for index, stamp_ms in enumerate(stamps_ms):
        now_s = 50.0 + index * period_s
        now_ns = START_NS + round(index * period_s * 1e9) + clock_ahead_ms * MS
        watch.saw(START_NS + round(stamp_ms * MS), now_ns, now_s)
    return watch, now_s


def told(watch, now_s):
    return [(fault.name, fault.severity) for fault in watch.faults(now_s)]


def test_stamps_that_advance_are_well():
    watch, now_s = watched(range(0, 3000, 100))
    assert told(watch, now_s) == [] and watch.still_s == 0.0
    assert told(StampWatch(), 0.0) == []


def test_one_stamp_for_more_than_a_second_stands_still():
    watch, now_s = watched([0] * 11)
    assert watch.still_s == pytest.approx(1.0) and told(watch, now_s) == []
    watch, now_s = watched([0] * 16)
    (fault,) = watch.faults(now_s)
    assert (fault.name, fault.severity) == ('stamps_stand_still', Severity.WARN)
    assert 'images of the last 1.5 s carry the stamp 1700000000.000' in fault.text
    watch, now_s = watched([0] * 16 + [100])
    assert told(watch, now_s) == []
    watch, now_s = watched([0] * 16)
    assert told(watch, now_s + 6.0) == []       # no image comes any more: another fault


def test_one_step_back_is_a_note_and_many_are_a_fault():
    watch, now_s = watched([*range(0, 2000, 100), *range(0, 1000, 100)])
    (note,) = watch.faults(now_s)
    assert (note.name, note.severity) == ('stamps_jumped_back', Severity.OK)
    assert 'jumped back by 1.900 s' in note.text
    assert told(watch, now_s + 5.0) == []
    two_publishers = [index * 50 - 700 * (index % 2) for index in range(40)]
    (fault,) = watched(two_publishers)[0].faults(now_s)
    assert (fault.name, fault.severity) == ('stamps_run_backwards', Severity.WARN)
    assert '20 of 40 recent stamps' in fault.text and '0.650 s' in fault.text


def test_a_short_clip_that_loops_is_no_fault():
    # 15 pictures, three times over: 2 steps back; 10 pictures: a tenth of the steps
    assert told(*watched([*range(0, 1500, 100)] * 3)) == [('stamps_jumped_back', Severity.OK)]
    assert told(*watched([*range(0, 1000, 100)] * 5)) == [('stamps_jumped_back', Severity.OK)]


def test_stamps_of_zero_are_no_stamps_from_the_second_on():
    watch = StampWatch()
    watch.saw(0, START_NS, 1.0)
    assert watch.is_stamped and told(watch, 1.0) == []
    watch.saw(0, START_NS, 1.1)
    assert told(watch, 1.1) == [('no_stamps', Severity.WARN)]
    for index in range(20):
        watch.saw(0, START_NS, 1.2 + 0.1 * index)
    assert told(watch, 3.2) == [('no_stamps', Severity.WARN)]
    watch.saw(START_NS, START_NS, 3.3)
    assert told(watch, 3.3) == []


@pytest.mark.parametrize('ahead_ms, expected', [(40, None), (60, '60 ms'), (3_600_000, '3600000')])
def test_stamps_in_the_future(ahead_ms, expected):
    watch, now_s = watched(range(0, 3000, 100), clock_ahead_ms=-ahead_ms)
    found = [fault.text for fault in watch.faults(now_s) if fault.name == 'stamps_in_future']
    assert bool(found) == (expected is not None)
    assert expected is None or expected in found[0]


def test_a_clock_that_does_not_run_tells_no_ages():
    watch = StampWatch()
    for index in range(20):
        watch.saw(START_NS + index * 100 * MS, 0, 0.1 * index)
    assert told(watch, 2.0) == []
