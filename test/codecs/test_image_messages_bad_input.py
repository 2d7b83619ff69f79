from types import SimpleNamespace

from bad_input import bad_input, byte_array, images, picture_files, TEXT
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from infant_pose_ros.codecs.depth_messages import decode_depth
from infant_pose_ros.codecs.image_messages import (
    decode_compressed,
    decode_image,
    KNOWN_ENCODINGS,
    shown_text,
)
from infant_pose_ros.errors import EncodingError


def checked_error(error):
    """Ours, in one line of a length that a log can hold."""
    assert '\n' not in str(error) and len(str(error)) < 700


@given(images())
@bad_input(400)
def test_an_image_is_decoded_or_refused(message):
    try:
        picture_rgb = decode_image(message)
    except EncodingError as error:
        checked_error(error)
        return
    assert picture_rgb.shape == (message.height, message.width, 3)
    assert picture_rgb.dtype == np.uint8
    assert message.encoding in KNOWN_ENCODINGS
    assert message.step * (message.height - 1) < len(message.data)


@given(images(st.sampled_from(['16UC1', '32FC1', 'mono16']) | TEXT))
@bad_input(200)
def test_a_depth_picture_is_decoded_or_refused(message):
    try:
        with np.errstate(all='raise'):
            depth_m = decode_depth(message)
    except EncodingError as error:
        checked_error(error)
        return
    assert depth_m.shape == (message.height, message.width) and depth_m.dtype == np.float32
    known = depth_m[~np.isnan(depth_m)]
    assert (known > 0).all() and np.isfinite(known).all()


@given(picture_files(), TEXT | st.sampled_from(['jpeg', 'rgb8; jpeg compressed bgr8', 'png']))
@bad_input(60)
def test_a_compressed_image_is_decoded_or_refused(data, form):
    try:
        picture_rgb = decode_compressed(SimpleNamespace(format=form, data=byte_array(data)))
    except EncodingError as error:
        checked_error(error)
    else:
        assert picture_rgb.ndim == 3 and picture_rgb.dtype == np.uint8


def test_a_depth_picture_in_compressed_form_is_told_from_a_damaged_one():
    message = SimpleNamespace(format='16UC1; compressedDepth png', data=byte_array(bytes(100)))
    with pytest.raises(EncodingError, match='holds depths, expected a picture: take the topic'):
        decode_compressed(message)


@pytest.mark.parametrize('width, height, step', [
    (2 ** 32 - 1, 1, 2 ** 32 - 1), (1, 2 ** 32 - 1, 3), (20_000, 20_000, 60_000)])
def test_a_claimed_size_without_limits_is_refused_before_anything_is_made(width, height, step):
    message = SimpleNamespace(encoding='rgb8', width=width, height=height, step=step,
                              is_bigendian=0, data=byte_array(bytes(100)))
    with pytest.raises(EncodingError, match='is too large: at most 33177600 pixels'):
        decode_image(message)


@pytest.mark.parametrize('side', [1, 2])
def test_a_bayer_picture_without_neighbours_is_refused_and_not_black(side):
    message = SimpleNamespace(encoding='bayer_rggb8', width=5, height=side, step=5,
                              is_bigendian=0, data=byte_array(bytes([200] * 5 * side)))
    with pytest.raises(EncodingError, match=f'needs 3 pixels a side, got 5x{side}'):
        decode_image(message)


def test_an_odd_bayer_picture_keeps_its_colours():
    raw = np.zeros((7, 9), np.uint8)
    raw[::2, ::2], raw[1::2, 1::2] = 200, 50        # red and blue
    raw[::2, 1::2] = raw[1::2, ::2] = 100
    message = SimpleNamespace(encoding='bayer_rggb8', width=9, height=7, step=9,
                              is_bigendian=0, data=byte_array(raw.tobytes()))
    assert (decode_image(message)[2:-2, 2:-2] == (200, 100, 50)).all()


def test_long_and_odd_texts_are_shown_short_and_escaped():
    assert shown_text('rgb8') == "'rgb8'"
    assert shown_text('a\nb\x1b[31m') == r"'a\nb\x1b[31m'"
    assert shown_text('x' * 10_000) == f"'{'x' * 60}'..."
