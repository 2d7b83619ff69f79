from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from infant_pose_ros.codecs.image_messages import decode_compressed, decode_image
from infant_pose_ros.errors import EncodingError

RED_BLUE = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)


def message(encoding, pixels):
    """As a bag read without ROS gives it: the data is a NumPy array."""
    return SimpleNamespace(encoding=encoding, height=1, width=2, step=pixels.nbytes,
                           is_bigendian=0, data=pixels.reshape(-1).view(np.uint8))


def test_pictures_of_messages_that_no_ros_library_made():
    assert np.array_equal(decode_image(message('rgb8', RED_BLUE)), RED_BLUE)
    assert np.array_equal(decode_image(message('bgr8', RED_BLUE[..., ::-1].copy())), RED_BLUE)


def test_an_unknown_encoding_names_the_known_ones():
    with pytest.raises(EncodingError, match="unknown encoding '32FC1'; known: 8UC1, "):
        decode_image(message('32FC1', np.zeros((1, 2), np.float32)))


def test_a_compressed_one():
    data = cv2.imencode('.png', RED_BLUE[..., ::-1])[1].reshape(-1)
    assert np.array_equal(decode_compressed(SimpleNamespace(format='png', data=data)), RED_BLUE)
    with pytest.raises(EncodingError, match='no complete JPEG or PNG'):
        decode_compressed(SimpleNamespace(format='jpeg', data=data[:5]))
