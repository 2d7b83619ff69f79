import pytest
from sensor_msgs.msg import Image

from infant_pose_ros.ros.frame import Frame, InHand


def test_a_frame_knows_its_stamp_and_size():
    message = Image(height=2, width=3, encoding='mono8', step=3, data=bytes(6))
    message.header.stamp.sec, message.header.stamp.nanosec = 2, 5
    frame = Frame('left', message, 7, None)
    assert (frame.stamp_ns, frame.num_bytes) == (2_000_000_005, 6)


def test_so_much_may_wait_and_no_more():
    in_hand = InHand(100)
    assert in_hand.take(60) and in_hand.take(40)
    assert not in_hand.take(1)
    in_hand.give_back(60)
    assert in_hand.take(60) and not in_hand.take(1)


def test_one_picture_always_may_however_large():
    in_hand = InHand(100)
    assert in_hand.take(1000)
    assert not in_hand.take(0)
    in_hand.give_back(1000)
    assert in_hand.take(1000)


@pytest.mark.parametrize('num_bytes', [0, 10 ** 12])
def test_without_a_limit_all_may(num_bytes):
    in_hand = InHand(None)
    assert in_hand.take(num_bytes) and in_hand.take(num_bytes)


def test_its_depth_picture_counts_as_soon_as_it_is_known():
    frame = Frame('left', Image(data=bytes(6)), 7, None)
    frame.depth = Image(data=bytes(12))
    assert frame.num_bytes == 18
