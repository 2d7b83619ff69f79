"""What an infant wants to do: postures, wriggling, quiet phases, kicks, stretches, reaches.

Angles are sums of a posture, slow and fast noise with falling spectra, scaled by an activity that
comes and goes limb by limb, and events. Rates and durations follow published descriptions of
spontaneous movement: single kicks of 0.3 to 1 s, about one a second within a bout, alternating
more often than together; most power below 2 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.synthetic.kinematics import (
    FREEDOM_INDEX,
    FREEDOM_NAMES,
    freedoms,
    limb_of,
)

SUPINE, PRONE, LEFT_SIDE, RIGHT_SIDE = 'supine', 'prone', 'left_side', 'right_side'
#: (share, roll about the trunk's axis in degrees: mean, std).
LYING = {SUPINE: (0.75, 0.0, 16.0), PRONE: (0.12, 180.0, 10.0),
         LEFT_SIDE: (0.065, 78.0, 15.0), RIGHT_SIDE: (0.065, -78.0, 15.0)}

# Where postures differ from lying on the back: (mean, std) in degrees.
_PRONE = {
    'hip_flexion': (60, 32), 'hip_abduction': (42, 15), 'hip_rotation': (38, 16),
    'knee_flexion': (80, 32), 'shoulder_raise': (48, 34), 'shoulder_forward': (8, 20),
    'shoulder_twist': (-45, 28), 'elbow_flexion': (45, 28), 'head_nod': (-8, 8),
    'head_tilt': (0, 8), 'spine_flexion': (0, 6)}
_SIDE = {
    'hip_flexion': (62, 28), 'hip_abduction': (8, 14), 'hip_rotation': (5, 16),
    'knee_flexion': (72, 30), 'shoulder_raise': (12, 30), 'shoulder_forward': (58, 26),
    'elbow_flexion': (35, 32), 'head_turn': (0, 22), 'spine_flexion': (8, 8)}
_OVERRIDES = {SUPINE: {}, PRONE: _PRONE, LEFT_SIDE: _SIDE, RIGHT_SIDE: _SIDE}
#: Arms raised beside the head, forearms on the mattress, as the youngest often lie.
_RAISED_ARM = {'shoulder_raise': (80, 24), 'shoulder_forward': (6, 16),
               'shoulder_twist': (-50, 22), 'elbow_flexion': (38, 28)}
#: Arms in front of the body.
_FRONT_ARM = {'shoulder_raise': (15, 30), 'shoulder_forward': (45, 24),
              'shoulder_twist': (0, 28), 'elbow_flexion': (42, 32)}
RAISED_ARM_SHARE, FRONT_ARM_SHARE = 0.16, 0.20
REGIONS = ('arm.L', 'arm.R', 'leg.L', 'leg.R', 'trunk')
_STD = np.array([freedom.std for freedom in freedoms().values()])
_LOW = np.array([freedom.low for freedom in freedoms().values()])
_HIGH = np.array([freedom.high for freedom in freedoms().values()])


_REGION_OF = np.array([REGIONS.index(limb_of(name)) for name in FREEDOM_NAMES])


@dataclass(frozen=True, eq=False)
class Movement:
    """What is wished at F times.

    Attributes:
        angles_deg: (F, D) in the order of `FREEDOM_NAMES`, within the limits.
        roll_rad, yaw_rad: (F,) of the trunk. activity: (F, 5) of `REGIONS`.
        reaches: (first point, second point) -> (F,) weight 0..1 with which they should meet.
    """

    angles_deg: np.ndarray
    roll_rad: np.ndarray
    yaw_rad: np.ndarray
    activity: np.ndarray
    reaches: dict[tuple[str, str], np.ndarray]


def coloured_noise(rng: np.random.Generator, times_s: np.ndarray, columns: int,
                   lowest_hz: float, mean_hz: float, highest_hz: float) -> np.ndarray:
    """Smooth noise of unit variance (F, columns) whose power falls off with the frequency.

    A sum of 14 sines each, of frequencies lowest + an exponential draw, at most the highest.
    """
    count = 14
    frequency = np.minimum(
        lowest_hz + rng.exponential(mean_hz - lowest_hz, (count, columns)), highest_hz)
    phase = rng.uniform(0, 2 * np.pi, (count, columns))
    return np.sqrt(2 / count) * np.sin(
        2 * np.pi * frequency * times_s[:, None, None] + phase).sum(1)


def within_limits(angles_deg: np.ndarray) -> np.ndarray:
    """Keep angles (F, D) inside their limits, smoothly: bent within 20 % of a limit."""
    middle, half = (_LOW + _HIGH) / 2, (_HIGH - _LOW) / 2
    share = (angles_deg - middle) / half
    beyond = np.maximum(np.abs(share) - 0.8, 0.0)
    return middle + half * (share + np.sign(share) * (0.2 * np.tanh(beyond / 0.2) - beyond))


def plateau(times_s: np.ndarray, start_s: float, rise_s: float, hold_s: float, fall_s: float
            ) -> np.ndarray:
    """(F,) 0 to 1 and back, smooth in speed and acceleration."""
    up = np.clip((times_s - start_s) / rise_s, 0, 1)
    down = np.clip((times_s - start_s - rise_s - hold_s) / fall_s, 0, 1)
    up, down = (x ** 3 * (10 - 15 * x + 6 * x * x) for x in (up, down))
    return up - down


def sample_posture(rng: np.random.Generator, lying: str) -> np.ndarray:
    """Typical angles (D,) about which one infant moves for a while, degrees."""
    mean = np.array([freedom.mean for freedom in freedoms().values()], float)
    std = 0.75 * _STD
    for name, index in FREEDOM_INDEX.items():
        override = _OVERRIDES[lying].get(name.split('.')[0])
        if override:
            mean[index], std[index] = override[0], 0.75 * override[1]
    if lying == SUPINE:
        kinds = rng.choice(3, 2, p=[RAISED_ARM_SHARE, FRONT_ARM_SHARE,
                                    1 - RAISED_ARM_SHARE - FRONT_ARM_SHARE])
        if rng.random() < 0.5:
            kinds[1] = kinds[0]
        for side, kind in zip('LR', kinds):
            for name, (value, spread) in (_RAISED_ARM, _FRONT_ARM, {})[kind].items():
                index = FREEDOM_INDEX[f'{name}.{side}']
                mean[index], std[index] = value, 0.75 * spread
    posture = mean + std * rng.normal(size=len(mean))
    if lying == PRONE:
        posture[FREEDOM_INDEX['head_turn']] = rng.choice([-1, 1]) * rng.uniform(62, 80)
    return posture


def sample_movement(rng: np.random.Generator, times_s: np.ndarray, lying: str, roll_rad: float,
                    yaw_rad: float) -> Movement:
    """What an infant wants to do at times (F,), s, rising, counted from anywhere."""
    times_s = times_s - times_s[0]
    shared = coloured_noise(rng, times_s, 1, 0.02, 0.09, 0.3)
    own = coloured_noise(rng, times_s, len(REGIONS), 0.03, 0.15, 0.4)
    lively = rng.uniform(0.6, 1.15)
    activity = lively * np.logaddexp(0.0, 0.15 + 0.8 * shared + 0.8 * own) / 0.95
    activity = np.clip(activity, 0.05, 1.9)
    names = len(FREEDOM_NAMES)
    slow = 0.55 * coloured_noise(rng, times_s, names, 0.02, 0.12, 0.35)
    fast = 0.30 * coloured_noise(rng, times_s, names, 0.3, 0.75, 2.2)
    damping = np.ones(names)
    if lying == PRONE:
        damping[[FREEDOM_INDEX[name] for name in ('head_turn', 'head_nod', 'head_tilt')]] = 0.25
    angles = sample_posture(rng, lying) + _STD * damping * (
        slow + fast * activity[:, _REGION_OF])
    reaches = _add_events(rng, times_s, angles, lying)
    rolls = np.deg2rad(6.0) * coloured_noise(rng, times_s, 1, 0.04, 0.25, 0.8)[:, 0]
    for start, length in _starts(rng, times_s, 14.0, 2.0, 5.0):  # rolls half over, and back
        rolls += np.deg2rad(rng.normal(0, 15)) * plateau(
            times_s, start, 0.3 * length, 0.4 * length, 0.3 * length)
    yaws = np.deg2rad(3.0) * coloured_noise(rng, times_s, 1, 0.02, 0.1, 0.4)[:, 0]
    return Movement(within_limits(angles), roll_rad + rolls, yaw_rad + yaws, activity, reaches)


def _starts(rng: np.random.Generator, times_s: np.ndarray, every_s: float, shortest_s: float,
            longest_s: float) -> list[tuple[float, float]]:
    """Start and length of events that come about once in `every_s`, also one under way."""
    events = []
    now = -longest_s + rng.exponential(every_s)
    while now < times_s[-1]:
        length = rng.uniform(shortest_s, longest_s)
        events.append((now, length))
        now += length + rng.exponential(every_s)
    return events


def _blend(angles: np.ndarray, weight: np.ndarray, targets: dict[str, float]) -> None:
    for name, value in targets.items():
        column = angles[:, FREEDOM_INDEX[name]]
        column += weight * (value - column)


def _add_events(rng: np.random.Generator, times_s: np.ndarray, angles: np.ndarray, lying: str
                ) -> dict[tuple[str, str], np.ndarray]:
    """Add events to the angles, in place; returns the reaches."""
    if lying != PRONE:
        _add_head_turns(rng, times_s, angles)
        _add_lifted_legs(rng, times_s, angles)
    _add_stretches(rng, times_s, angles)
    _add_kicks(rng, times_s, angles)
    return _add_reaches(rng, times_s, angles) if lying != PRONE else {}


def _add_head_turns(rng: np.random.Generator, times_s: np.ndarray, angles: np.ndarray) -> None:
    turn = angles[:, FREEDOM_INDEX['head_turn']]
    for start, length in _starts(rng, times_s, 5.0, 2.0, 8.0):
        rise = rng.uniform(0.5, 1.2)
        turn += (rng.normal(0, 42) - turn) * plateau(times_s, start, rise, length, rise)


def _add_lifted_legs(rng: np.random.Generator, times_s: np.ndarray, angles: np.ndarray) -> None:
    for start, length in _starts(rng, times_s, 14.0, 1.5, 6.0):
        weight = plateau(times_s, start, 0.25 * length, 0.5 * length, 0.25 * length)
        for side in rng.choice(['L', 'R', 'LR']):
            _blend(angles, weight * rng.uniform(0.7, 1.0), {
                f'hip_flexion.{side}': rng.normal(98, 14),
                f'hip_abduction.{side}': rng.normal(24, 12),
                f'knee_flexion.{side}': rng.normal(50, 30)})


def _add_stretches(rng: np.random.Generator, times_s: np.ndarray, angles: np.ndarray) -> None:
    for start, length in _starts(rng, times_s, 26.0, 1.6, 4.0):
        weight = plateau(times_s, start, 0.35 * length, 0.25 * length, 0.4 * length)
        parts = rng.random(3) < (0.75, 0.75, 0.7)
        for side in 'LR':
            if parts[0]:
                _blend(angles, 0.85 * weight, {
                    f'hip_flexion.{side}': rng.normal(8, 12),
                    f'hip_abduction.{side}': rng.normal(14, 10),
                    f'knee_flexion.{side}': rng.uniform(2, 30),
                    f'ankle.{side}': rng.uniform(5, 30)})
            if parts[1]:
                _blend(angles, 0.85 * weight, {
                    f'shoulder_raise.{side}': rng.normal(85, 28),
                    f'shoulder_twist.{side}': rng.normal(-35, 20),
                    f'elbow_flexion.{side}': rng.uniform(-40, 30)})
        if parts[2]:
            _blend(angles, 0.85 * weight, {
                'spine_flexion': rng.uniform(-14, -5), 'head_nod': rng.uniform(-25, -5),
                'spine_side': rng.normal(0, 10)})


def _add_kicks(rng: np.random.Generator, times_s: np.ndarray, angles: np.ndarray) -> None:
    """Bouts of kicks: a leg drawn up extends and comes back, the knee a little behind."""
    for start, length in _starts(rng, times_s, 9.0, 1.2, 6.0):
        envelope = plateau(times_s, start, 0.4, length - 0.8, 0.4)
        if not envelope.any():
            continue
        rate_hz, depth = rng.uniform(0.65, 1.35), rng.uniform(0.35, 1.0)
        pattern = rng.choice(['one', 'alternating', 'together'], p=[0.4, 0.38, 0.22])
        first = rng.integers(2)
        for k, side in enumerate('LR'):
            if pattern == 'one' and k != first:
                continue
            phase = 0.5 * k if pattern == 'alternating' else 0.0
            cycle = rate_hz * (times_s - start) + phase
            sharp = rng.uniform(1.0, 1.6)
            for name, size, lag in (('hip_flexion', 42, 0.0), ('knee_flexion', 68, 0.07),
                                    ('ankle', -12, 0.1)):
                push = (0.5 - 0.5 * np.cos(2 * np.pi * (cycle - lag))) ** sharp
                angles[:, FREEDOM_INDEX[f'{name}.{side}']] += (
                    envelope * depth * size * (0.35 - push))


def _add_reaches(rng: np.random.Generator, times_s: np.ndarray, angles: np.ndarray
                 ) -> dict[tuple[str, str], np.ndarray]:
    """Hand to mouth, hands together, hand to knee or foot."""
    reaches: dict[tuple[str, str], np.ndarray] = {}
    kinds = ('mouth', 'hands', 'foot')
    busy = np.zeros(len(times_s))
    for start, length in _starts(rng, times_s, 20.0, 1.5, 7.0):
        weight = plateau(times_s, start, rng.uniform(0.5, 1.0), length, rng.uniform(0.5, 1.0))
        weight = np.minimum(weight, 1 - busy)
        busy = np.maximum(busy, weight)
        kind, side = rng.choice(kinds, p=[0.55, 0.33, 0.12]), str(rng.choice(['L', 'R']))
        if kind == 'mouth':
            pair, arms, pose = (f'fist.{side}', 'mouth'), side, (18, 62, 5, 88)
        elif kind == 'hands':
            pair, arms, pose = ('fist.L', 'fist.R'), 'LR', (-5, 62, 10, 48)
        else:
            pair, arms, pose = (f'fist.{side}', f'toes.{side}'), side, (-10, 35, 0, 0)
            _blend(angles, 0.9 * weight, {f'hip_flexion.{side}': 115, f'knee_flexion.{side}': 60,
                                          f'hip_abduction.{side}': 30})
        for arm in arms:
            _blend(angles, 0.9 * weight, {
                f'{name}.{arm}': value for name, value in zip(
                    ('shoulder_raise', 'shoulder_forward', 'shoulder_twist', 'elbow_flexion'),
                    pose)})
        reaches[pair] = np.maximum(reaches.get(pair, 0.0), weight)
    return reaches
