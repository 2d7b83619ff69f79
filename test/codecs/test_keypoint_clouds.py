from types import SimpleNamespace

import numpy as np
import pytest

from infant_pose_ros.codecs.keypoint_clouds import (
    decode_keypoints,
    FIELDS,
    KEYPOINT_DTYPE,
    POINT_FIELD_TYPES,
)
from infant_pose_ros.errors import InvalidInputError


def message(rows):
    """As a bag read without ROS gives it: the data is a NumPy array."""
    return SimpleNamespace(
        height=len(rows), width=16, point_step=40, row_step=640, is_bigendian=False,
        data=np.frombuffer(rows.tobytes(), np.uint8),
        fields=[SimpleNamespace(name=name, offset=KEYPOINT_DTYPE.fields[name][1], count=1,
                                datatype=POINT_FIELD_TYPES[code.lstrip('<')])
                for name, code in FIELDS])


def test_a_message_that_no_ros_library_made():
    rows = np.zeros((2, 16), KEYPOINT_DTYPE)
    rows['u'], rows['track'], rows['joint'] = np.arange(32.0).reshape(2, 16), 7, np.arange(16)
    assert KEYPOINT_DTYPE.itemsize == 40
    assert np.array_equal(decode_keypoints(message(rows)), rows)
    assert decode_keypoints(message(rows[:0])).shape == (0, 16)


def test_a_missing_field_is_named():
    cloud = message(np.zeros((1, 16), KEYPOINT_DTYPE))
    cloud.fields = [field for field in cloud.fields if field.name != 'sy']
    with pytest.raises(InvalidInputError, match="field 'sy' is missing"):
        decode_keypoints(cloud)
