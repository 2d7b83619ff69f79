import pytest

from infant_pose_ros.ros.faults import InputStatus, Severity
from infant_pose_ros.ros.overlay_watch import OverlayWatch

WELL = InputStatus('/image', num_publishers=1, has_camera_info=True)


@pytest.fixture
def watch():
    return OverlayWatch(100.0)


def run(watch, from_s, seconds, answered=1.0):
    """Pictures at 10 Hz, of which a share has its keypoints."""
    for index in range(round(10 * seconds)):
        now_s = from_s + 0.1 * index
        watch.picture_came(now_s)
        if int(index * answered) != int((index + 1) * answered):
            watch.keypoints_came(now_s)
            watch.drawn(now_s)
        else:
            watch.given_up(now_s)


def report(watch, now_s, inputs=WELL, publishers=1, privacy='off'):
    return watch.report(now_s, inputs, '/keypoints', publishers, privacy)


def names(*args, **kwargs):
    return [fault.name for fault in report(*args, **kwargs)[0]]


def test_all_is_well(watch):
    run(watch, 100.0, 10.0)
    faults, summary, values = report(watch, 110.0, privacy='black')
    assert (faults, summary) == ([], '10.0 pictures a second, drawn on black')
    assert (values['privacy'], values['pictures_drawn'], values['pictures_unanswered']) == (
        'black', '100', '0')
    # frames_in and the like are pose_node's: who reads them must not take ours for them
    assert not any(name.startswith('frames_') for name in values)


def test_no_image(watch):
    assert names(watch, 102.9) == []
    assert names(watch, 104.0) == ['no_image']
    assert names(watch, 104.0, InputStatus('/image')) == ['no_publisher']


@pytest.mark.parametrize('publishers, mend', [(0, 'start pose_node'), (1, 'its own|their')])
def test_no_keypoints(watch, publishers, mend):
    for index in range(105):
        watch.picture_came(100.0 + 0.1 * index)
    (fault,) = report(watch, 110.5, publishers=publishers)[0]
    assert (fault.name, fault.severity) == ('no_keypoints', Severity.ERROR)
    assert any(part in fault.text for part in mend.split('|'))
    watch.keypoints_came(110.5)
    assert names(watch, 110.5) == []


def test_pictures_that_are_never_answered(watch):
    run(watch, 100.0, 5.0, answered=0.5)
    assert names(watch, 105.0) == []
    run(watch, 105.0, 5.1, answered=0.4)
    assert names(watch, 110.0) == ['pictures_unanswered']
    run(watch, 110.1, 5.1, answered=0.6)
    assert names(watch, 115.1) == ['pictures_unanswered']      # over at half of the limit
    run(watch, 115.2, 5.1, answered=0.8)
    assert names(watch, 120.2) == []


def test_pictures_that_waited_long_are_a_share_of_those_that_were_settled(watch):
    run(watch, 100.0, 10.0)
    for index in range(100):        # these wait ...
        watch.picture_came(110.0 + 0.01 * index)
    for index in range(50):         # ... and are left out when they came long ago
        now_s = 112.0 + 0.1 * index
        watch.picture_came(now_s)
        watch.keypoints_came(now_s)
        watch.drawn(now_s)
        watch.given_up(now_s)
        watch.given_up(now_s)
    (fault,) = report(watch, 117.0)[0]
    assert fault.text.startswith('100 of 150 recent pictures were left out')


def test_first_keypoints_may_take_longer_and_what_waited_for_them_is_no_fault(watch):
    for index in range(80):
        watch.picture_came(100.0 + 0.1 * index)
    assert names(watch, 108.0) == []
    watch.keypoints_came(108.0)
    for _ in range(79):
        watch.given_up(108.0)
    run(watch, 108.0, 6.0)
    assert names(watch, 109.0) == names(watch, 114.0) == []


def test_keypoints_are_not_waited_for_while_no_picture_comes(watch):
    watch.picture_came(120.0)       # the camera took its time to start
    watch.keypoints_came(120.1)
    watch.picture_came(122.0)
    watch.picture_came(123.5)
    watch.picture_came(125.0)       # every 1.5 s: three periods are 4.5 s
    assert names(watch, 124.5) == [] and names(watch, 125.0) == ['no_keypoints']
    watch.picture_came(140.0)       # it was away for a while
    assert names(watch, 140.5) == []


def test_a_picture_that_failed_shows_for_a_while(watch):
    run(watch, 100.0, 1.0)
    watch.failed(101.0, 'EncodingError: truncated')
    (fault,) = report(watch, 101.5)[0]
    assert (fault.name, fault.severity) == ('picture_failed', Severity.ERROR)
    assert 'truncated' in fault.text
    run(watch, 101.0, 6.0)
    assert names(watch, 107.0) == []


def test_pictures_without_stamps_are_left_out_and_told(watch):
    for index in range(105):
        watch.picture_came(100.0 + 0.1 * index, is_stamped=False)
        watch.keypoints_came(100.0 + 0.1 * index)
    (fault,), _, values = report(watch, 110.5)
    assert fault.name == 'no_stamps' and 'let the driver stamp' in fault.text
    assert (values['pictures_drawn'], values['pictures_unanswered']) == ('0', '105')
    run(watch, 111.0, 10.0)
    assert names(watch, 121.0) == []


def test_pictures_and_keypoints_that_come_seldom_are_no_fault(watch):
    seen = []
    for second in range(60):        # every 4 s, each answered half a second later
        if second % 4 == 0:
            watch.picture_came(100.0 + second)
            watch.keypoints_came(100.5 + second)
            watch.drawn(100.5 + second)
        seen.append(names(watch, 100.9 + second))
    assert seen[:3] == [[]] * 3 and 'no_image' in seen[3]   # how seldom is not known yet
    assert seen[4:] == [[]] * 56
    for now_s in (160.0, 164.0, 168.0):
        watch.picture_came(now_s)       # the last keypoints came at 156.5 s, and 12 s are waited
    assert names(watch, 168.4) == [] and names(watch, 168.6) == ['no_keypoints']
