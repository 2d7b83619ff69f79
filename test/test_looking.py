from functools import partial
import threading

import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.looking import detect_in, DetectorThread, is_inside, roi_box, roi_view
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


@pytest.mark.parametrize('roi', ['0.5,0,0.51,1', '0,0,1'])
def test_a_region_that_is_none_never_gets_here(roi):
    with pytest.raises(ValueError, match='roi: '):
        PipelineSettings(roi=roi)
