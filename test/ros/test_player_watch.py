import pytest

from infant_pose_ros.ros.faults import Severity
from infant_pose_ros.ros.player_watch import PlayerWatch


def told(watch, now_s):
    faults, _, _ = watch.report(now_s, 1)
    return [(fault.name, fault.severity) for fault in faults]


def play(watch, from_s, seconds, rate_hz):
    for index in range(round(seconds * rate_hz)):
        watch.played(from_s + index / rate_hz)


def test_from_waiting_to_the_end():
    watch = PlayerWatch('clip.mp4', 10.0)
    assert watch.report(1.0, 0)[1] == 'waiting for subscribers'
    watch.began(100.0)
    play(watch, 100.0, 10.0, 10.0)
    faults, summary, values = watch.report(110.0, 2)
    assert (faults, summary) == ([], '10.0 pictures a second')
    assert values == {'state': 'playing', 'source': 'clip.mp4', 'rate_hz': '10.00',
                      'rate_wanted_hz': '10.00', 'pictures': '100', 'subscribers': '2'}
    watch.ended()
    assert told(watch, 111.0) == [('source_ended', Severity.OK)]
    assert 'end of clip.mp4: 100 pictures' in watch.report(111.0, 2)[0][0].text


@pytest.mark.parametrize('rate_hz, expected', [(7.5, ['source_slow']), (8.5, [])])
def test_a_slow_source_after_some_seconds(rate_hz, expected):
    watch = PlayerWatch('clip.mp4', 10.0)
    watch.began(100.0)
    play(watch, 100.0, 4.0, rate_hz)
    assert told(watch, 104.0) == []
    play(watch, 104.0, 6.0, rate_hz)
    assert [name for name, _ in told(watch, 110.0)] == expected


def test_a_failure_lasts_until_pictures_come_again():
    watch = PlayerWatch('/dev/video0', 30.0)
    watch.began(100.0)
    watch.failed('the webcam stopped', True)
    (fault,) = watch.report(101.0, 0)[0]
    assert (fault.name, fault.severity) == ('source_failed', Severity.ERROR)
    assert fault.text.startswith('the webcam stopped: it is tried again')
    watch.began(103.0)
    assert told(watch, 103.0) == []
    watch.failed('broken', False)
    assert 'mend or exchange the source' in watch.report(104.0, 0)[0][0].text


def test_calibration():
    watch = PlayerWatch('clip.mp4', 30.0)
    watch.calibrated(False)
    assert told(watch, 0.0) == [('not_calibrated', Severity.OK)]
    watch.calibrated(False, 'camera_info is for 100x40')
    assert told(watch, 0.0) == [('camera_info_misfit', Severity.WARN)]
    watch.calibrated(True)
    assert told(watch, 0.0) == []


@pytest.mark.parametrize('rate_hz', [0.05, 0.3, 1.0])
def test_a_seldom_picture_that_is_on_time_is_not_slow(rate_hz):
    watch = PlayerWatch('folder', rate_hz)
    watch.began(100.0)
    seen, count = [], 0
    for tick in range(200):
        now_s = 100.5 + tick
        while 100.0 + count / rate_hz <= now_s:
            watch.played(100.0 + count / rate_hz)
            count += 1
        seen += told(watch, now_s)
    assert seen == []
    # 10 or 11 of the last 15 periods' 15
    assert [name for name, _ in told(watch, 300.0 + 5.0 / rate_hz)] == ['source_slow']


def test_a_pause_before_it_was_opened_again_is_not_slow():
    watch = PlayerWatch('/dev/video0', 0.5)
    watch.began(100.0)
    play(watch, 100.0, 40.0, 0.5)
    watch.failed('unplugged', True)
    watch.began(155.0)
    play(watch, 155.0, 14.0, 0.5)
    assert told(watch, 168.0) == []
