import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.ros import camera_memory
from infant_pose_ros.ros.camera_memory import CameraMemory
from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.structures import Camera

FITS = Camera(150.0, 150.0, 79.5, 59.5, 160, 120)
NS = 10 ** 9


@pytest.fixture
def clock(monkeypatch):
    """The steady clock of `camera_memory`, as a list with its time."""
    now_s = [100.0]
    monkeypatch.setattr(camera_memory.time, 'monotonic', lambda: now_s[0])
    return now_s


def test_a_camera_is_kept_and_fitted_to_the_picture(probe):
    memory = CameraMemory()
    memory.take(encode_camera_info(FITS, probe.header()))
    assert memory.camera.width == 160 and memory.fitted(memory.camera, (160, 120)).fx == 150.0
    assert memory.fitted(memory.camera, (320, 240)).fx == 300.0
    assert memory.fitted(None, (160, 120)) is None and memory.error is None
    assert memory.fitted(memory.camera, (200, 80)) is None
    assert '160x120' in memory.fit_error and memory.error == memory.fit_error


def test_others_never_see_a_misfit_gone_that_lasts(monkeypatch):
    seen, memory = [], CameraMemory()

    def fit(camera, size_wh):
        seen.append(memory.fit_error)       # as another thread may, in the midst of it
        raise InvalidInputError('another aspect')

    monkeypatch.setattr(camera_memory, 'camera_for_picture', fit)
    memory.fitted(FITS, (200, 80))
    memory.fitted(FITS, (200, 80))
    assert seen == [None, 'another aspect'] and memory.fit_error == 'another aspect'


def test_how_long_ago_a_camera_info_came(clock, probe):
    memory = CameraMemory()
    assert memory.age_s is None and not memory.arrives
    for clock[0] in (100.0, 103.0):
        memory.take(encode_camera_info(FITS, probe.header()))
    clock[0] = 112.0
    assert memory.age_s == 9.0 and memory.arrives       # three periods of 3 s
    clock[0] = 112.5
    assert memory.age_s == 9.5 and not memory.arrives
