"""Image and CompressedImage messages to RGB pictures and back, with NumPy and OpenCV.

The encodings are those of sensor_msgs/image_encodings.hpp. Rows may be padded (`step`), and the
buffer of the message is looked at without a copy.
"""

from __future__ import annotations

import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

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


def decode_image(message: Image) -> np.ndarray:
    """The picture in a sensor_msgs/Image, (H, W, 3) uint8 RGB.

    An 'rgb8' picture is a view of the message's buffer: copy it before drawing. mono16 keeps its
    upper 8 bits. Encodings not in `KNOWN_ENCODINGS` go to cv_bridge where it is installed.

    Raises:
        EncodingError: an encoding that can't be decoded, or a buffer that doesn't fit height,
            width and step; the message names expected and actual.
    """
    layout = _LAYOUTS.get(message.encoding)
    if layout is None:
        return _decode_by_cv_bridge(message)
    channels, dtype, conversion = layout
    pixels = _pixels(message, channels, np.dtype(dtype))
    if conversion in _CHROMA_PAIRS and message.width % 2:
        raise EncodingError(f'image: {message.encoding} needs an even width, got {message.width}')
    if dtype is np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if conversion is None:
        return pixels
    return cv2.cvtColor(np.ascontiguousarray(pixels), conversion)


def encode_image(image_rgb: np.ndarray, header=None) -> Image:
    """An 'rgb8' sensor_msgs/Image of a (H, W, 3) uint8 RGB picture.

    The bytes are copied once, into an array.array, which the message takes as it is. For 640x480
    that took 0.07 ms; handing over `bytes` took 0.4 ms and a NumPy array, which the message
    checks number by number, 52 ms.

    Raises:
        EncodingError: another shape or type.
    """
    _check_rgb(image_rgb)
    message = Image(height=image_rgb.shape[0], width=image_rgb.shape[1], encoding='rgb8',
                    is_bigendian=0, step=3 * image_rgb.shape[1])
    if header is not None:
        message.header = header
    message.data = _byte_array(np.ascontiguousarray(image_rgb))
    return message


def decode_compressed(message: CompressedImage) -> np.ndarray:
    """The picture in a sensor_msgs/CompressedImage (JPEG, PNG, ...), (H, W, 3) uint8 RGB.

    Raises:
        EncodingError: the data is empty or no picture that OpenCV can read.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    image_bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image_bgr is None:
        raise EncodingError(
            f"compressed image: {data.size} bytes of format '{message.format}' are no complete "
            'JPEG or PNG picture; publish one of these')
    return cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)


def encode_compressed(image_rgb: np.ndarray, header=None, quality: int = 90) -> CompressedImage:
    """A JPEG sensor_msgs/CompressedImage of a (H, W, 3) uint8 RGB picture.

    Raises:
        EncodingError: another shape or type.
    """
    _check_rgb(image_rgb)
    ok, data = cv2.imencode('.jpg', cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR),
                            [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise EncodingError(f'compressed image: OpenCV can not write JPEG of {image_rgb.shape}')
    message = CompressedImage(format='rgb8; jpeg compressed bgr8')
    if header is not None:
        message.header = header
    message.data = _byte_array(data)
    return message


def _pixels(message: Image, channels: int, dtype: np.dtype) -> np.ndarray:
    """A (H, W) or (H, W, channels) view of the buffer, padding and byte order seen to."""
    height, width, step = message.height, message.width, message.step
    row_bytes = width * channels * dtype.itemsize
    if height == 0 or width == 0:
        raise EncodingError(f'image: expected a picture, got {width}x{height}')
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


def _decode_by_cv_bridge(message: Image) -> np.ndarray:
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError as error:
        raise EncodingError(
            f"image: unknown encoding '{message.encoding}'; known: {', '.join(KNOWN_ENCODINGS)} "
            '(others need cv_bridge, which is not installed)') from error
    try:
        image_rgb = CvBridge().imgmsg_to_cv2(message, desired_encoding='rgb8')
    except (CvBridgeError, TypeError, ValueError) as error:
        raise EncodingError(
            f"image: cv_bridge can not decode '{message.encoding}': {error}") from error
    return image_rgb


def _byte_array(contiguous: np.ndarray) -> array.array:
    data = array.array('B')
    data.frombytes(memoryview(contiguous).cast('B'))
    return data


def _check_rgb(image_rgb: np.ndarray) -> None:
    if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8 \
            or image_rgb.size == 0:
        raise EncodingError(f'image: expected a uint8 picture of shape (height, width, 3), got '
                            f'{image_rgb.dtype} {image_rgb.shape}')
