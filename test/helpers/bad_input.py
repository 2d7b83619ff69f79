"""Hypothesis strategies for messages and files that something is wrong with."""

from __future__ import annotations

import array
import io
import os
from types import SimpleNamespace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
from PIL import Image

from infant_pose_ros.codecs.image_messages import KNOWN_ENCODINGS

#: Every run draws the same examples; INFANT_POSE_EXAMPLES draws so many new ones of each test.
_EXPLORE = int(os.environ.get('INFANT_POSE_EXAMPLES', '0'))

UINT32 = st.one_of(
    st.integers(0, 24), st.integers(0, 2 ** 32 - 1),
    st.sampled_from([2 ** 16 - 1, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]))
SMALL = st.integers(1, 12)
TEXT = st.text(max_size=80)
NUMBER = st.one_of(
    st.floats(), st.floats(0.0, 1e4),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 1e300, -1.0, 1.0, 320.0, 240.0, 1e9,
                     float('nan'), float('inf'), float('-inf')]))
ENCODINGS = st.one_of(
    st.sampled_from(KNOWN_ENCODINGS), TEXT,
    st.sampled_from(['32FC1', '16UC1', '64FC3', 'RGB8', 'rgb8 ', 'bayer_rggb16', 'nv12', '']))
FORMATS = ('JPEG', 'PNG', 'GIF', 'TIFF', 'BMP', 'WEBP', 'PPM')
MODES = ('RGB', 'L', 'RGBA', 'CMYK', 'P', '1', 'I;16')


def bad_input(examples: int):
    """Settings of a property test: so many examples, the same ones in every run."""
    return settings(
        max_examples=_EXPLORE or examples, derandomize=not _EXPLORE, deadline=None,
        database=None, suppress_health_check=list(HealthCheck))


def byte_array(data: bytes) -> array.array:
    """As rclpy hands over a message's data."""
    return array.array('B', data)


@st.composite
def images(draw, encodings=ENCODINGS) -> SimpleNamespace:
    """Fields of a sensor_msgs/Image: nearly right, or anything."""
    encoding = draw(encodings)
    height, width = draw(SMALL | UINT32), draw(SMALL | UINT32)
    fitting = width * draw(st.sampled_from([1, 2, 3, 4])) + draw(st.sampled_from([0, 0, 1, 7]))
    step = draw(st.sampled_from([fitting, min(fitting, 2 ** 32 - 1)]) | UINT32)
    wanted = min(step * height, 20_000) + draw(st.sampled_from([0, 0, -1, 1, -7]))
    length = draw(st.sampled_from([wanted, max(wanted, 0)]) | st.integers(0, 3000))
    fill = draw(st.binary(min_size=1, max_size=16))
    data = (fill * (max(length, 0) // len(fill) + 1))[:max(length, 0)]
    return SimpleNamespace(
        encoding=encoding, height=height, width=width, step=min(step, 2 ** 32 - 1),
        is_bigendian=draw(st.integers(0, 255)), data=byte_array(data))


@st.composite
def picture_files(draw) -> bytes:
    """A small picture file of some format, whole or damaged, or no picture at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    data = picture_file(draw(st.sampled_from(FORMATS)), draw(st.sampled_from(MODES)),
                        draw(st.integers(1, 40)), draw(st.integers(1, 40)),
                        draw(st.integers(1, 3)))
    return draw(damages(data))


@st.composite
def damages(draw, data: bytes) -> bytes:
    """The bytes whole, cut off, with some changed, with some put in, or with a tail."""
    how = draw(st.sampled_from(['whole', 'cut', 'flipped', 'flipped', 'longer', 'filled in']))
    if how == 'whole' or not data:
        return data
    place = draw(st.integers(0, len(data) - 1))
    if how == 'cut':
        return data[:place]
    if how == 'longer':
        return data + draw(st.binary(max_size=50))
    if how == 'filled in':
        return data[:place] + draw(st.binary(min_size=1, max_size=20)) + data[place:]
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        changed[draw(st.integers(0, min(len(data), draw(st.sampled_from([64, len(data)]))) - 1))] \
            = draw(st.integers(0, 255))
    return bytes(changed)


def picture_file(name: str, mode: str, width: int, height: int, frames: int = 1) -> bytes:
    """A whole file of a format and of the nearest mode that it can hold."""
    ramp = np.add.outer(np.arange(height) * 5, np.arange(width) * 3) % 256
    rgb = np.stack([ramp, ramp[::-1], 255 - ramp], axis=-1).astype(np.uint8)
    for wanted in (mode, 'RGB', 'L'):
        picture = (Image.fromarray((ramp * 256).astype(np.uint16)) if wanted == 'I;16'
                   else Image.fromarray(rgb).convert(wanted))
        more = ({'save_all': True, 'append_images': [picture.copy()] * (frames - 1)}
                if name in ('GIF', 'TIFF', 'PNG', 'WEBP') and frames > 1 else {})
        stream = io.BytesIO()
        try:
            picture.save(stream, name, **more)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return stream.getvalue()
    raise AssertionError(f'{name} holds no picture')


@st.composite
def camera_infos(draw) -> SimpleNamespace:
    """Fields of a sensor_msgs/CameraInfo: nearly right, or anything."""
    k = [600.0, 0.0, 319.5, 0.0, 610.0, 239.5, 0.0, 0.0, 1.0]
    for _ in range(draw(st.integers(0, 3))):
        k[draw(st.integers(0, 8))] = draw(NUMBER)
    roi = SimpleNamespace(
        x_offset=draw(st.just(0) | UINT32), y_offset=draw(st.just(0) | UINT32),
        width=draw(st.just(0) | UINT32), height=draw(st.just(0) | UINT32), do_rectify=False)
    model = draw(st.sampled_from(
        ['plumb_bob', 'rational_polynomial', 'equidistant', 'fisheye', '', 'double_sphere'])
        | TEXT)
    lengths = st.sampled_from([0, 4, 5, 8, 12, 14]) | st.integers(0, 30)
    coefficient = st.floats(-0.5, 0.5) | NUMBER
    return SimpleNamespace(
        k=np.array(k), d=[draw(coefficient) for _ in range(draw(lengths))],
        r=np.array([draw(NUMBER)] * 9), p=np.array([draw(NUMBER)] * 12),
        width=draw(st.just(640) | UINT32), height=draw(st.just(480) | UINT32),
        binning_x=draw(st.integers(0, 2) | UINT32), binning_y=draw(st.integers(0, 2) | UINT32),
        distortion_model=model, roi=roi)


@st.composite
def keypoint_clouds(draw, make=SimpleNamespace, make_field=SimpleNamespace):
    """Fields of a sensor_msgs/PointCloud2 as `overlay_node` reads it: nearly right, or anything.

    Args:
        make, make_field: the classes of the message and of its fields.
    """
    from infant_pose_ros.codecs.keypoint_clouds import empty_rows, KEYPOINT_DTYPE, POINT_FIELDS
    rows = empty_rows(draw(st.integers(0, 3)))
    for _ in range(draw(st.integers(0, 3)) if len(rows) else 0):
        name = draw(st.sampled_from(KEYPOINT_DTYPE.names))
        with np.errstate(all='ignore'):
            rows[name][0, draw(st.integers(0, 15))] = draw(
                NUMBER if KEYPOINT_DTYPE[name].kind == 'f' else st.integers(0, 255))
    fields = [[name, offset, datatype] for name, offset, datatype in POINT_FIELDS]
    for _ in range(draw(st.integers(0, 2))):
        field = draw(st.sampled_from(fields))
        part = draw(st.integers(0, 2))
        field[part] = draw((TEXT | st.sampled_from('xyz'), UINT32, st.integers(0, 255))[part])
    if draw(st.integers(0, 5)) == 0:
        fields = fields[draw(st.integers(0, 11)):]
    step, data = KEYPOINT_DTYPE.itemsize, rows.tobytes()
    cut = draw(st.just(len(data)) | st.integers(0, len(data)))
    return make(
        height=draw(st.just(len(rows)) | UINT32), width=draw(st.just(16) | UINT32),
        fields=[make_field(name=name, offset=offset, datatype=datatype, count=1)
                for name, offset, datatype in fields],
        is_bigendian=draw(st.integers(0, 7)) == 0, point_step=draw(st.just(step) | UINT32),
        row_step=draw(st.just(16 * step) | UINT32), is_dense=False,
        data=byte_array(data[:cut]))
