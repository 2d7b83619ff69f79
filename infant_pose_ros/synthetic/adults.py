"""Adults in everyday poses: standing, walking, reaching, bending, sitting, squatting, lying."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.synthetic.body import axis_rotation
from infant_pose_ros.synthetic.capsules import CapsuleBody
from infant_pose_ros.synthetic.contact import LYING_SUPPORTS, Placed, resolve, Surroundings
from infant_pose_ros.synthetic.kinematics import FREEDOM_INDEX, FREEDOM_NAMES, freedoms
from infant_pose_ros.synthetic.movement import coloured_noise, plateau, within_limits

#: Kind of pose -> (share, lean of the trunk forward in degrees: mean, std).
KINDS = {'stand': (0.22, 2, 5), 'walk': (0.16, 6, 6), 'reach': (0.16, 5, 12),
         'bend': (0.10, 50, 22), 'sit': (0.13, 2, 12), 'squat': (0.06, 25, 12),
         'lie': (0.12, -90, 6), 'sport': (0.05, 15, 25)}
# (mean, std) of angles, degrees, that differ from standing.
_STANDING = {
    'hip_flexion': (4, 6), 'hip_abduction': (4, 5), 'hip_rotation': (6, 8),
    'knee_flexion': (5, 5), 'ankle': (0, 5), 'shoulder_raise': (-30, 10),
    'shoulder_forward': (15, 25), 'shoulder_twist': (0, 25), 'elbow_flexion': (0, 25),
    'wrist': (0, 15), 'curl': (25, 20), 'head_turn': (0, 25), 'spine_flexion': (3, 6)}
_DIFFERENT = {
    'stand': {},
    'walk': {'hip_flexion': (8, 22), 'knee_flexion': (22, 20), 'shoulder_forward': (0, 35)},
    'reach': {'shoulder_raise': (50, 50), 'shoulder_forward': (40, 40), 'elbow_flexion': (0, 40)},
    'bend': {'hip_flexion': (45, 20), 'knee_flexion': (30, 25), 'shoulder_forward': (60, 25),
             'shoulder_raise': (10, 30), 'elbow_flexion': (5, 30), 'spine_flexion': (15, 7)},
    'sit': {'hip_flexion': (88, 10), 'knee_flexion': (85, 18), 'hip_abduction': (10, 10),
            'shoulder_forward': (40, 25), 'shoulder_raise': (-15, 22), 'elbow_flexion': (40, 30)},
    'squat': {'hip_flexion': (105, 12), 'knee_flexion': (115, 15), 'hip_abduction': (20, 12),
              'shoulder_forward': (50, 25), 'shoulder_raise': (0, 30)},
    'lie': {'hip_flexion': (20, 25), 'knee_flexion': (30, 30), 'hip_abduction': (12, 10),
            'shoulder_raise': (5, 45), 'elbow_flexion': (20, 35)},
    'sport': {'hip_flexion': (35, 38), 'knee_flexion': (45, 38), 'hip_abduction': (18, 18),
              'shoulder_raise': (40, 55), 'shoulder_forward': (30, 45),
              'elbow_flexion': (20, 40), 'spine_twist': (0, 14), 'spine_side': (0, 12)}}
# What a body that does not lie may rest on: whatever of it is lowest.
_EVERYTHING = ('pelvis.L', 'pelvis.R', 'chest.L', 'chest.R', 'skull', *(
    f'{name}.{side}' for names in (('elbow', 'wrist', 'fist'), ('heel', 'toes', 'ankle', 'knee'))
    for side in 'LR' for name in names))


def sample_placed(rng: np.random.Generator, body: CapsuleBody, moments: list[np.ndarray]
                  ) -> list[Placed]:
    """Poses of one adult, one `Placed` for each of `moments`.

    Args:
        moments: times (F,), s, rising, of each; another kind of pose is drawn for each.
    """
    kinds = list(KINDS)
    shares = np.array([KINDS[kind][0] for kind in kinds])
    placed = []
    for times_s in moments:
        kind = str(rng.choice(kinds, p=shares / shares.sum()))
        angles = _sample_angles(rng, kind, times_s - times_s[0])
        placed.append(_place(rng, body, kind, angles, times_s))
    return placed


def _sample_angles(rng: np.random.Generator, kind: str, times_s: np.ndarray) -> np.ndarray:
    """Angles (F, D): a drawn posture, swaying, the stride's swing, gestures of the arms."""
    table = freedoms()
    mean, std = np.zeros(len(FREEDOM_NAMES)), np.zeros(len(FREEDOM_NAMES))
    for name, index in FREEDOM_INDEX.items():
        base = name.split('.')[0]
        mean[index], std[index] = (_STANDING | _DIFFERENT[kind]).get(base, (0, table[name].std))
    angles = mean + std * (0.9 * rng.normal(size=len(mean))
                           + 0.3 * coloured_noise(rng, times_s, len(mean), 0.05, 0.3, 1.2))
    if kind == 'walk':
        swing = np.sin(2 * np.pi * rng.uniform(0.7, 1.0) * times_s + rng.uniform(0, 2 * np.pi))
        for side, sign in (('L', 1), ('R', -1)):
            angles[:, FREEDOM_INDEX[f'hip_flexion.{side}']] += 24 * sign * swing
            angles[:, FREEDOM_INDEX[f'knee_flexion.{side}']] += 22 * np.maximum(-sign * swing, 0)
            angles[:, FREEDOM_INDEX[f'shoulder_forward.{side}']] -= 18 * sign * swing
    for start in np.arange(rng.uniform(0, 4), times_s[-1] + 1e-9, 4.0):
        side = rng.choice(['L', 'R'])
        weight = plateau(times_s, start, 0.8, 1.0, 0.8)
        for name, value in (('shoulder_raise', rng.normal(30, 40)),
                            ('elbow_flexion', rng.uniform(0, 90))):
            column = angles[:, FREEDOM_INDEX[f'{name}.{side}']]
            column += weight * (value - column)
    return within_limits(angles)


def _place(rng: np.random.Generator, body: CapsuleBody, kind: str, angles: np.ndarray,
           times_s: np.ndarray) -> Placed:
    """Put one adult onto the floor: lying on its trunk, else on its lowest limb."""
    _, mean, std = KINDS[kind]
    lean = np.deg2rad(rng.normal(mean, std))
    roll = rng.uniform(-np.pi, np.pi) if kind == 'lie' else np.deg2rad(rng.normal(0, 4))
    yaw = rng.uniform(-np.pi, np.pi)
    sway = np.deg2rad(2.0) * coloured_noise(rng, times_s - times_s[0], 2, 0.05, 0.25, 0.8)
    turn = (axis_rotation(2, yaw + sway[:, 1]) @ axis_rotation(0, lean + sway[:, 0])
            @ axis_rotation(2 if kind == 'lie' else 1, np.full(len(times_s), roll)))
    supports = LYING_SUPPORTS if kind == 'lie' else ((_EVERYTHING, 1.0),)
    interval = float(np.median(np.diff(times_s))) if len(times_s) > 1 else None
    return resolve(body, angles, turn, Surroundings(supports), interval)
