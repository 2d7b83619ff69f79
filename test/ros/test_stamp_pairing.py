from types import SimpleNamespace

from infant_pose_ros.ros.stamp_pairing import MAX_WAITING, StampPairing

NOTHING, D = {'depth': None}, {'depth': 'd'}


def pairing_of_depth():
    return StampPairing({'depth': 8})


def test_a_frame_leaves_at_once_when_its_depth_is_there():
    pairing = pairing_of_depth()
    assert pairing.add('depth', 1000, 'd', 0.0) == []
    assert pairing.add_frame(1000, 'f', 0.01, 0.1) == [('f', D)]


def test_a_frame_waits_for_its_depth_and_not_for_another():
    pairing = pairing_of_depth()
    assert pairing.add_frame(1000, 'f', 0.0, 0.1) == []
    assert pairing.add('depth', 1001, 'one ns later', 0.01) == []
    assert pairing.num_waiting == 1
    assert pairing.add('depth', 1000, 'd', 0.02) == [('f', D)]
    assert pairing.num_waiting == 0


def test_a_frame_waits_no_longer_than_it_may():
    pairing = pairing_of_depth()
    pairing.add_frame(1000, 'f', 0.0, 0.1)
    assert pairing.ready(0.099) == []
    assert pairing.ready(0.1) == [('f', NOTHING)]
    assert pairing.ready(9.0) == []
    assert pairing.add('depth', 1000, 'late', 9.0) == []      # used by nobody
    assert pairing.add_frame(1, 'f', 5.0, 0.0) == [('f', NOTHING)]


def test_a_frame_waits_only_for_what_is_wanted():
    pairing = StampPairing({'depth': 8, 'camera_info': 8})
    assert pairing.add_frame(1, 'f', 0.0, 1.0, ()) == [('f', {'depth': None, 'camera_info': None})]
    assert pairing.add_frame(2, 'g', 0.0, 1.0, ['camera_info']) == []
    assert pairing.add('camera_info', 2, 'c', 0.1) == [('g', {'depth': None, 'camera_info': 'c'})]
    assert pairing.add_frame(3, 'h', 0.2, 1.0) == []
    assert pairing.add('camera_info', 3, 'c', 0.3) == []
    assert pairing.add('depth', 3, 'd', 0.4) == [('h', {'depth': 'd', 'camera_info': 'c'})]


def test_pictures_without_a_stamp_are_never_of_the_same_moment():
    pairing = pairing_of_depth()
    assert pairing.add('depth', 0, 'some other moment', 0.0) == []
    assert pairing.add_frame(0, 'f', 0.5, 1.0) == [('f', NOTHING)]
    assert pairing.add('depth', 0, 'late', 0.5) == []


def test_frames_leave_in_order():
    pairing = pairing_of_depth()
    pairing.add_frame(1, 'first', 0.0, 1.0)
    pairing.add_frame(2, 'second', 0.0, 1.0)
    pairing.add_frame(3, 'third', 0.0, 1.0)
    assert pairing.add('depth', 2, 'd', 0.1) == [('first', NOTHING), ('second', D)]
    assert pairing.add('depth', 3, 'd', 0.1) == [('third', D)]


def test_what_is_kept_has_bounds():
    pairing = StampPairing({'depth': 3})
    ready = [pairing.add_frame(stamp, stamp, 0.0, 1e9) for stamp in range(1, MAX_WAITING + 2)]
    assert ready == [[]] * MAX_WAITING + [[(1, NOTHING)]]
    pairing.clear()
    for stamp in range(1, 5):
        pairing.add('depth', stamp, stamp, 0.0)
    assert pairing.add_frame(1, 'f', 0.0, 0.0) == [('f', NOTHING)]
    assert pairing.add_frame(2, 'g', 0.0, 0.0) == [('g', {'depth': 2})]


def test_clear_gives_back_who_waited():
    pairing = pairing_of_depth()
    pairing.add_frame(1, 'f', 0.0, 1.0)
    pairing.add('depth', 2, 'd', 0.0)
    assert pairing.clear() == ['f']
    assert pairing.add_frame(2, 'g', 0.0, 1.0) == []


def test_depth_pictures_are_kept_as_far_as_their_bytes_allow():
    pairing = StampPairing({'depth': 8}, max_bytes=100)
    depths = [SimpleNamespace(data=bytes(size)) for size in (60, 40, 50, 1000)]
    for stamp_ns, depth in enumerate(depths[:3], start=1):
        pairing.add('depth', stamp_ns, depth, 0.0)
    assert pairing.add_frame(1, 'f', 0.0, 0.0) == [('f', NOTHING)]      # gave way to the third
    assert pairing.add_frame(2, 'g', 0.0, 0.0) == [('g', {'depth': depths[1]})]
    pairing.add('depth', 4, depths[3], 0.0)
    assert pairing.add_frame(4, 'h', 0.0, 0.0) == [('h', {'depth': depths[3]})]
