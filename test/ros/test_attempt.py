import pytest

from infant_pose_ros.ros.attempt import Attempt, surviving


@pytest.mark.parametrize('error', [KeyError('a'), MemoryError(), SystemExit(3), StopIteration()])
def test_whatever_is_raised_is_kept(error):
    with Attempt() as attempt:
        raise error
    assert attempt.error is error
    assert attempt.reason == f'{type(error).__name__}: {error}'


def test_nothing_raised_is_no_error():
    with Attempt() as attempt:
        done = True
    assert done and attempt.error is None


def test_an_interruption_by_the_keyboard_passes():
    with pytest.raises(KeyboardInterrupt), Attempt():
        raise KeyboardInterrupt


def test_a_surviving_callback_tells_what_went_wrong_and_goes_on():
    taken, told = [], []

    def callback(message):
        if message == 'bad':
            raise OverflowError('made to fail')
        taken.append(message)

    survivor = surviving(callback, told.append)
    for message in ('first', 'bad', 'last'):
        survivor(message)
    assert (taken, told) == (['first', 'last'], ['OverflowError: made to fail'])
