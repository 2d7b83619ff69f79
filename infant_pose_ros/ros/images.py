"""Image and CompressedImage messages to RGB pictures and back, with NumPy and OpenCV."""

from __future__ import annotations

import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from infant_pose_ros.codecs import image_messages
from infant_pose_ros.codecs.image_messages import decode_compressed as decode_compressed
from infant_pose_ros.codecs.image_messages import KNOWN_ENCODINGS, shown_text
from infant_pose_ros.codecs.picture_files import check_picture_size
from infant_pose_ros.errors import EncodingError


def decode_image(message: Image) -> np.ndarray:
    """The picture in a sensor_msgs/Image, (H, W, 3) uint8 RGB.

    As `codecs.image_messages.decode_image`; encodings that it doesn't know go to cv_bridge
    where that is installed.

    Raises:
        EncodingError: an encoding that can't be decoded, or a buffer that doesn't fit height,
            width and step; the message names expected and actual.
    """
    if message.encoding in KNOWN_ENCODINGS:
        return image_messages.decode_image(message)
    return _decode_by_cv_bridge(message)


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


def _decode_by_cv_bridge(message: Image) -> np.ndarray:
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError as error:
        raise EncodingError(
            f'image: unknown encoding {shown_text(message.encoding)}; known: '
            f'{", ".join(KNOWN_ENCODINGS)} (others need cv_bridge, which is not installed)'
        ) from error
    check_picture_size('image', message.width, message.height)
    try:
        image_rgb = CvBridge().imgmsg_to_cv2(message, desired_encoding='rgb8')
        _check_rgb(image_rgb)
    except (CvBridgeError, TypeError, ValueError, LookupError, AttributeError,
            cv2.error) as error:
        raise EncodingError(
            f'image: cv_bridge can not decode {shown_text(message.encoding)}: {error}') from error
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
