"""Keypoints as an organised PointCloud2, which `codecs.keypoint_clouds` reads back."""

from __future__ import annotations

import array

from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from infant_pose_ros.codecs.keypoint_clouds import (
    decode_keypoints as decode_keypoints,
)
from infant_pose_ros.codecs.keypoint_clouds import (
    KEYPOINT_DTYPE,
    keypoint_rows,
    POINT_FIELDS,
)
from infant_pose_ros.skeleton import NUM_KEYPOINTS
from infant_pose_ros.structures import FrameResult


def encode_keypoints(result: FrameResult, header: Header, raw: bool = False) -> PointCloud2:
    """One organised cloud: height = infants, width = 16; also with no infant (height 0)."""
    rows = keypoint_rows(result, raw)
    step = KEYPOINT_DTYPE.itemsize
    return PointCloud2(
        header=header, height=len(rows), width=NUM_KEYPOINTS, is_bigendian=False,
        fields=[PointField(name=name, offset=offset, datatype=datatype, count=1)
                for name, offset, datatype in POINT_FIELDS],
        point_step=step, row_step=step * NUM_KEYPOINTS, is_dense=False,
        data=array.array('B', rows.tobytes()))
