"""What the numbers on the other topics mean, as JSON in a latched String."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from std_msgs.msg import String

from infant_pose_ros.config import Settings
from infant_pose_ros.filtering.scale import known_scale, Scale
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
from infant_pose_ros.structures import FrameResult

FORMAT_VERSION = 1
#: A space that changed is told this often at most, s.
TELL_PERIOD_S = 1.0
UNITS = {'x': 'm', 'y': 'm', 'z': 'm', 'u': 'px', 'v': 'px', 'score': '0..1', 'sx': 'm',
         'sy': 'm', 'sz': 'm', 'joint': 'index of keypoints', 'state': 'index of states',
         'track': 'id'}
_LENGTH_ORIGINS = {
    'given': 'body_length_m as given',
    'age': 'median body length at age_months',
    'estimated': "estimated from the main infant's pictures",
    'assumed': 'an assumed body length: set body_length_m or age_months for true sizes'}
_POSITIONS = {
    'depth': 'metric: measured in the depth pictures',
    'reprojection': 'metric as far as the scale is true: placed by the camera_info and the size '
                    'in the picture',
    'none': 'unknown: no usable camera_info; x y z are relative to the pelvis'}


@dataclasses.dataclass(frozen=True)
class Space:
    """What is known of size and place at present: `placement` 'depth', 'reprojection' or 'none',
    and the `scale` of the main infant.
    """

    placement: str
    scale: Scale

    @classmethod
    def before_pictures(cls, settings: Settings) -> Space:
        """As long as no frame was answered."""
        return cls('none', known_scale(settings))

    @classmethod
    def of(cls, result: FrameResult, is_absolute: bool) -> Space:
        """After a frame that was answered with, or without, a usable camera."""
        by_depth = is_absolute and result.placement == 'depth'
        return cls('depth' if by_depth else 'reprojection' if is_absolute else 'none',
                   Scale(result.body_length_m, result.scale_std, result.scale_origin))

    def differs(self, other: Space) -> bool:
        """Whether it is worth telling anew."""
        return ((self.placement, self.scale.origin) != (other.placement, other.scale.origin)
                or abs(self.scale.length_m - other.scale.length_m) > 0.01 * other.scale.length_m)


class SpaceWatch:
    """Which space was told last, and whether the present one is to be told.

    A change is told at once, and further ones, of depth that comes and goes say, once every
    `TELL_PERIOD_S`. `now_s` is any steady clock, s.
    """

    def __init__(self, space: Space):
        self.now = self._told = space
        self._told_s = -float('inf')

    def restart(self, space: Space) -> None:
        """Take this for told."""
        self.now = self._told = space
        self._told_s = -float('inf')

    def is_news(self, now_s: float) -> bool:
        """Whether to tell `now`; it is taken for told then."""
        if now_s - self._told_s < TELL_PERIOD_S or not self.now.differs(self._told):
            return False
        self._told, self._told_s = self.now, now_s
        return True


def describe_space(space: Space) -> dict[str, Any]:
    """Which of the 3D numbers are metric, and which only relative."""
    is_absolute, scale = space.placement != 'none', space.scale
    return {
        'is_absolute': is_absolute,
        'origin': 'camera optical frame' if is_absolute else 'pelvis of each infant',
        'axes': 'x right, y down, z forward, as the camera optical frame',
        'placement': space.placement, 'position': _POSITIONS[space.placement],
        'scale': _LENGTH_ORIGINS[scale.origin], 'scale_origin': scale.origin,
        'scale_is_assumed': scale.origin == 'assumed',
        'scale_relative_std': round(scale.relative_std, 4),
        'body_length_m': scale.length_m,
        'standard_deviations': 'sx sy sz contain the uncertainty of the scale'}


def skeleton_info(settings: Settings, description: dict[str, Any],
                  space: Space) -> dict[str, Any]:
    """The content of `~/skeleton_info`.

    Args:
        settings: a PoseNodeSettings.
        description: what the pipeline says of itself: 'models' with names and hashes, 'device',
            'precision'.
        space: what is known of size and place at present.
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
        'space': describe_space(space),
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
