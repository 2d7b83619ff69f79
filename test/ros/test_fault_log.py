import pytest

from infant_pose_ros.ros.fault_log import FaultLog
from infant_pose_ros.ros.faults import Fault, Severity

DARK = Fault(Severity.WARN, 'too_dark', 'dark: light the room')
DEAD = Fault(Severity.ERROR, 'no_image', 'no image: start the camera')
NOTE = Fault(Severity.OK, 'stamps_jumped_back', 'began again')


class Lines:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def error(self, text):
        self.lines.append(('error', text))

    def warning(self, text):
        self.lines.append(('warning', text))

    def info(self, text):
        self.lines.append(('info', text))


@pytest.fixture
def log():
    lines = Lines()
    return FaultLog(lines, 60.0), lines.lines


def test_a_fault_is_told_once_then_each_minute_and_when_it_is_over(log):
    log, lines = log
    for now_s in range(100, 190):
        log.tell('', [DARK], float(now_s))
    assert lines == [('warning', 'dark: light the room [too_dark]')] * 2
    log.tell('', [], 190.0)
    log.tell('', [], 191.0)
    assert lines[2:] == [('info', 'over after 90 s [too_dark]')]


def test_one_that_comes_and_goes_is_not_told_again_within_the_minute(log):
    log, lines = log
    for now_s in range(0, 50):
        log.tell('', [DEAD] if now_s % 2 else [], float(now_s))
    assert lines == [('error', 'no image: start the camera [no_image]'),
                     ('info', 'over after 1 s [no_image]')]
    for now_s in range(50, 80):
        log.tell('', [DEAD], float(now_s))
    assert lines[2:] == [('error', 'no image: start the camera [no_image]')]
    log.tell('', [], 80.0)
    assert lines[3:] == [('info', 'over after 31 s [no_image]')]


def test_a_warning_that_becomes_an_error_is_told_at_once_and_once(log):
    log, lines = log
    worse = Fault(Severity.ERROR, 'too_dark', 'black: light the room')
    for now_s, fault in enumerate([DARK, DARK, worse, DARK, worse]):
        log.tell('', [fault], float(now_s))
    assert lines == [('warning', 'dark: light the room [too_dark]'),
                     ('error', 'black: light the room [too_dark]')]


def test_sources_are_apart(log):
    log, lines = log
    log.tell('left', [DARK], 0.0)
    log.tell('right', [DARK, DEAD], 0.0)
    log.tell('right', [DEAD], 5.0)
    assert [text for _, text in lines] == [
        'left: dark: light the room [too_dark]', 'right: dark: light the room [too_dark]',
        'right: no image: start the camera [no_image]', 'right: over after 5 s [too_dark]']


def test_notes_are_told_once_only(log):
    log, lines = log
    for now_s in range(0, 300):
        log.tell('', [NOTE] if now_s % 10 < 5 else [], float(now_s))
    assert lines == [('info', 'began again [stamps_jumped_back]')]


def test_a_note_does_not_hush_a_warning_of_the_same_name(log):
    log, lines = log
    note = Fault(Severity.OK, 'too_dark', 'dim, but it will do')
    for now_s, fault in enumerate([note, DARK, note]):
        log.tell('', [fault], float(now_s))
    assert lines == [('info', 'dim, but it will do [too_dark]'),
                     ('warning', 'dark: light the room [too_dark]'),
                     ('info', 'over after 1 s [too_dark]')]
