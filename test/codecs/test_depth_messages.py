from types import SimpleNamespace

import numpy as np
import pytest

from infant_pose_ros.codecs.depth_messages import decode_depth
from infant_pose_ros.errors import EncodingError


def message_of(array, encoding, is_bigendian=0, padding=0):
    height, width = array.shape
    stored = array.astype(array.dtype.newbyteorder('>' if is_bigendian else '<'))
    rows = [row.tobytes() + bytes(padding) for row in stored]
    return SimpleNamespace(
        height=height, width=width, encoding=encoding, is_bigendian=is_bigendian,
        step=width * array.itemsize + padding, data=b''.join(rows))


@pytest.mark.parametrize('is_bigendian', [0, 1])
@pytest.mark.parametrize('padding', [0, 3])
def test_millimetres_become_metres_and_0_is_unknown(is_bigendian, padding):
    array = np.array([[1000, 0, 65535], [1, 1234, 2]], np.uint16)
    depth_m = decode_depth(message_of(array, '16UC1', is_bigendian, padding))
    assert depth_m.dtype == np.float32
    assert np.allclose(depth_m, [[1.0, np.nan, 65.535], [0.001, 1.234, 0.002]], equal_nan=True)


def test_metres_stay_and_what_is_no_depth_is_unknown():
    array = np.array([[1.5, 0.0, -1.0, np.nan, np.inf]], np.float32)
    sent = message_of(array, '32FC1')
    depth_m = decode_depth(sent)
    assert depth_m[0, 0] == 1.5 and np.isnan(depth_m[0, 1:]).all()
    assert np.array_equal(np.frombuffer(sent.data, np.float32), array[0], equal_nan=True)


def test_other_encodings_and_short_buffers_are_refused():
    with pytest.raises(EncodingError, match="'rgb8'; known: 16UC1, mono16, 32FC1"):
        decode_depth(message_of(np.zeros((2, 2), np.uint16), 'rgb8'))
    short = message_of(np.zeros((2, 2), np.uint16), '16UC1')
    short.data = short.data[:-1]
    with pytest.raises(EncodingError, match='truncated'):
        decode_depth(short)
