"""What can't be right about the labels of one pose."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.skeleton import (
    BONES,
    Joint,
    KEYPOINT_NAMES,
    LEFT_RIGHT_PAIRS,
    MIRRORED_ORDER,
    SIDES,
)

#: A keypoint farther outside than this share of the picture's longer side is an error.
FAR_SHARE = 0.25
#: In a picture, a bone is at most so many times as long as the next longest one.
LONGEST_BONE_RATIO = 3.0
#: In 3D, a bone is at most so many times as long as that of the other side.
SIDES_RATIO = 1.5
#: Left and right keypoints nearer than this, px, are the same point.
SAME_PX = 0.5
#: Cosine between the hips and the shoulders, each from left to right, at the widest twist.
TWIST_COSINE_2D, TWIST_COSINE_3D = -0.8, -0.5
#: In a picture, narrower hips or shoulders than this share of the trunk tell nothing.
MIN_WIDTH_SHARE = 0.3

Faults = list[tuple[str, str]]


def faults_2d(keypoints_px: np.ndarray, size_wh: tuple[int, int] | None) -> Faults:
    """What is wrong with keypoints (16, 2), NaN where unknown.

    Args:
        size_wh: of the picture; None where it isn't known.

    Returns:
        (kind, text) of each fault.
    """
    faults = []
    if size_wh is not None:
        margin, size = FAR_SHARE * max(size_wh), np.array(size_wh)
        far = ((keypoints_px < -margin) | (keypoints_px > size - 1 + margin)).any(-1)
        faults += [('far outside', f'{KEYPOINT_NAMES[joint]} at {_point(keypoints_px[joint])}, '
                    f'in {size_wh[0]}x{size_wh[1]} px') for joint in np.flatnonzero(far)]
    pairs = [np.linalg.norm(keypoints_px[left] - keypoints_px[right])
             for left, right in LEFT_RIGHT_PAIRS]
    known = [distance for distance in pairs if np.isfinite(distance)]
    if len(known) >= 4 and max(known) < SAME_PX:
        faults.append(('left on right', f'all {len(known)} pairs lie at the same place'))
    lengths = _bone_lengths(keypoints_px)
    order = np.argsort(np.where(np.isfinite(lengths), -lengths, np.inf))
    first, second = order[:2]
    if np.isfinite(lengths).sum() >= 6 and lengths[first] > LONGEST_BONE_RATIO * lengths[second]:
        faults.append(('impossible shape', f'{_bone(first)} is {lengths[first]:.0f} px long, '
                       f'every other bone at most {lengths[second]:.0f} px'))
    trunk = np.linalg.norm(keypoints_px[Joint.THORAX] - keypoints_px[Joint.PELVIS])
    return faults + _twist(keypoints_px, TWIST_COSINE_2D, MIN_WIDTH_SHARE * trunk)


def faults_3d(keypoints_m: np.ndarray) -> Faults:
    """What is wrong with keypoints (16, 3), m, NaN where unknown: (kind, text) of each fault."""
    faults = []
    lengths = _bone_lengths(keypoints_m)
    index_of = {bone: index for index, bone in enumerate(BONES)}
    for index, (parent, child) in enumerate(BONES):
        other = index_of[MIRRORED_ORDER[parent], MIRRORED_ORDER[child]]
        if SIDES[child] == 'left' and lengths[index] + lengths[other] > 0:
            low, high = sorted((lengths[index], lengths[other]))
            if high > SIDES_RATIO * low:
                faults.append((
                    'impossible shape', f'{_bone(index)} is {lengths[index] * 1000:.0f} mm long, '
                    f'the right one {lengths[other] * 1000:.0f} mm'))
    known = lengths[np.isfinite(lengths)]
    if len(known) and not known.any():
        faults.append(('impossible shape', 'all 3D keypoints lie at the same place'))
    return faults + _twist(keypoints_m, TWIST_COSINE_3D, 0.0)


def _bone_lengths(keypoints: np.ndarray) -> np.ndarray:
    return np.array([np.linalg.norm(keypoints[child] - keypoints[parent])
                     for parent, child in BONES])


def _twist(keypoints: np.ndarray, cosine: float, min_width: float) -> Faults:
    hips = keypoints[Joint.R_HIP] - keypoints[Joint.L_HIP]
    shoulders = keypoints[Joint.R_SHOULDER] - keypoints[Joint.L_SHOULDER]
    widths = np.linalg.norm(hips), np.linalg.norm(shoulders)
    if not (min(widths) > min_width and hips @ shoulders < cosine * widths[0] * widths[1]):
        return []  # NaN ends here too
    return [('left and right swapped', 'hips and shoulders point opposite ways')]


def _bone(index: int) -> str:
    parent, child = BONES[index]
    return f'{KEYPOINT_NAMES[parent]} to {KEYPOINT_NAMES[child]}'


def _point(point: np.ndarray) -> str:
    return f'({point[0]:.0f}, {point[1]:.0f})'
