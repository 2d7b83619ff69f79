import numpy as np
import pytest

from infant_pose_ros.config import PoseNodeSettings
from infant_pose_ros.ros.camera_health import CameraHealth, Lasting
from infant_pose_ros.ros.faults import DepthStatus, InputStatus, Severity

WELL = InputStatus('/image', num_publishers=1, has_camera_info=True, camera_size_wh=(160, 120))
NS = 10 ** 9
_random = np.random.default_rng(0)


def picture(low=100, high=200):
    """Another picture of plain blocks at each call."""
    blocks = _random.integers(low, high, (6, 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((20, 20, 1), np.uint8))


def blurred():
    ramp = 60 + _random.integers(0, 5) + 2 * np.abs(np.arange(160) % 80 - 40).astype(np.uint8)
    return np.broadcast_to(ramp[None, :, None], (120, 160, 3)).copy()


class Life:
    """A camera of 10 Hz from 100 s on, which is answered at once."""

    def __init__(self, make_result, inputs=WELL, **settings):
        self.health = CameraHealth(PoseNodeSettings(**settings))
        self.now_s, self.inputs, self._make_result = 100.0, inputs, make_result
        self.health.restart(self.now_s)
        self.health.counters.arrived(self.now_s)

    def run(self, seconds, make=picture, infants=('one',), answer=True, clock=True, stamps=True):
        for _ in range(round(10 * seconds)):
            self.now_s += 0.1
            now_ns = round(self.now_s * NS)
            self.health.counters.arrived(self.now_s)
            self.health.message_came(now_ns if stamps else NS, now_ns, self.now_s)
            if answer:
                self.health.picture_decoded(make(), self.now_s)
                result = self._make_result([])
                object.__setattr__(result, 'infants', tuple(infants))
                self.health.answered(result, self.now_s)
        return self.names()

    def faults(self, depth=None):
        return self.health.faults(self.now_s, self.inputs, depth)

    def names(self):
        return [fault.name for fault in self.faults()]

    def fault(self, name):
        (found,) = [fault for fault in self.faults() if fault.name == name]
        return found


@pytest.fixture
def live(make_result):
    return lambda *args, **settings: Life(make_result, *args, **settings)


def test_what_flickers_does_not_count():
    lasting = Lasting()
    assert not any(lasting.update(step % 2 == 0, 0.6 * step) for step in range(20))
    assert [lasting.update(True, now_s) for now_s in (20.0, 20.9, 21.0)] == [False, False, True]
    assert [lasting.update(False, now_s) for now_s in (22.0, 22.9, 23.0)] == [True, True, False]


def test_a_camera_that_is_well_has_no_faults(live):
    life = live()
    assert life.run(10) == []
    values = life.health.values(life.now_s)
    assert values['picture'] == '160x120' and 130 < int(values['brightness']) < 170
    assert float(values['sharpness']) > 0.7


def test_too_dark_for_a_second_until_well_again(live):
    life = live()
    dark = lambda: picture(2, 9)        # noqa: E731
    assert life.run(0.9, dark) == [] and life.run(0.4, dark) == ['too_dark']
    fault = life.fault('too_dark')
    assert fault.severity == Severity.WARN and 'light the room' in fault.text
    assert 'limit 15' in fault.text
    assert life.run(2, lambda: np.full((120, 160, 3), 16 + _random.integers(0, 2), np.uint8)) == [
        'too_dark']     # over the limit, but not by as much as it takes
    assert life.run(2) == []
    life = live(brightness_min=0.0)
    assert life.run(3, dark) == []


def test_too_blurred(live):
    life = live()
    assert life.run(3, blurred) == ['too_blurred']
    assert 'focus and clean the lens' in life.fault('too_blurred').text
    assert life.run(3) == []
    life.health.update_settings(PoseNodeSettings(sharpness_min=0.0))
    assert life.run(3, blurred) == []


def test_a_picture_that_stands_still_while_stamps_advance(live):
    life, still = live(), picture()
    assert life.run(5, lambda: still) == []
    assert life.run(1, lambda: still) == ['frozen_picture']
    assert 'restart the camera' in life.fault('frozen_picture').text
    assert life.run(0.2) == []
    assert live(frozen_warn_s=0.0).run(20, lambda: still) == []


def test_stamps_that_stand_still_are_not_taken_for_a_frozen_picture(live):
    life, still = live(), picture()
    assert 'frozen_picture' not in life.run(12, lambda: still, stamps=False)
    assert 'stamps_stand_still' in life.names()


def test_nobody_in_view_for_long(live):
    life = live()
    assert life.run(30, infants=()) == [] and life.run(1, infants=()) == ['no_infant']
    assert 'no infant found for 31 s' in life.fault('no_infant').text
    assert life.run(0.1) == []
    life = live(no_infant_warn_s=0.0)
    assert life.run(60, infants=()) == []


def test_without_answers_nobody_is_not_told(live):
    life = live()
    life.run(1, infants=())
    assert 'no_infant' not in life.run(60, answer=False)


def test_nobody_is_waited_for_anew_after_a_pause(live):
    life = live()
    life.run(1, infants=())
    life.now_s += 40.0
    assert life.run(0.5, infants=()) == []


def test_no_image_and_its_end(live):
    life = live()
    life.now_s += 2.5
    assert life.names() == ['no_image']
    assert life.run(1) == []
    life.now_s += 3.0
    life.health.restart(life.now_s)     # it waits anew
    assert life.names() == []


@pytest.mark.parametrize('publishers, mend', [(0, 'play the bag with --clock'), (1, 'paused')])
def test_a_clock_that_stands_still(live, publishers, mend):
    standing = InputStatus('/image', num_publishers=1, has_camera_info=True, uses_sim_time=True,
                           clock_ns=5, num_clock_publishers=publishers)
    life = live(standing)
    assert life.names() == []
    life.now_s += 3.0
    assert life.names() == ['clock_stands_still']       # and not that no image comes
    assert mend in life.fault('clock_stands_still').text
    life.inputs = InputStatus('/image', num_publishers=1, has_camera_info=True,
                              uses_sim_time=True, clock_ns=6)
    life.run(0.1)
    assert life.names() == []
    life.now_s += 1.0
    life.inputs = WELL      # a clock that isn't /clock may do as it likes
    assert life.names() == []


def test_a_scaled_camera_info_is_a_note(live):
    life = live(InputStatus('/image', num_publishers=1, has_camera_info=True,
                            camera_size_wh=(640, 480)))
    life.run(1)
    (note,) = life.faults()
    assert (note.name, note.severity) == ('camera_info_scaled', Severity.OK)
    assert 'CameraInfo for 640x480 is scaled to the picture, 160x120' in note.text


def test_falling_behind_ends_at_half_its_limit(live):
    life = live(drop_warn_share=0.4)
    life.run(5)
    for _ in range(21):
        life.health.counters.dropped(life.now_s)
    assert life.names() == ['falling_behind']
    assert life.run(2.5) == ['falling_behind']
    for _ in range(12):
        life.health.counters.dropped(life.now_s)
    assert life.run(3) == ['falling_behind']    # 12 of 50
    life.run(5.1)
    assert life.names() == []
    for _ in range(12):
        life.health.counters.dropped(life.now_s)
    assert life.names() == []


def test_depth_is_told_of_where_it_is_asked_for(live):
    life = live()
    life.run(1)
    life.health.counters.depth(life.now_s, False, None)
    assert life.names() == []
    assert [fault.name for fault in life.faults(DepthStatus('/depth', 0))] == ['no_depth']


def seldom(life, seconds, period_s=3, make=picture, infants=()):
    """A picture every few seconds, answered at once; the names after each second."""
    told = []
    for second in range(seconds):
        life.now_s += 1.0
        if second % period_s == 0:
            now_ns = round(life.now_s * NS)
            life.health.counters.arrived(life.now_s)
            life.health.message_came(now_ns, now_ns, life.now_s)
            life.health.picture_decoded(make(), life.now_s)
            result = life._make_result([])
            object.__setattr__(result, 'infants', tuple(infants))
            life.health.answered(result, life.now_s)
        told.append(life.names())
    return told


def test_nobody_in_view_of_a_camera_of_few_pictures(live):
    life = live(no_image_warn_s=10.0)
    told = seldom(life, 40)         # waits anew with the second picture, 4 s after the beginning
    assert told[:33] == [[]] * 33 and told[34:] == [['no_infant']] * 6
    assert seldom(life, 3, infants=('one',)) == [[]] * 3


def test_a_dark_picture_is_told_of_till_the_next_one(live):
    life = live(no_image_warn_s=10.0)
    told = seldom(life, 32, 4, lambda: picture(2, 9), ('one',))
    assert told[4:] == [['too_dark']] * 28
    assert 'brightness' in life.health.values(life.now_s)       # 3 s old
    assert seldom(life, 9, 4, infants=('one',))[-1] == []
    life.now_s += 12.5                                          # over three periods old
    assert 'brightness' not in life.health.values(life.now_s)


@pytest.mark.parametrize('rate_hz', [1.0, 1.9, 2.1])
def test_falling_behind_at_few_pictures_a_second_is_told_without_a_break(live, rate_hz):
    life, told = live(), []
    for index in range(60):         # every other picture is replaced by the next
        life.now_s = 100.0 + index / rate_hz
        life.health.counters.arrived(life.now_s)
        if index % 2:
            life.health.counters.dropped(life.now_s)
        else:
            life.health.counters.begun(life.now_s)
            life.health.counters.answered(life.now_s, None, {}, 1)
        told.append('falling_behind' in life.names())
    assert told[15:] == [True] * 45


def test_a_frame_that_hangs_is_told(live):
    life = live()
    life.run(1)
    life.health.counters.begun(life.now_s)
    assert life.run(5, answer=False) == [] and life.run(1, answer=False) == ['worker_stuck']
    life.health.counters.answered(life.now_s, None, {}, 1)
    assert life.names() == []
