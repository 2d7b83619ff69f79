"""Degrees of freedom of a body, their limits, and a light forward kinematics of the big bones.

The kinematics follows the body model's `local-ref` poses: each rotation is given in the axes of
the rest pose (x the body's left, -y its front, z up) and applies before its parents'. Heads of
bones agree with the model's to rounding, at a hundredth of the cost, since no skin is moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.synthetic.body import axis_rotation


@dataclass(frozen=True)
class Freedom:
    """One degree of freedom, degrees: typical value lying on the back, spread and limits."""

    mean: float
    std: float
    low: float
    high: float


ARM_FREEDOMS = {
    'shoulder_raise': Freedom(6, 34, -42, 125), 'shoulder_forward': Freedom(6, 26, -35, 110),
    'shoulder_twist': Freedom(-38, 32, -90, 65), 'elbow_flexion': Freedom(18, 34, -40, 100),
    'wrist': Freedom(0, 16, -40, 40), 'curl': Freedom(38, 25, 0, 80)}
LEG_FREEDOMS = {
    'hip_flexion': Freedom(56, 26, -12, 125), 'hip_abduction': Freedom(32, 16, -12, 72),
    'hip_rotation': Freedom(46, 17, -25, 75), 'knee_flexion': Freedom(92, 28, 0, 145),
    'ankle': Freedom(0, 14, -35, 35)}
TRUNK_FREEDOMS = {
    'spine_side': Freedom(0, 8, -24, 24), 'spine_twist': Freedom(0, 8, -24, 24),
    'spine_flexion': Freedom(0, 7, -14, 26), 'head_turn': Freedom(0, 38, -80, 80),
    'head_nod': Freedom(2, 12, -28, 28), 'head_tilt': Freedom(0, 9, -24, 24)}


def freedoms() -> dict[str, Freedom]:
    """Every degree of freedom by name; limbs end in .L and .R."""
    named = dict(TRUNK_FREEDOMS)
    for side in 'LR':
        named.update({f'{name}.{side}': value
                      for name, value in (ARM_FREEDOMS | LEG_FREEDOMS).items()})
    return named


def limb_of(freedom: str) -> str:
    """`arm.L`, `arm.R`, `leg.L`, `leg.R` or `trunk`: which part of the body a freedom moves."""
    base, _, side = freedom.partition('.')
    if not side:
        return 'trunk'
    return f'{"leg" if base in LEG_FREEDOMS else "arm"}.{side}'


FREEDOM_NAMES: tuple[str, ...] = tuple(freedoms())
FREEDOM_INDEX = {name: index for index, name in enumerate(FREEDOM_NAMES)}

# Directions of the left arm at rest; a mirrored axis of rotation keeps x and turns y and z.
_UPPER_ARM = np.array([0.667, -0.005, -0.745])
_ELBOW_AXIS = np.array([-0.744, -0.064, -0.665])
_KNUCKLES = np.array([0.385, 0.822, -0.418])


def axis_angle(axis: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) about one axis (3,) by angles (N,) (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sin, cos = np.sin(angle_rad)[:, None, None], np.cos(angle_rad)[:, None, None]
    return np.eye(3) + sin * skew + (1 - cos) * (skew @ skew)


def rotations_from_angles(angles: dict[str, np.ndarray], fingers: bool = True
                          ) -> dict[str, np.ndarray]:
    """Bone rotations (N, 3, 3) in the rest pose's axes from angles in degrees (N,)."""
    rad = {name: np.deg2rad(value) for name, value in angles.items()}
    spine = (axis_rotation(1, rad['spine_side'] / 5) @ axis_rotation(2, rad['spine_twist'] / 5)
             @ axis_rotation(0, rad['spine_flexion'] / 5))
    rotations = {f'spine0{k}': spine for k in range(1, 6)}
    head = (axis_rotation(2, rad['head_turn'] / 4) @ axis_rotation(0, rad['head_nod'] / 4)
            @ axis_rotation(1, rad['head_tilt'] / 4))
    rotations.update({bone: head for bone in ('neck01', 'neck02', 'neck03', 'head')})
    for side, sign in (('L', 1.0), ('R', -1.0)):
        rotations.update(_leg_rotations(rad, side, sign))
        rotations.update(_arm_rotations(rad, side, sign))
        if fingers:
            curl = axis_angle(_KNUCKLES * [1, sign, sign], rad[f'curl.{side}'])
            rotations.update(
                {f'finger{k}-{n}.{side}': curl for k in range(2, 6) for n in (1, 2, 3)})
    return rotations


def _leg_rotations(rad: dict[str, np.ndarray], side: str, sign: float) -> dict[str, np.ndarray]:
    turn = sign * rad[f'hip_rotation.{side}']
    return {
        f'upperleg01.{side}': (
            axis_rotation(0, -rad[f'hip_flexion.{side}'])
            @ axis_rotation(1, -sign * rad[f'hip_abduction.{side}'])
            @ axis_rotation(2, 0.7 * turn)),
        f'upperleg02.{side}': axis_rotation(2, 0.3 * turn),
        f'lowerleg01.{side}': axis_rotation(0, rad[f'knee_flexion.{side}']),
        f'foot.{side}': axis_rotation(0, rad[f'ankle.{side}'])}


def _arm_rotations(rad: dict[str, np.ndarray], side: str, sign: float) -> dict[str, np.ndarray]:
    raised = rad[f'shoulder_raise.{side}']
    excess = np.maximum(raised - np.pi / 4, 0.0) / 4
    return {
        f'clavicle.{side}': axis_rotation(1, -sign * excess),
        f'upperarm01.{side}': (axis_rotation(2, -sign * rad[f'shoulder_forward.{side}'])
                               @ axis_rotation(1, -sign * (raised - excess))),
        f'upperarm02.{side}': axis_angle(
            _UPPER_ARM * [sign, 1, 1], sign * rad[f'shoulder_twist.{side}']),
        f'lowerarm01.{side}': axis_angle(
            _ELBOW_AXIS * [1, sign, sign], rad[f'elbow_flexion.{side}']),
        f'wrist.{side}': axis_rotation(1, sign * rad[f'wrist.{side}'])}


#: Bone -> parent, parents first: those that carry keypoints or the ends of capsules.
PARENT_OF: dict[str, str | None] = {
    'root': None, 'spine05': 'root', 'spine04': 'spine05', 'spine03': 'spine04',
    'spine02': 'spine03', 'spine01': 'spine02', 'neck01': 'spine01', 'neck02': 'neck01',
    'neck03': 'neck02', 'head': 'neck03'}
for _side in 'LR':
    PARENT_OF.update({
        f'upperleg01.{_side}': 'root', f'upperleg02.{_side}': f'upperleg01.{_side}',
        f'lowerleg01.{_side}': f'upperleg02.{_side}', f'foot.{_side}': f'lowerleg01.{_side}',
        f'clavicle.{_side}': 'spine01', f'upperarm01.{_side}': f'clavicle.{_side}',
        f'upperarm02.{_side}': f'upperarm01.{_side}',
        f'lowerarm01.{_side}': f'upperarm02.{_side}', f'wrist.{_side}': f'lowerarm01.{_side}'})


@dataclass(frozen=True, eq=False)
class MarkedPoint:
    """A point that a bone carries: where it lies at rest (3,), m, and the limb that moves it."""

    bone: str
    rest_m: np.ndarray
    limb: str


def forward_points(heads_m: dict[str, np.ndarray], points: list[MarkedPoint],
                   angles_deg: np.ndarray) -> np.ndarray:
    """Where marked points go.

    Args:
        heads_m: head of each bone at rest, (3,).
        points: P of them.
        angles_deg: (N, D) in the order of `FREEDOM_NAMES`.

    Returns:
        (N, P, 3), hips at the origin, upright as at rest.
    """
    rotations = rotations_from_angles(
        {name: angles_deg[:, index] for name, index in FREEDOM_INDEX.items()}, fingers=False)
    turns: dict[str, np.ndarray] = {}
    places: dict[str, np.ndarray] = {}
    for bone, parent in PARENT_OF.items():
        if parent is None:
            turns[bone] = np.broadcast_to(np.eye(3), (len(angles_deg), 3, 3))
            places[bone] = np.broadcast_to(heads_m[bone], (len(angles_deg), 3))
            continue
        places[bone] = places[parent] + turns[parent] @ (heads_m[bone] - heads_m[parent])
        own = rotations.get(bone)
        turns[bone] = turns[parent] if own is None else turns[parent] @ own
    return np.stack([places[point.bone] + turns[point.bone] @ (point.rest_m - heads_m[point.bone])
                     for point in points], 1)
