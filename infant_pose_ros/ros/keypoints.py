"""Keypoints as an organised PointCloud2, one row an infant: encode and decode.

Byte offsets within a point (little endian, 40 bytes a point, 16 points a row):

====== ======== ======= =====================================================
offset field    type    meaning
====== ======== ======= =====================================================
0 4 8  x y z    float32 m, camera optical frame (pelvis-relative where
                        skeleton_info says so); NaN where missing
12 16  u v      float32 px in the picture; NaN where missing
20     score    float32 0..1; 0 where missing
24..32 sx sy sz float32 m, standard deviations of x y z; NaN where missing
36     joint    uint8   index in skeleton.KEYPOINT_NAMES; column = joint
37     state    uint8   0 lost, 1 predicted, 2 measured
38     track    uint16  id of the infant, stable while it stays in view
====== ======== ======= =====================================================
"""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState
from infant_pose_ros.structures import FrameResult, TrackedInfant

FIELDS: tuple[tuple[str, str], ...] = (
    ('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('u', '<f4'), ('v', '<f4'), ('score', '<f4'),
    ('sx', '<f4'), ('sy', '<f4'), ('sz', '<f4'), ('joint', 'u1'), ('state', 'u1'),
    ('track', '<u2'))
#: One keypoint, packed; its offsets are the message's.
KEYPOINT_DTYPE = np.dtype(list(FIELDS))

_POINT_FIELD_TYPES = {
    'i1': PointField.INT8, 'u1': PointField.UINT8, 'i2': PointField.INT16,
    'u2': PointField.UINT16, 'i4': PointField.INT32, 'u4': PointField.UINT32,
    'f4': PointField.FLOAT32, 'f8': PointField.FLOAT64}
_DTYPES = {datatype: code for code, datatype in _POINT_FIELD_TYPES.items()}


def keypoint_rows(result: FrameResult, raw: bool) -> np.ndarray:
    """The keypoints of every infant as (infants, 16) of `KEYPOINT_DTYPE`.

    With `raw`, the estimate before smoothing: a keypoint is measured where it has coordinates,
    and lost everywhere in an infant that was not estimated in this frame.
    """
    rows = np.zeros((len(result.infants), NUM_KEYPOINTS), KEYPOINT_DTYPE)
    for name in ('x', 'y', 'z', 'u', 'v', 'sx', 'sy', 'sz'):
        rows[name] = np.nan
    rows['joint'] = np.arange(NUM_KEYPOINTS)
    for row, infant in zip(rows, result.infants):
        _fill_row(row, infant, raw)
    return rows


def _fill_row(row: np.ndarray, infant: TrackedInfant, raw: bool) -> None:
    pose_2d, pose_3d = ((infant.raw_2d, infant.raw_3d) if raw
                        else (infant.smooth_2d, infant.smooth_3d))
    row['track'] = infant.track
    if pose_2d is not None:
        row['u'], row['v'] = pose_2d.keypoints_px.T
        seen = np.isfinite(pose_2d.keypoints_px).all(axis=1)
        score, state = ((pose_2d.score, np.where(seen, TrackState.MEASURED, TrackState.LOST))
                        if raw else (infant.score, infant.state))
        row['score'], row['state'] = np.where(seen, score, 0.0), state
    if pose_3d is not None:
        row['x'], row['y'], row['z'] = pose_3d.keypoints_m.T
        variance = np.diagonal(pose_3d.covariance_m2, axis1=1, axis2=2)
        row['sx'], row['sy'], row['sz'] = np.sqrt(np.maximum(variance, 0.0)).T


def encode_keypoints(result: FrameResult, header: Header, raw: bool = False) -> PointCloud2:
    """One organised cloud: height = infants, width = 16; also with no infant (height 0)."""
    rows = keypoint_rows(result, raw)
    step = KEYPOINT_DTYPE.itemsize
    return PointCloud2(
        header=header, height=len(rows), width=NUM_KEYPOINTS, is_bigendian=False,
        fields=[PointField(name=name, offset=KEYPOINT_DTYPE.fields[name][1], count=1,
                           datatype=_POINT_FIELD_TYPES[code.lstrip('<')])
                for name, code in FIELDS],
        point_step=step, row_step=step * NUM_KEYPOINTS, is_dense=False,
        data=array.array('B', rows.tobytes()))


def decode_keypoints(msg: PointCloud2) -> np.ndarray:
    """The keypoints of a message as (infants, 16) of `KEYPOINT_DTYPE`.

    Fields are found by name, at whatever offset and byte order the message gives them.

    Raises:
        InvalidInputError: a field is missing, or the layout doesn't fit the data.
    """
    if msg.width != NUM_KEYPOINTS and msg.height:
        raise InvalidInputError(
            f'keypoints: expected {NUM_KEYPOINTS} points a row, got {msg.width}')
    needed = msg.height * msg.row_step
    if len(msg.data) < needed or msg.row_step < msg.width * msg.point_step:
        raise InvalidInputError(
            f'keypoints: {msg.height} rows of {msg.row_step} bytes and points of '
            f"{msg.point_step} don't fit {len(msg.data)} bytes of data")
    known = {field.name: field for field in msg.fields}
    rows = np.zeros((msg.height, NUM_KEYPOINTS), KEYPOINT_DTYPE)
    for name, _ in FIELDS:
        field = known.get(name)
        code = _DTYPES.get(field.datatype) if field is not None else None
        if code is None:
            raise InvalidInputError(
                f"keypoints: field '{name}' is missing; the message has "
                f'{", ".join(known) or "none"}')
        dtype = np.dtype('>' + code if msg.is_bigendian else '<' + code)
        if field.offset + dtype.itemsize > msg.point_step:
            raise InvalidInputError(
                f"keypoints: field '{name}' at offset {field.offset} runs over the point's "
                f'{msg.point_step} bytes')
        if msg.height:
            rows[name] = np.ndarray(
                rows.shape, dtype, memoryview(msg.data), field.offset,
                (msg.row_step, msg.point_step))
    return rows
