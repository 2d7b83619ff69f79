"""Pictures as files have them (JPEG, PNG and their like) to RGB, with a limit on their size.

A file of a few hundred bytes can claim a picture of gigabytes. So its header is read first, by
Pillow, which decodes nothing before it is asked to; OpenCV decodes only what is small enough.
"""

from __future__ import annotations

import io
from pathlib import Path
import struct
import warnings

import cv2
import numpy as np
from PIL import Image

from infant_pose_ros.errors import EncodingError
from infant_pose_ros.text_files import one_line

#: No picture may have more pixels than one of 8K UHD (7680 x 4320), or a longer side than this.
MAX_PICTURE_PIXELS = 7680 * 4320
MAX_PICTURE_SIDE = 16384
#: A picture file may have so many bytes; what is stored uncompressed needs the most.
MAX_FILE_BYTES = 8 * MAX_PICTURE_PIXELS
#: Formats that are read, by Pillow's names.
FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'TIFF', 'PPM', 'GIF')
_END_OF_JPEG = b'\xff\xd9'
#: What a JPEG decoder paints where the data end too early, and the side of what it paints, px.
_UNPAINTED, _BLOCK = 128, 8
#: What Pillow raises where a header is damaged.
_HEADER_ERRORS = (OSError, ValueError, SyntaxError, TypeError, LookupError, AttributeError,
                  ArithmeticError, EOFError, RuntimeError, struct.error, MemoryError)

# Pillow's complaints about odd headers, and about sizes that are refused right afterwards.
warnings.filterwarnings('ignore', module=r'PIL\.')


def check_picture_size(what: str, width: int, height: int) -> None:
    """Refuse sizes (px) that no camera has and no memory holds.

    Raises:
        EncodingError: an empty or a too large picture; the message begins with `what`.
    """
    if height <= 0 or width <= 0:
        raise EncodingError(f'{what}: expected a picture, got {width}x{height}')
    if max(width, height) > MAX_PICTURE_SIDE or width * height > MAX_PICTURE_PIXELS:
        raise EncodingError(
            f'{what}: {width}x{height} is too large: at most {MAX_PICTURE_PIXELS} pixels and '
            f'{MAX_PICTURE_SIDE} a side are taken; publish or store a smaller picture')


def decode_picture(data: bytes, what: str, is_grey: bool = False) -> np.ndarray:
    """The picture in a file's bytes, (H, W, 3) uint8 RGB; the first one of several.

    A JPEG without its end marker, as some webcams send them, is taken where nothing else is
    missing but, at most, some of its last block of 16 pixels.

    Args:
        data: the whole file. what: what to call it in messages.
        is_grey: (H, W) uint8 brightness in place of RGB.

    Raises:
        EncodingError: the data is no whole picture of `FORMATS`, or the picture is too large.
    """
    (width, height), is_ended = _announced(data, what)
    whole = data if is_ended else _ended(data)
    try:
        image = cv2.imdecode(np.frombuffer(whole, dtype=np.uint8),
                             cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError) as error:
        raise EncodingError(f'{what}: OpenCV can not decode it: {one_line(error)}') from error
    # Turned upright, where the file says how it was held, it has the other size.
    if image is None or image.shape[:2] not in ((height, width), (width, height)) or (
            not is_ended and _breaks_off(image)):
        raise _not_whole(what, data)
    return image if is_grey else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_picture(path: Path, is_grey: bool = False) -> np.ndarray:
    """The picture in a file, (H, W, 3) uint8 RGB, or (H, W) brightness if `is_grey`.

    Raises:
        EncodingError: it is no file, can't be read, or as `decode_picture`.
    """
    try:
        if not path.is_file():
            raise EncodingError(f'{path}: no such file')
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise EncodingError(f'{path}: {size} bytes are more than the {MAX_FILE_BYTES} that a '
                                'picture may have')
        return decode_picture(path.read_bytes(), str(path), is_grey)
    except (OSError, ValueError) as error:
        if isinstance(error, EncodingError):
            raise
        raise EncodingError(f'{path}: can not be read: {one_line(error)}') from error


def _announced(data: bytes, what: str) -> tuple[tuple[int, int], bool]:
    """Width and height by the header, no more than is taken; False: a JPEG without its end."""
    stream = io.BytesIO(data)
    try:
        with Image.open(stream, formats=FORMATS) as picture:
            (width, height), is_jpeg = picture.size, picture.format in ('JPEG', 'MPO')
            begin = stream.tell()       # of a JPEG: behind the headers of its picture
            comes_at_once = not picture.info.get('progressive')
    except Image.DecompressionBombError as error:
        raise EncodingError(
            f'{what}: is too large: at most {MAX_PICTURE_PIXELS} pixels are taken; publish or '
            'store a smaller picture') from error
    except _HEADER_ERRORS as error:
        raise _not_whole(what, data) from error
    check_picture_size(what, width, height)
    is_ended = not is_jpeg or data.rfind(_END_OF_JPEG, begin) >= 0
    if not is_ended and not comes_at_once:      # what breaks off is blurred, and not to be told
        raise _not_whole(what, data)
    return (width, height), is_ended


def _ended(data: bytes) -> bytes:
    """A JPEG with an end, in place of zeros that fill up a driver's buffer."""
    data = data.rstrip(b'\0')
    return data + (b'\0' if data.endswith(b'\xff') else b'') + _END_OF_JPEG


def _breaks_off(image: np.ndarray) -> bool:
    """Whether a corner, the last one if nobody turned it, was left unpainted."""
    return any((corner == _UNPAINTED).all() for rows in (image[:_BLOCK], image[-_BLOCK:])
               for corner in (rows[:, :_BLOCK], rows[:, -_BLOCK:]))


def _not_whole(what: str, data: bytes) -> EncodingError:
    return EncodingError(f'{what}: {len(data)} bytes are no complete JPEG or PNG picture; '
                         'publish or store one of these')
