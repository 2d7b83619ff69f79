from types import SimpleNamespace

import numpy as np
import pytest

from infant_pose_ros.codecs.camera_infos import decode_camera_info
from infant_pose_ros.errors import InvalidInputError


def message(k=(600.0, 0.0, 319.5, 0.0, 610.0, 239.5, 0.0, 0.0, 1.0), d=(), binning=0):
    """As a bag read without ROS gives it: arrays in place of lists."""
    return SimpleNamespace(
        k=np.array(k), d=np.array(d), width=640, height=480, binning_x=binning,
        binning_y=binning, distortion_model='plumb_bob',
        roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0))


def test_a_message_that_no_ros_library_made():
    camera = decode_camera_info(message(d=[0.1, 0.0, 0.0, 0.0, 0.0], binning=2))
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (300.0, 305.0, 159.5, 119.5)
    assert (camera.width, camera.height) == (320, 240)
    assert camera.distortion.tolist() == [0.1, 0.0, 0.0, 0.0, 0.0]


def test_an_uncalibrated_one_is_refused():
    with pytest.raises(InvalidInputError, match='uncalibrated'):
        decode_camera_info(message(k=[0.0] * 9))
