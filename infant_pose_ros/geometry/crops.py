"""Turned square crops: the maps between the frame and a network's input picture.

Both pictures count pixels from the centre of their top left pixel, which sits at (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.structures import checked_array

_HIPS = (Joint.L_HIP, Joint.R_HIP)
_SHOULDERS = (Joint.L_SHOULDER, Joint.R_SHOULDER)
#: (from, to) groups of keypoints whose means give the up direction; the first complete one wins.
_UP_AXES = (
    ((Joint.PELVIS,), (Joint.THORAX,)),
    ((Joint.PELVIS,), (Joint.UPPER_NECK,)),
    ((Joint.PELVIS,), (Joint.HEAD_TOP,)),
    (_HIPS, _SHOULDERS),
    ((Joint.THORAX,), (Joint.HEAD_TOP,)),
)
_SHORTEST_AXIS_PX = 1e-6


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Move `points` (..., 2) by the affine `matrix` (2, 3); NaN stays NaN."""
    matrix = np.asarray(matrix, dtype=np.float64)
    return np.asarray(points, dtype=np.float64) @ matrix[:, :2].T + matrix[:, 2]


def transform_covariances(matrix: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Move `covariances` (..., 2, 2) by the affine `matrix` (2, 3): A C A^T."""
    linear = np.asarray(matrix, dtype=np.float64)[:, :2]
    return linear @ np.asarray(covariances, dtype=np.float64) @ linear.T


def upright_angle(keypoints_px: np.ndarray) -> float:
    """Angle (rad) of the trunk in a picture: 0 with the head up, pi/2 with the head right.

    Taken from pelvis to thorax, or from the next best pair of keypoints (16, 2) that are there;
    0 where none is.
    """
    for lower, upper in _UP_AXES:
        ends = [keypoints_px[list(group)].mean(axis=0) for group in (lower, upper)]
        up_x, up_y = ends[1] - ends[0]
        if np.hypot(up_x, up_y) > _SHORTEST_AXIS_PX:  # False with NaN
            return float(np.arctan2(up_x, -up_y))
    return 0.0


@dataclass(frozen=True, eq=False)
class Crop:
    """A turned square of the frame that becomes a network's input picture.

    Attributes:
        centre_px: (2,) middle of the square, frame px.
        side_px: length of its sides, frame px.
        angle_rad: its up direction in the frame is (sin a, -cos a); 0 is the frame's own up.
        input_size: width and height of the input picture, model px.

    Raises:
        InvalidInputError: a value is not finite, or a length is not positive.
    """

    centre_px: np.ndarray
    side_px: float
    angle_rad: float
    input_size: int

    def __post_init__(self):
        centre = checked_array('crop centre_px', self.centre_px, (2,))
        if not np.isfinite([*centre, self.side_px, self.angle_rad]).all():
            raise InvalidInputError(
                f'crop: centre, side and angle must be finite, got {centre.tolist()}, '
                f'{self.side_px}, {self.angle_rad}')
        if self.side_px <= 0 or self.input_size <= 0:
            raise InvalidInputError(
                f'crop: side_px and input_size must be positive, got {self.side_px} and '
                f'{self.input_size}; an empty box has no crop')
        object.__setattr__(self, 'centre_px', centre)

    @cached_property
    def _axes(self) -> np.ndarray:
        """(2, 2): its columns are the model's x and y directions in the frame, unit length."""
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        return np.array([[cos, -sin], [sin, cos]])

    @cached_property
    def model_to_frame(self) -> np.ndarray:
        """(2, 3) affine matrix from model px to frame px."""
        linear = self._axes * (self.side_px / self.input_size)
        middle = np.full(2, (self.input_size - 1) / 2)
        return np.column_stack([linear, self.centre_px - linear @ middle])

    @cached_property
    def frame_to_model(self) -> np.ndarray:
        """(2, 3) affine matrix from frame px to model px."""
        linear = self._axes.T * (self.input_size / self.side_px)
        middle = np.full(2, (self.input_size - 1) / 2)
        return np.column_stack([linear, middle - linear @ self.centre_px])

    @property
    def corners_px(self) -> np.ndarray:
        """(4, 2) outer corners in frame px: top left, top right, bottom right, bottom left."""
        low, high = -0.5, self.input_size - 0.5
        corners = np.array([[low, low], [high, low], [high, high], [low, high]])
        return transform_points(self.model_to_frame, corners)

    @classmethod
    def from_box(cls, box_xyxy: np.ndarray, scale: float, input_size: int,
                 angle_rad: float = 0.0) -> Crop:
        """Crop around the middle of a box; its side is the box's longer side times `scale`."""
        box = checked_array('box_xyxy', box_xyxy, (4,))
        centre = (box[:2] + box[2:]) / 2
        return cls(centre, float((box[2:] - box[:2]).max() * scale), angle_rad, input_size)

    @classmethod
    def from_keypoints(cls, keypoints_px: np.ndarray, scale: float, input_size: int,
                       turn: bool = True) -> Crop:
        """Crop around keypoints (16, 2), with the trunk upright in it where `turn` is set.

        The extent is measured along the crop's own axes; the crop sits in its middle and its
        side is the longer side of the extent times `scale`. NaN keypoints are left out.

        Raises:
            InvalidInputError: fewer than two keypoints are finite, or all coincide.
        """
        keypoints = np.asarray(keypoints_px, dtype=np.float64)
        angle_rad = upright_angle(keypoints) if turn else 0.0
        finite = keypoints[np.isfinite(keypoints).all(axis=-1)]
        if len(finite) < 2:
            raise InvalidInputError(
                f'crop: needs at least 2 finite keypoints, got {len(finite)}; detect again')
        cos, sin = np.cos(angle_rad), np.sin(angle_rad)
        axes = np.array([[cos, -sin], [sin, cos]])
        turned = finite @ axes
        low, high = turned.min(axis=0), turned.max(axis=0)
        return cls(axes @ ((low + high) / 2), float((high - low).max() * scale), angle_rad,
                   input_size)
