"""Keypoints as an organised PointCloud2, which `codecs.keypoint_clouds` reads back."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from infant_pose_ros.codecs.keypoint_clouds import decode_keypoints as decode_keypoints
from infant_pose_ros.codecs.keypoint_clouds import FIELDS, KEYPOINT_DTYPE, POINT_FIELD_TYPES
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState
from infant_pose_ros.structures import FrameResult, TrackedInfant


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
                           datatype=POINT_FIELD_TYPES[code.lstrip('<')])
                for name, code in FIELDS],
        point_step=step, row_step=step * NUM_KEYPOINTS, is_dense=False,
        data=array.array('B', rows.tobytes()))
