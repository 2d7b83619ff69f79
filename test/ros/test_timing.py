from builtin_interfaces.msg import Time

from infant_pose_ros.ros.timing import CaptureClock, stamp_to_ns

ARRIVAL_NS = 1_700_000_000_000_000_000


def test_stamp_to_ns():
    assert stamp_to_ns(Time(sec=3, nanosec=5)) == 3_000_000_005


def test_stamps_are_taken_at_their_word():
    clock = CaptureClock()
    assert clock.seconds(2_500_000_000, ARRIVAL_NS) == 2.5
    assert clock.is_stamped


def test_a_first_zero_may_be_the_beginning_of_a_simulation():
    clock = CaptureClock()
    assert [clock.seconds(stamp, ARRIVAL_NS) for stamp in (0, 40_000_000)] == [0.0, 0.04]
    assert clock.is_stamped


def test_zeros_in_a_row_are_no_stamps_until_one_comes():
    clock = CaptureClock()
    clock.seconds(0, ARRIVAL_NS)
    assert clock.seconds(0, ARRIVAL_NS) == 1.7e9
    assert not clock.is_stamped
    assert clock.seconds(1_000_000_000, ARRIVAL_NS) == 1.0
    assert clock.is_stamped
