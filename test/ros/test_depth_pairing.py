from infant_pose_ros.ros.depth_pairing import DepthPairing, MAX_DEPTHS, MAX_WAITING


def test_a_frame_leaves_at_once_when_its_depth_is_there():
    pairing = DepthPairing(0.1)
    assert pairing.add_depth(1000, 'd', 0.0) == []
    assert pairing.add_frame(1000, 'f', 0.01) == [('f', 'd')]


def test_a_frame_waits_for_its_depth_and_not_for_another():
    pairing = DepthPairing(0.1)
    assert pairing.add_frame(1000, 'f', 0.0) == []
    assert pairing.add_depth(1001, 'one ns later', 0.01) == []
    assert pairing.add_depth(1000, 'd', 0.02) == [('f', 'd')]


def test_a_frame_waits_no_longer_than_it_may():
    pairing = DepthPairing(0.1)
    pairing.add_frame(1000, 'f', 0.0)
    assert pairing.expired(0.099) == []
    assert pairing.expired(0.1) == [('f', None)]
    assert pairing.expired(9.0) == []
    assert pairing.add_depth(1000, 'late', 9.0) == []      # used by nobody
    assert DepthPairing(0.0).add_frame(1, 'f', 5.0) == [('f', None)]


def test_pictures_without_a_stamp_are_never_of_the_same_moment():
    pairing = DepthPairing(1.0)
    assert pairing.add_depth(0, 'some other moment', 0.0) == []
    assert pairing.add_frame(0, 'f', 0.5) == [('f', None)]
    assert pairing.add_depth(0, 'late', 0.5) == []


def test_frames_leave_in_order():
    pairing = DepthPairing(1.0)
    pairing.add_frame(1, 'first', 0.0)
    pairing.add_frame(2, 'second', 0.0)
    pairing.add_frame(3, 'third', 0.0)
    assert pairing.add_depth(2, 'd', 0.1) == [('first', None), ('second', 'd')]
    assert pairing.add_depth(3, 'e', 0.1) == [('third', 'e')]


def test_what_is_kept_has_bounds():
    pairing = DepthPairing(1e9)
    ready = [pairing.add_frame(stamp, stamp, 0.0) for stamp in range(1, MAX_WAITING + 2)]
    assert ready == [[]] * MAX_WAITING + [[(1, None)]]
    pairing.clear()
    for stamp in range(1, MAX_DEPTHS + 2):
        pairing.add_depth(stamp, stamp, 0.0)
    pairing.wait_s = 0.0
    assert pairing.add_frame(1, 'f', 0.0) == [('f', None)]
    assert pairing.add_frame(2, 'g', 0.0) == [('g', 2)]


def test_clear_gives_back_who_waited():
    pairing = DepthPairing(1.0)
    pairing.add_frame(1, 'f', 0.0)
    pairing.add_depth(2, 'd', 0.0)
    assert pairing.clear() == ['f']
    assert pairing.add_frame(2, 'g', 0.0) == []
