"""Image and CompressedImage messages to RGB pictures, with NumPy and OpenCV.

The messages may come from rclpy or from a bag read without ROS: only their fields are looked at.
The encodings are those of sensor_msgs/image_encodings.hpp. Rows may be padded (`step`), and the
buffer of the message is looked at without a copy.
"""

from __future__ import annotations

import cv2
import numpy as np

from infant_pose_ros.codecs.picture_files import check_picture_size, decode_picture
from infant_pose_ros.errors import EncodingError

#: encoding -> (channels, dtype, OpenCV's conversion to RGB or None where it is RGB).
# A Bayer name in OpenCV tells the second row's second and third pixel, in ROS the first row's
# first two: ROS's rggb is OpenCV's BG.
_LAYOUTS: dict[str, tuple[int, type, int | None]] = {
    'rgb8': (3, np.uint8, None),
    'bgr8': (3, np.uint8, cv2.COLOR_BGR2RGB),
    'rgba8': (4, np.uint8, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, np.uint8, cv2.COLOR_BGRA2RGB),
    '8UC3': (3, np.uint8, cv2.COLOR_BGR2RGB),
    'mono8': (1, np.uint8, cv2.COLOR_GRAY2RGB),
    '8UC1': (1, np.uint8, cv2.COLOR_GRAY2RGB),
    'mono16': (1, np.uint16, cv2.COLOR_GRAY2RGB),
    'yuv422': (2, np.uint8, cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': (2, np.uint8, cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': (2, np.uint8, cv2.COLOR_YUV2RGB_YUY2),
    'yuyv': (2, np.uint8, cv2.COLOR_YUV2RGB_YUY2),
    'bayer_rggb8': (1, np.uint8, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': (1, np.uint8, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': (1, np.uint8, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': (1, np.uint8, cv2.COLOR_BayerGB2RGB),
}
KNOWN_ENCODINGS = tuple(sorted(_LAYOUTS))
_CHROMA_PAIRS = (cv2.COLOR_YUV2RGB_UYVY, cv2.COLOR_YUV2RGB_YUY2)
#: A smaller Bayer picture has no pixel whose neighbours tell its other colours: OpenCV makes
#: black of it.
_LEAST_BAYER_SIDE = 3
#: So much of a message's text is repeated in errors.
_SHOWN_CHARACTERS = 60


def decode_image(message) -> np.ndarray:
    """The picture in a sensor_msgs/Image, (H, W, 3) uint8 RGB.

    An 'rgb8' picture is a view of the message's buffer: copy it before drawing. mono16 keeps its
    upper 8 bits.

    Raises:
        EncodingError: an encoding that can't be decoded, or a buffer that doesn't fit height,
            width and step; the message names expected and actual.
    """
    layout = _LAYOUTS.get(message.encoding)
    if layout is None:
        raise EncodingError(f'image: unknown encoding {shown_text(message.encoding)}; known: '
                            f'{", ".join(KNOWN_ENCODINGS)}')
    channels, dtype, conversion = layout
    pixels = message_pixels(message, channels, np.dtype(dtype))
    if conversion in _CHROMA_PAIRS and message.width % 2:
        raise EncodingError(f'image: {message.encoding} needs an even width, got {message.width}')
    if message.encoding.startswith('bayer') and min(pixels.shape) < _LEAST_BAYER_SIDE:
        raise EncodingError(
            f'image: {message.encoding} needs {_LEAST_BAYER_SIDE} pixels a side, got '
            f'{message.width}x{message.height}')
    if dtype is np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if conversion is None:
        return pixels
    return cv2.cvtColor(np.ascontiguousarray(pixels), conversion)


def decode_compressed(message) -> np.ndarray:
    """The picture in a sensor_msgs/CompressedImage (JPEG, PNG, ...), (H, W, 3) uint8 RGB.

    Raises:
        EncodingError: the data is no whole picture that OpenCV can read, a too large one, or one
            of depths.
    """
    what = f'compressed image of format {shown_text(message.format)}'
    if 'compressedDepth' in message.format:
        raise EncodingError(f'{what}: holds depths, expected a picture: take the topic of the '
                            'camera that ends in /compressed')
    return decode_picture(bytes(message.data), what)


def shown_text(text: str) -> str:
    """A message's text as an error shows it: in quotes, odd characters escaped, not too long."""
    shown = repr(text[:_SHOWN_CHARACTERS])
    return shown if len(text) <= _SHOWN_CHARACTERS else f'{shown}...'


def message_pixels(message, channels: int, dtype: np.dtype) -> np.ndarray:
    """A (H, W) or (H, W, channels) view of the buffer, padding and byte order seen to.

    Raises:
        EncodingError: no or too many pixels, or a buffer that doesn't fit height, width and step.
    """
    height, width, step = message.height, message.width, message.step
    row_bytes = width * channels * dtype.itemsize
    check_picture_size('image', width, height)
    if step < row_bytes:
        raise EncodingError(
            f'image: {message.encoding} of width {width} needs a step of at least {row_bytes} '
            f'bytes, got {step}')
    buffer = np.frombuffer(message.data, dtype=np.uint8)
    expected = step * (height - 1) + row_bytes
    if buffer.size < expected:
        raise EncodingError(
            f'image: truncated: {message.encoding} {width}x{height} with step {step} needs '
            f'{expected} bytes, got {buffer.size}')
    shape, strides = (height, width), (step, channels * dtype.itemsize)
    if channels > 1:
        shape, strides = shape + (channels,), strides + (dtype.itemsize,)
    stored = dtype.newbyteorder('>' if message.is_bigendian else '<')
    return np.ndarray(shape, stored, buffer=buffer, strides=strides)
