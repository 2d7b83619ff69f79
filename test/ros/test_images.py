import array
import sys

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from infant_pose_ros.errors import EncodingError
from infant_pose_ros.ros.images import (
    decode_compressed,
    decode_image,
    encode_compressed,
    encode_image,
    KNOWN_ENCODINGS,
)

# Two by two pixels: red, green / blue, grey.
RGB = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [128, 128, 128]]], np.uint8)


def message(encoding, pixels, step=None, width=2, height=2, is_bigendian=0):
    data = np.ascontiguousarray(pixels)
    return Image(encoding=encoding, width=width, height=height, is_bigendian=is_bigendian,
                 step=data.nbytes // height if step is None else step,
                 data=array.array('B', data.tobytes()))


def with_alpha(pixels):
    return np.concatenate([pixels, np.full((2, 2, 1), 7, np.uint8)], axis=-1)


@pytest.mark.parametrize('encoding, pixels', [
    ('rgb8', RGB), ('bgr8', RGB[..., ::-1]), ('8UC3', RGB[..., ::-1]),
    ('rgba8', with_alpha(RGB)), ('bgra8', with_alpha(RGB[..., ::-1]))])
def test_colour_encodings(encoding, pixels):
    assert np.array_equal(decode_image(message(encoding, pixels)), RGB)


@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_grey(encoding):
    grey = np.array([[0, 10], [200, 255]], np.uint8)
    assert np.array_equal(decode_image(message(encoding, grey)), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize('order, is_bigendian', [('<u2', 0), ('>u2', 1)])
def test_mono16_keeps_the_upper_bits_in_either_byte_order(order, is_bigendian):
    grey = np.array([[0x0000, 0x12FF], [0x80FF, 0xFFFF]], order)
    decoded = decode_image(message('mono16', grey, is_bigendian=is_bigendian))
    assert decoded[..., 0].tolist() == [[0, 0x12], [0x80, 0xFF]]
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize('encoding, chroma_first', [
    ('uyvy', True), ('yuv422', True), ('yuv422_yuy2', False), ('yuyv', False)])
def test_yuv422_by_its_byte_order(encoding, chroma_first):
    # BT.601, limited range: Y 81, U 90, V 240 is pure red; Y 16 with neutral chroma is black.
    red, black = ((90, 81, 240, 81), (128, 16, 128, 16))
    if not chroma_first:
        red, black = ((81, 90, 81, 240), (16, 128, 16, 128))
    decoded = decode_image(message(encoding, np.array([red, black], np.uint8)))
    assert decoded.astype(int)[0] == pytest.approx(np.array([[255, 0, 0]] * 2), abs=3)
    assert decoded.astype(int)[1] == pytest.approx(np.zeros((2, 3)), abs=3)


def test_yuv422_needs_an_even_width():
    with pytest.raises(EncodingError, match='even width, got 3'):
        decode_image(message('uyvy', np.zeros((2, 6), np.uint8), width=3))


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_patterns_name_the_first_two_rows(pattern):
    raw = np.zeros((8, 8), np.uint8)
    for index, colour in enumerate(pattern):
        raw[index // 2::2, index % 2::2] = {'r': 200, 'g': 100, 'b': 50}[colour]
    decoded = decode_image(message(f'bayer_{pattern}8', raw, width=8, height=8))
    assert (decoded[2:-2, 2:-2] == (200, 100, 50)).all()


def test_padded_rows_are_skipped():
    padded = np.full((2, 11), 99, np.uint8)
    padded[:, :6] = RGB.reshape(2, 6)
    assert np.array_equal(decode_image(message('rgb8', padded)), RGB)
    bgr = np.full((2, 11), 99, np.uint8)
    bgr[:, :6] = RGB[..., ::-1].reshape(2, 6)
    assert np.array_equal(decode_image(message('bgr8', bgr)), RGB)


def test_the_last_row_may_lack_its_padding():
    data = np.full(11 + 6, 99, np.uint8)
    data[:6], data[11:] = RGB[0].ravel(), RGB[1].ravel()
    given = Image(encoding='rgb8', width=2, height=2, step=11,
                  data=array.array('B', data.tobytes()))
    assert np.array_equal(decode_image(given), RGB)


def test_rgb8_is_looked_at_without_a_copy():
    given = message('rgb8', RGB)
    decoded = decode_image(given)
    assert np.shares_memory(decoded, np.frombuffer(given.data, np.uint8))


def test_truncated_data_names_expected_and_actual_bytes():
    given = message('rgb8', RGB)
    given.data = given.data[:-1]
    with pytest.raises(EncodingError, match='needs 12 bytes, got 11'):
        decode_image(given)
    given.data = array.array('B')
    with pytest.raises(EncodingError, match='needs 12 bytes, got 0'):
        decode_image(given)


def test_a_step_too_small_is_refused():
    with pytest.raises(EncodingError, match='at least 6 bytes, got 5'):
        decode_image(message('rgb8', RGB, step=5))


@pytest.mark.parametrize('width, height', [(0, 2), (2, 0), (0, 0)])
def test_no_pixels_are_no_picture(width, height):
    with pytest.raises(EncodingError, match=f'{width}x{height}'):
        decode_image(message('rgb8', RGB, step=6, width=width, height=height))


def test_unknown_encodings_name_the_known_ones(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)  # as if it were not installed
    with pytest.raises(EncodingError) as caught:
        decode_image(message('nv12', RGB))
    assert "'nv12'" in str(caught.value)
    assert all(name in str(caught.value) for name in KNOWN_ENCODINGS)


def test_unknown_encodings_go_to_cv_bridge_where_it_is_installed(monkeypatch):
    class Error(TypeError):
        pass

    class Bridge:
        def imgmsg_to_cv2(self, given, desired_encoding):
            if given.width != 2:
                raise Error('no')
            return RGB if desired_encoding == 'rgb8' else None

    module = type(sys)('cv_bridge')
    module.CvBridge, module.CvBridgeError = Bridge, Error
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    assert np.array_equal(decode_image(message('32FC1', RGB)), RGB)
    with pytest.raises(EncodingError, match='cv_bridge can not decode'):
        decode_image(message('32FC1', RGB, width=3))


def test_image_round_trip_keeps_header_and_pixels():
    picture = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    header = Header(frame_id='optics')
    header.stamp.sec, header.stamp.nanosec = 12, 34
    encoded = encode_image(picture, header)
    assert (encoded.encoding, encoded.step, encoded.height, encoded.width) == ('rgb8', 192, 48, 64)
    assert encoded.header == header
    assert np.array_equal(decode_image(encoded), picture)
    assert np.array_equal(decode_image(encode_image(picture[:, ::-1])), picture[:, ::-1])


def test_compressed_round_trip_is_close():
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], (48, 1, 3))
    picture = ramp * np.array([1, 0, 0], np.uint8)
    encoded = encode_compressed(picture, Header(frame_id='optics'))
    assert 'jpeg' in encoded.format and encoded.header.frame_id == 'optics'
    assert decode_compressed(encoded).astype(int) == pytest.approx(picture.astype(int), abs=16)


def test_compressed_png_is_exact_and_grey_becomes_rgb():
    _, png = cv2.imencode('.png', RGB[..., ::-1])
    given = CompressedImage(format='png', data=array.array('B', png.tobytes()))
    assert np.array_equal(decode_compressed(given), RGB)
    _, png = cv2.imencode('.png', RGB[..., 0])
    given = CompressedImage(format='png', data=array.array('B', png.tobytes()))
    assert decode_compressed(given).shape == (2, 2, 3)


@pytest.mark.parametrize('data', [b'', b'no picture at all'])
def test_compressed_nonsense_is_refused(data):
    with pytest.raises(EncodingError, match=f'{len(data)} bytes'):
        decode_compressed(CompressedImage(format='jpeg', data=array.array('B', data)))


@pytest.mark.parametrize('picture', [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)),
    np.zeros((0, 4, 3), np.uint8)])
def test_encoding_refuses_what_is_no_rgb_picture(picture):
    for encode in (encode_image, encode_compressed):
        with pytest.raises(EncodingError, match='expected a uint8 picture'):
            encode(picture)
