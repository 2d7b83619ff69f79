"""The 16 MPII keypoints that every part of the package shares.

The only copy of names, order, bones, left/right pairs and dataset maps. Everything else asks
here for indices.
"""

from __future__ import annotations

import enum
from types import MappingProxyType

KEYPOINT_NAMES: tuple[str, ...] = (
    'r_ankle', 'r_knee', 'r_hip', 'l_hip', 'l_knee', 'l_ankle', 'pelvis', 'thorax',
    'upper_neck', 'head_top', 'r_wrist', 'r_elbow', 'r_shoulder', 'l_shoulder', 'l_elbow',
    'l_wrist')
NUM_KEYPOINTS = len(KEYPOINT_NAMES)


class Joint(enum.IntEnum):
    """Index of each keypoint in the common order."""

    R_ANKLE = 0
    R_KNEE = 1
    R_HIP = 2
    L_HIP = 3
    L_KNEE = 4
    L_ANKLE = 5
    PELVIS = 6
    THORAX = 7
    UPPER_NECK = 8
    HEAD_TOP = 9
    R_WRIST = 10
    R_ELBOW = 11
    R_SHOULDER = 12
    L_SHOULDER = 13
    L_ELBOW = 14
    L_WRIST = 15


class TrackState(enum.IntEnum):
    """How a published keypoint came about."""

    LOST = 0
    PREDICTED = 1
    MEASURED = 2


ROOT = Joint.PELVIS

#: Parent of each keypoint, in the common order; the root is its own parent.
PARENTS: tuple[int, ...] = (
    Joint.R_KNEE, Joint.R_HIP, Joint.PELVIS, Joint.PELVIS, Joint.L_HIP, Joint.L_KNEE,
    Joint.PELVIS, Joint.PELVIS, Joint.THORAX, Joint.UPPER_NECK, Joint.R_ELBOW,
    Joint.R_SHOULDER, Joint.THORAX, Joint.THORAX, Joint.L_SHOULDER, Joint.L_ELBOW)

#: (parent, child) of each of the 15 bones.
BONES: tuple[tuple[int, int], ...] = tuple(
    (int(parent), child) for child, parent in enumerate(PARENTS) if parent != child)

#: Keypoints that change places when a picture is mirrored.
LEFT_RIGHT_PAIRS: tuple[tuple[int, int], ...] = (
    (Joint.L_ANKLE, Joint.R_ANKLE), (Joint.L_KNEE, Joint.R_KNEE), (Joint.L_HIP, Joint.R_HIP),
    (Joint.L_WRIST, Joint.R_WRIST), (Joint.L_ELBOW, Joint.R_ELBOW),
    (Joint.L_SHOULDER, Joint.R_SHOULDER))


def _mirrored_order() -> tuple[int, ...]:
    order = list(range(NUM_KEYPOINTS))
    for left, right in LEFT_RIGHT_PAIRS:
        order[left], order[right] = int(right), int(left)
    return tuple(order)


#: `keypoints[MIRRORED_ORDER]` gives a mirrored pose its right names again.
MIRRORED_ORDER: tuple[int, ...] = _mirrored_order()

#: 'left', 'right' or 'centre' for each keypoint.
SIDES: tuple[str, ...] = tuple(
    {'l_': 'left', 'r_': 'right'}.get(name[:2], 'centre') for name in KEYPOINT_NAMES)

#: Colour of each side wherever a skeleton is shown, RGB, 0 to 255.
SIDE_COLOURS_RGB = MappingProxyType({
    'left': (255, 145, 40), 'right': (60, 175, 255), 'centre': (120, 235, 130)})

#: Head unit of PCKh: upper neck to head top.
HEAD_SEGMENT: tuple[int, int] = (Joint.UPPER_NECK, Joint.HEAD_TOP)

#: Angles that `~/joint_states` reports: name -> (end, vertex, end).
JOINT_ANGLES = MappingProxyType({
    'r_elbow': (Joint.R_SHOULDER, Joint.R_ELBOW, Joint.R_WRIST),
    'l_elbow': (Joint.L_SHOULDER, Joint.L_ELBOW, Joint.L_WRIST),
    'r_shoulder': (Joint.R_HIP, Joint.R_SHOULDER, Joint.R_ELBOW),
    'l_shoulder': (Joint.L_HIP, Joint.L_SHOULDER, Joint.L_ELBOW),
    'r_hip': (Joint.R_SHOULDER, Joint.R_HIP, Joint.R_KNEE),
    'l_hip': (Joint.L_SHOULDER, Joint.L_HIP, Joint.L_KNEE),
    'r_knee': (Joint.R_HIP, Joint.R_KNEE, Joint.R_ANKLE),
    'l_knee': (Joint.L_HIP, Joint.L_KNEE, Joint.L_ANKLE),
})

#: For each common keypoint, its index in MINI-RGBD's 25 joints.
FROM_MINI_RGBD: tuple[int, ...] = (8, 5, 2, 1, 4, 7, 0, 9, 12, 24, 21, 19, 17, 16, 18, 20)
#: For each common keypoint, its index in MPI-INF-3DHP's 28 joints.
FROM_MPI_INF_3DHP: tuple[int, ...] = (
    25, 24, 23, 18, 19, 20, 4, 1, 5, 6, 16, 15, 14, 9, 10, 11)
#: For each common keypoint, its index in LSP's 14 joints; -1 where LSP has none.
FROM_LSP: tuple[int, ...] = (0, 1, 2, 3, 4, 5, -1, -1, 12, 13, 6, 7, 8, 9, 10, 11)
#: For each common keypoint, its index in COCO's 17 keypoints; -1 where COCO has none.
FROM_COCO: tuple[int, ...] = (16, 14, 12, 11, 13, 15, -1, -1, -1, -1, 10, 8, 6, 5, 7, 9)
