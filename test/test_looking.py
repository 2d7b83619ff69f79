from functools import partial
import threading

import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.looking import (
    detect_in,
    DetectorThread,
    is_inside,
    Lookout,
    roi_box,
    roi_view,
)
from infant_pose_ros.structures import Detection

SIZE_WH = (640, 480)


class Finder:
    """Finds the brightest pixel, as a box of one px."""

    def __init__(self):
        self.shapes, self.threads = [], []

    def detect(self, image_rgb):
        self.shapes.append(image_rgb.shape)
        self.threads.append(threading.current_thread().name)
        y, x = np.unravel_index(image_rgb[..., 0].argmax(), image_rgb.shape[:2])
        return [Detection(np.array([x, y, x + 1, y + 1], float), 0.9)]


def test_the_region_in_pixels():
    assert roi_box(PipelineSettings(), SIZE_WH) is None
    roi = roi_box(PipelineSettings(roi='0.25, 0, 0.75, 0.5'), SIZE_WH)
    assert roi.tolist() == [160.0, 0.0, 480.0, 240.0]
    # A tenth of 320 and of 240 px more on each side, but not out of the picture.
    assert roi_view(roi, SIZE_WH) == (128, 0, 512, 264)
    assert roi_view(None, SIZE_WH) is None


def test_whose_middle_is_inside():
    roi = np.array([160.0, 0.0, 480.0, 240.0])
    inside, outside = np.array([100.0, 0, 240, 20]), np.array([100.0, 0, 210, 20])
    assert is_inside(inside, roi) and not is_inside(outside, roi)
    assert is_inside(outside, roi, slack=True)      # 5 px out, where 6.4 are allowed
    assert not is_inside(outside - [4, 0, 4, 0], roi, slack=True)


def test_detections_in_a_view_are_the_whole_pictures():
    image = np.zeros((480, 640, 3), np.uint8)
    image[100, 300] = 255
    finder = Finder()
    for view in (None, (128, 0, 512, 264)):
        found, = detect_in(finder, image, view)
        assert (found.box_xyxy.tolist(), found.score) == ([300, 100, 301, 101], 0.9)
    assert finder.shapes == [(480, 640, 3), (264, 384, 3)]


def test_the_thread_looks_at_the_view_of_a_copy():
    image = np.zeros((480, 640, 3), np.uint8)
    image[100, 300] = 255
    finder, thread = Finder(), DetectorThread()
    future = thread.submit(partial(detect_in, finder), image, (200, 50, 400, 150))
    image[:] = 0
    assert future.result(10)[0].box_xyxy.tolist() == [300, 100, 301, 101]
    thread.close()
    assert finder.shapes == [(100, 200, 3)]
    assert finder.threads[0].startswith('infant_detector')


class Gated:
    """A detector that waits to be let through; keeps who looked, by the first pixel."""

    def __init__(self):
        self.gate, self.begun, self.seen = threading.Event(), threading.Event(), []

    def __call__(self, image_rgb, view=None):
        self.begun.set()
        assert self.gate.wait(30)
        self.seen.append(int(image_rgb[0, 0, 0]))
        if self.seen[-1] == 99:
            raise ValueError('blinded')
        return []


@pytest.fixture
def gated():
    detect, thread = Gated(), DetectorThread()
    yield detect, thread
    detect.gate.set()
    thread.close()


def look(lookout, gated, number, **options):
    return lookout.look(gated[0], np.full((4, 4, 3), number, np.uint8), 1, 1, gated[1],
                        **{'waits_for_first': False, **options})


def test_cameras_take_turns_with_one_look_each(gated):
    lookouts = [Lookout() for _ in range(3)]
    for _ in range(4):      # a camera that asks often gets no more than the others
        for number in (0, 1, 1, 2):
            assert look(lookouts[number], gated, number) is None
    assert gated[1].is_busy
    gated[0].gate.set()
    for lookout in lookouts:
        lookout._pending.result(30)
    assert gated[0].seen == [0, 1, 2]
    assert [look(lookout, gated, 0) for lookout in lookouts] == [[], [], []]


def test_a_dropped_look_that_waits_for_its_turn_is_never_made(gated):
    first, second = Lookout(), Lookout()
    look(first, gated, 1)
    assert gated[0].begun.wait(30)
    for _ in range(50):     # a camera that begins anew again and again heaps up no pictures
        look(second, gated, 2)
        assert len(gated[1]._unfinished) == 2
        second.forget()
    assert len(gated[1]._unfinished) == 1
    gated[0].gate.set()
    first._pending.result(30)
    gated[1].close()
    assert gated[0].seen == [1] and not gated[1].is_busy


def test_a_look_that_raises_is_told_to_its_own_camera_once(gated):
    first, second = Lookout(), Lookout()
    look(first, gated, 99)
    look(second, gated, 2)
    gated[0].gate.set()
    second._pending.result(30)
    with pytest.raises(ValueError, match='blinded'):
        look(first, gated, 1)
    assert look(second, gated, 2) == []
    assert look(first, gated, 1) is None        # it looks again
    assert first._pending.result(30) == []


def test_the_first_look_is_waited_for_where_that_is_wanted(gated):
    gated[0].gate.set()
    assert look(Lookout(), gated, 1, waits_for_first=True) == []
    assert not gated[1].is_busy


@pytest.mark.parametrize('roi', ['0.5,0,0.51,1', '0,0,1'])
def test_a_region_that_is_none_never_gets_here(roi):
    with pytest.raises(ValueError, match='roi: '):
        PipelineSettings(roi=roi)
