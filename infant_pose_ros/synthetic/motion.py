"""Poses and movement of an infant that lies in a cot: smooth, asynchronous, within joint limits.

A first model: every degree of freedom follows its own two splines, a slow one (posture) and a
fast one (wriggling, scaled by an activity that comes and goes), about the supine rest posture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from infant_pose_ros.synthetic.body import axis_rotation, BodyShape, pose_bodies, PosedBodies


@dataclass(frozen=True)
class Freedom:
    """One degree of freedom, degrees: typical value, spread and limits."""

    mean: float
    std: float
    low: float
    high: float


LIMB_FREEDOMS = {
    'hip_flexion': Freedom(60, 26, -5, 120), 'hip_abduction': Freedom(35, 17, -10, 70),
    'hip_rotation': Freedom(32, 17, -15, 65), 'knee_flexion': Freedom(75, 32, 0, 140),
    'ankle': Freedom(0, 14, -30, 30), 'shoulder_raise': Freedom(55, 42, -35, 130),
    'shoulder_forward': Freedom(20, 26, -5, 95), 'shoulder_twist': Freedom(0, 26, -55, 55),
    'elbow_flexion': Freedom(38, 34, -25, 105), 'wrist': Freedom(0, 16, -40, 40),
    'curl': Freedom(38, 25, 0, 80)}
TRUNK_FREEDOMS = {
    'spine_side': Freedom(0, 8, -22, 22), 'spine_twist': Freedom(0, 8, -22, 22),
    'spine_flexion': Freedom(0, 7, -10, 20), 'head_turn': Freedom(0, 38, -75, 75),
    'head_nod': Freedom(2, 12, -25, 28), 'head_tilt': Freedom(0, 9, -22, 22)}

# Directions of the left arm at rest; a mirrored axis of rotation keeps x and turns y and z.
_UPPER_ARM = np.array([0.667, -0.005, -0.745])
_ELBOW_AXIS = np.array([-0.744, -0.064, -0.665])
_KNUCKLES = np.array([0.385, 0.822, -0.418])

#: (weight, roll about the trunk's axis in degrees: mean, std): supine, sides, prone.
LYING = ((0.80, 0.0, 14.0), (0.07, 75.0, 14.0), (0.07, -75.0, 14.0), (0.06, 180.0, 10.0))


def freedoms() -> dict[str, Freedom]:
    """Every degree of freedom by name; limbs end in .L and .R."""
    named = dict(TRUNK_FREEDOMS)
    for side in 'LR':
        named.update({f'{name}.{side}': value for name, value in LIMB_FREEDOMS.items()})
    return named


def _noise(rng: np.random.Generator, times_s: np.ndarray, spacing_s: float) -> np.ndarray:
    """Smooth unit-variance noise: a cubic spline through normal knots about `spacing_s` apart."""
    span = max(float(times_s[-1] - times_s[0]), 0.0)
    count = int(np.ceil(span / spacing_s)) + 5
    knots = times_s[0] + (np.arange(count) - 2 + rng.uniform(-0.35, 0.35, count)) * spacing_s
    return CubicSpline(knots, rng.normal(size=count))(times_s)


def sample_angles(rng: np.random.Generator, times_s: np.ndarray) -> dict[str, np.ndarray]:
    """Angles in degrees, (F,) for each degree of freedom, at the given times (s, rising)."""
    activity = {key: 0.35 + 0.75 * np.abs(_noise(rng, times_s, 2.5))
                for key in ('arm.L', 'arm.R', 'leg.L', 'leg.R', 'trunk')}
    angles = {}
    for name, freedom in freedoms().items():
        region = 'trunk'
        if name[-2:] in ('.L', '.R'):
            leg = name.startswith(('hip', 'knee', 'ankle'))
            region = ('leg' if leg else 'arm') + name[-2:]
        offset = 0.75 * rng.normal()
        slow = 0.7 * _noise(rng, times_s, rng.uniform(2.5, 5.0))
        fast = 0.42 * activity[region] * _noise(rng, times_s, rng.uniform(0.45, 1.1))
        raw = freedom.mean + freedom.std * (offset + slow + fast)
        angles[name] = _within(raw, freedom)
    return angles


def _within(angle: np.ndarray, freedom: Freedom) -> np.ndarray:
    """Keep an angle inside its limits, smoothly (identity well inside, bent near the limits)."""
    middle, half = (freedom.low + freedom.high) / 2, (freedom.high - freedom.low) / 2
    share = (angle - middle) / half
    soft = np.where(np.abs(share) < 0.8, share,
                    np.sign(share) * (0.8 + 0.2 * np.tanh((np.abs(share) - 0.8) / 0.2)))
    return middle + half * soft


def rotations_from_angles(angles: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bone rotations (F, 3, 3) in the rest pose's axes from angles in degrees (F,)."""
    rad = {name: np.deg2rad(value) for name, value in angles.items()}
    rotations = {}
    spine = (axis_rotation(1, rad['spine_side'] / 5) @ axis_rotation(2, rad['spine_twist'] / 5)
             @ axis_rotation(0, rad['spine_flexion'] / 5))
    rotations.update({f'spine0{k}': spine for k in range(1, 6)})
    head = (axis_rotation(2, rad['head_turn'] / 4) @ axis_rotation(0, rad['head_nod'] / 4)
            @ axis_rotation(1, rad['head_tilt'] / 4))
    rotations.update({bone: head for bone in ('neck01', 'neck02', 'neck03', 'head')})
    for side, sign in (('L', 1.0), ('R', -1.0)):
        def at(name, side=side):
            return rad[f'{name}.{side}']
        rotations[f'upperleg01.{side}'] = (
            axis_rotation(0, -at('hip_flexion')) @ axis_rotation(1, -sign * at('hip_abduction'))
            @ axis_rotation(2, sign * 0.7 * at('hip_rotation')))
        rotations[f'upperleg02.{side}'] = axis_rotation(2, sign * 0.3 * at('hip_rotation'))
        rotations[f'lowerleg01.{side}'] = axis_rotation(0, at('knee_flexion'))
        rotations[f'foot.{side}'] = axis_rotation(0, at('ankle'))
        excess = np.maximum(at('shoulder_raise') - np.pi / 4, 0.0) / 4
        rotations[f'clavicle.{side}'] = axis_rotation(1, -sign * excess)
        rotations[f'upperarm01.{side}'] = (
            axis_rotation(2, -sign * at('shoulder_forward'))
            @ axis_rotation(1, -sign * (at('shoulder_raise') - excess)))
        rotations[f'upperarm02.{side}'] = _axis_angle(
            _UPPER_ARM * [sign, 1, 1], sign * at('shoulder_twist'))
        rotations[f'lowerarm01.{side}'] = _axis_angle(
            _ELBOW_AXIS * [1, sign, sign], at('elbow_flexion'))
        curl = _axis_angle(_KNUCKLES * [1, sign, sign], at('curl'))
        rotations.update({f'finger{k}-{n}.{side}': curl for k in range(2, 6) for n in (1, 2, 3)})
        rotations[f'wrist.{side}'] = axis_rotation(1, sign * at('wrist'))
    return rotations


def _axis_angle(axis: np.ndarray, angle_rad: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) about one axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sin, cos = np.sin(angle_rad)[:, None, None], np.cos(angle_rad)[:, None, None]
    return np.eye(3) + sin * skew + (1 - cos) * (skew @ skew)


def lay_down(bodies: PosedBodies, yaw_rad: float, roll_rad: np.ndarray,
             smooth_frames: float = 0.0) -> PosedBodies:
    """Lay bodies on the mattress (the plane z = 0): head along `yaw_rad`, turned by `roll_rad`.

    Args:
        bodies: upright, hips at the origin.
        yaw_rad: direction of the crown in the plane.
        roll_rad: (F,) about the trunk; 0 on the back.
        smooth_frames: standard deviation, in frames, of the smoothing of the height at which the
            body rests.
    """
    turn = (axis_rotation(2, np.full(len(roll_rad), yaw_rad - np.pi / 2))
            @ axis_rotation(0, np.full(len(roll_rad), -np.pi / 2)) @ axis_rotation(2, roll_rad))
    vertices = np.einsum('fij,fvj->fvi', turn.astype(np.float32), bodies.vertices_m)
    keypoints = np.einsum('fij,fkj->fki', turn, bodies.keypoints_m)
    support = np.percentile(vertices[:, ::7, 2], 4.0, axis=1)
    if smooth_frames > 0:
        from scipy.ndimage import gaussian_filter1d

        support = gaussian_filter1d(support, smooth_frames, mode='nearest')
    vertices[:, :, 2] = _sink(vertices[:, :, 2] - support[:, None].astype(np.float32))
    keypoints[:, :, 2] = np.maximum(keypoints[:, :, 2] - support[:, None], 0.012)
    return PosedBodies(
        vertices, keypoints, bodies.rest_vertices_m, bodies.body_length_m)


def _sink(height_m: np.ndarray) -> np.ndarray:
    """Press what lies under the mattress's surface up to it, softly."""
    return np.where(height_m > 0.004, height_m, 0.004 * np.exp(
        np.minimum(height_m - 0.004, 0.0) / 0.02)).astype(np.float32)


def sample_roll(rng: np.random.Generator) -> float:
    """Roll about the trunk, rad: mostly on the back, at times on a side or the front."""
    weights = np.array([row[0] for row in LYING])
    _, mean, std = LYING[rng.choice(len(LYING), p=weights / weights.sum())]
    return float(np.deg2rad(rng.normal(mean, std)))


def sample_infant(rng: np.random.Generator, times_s: np.ndarray, roll_rad: float | None = None,
                  shape: BodyShape | None = None) -> PosedBodies:
    """One infant that lies and moves at the given times (s, rising)."""
    shape = BodyShape.sample(rng) if shape is None else shape
    roll_rad = sample_roll(rng) if roll_rad is None else roll_rad
    angles = sample_angles(rng, times_s)
    bodies = pose_bodies(shape, rotations_from_angles(angles), len(times_s))
    rolls = roll_rad + np.deg2rad(7.0) * _noise(rng, times_s, 2.0)
    fps = 1.0 if len(times_s) < 2 else 1.0 / float(np.median(np.diff(times_s)))
    return lay_down(bodies, rng.uniform(-np.pi, np.pi), rolls,
                    0.25 * fps if len(times_s) > 1 else 0.0)
