"""The truth beside a clip: where every keypoint really is in every frame."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from infant_pose_ros.data.files import read_arrays
from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS
from infant_pose_ros.structures import checked_array

#: `for_stamp` takes a frame no further away than this share of the usual step between frames.
STAMP_TOLERANCE = 0.5
#: The same for a clip of a single frame, which has no step, s.
SINGLE_FRAME_TOLERANCE_S = 1e-3


@dataclass(frozen=True, eq=False)
class ClipTruth:
    """True keypoints of one infant through a clip of F frames, at least one.

    Attributes:
        stamps_s: (F,) float64, s, strictly rising; on the clip's own clock.
        keypoints_px: (F, 16, 2) float64, frame px; NaN where unknown.
        keypoints_m: (F, 16, 3) float64, m, camera optical frame; NaN where unknown.
        visible: (F, 16) bool; False where something hides the keypoint or it is out of frame.
        box_xyxy: (F, 4) float64, frame px, around the whole infant; NaN where unknown.
        body_length_m: crown to heel, m.
    """

    stamps_s: np.ndarray
    keypoints_px: np.ndarray
    keypoints_m: np.ndarray
    visible: np.ndarray
    box_xyxy: np.ndarray
    body_length_m: float

    def __post_init__(self):
        stamps = checked_array('stamps_s', self.stamps_s, (None,))
        frames = len(stamps)
        if frames == 0 or not np.isfinite(stamps).all() or (np.diff(stamps) <= 0).any():
            raise InvalidInputError(
                f'stamps_s: expected at least one finite and strictly rising stamp, got {frames}')
        object.__setattr__(self, 'stamps_s', stamps)
        for name, shape, dtype in (
                ('keypoints_px', (frames, NUM_KEYPOINTS, 2), np.float64),
                ('keypoints_m', (frames, NUM_KEYPOINTS, 3), np.float64),
                ('visible', (frames, NUM_KEYPOINTS), bool),
                ('box_xyxy', (frames, 4), np.float64)):
            object.__setattr__(self, name, checked_array(name, getattr(self, name), shape, dtype))
        length = float(checked_array('body_length_m', self.body_length_m, ()))
        if not 0.0 < length < 3.0:
            raise InvalidInputError(
                f'body_length_m: expected metres between 0 and 3, got {length}')
        object.__setattr__(self, 'body_length_m', length)

    @classmethod
    def load(cls, path: str | Path) -> ClipTruth:
        """Read what `save` wrote; nothing in the file is unpickled.

        Raises:
            DatasetError: the file is missing, damaged, lacks an array or holds a bad one.
        """
        try:
            return cls(**read_arrays(path, [field.name for field in fields(cls)]))
        except ValueError as error:     # an InvalidInputError is one, too
            raise DatasetError(
                f'truth file {path}: {error}; expected a .npz file with '
                f'{", ".join(field.name for field in fields(cls))}') from error

    def save(self, path: str | Path) -> None:
        """Write a compressed .npz at exactly `path`; coordinates are kept as float32."""
        arrays = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        for name in ('keypoints_px', 'keypoints_m', 'box_xyxy'):
            arrays[name] = arrays[name].astype(np.float32)
        with open(path, 'wb') as file:
            np.savez_compressed(file, **arrays)

    def for_stamp(self, stamp_s: float) -> int | None:
        """Index of the frame at `stamp_s`, or None where none is within half a step of it.

        Half a step is half the median interval of the clip, so that stamps rounded to
        nanoseconds or milliseconds still find their frame. Of two equally near frames the
        earlier is taken.
        """
        if not np.isfinite(stamp_s):
            return None
        step = np.median(np.diff(self.stamps_s)) if len(self.stamps_s) > 1 else 0.0
        tolerance = STAMP_TOLERANCE * step if step else SINGLE_FRAME_TOLERANCE_S
        after = int(np.searchsorted(self.stamps_s, stamp_s))
        near = [i for i in (after - 1, after) if 0 <= i < len(self.stamps_s)]
        best = min(near, key=lambda i: abs(self.stamps_s[i] - stamp_s))
        return best if abs(self.stamps_s[best] - stamp_s) <= tolerance else None
