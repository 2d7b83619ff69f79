"""What the numbers on the other topics mean, as JSON in a latched String."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from std_msgs.msg import String

from infant_pose_ros.config import Settings
from infant_pose_ros.geometry.growth import resolve_body_length
from infant_pose_ros.ros.keypoints import KEYPOINT_DTYPE
from infant_pose_ros.skeleton import (
    BONES,
    JOINT_ANGLES,
    KEYPOINT_NAMES,
    PARENTS,
    ROOT,
    SIDES,
    TrackState,
)

FORMAT_VERSION = 1
UNITS = {'x': 'm', 'y': 'm', 'z': 'm', 'u': 'px', 'v': 'px', 'score': '0..1', 'sx': 'm',
         'sy': 'm', 'sz': 'm', 'joint': 'index of keypoints', 'state': 'index of states',
         'track': 'id'}
_LENGTH_ORIGINS = {
    'given': 'body_length_m as given',
    'age': 'median body length at age_months',
    'assumed': 'an assumed body length: set body_length_m or age_months for true sizes'}


def describe_space(settings, is_absolute: bool) -> dict[str, Any]:
    """Which of the 3D numbers are metric, and which only relative."""
    length_m, origin = resolve_body_length(settings.body_length_m, settings.age_months)
    return {
        'is_absolute': is_absolute,
        'origin': 'camera optical frame' if is_absolute else 'pelvis of each infant',
        'axes': 'x right, y down, z forward, as the camera optical frame',
        'position': 'metric: placed by the camera_info' if is_absolute else
                    'unknown: no usable camera_info; x y z are relative to the pelvis',
        'scale': _LENGTH_ORIGINS[origin], 'scale_is_assumed': origin == 'assumed',
        'body_length_m': length_m}


def skeleton_info(settings: Settings, description: dict[str, Any],
                  is_absolute: bool) -> dict[str, Any]:
    """The content of `~/skeleton_info`.

    Args:
        settings: a PoseNodeSettings.
        description: what the pipeline says of itself: 'models' with names and hashes, 'device',
            'precision'.
        is_absolute: whether a CameraInfo places the root in the camera frame.
    """
    return {
        'version': FORMAT_VERSION, 'camera': settings.camera_name,
        'keypoints': list(KEYPOINT_NAMES), 'root': KEYPOINT_NAMES[ROOT],
        'parents': [int(parent) for parent in PARENTS], 'sides': list(SIDES),
        'bones': [[int(parent), int(child)] for parent, child in BONES],
        'joint_angles': {name: [KEYPOINT_NAMES[joint] for joint in joints]
                         for name, joints in JOINT_ANGLES.items()},
        'states': [state.name.lower() for state in TrackState],
        'fields': {name: {'offset': KEYPOINT_DTYPE.fields[name][1], 'unit': UNITS[name]}
                   for name in KEYPOINT_DTYPE.names},
        'missing': 'NaN', 'stamps': "the image's own", 'angle_unit': 'rad',
        'space': describe_space(settings, is_absolute),
        'models': description['models'],
        'device': description['device'], 'precision': description['precision'],
        'settings': dataclasses.asdict(settings)}


def encode_skeleton_info(content: dict[str, Any]) -> String:
    """JSON without NaN, keys in the order given."""
    return String(data=json.dumps(_plain(content), allow_nan=False))


def _plain(value: Any) -> Any:
    """`value` in JSON's own types; what is not finite becomes null, paths become text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
