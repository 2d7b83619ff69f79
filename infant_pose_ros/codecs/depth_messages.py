"""Image messages that carry a depth picture, to metres; the messages may come from a bag too."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.codecs.image_messages import message_pixels, shown_text
from infant_pose_ros.errors import EncodingError

#: encoding -> (dtype, metres of one unit), as REP-118 has them.
_DEPTHS = {'16UC1': (np.uint16, 0.001), 'mono16': (np.uint16, 0.001), '32FC1': (np.float32, 1.0)}


def decode_depth(message) -> np.ndarray:
    """The depth picture in a sensor_msgs/Image, (H, W) float32 m; NaN where unknown.

    16UC1 (and mono16) hold millimetres, 0 where unknown; 32FC1 holds metres, NaN, infinite or
    not positive where unknown.

    Raises:
        EncodingError: another encoding, or a buffer that doesn't fit height, width and step.
    """
    layout = _DEPTHS.get(message.encoding)
    if layout is None:
        raise EncodingError(
            f'depth: unknown encoding {shown_text(message.encoding)}; known: '
            f'{", ".join(_DEPTHS)}')
    dtype, unit_m = layout
    pixels = message_pixels(message, 1, np.dtype(dtype)).astype(np.float32)
    depth_m = pixels if unit_m == 1.0 else pixels * np.float32(unit_m)
    depth_m[~(np.isfinite(depth_m) & (depth_m > 0))] = np.nan
    return depth_m
