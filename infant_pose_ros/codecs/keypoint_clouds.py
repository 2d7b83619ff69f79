"""Keypoints as the points of an organised PointCloud2, one row an infant: made and decoded.

The message may come from rclpy or from a bag read without ROS: only its fields are looked at.

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

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState
from infant_pose_ros.structures import FrameResult, Pose2D, Pose3D

FIELDS: tuple[tuple[str, str], ...] = (
    ('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('u', '<f4'), ('v', '<f4'), ('score', '<f4'),
    ('sx', '<f4'), ('sy', '<f4'), ('sz', '<f4'), ('joint', 'u1'), ('state', 'u1'),
    ('track', '<u2'))
#: One keypoint, packed; its offsets are the message's.
KEYPOINT_DTYPE = np.dtype(list(FIELDS))
#: The numbers of sensor_msgs/PointField's types, by NumPy's codes.
POINT_FIELD_TYPES = {'i1': 1, 'u1': 2, 'i2': 3, 'u2': 4, 'i4': 5, 'u4': 6, 'f4': 7, 'f8': 8}
#: Name, offset and datatype of each sensor_msgs/PointField of the message.
POINT_FIELDS = tuple((name, KEYPOINT_DTYPE.fields[name][1], POINT_FIELD_TYPES[code.lstrip('<')])
                     for name, code in FIELDS)

#: A message may tell of so many infants, and no coordinate, score or deviation is larger.
MAX_INFANTS, MAX_VALUE = 1000, 1e9

_MOST = {'state': int(max(TrackState)), 'track': 65535}
_DTYPES = {datatype: code for code, datatype in POINT_FIELD_TYPES.items()}


def empty_rows(num_infants: int) -> np.ndarray:
    """(num_infants, 16) of `KEYPOINT_DTYPE` with every keypoint lost."""
    rows = np.zeros((num_infants, NUM_KEYPOINTS), KEYPOINT_DTYPE)
    for name in ('x', 'y', 'z', 'u', 'v', 'sx', 'sy', 'sz'):
        rows[name] = np.nan
    rows['joint'] = np.arange(NUM_KEYPOINTS)
    return rows


def keypoint_rows(result: FrameResult, raw: bool) -> np.ndarray:
    """The keypoints of every infant as (infants, 16) of `KEYPOINT_DTYPE`.

    With `raw`, the estimate before smoothing: a keypoint is measured where it has coordinates,
    and lost everywhere in an infant that was not estimated in this frame.
    """
    rows = empty_rows(len(result.infants))
    for row, infant in zip(rows, result.infants):
        if raw:
            fill_row(row, infant.track, infant.raw_2d, infant.raw_3d)
        else:
            fill_row(row, infant.track, infant.smooth_2d, infant.smooth_3d, infant.score,
                     infant.state)
    return rows


def fill_row(row: np.ndarray, track: int, pose_2d: Pose2D | None, pose_3d: Pose3D | None,
             score: np.ndarray | None = None, state: np.ndarray | None = None) -> None:
    """Write one infant into a row (16,) of `empty_rows`.

    Args:
        score, state: (16,) in place of the 2D pose's own score and of 'measured where there'.
    """
    row['track'] = track
    if pose_2d is not None:
        row['u'], row['v'] = pose_2d.keypoints_px.T
        seen = np.isfinite(pose_2d.keypoints_px).all(axis=1)
        row['score'] = np.where(seen, pose_2d.score if score is None else score, 0.0)
        row['state'] = (np.where(seen, TrackState.MEASURED, TrackState.LOST) if state is None
                        else state)
    if pose_3d is not None:
        row['x'], row['y'], row['z'] = pose_3d.keypoints_m.T
        variance = np.diagonal(pose_3d.covariance_m2, axis1=1, axis2=2)
        row['sx'], row['sy'], row['sz'] = np.sqrt(np.maximum(variance, 0.0)).T


def decode_keypoints(msg) -> np.ndarray:
    """The keypoints of a message as (infants, 16) of `KEYPOINT_DTYPE`.

    Fields are found by name, at whatever offset and byte order the message gives them.

    Raises:
        InvalidInputError: a field is missing or of another kind, the layout doesn't fit the data,
            or a value that no keypoint has.
    """
    if msg.width != NUM_KEYPOINTS and msg.height:
        raise InvalidInputError(
            f'keypoints: expected {NUM_KEYPOINTS} points a row, got {msg.width}')
    if msg.height > MAX_INFANTS:
        raise InvalidInputError(
            f'keypoints: {msg.height} rows; at most {MAX_INFANTS} infants are taken')
    needed = msg.height * msg.row_step
    if len(msg.data) < needed or msg.row_step < msg.width * msg.point_step:
        raise InvalidInputError(
            f'keypoints: {msg.height} rows of {msg.row_step} bytes and points of '
            f"{msg.point_step} don't fit {len(msg.data)} bytes of data")
    known = {field.name: field for field in msg.fields}
    rows = np.zeros((msg.height, NUM_KEYPOINTS), KEYPOINT_DTYPE)
    for name, code in FIELDS:
        dtype = _stored_type(msg, known, name, np.dtype(code).kind)
        if msg.height:
            stored = np.ndarray(rows.shape, dtype, memoryview(msg.data), known[name].offset,
                                (msg.row_step, msg.point_step))
            _check_values(name, stored)
            rows[name] = stored
    return rows


def _stored_type(msg, known: dict, name: str, kind: str) -> np.dtype:
    """The type in which a message holds a field, which is of the kind 'f' or 'u' (any integer)."""
    field = known.get(name)
    code = _DTYPES.get(field.datatype) if field is not None else None
    if code is None:
        names = repr(', '.join(known))
        raise InvalidInputError(
            f"keypoints: field '{name}' is missing; the message has {names[:200]}")
    if (kind == 'f') != (code[0] == 'f'):
        raise InvalidInputError(
            f"keypoints: field '{name}' is of type {field.datatype}; expected "
            f'{"a floating point" if kind == "f" else "an integer"} type')
    dtype = np.dtype('>' + code if msg.is_bigendian else '<' + code)
    if field.offset + dtype.itemsize > msg.point_step:
        raise InvalidInputError(
            f"keypoints: field '{name}' at offset {field.offset} runs over the point's "
            f'{msg.point_step} bytes')
    return dtype


def _check_values(name: str, stored: np.ndarray) -> None:
    """Refuse what this field (N, 16) of a keypoint never holds."""
    if stored.dtype.kind == 'f':
        if (np.abs(stored) > MAX_VALUE).any():
            raise InvalidInputError(
                f"keypoints: field '{name}' holds values beyond {MAX_VALUE:g}; NaN marks what is "
                'missing')
    elif name == 'joint':
        if (stored != np.arange(NUM_KEYPOINTS)).any():
            raise InvalidInputError(
                "keypoints: field 'joint' does not count from 0 to "
                f'{NUM_KEYPOINTS - 1} along each row: the points stand in another order')
    elif (stored < 0).any() or (stored > _MOST[name]).any():
        raise InvalidInputError(f"keypoints: field '{name}' holds values outside 0 .. "
                                f'{_MOST[name]}')
