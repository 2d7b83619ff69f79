"""Infants that lie in a cot and move, and adults in everyday poses: wishes made into bodies.

`movement` says what an infant wants to do, `contact` what its limbs and the mattress let it do,
`body` makes the skin.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.synthetic import adults
from infant_pose_ros.synthetic.body import axis_rotation, BodyShape, pose_bodies, PosedBodies
from infant_pose_ros.synthetic.capsules import CapsuleBody, measure
from infant_pose_ros.synthetic.contact import (
    Goal,
    LYING_SUPPORTS,
    Placed,
    resolve,
    Surroundings,
)
from infant_pose_ros.synthetic.kinematics import FREEDOM_INDEX, rotations_from_angles
from infant_pose_ros.synthetic.movement import LYING, Movement, REGIONS, sample_movement

#: Frames further apart than this show different moments: each is drawn on its own.
MOMENT_GAP_S = 5.0
#: Deepest crossing of a pose that is kept, m, and how often one is drawn to get there.
TOLERANCE_M, MAX_DRAWS = 0.005, 4
#: So much time around a moment that can't be had is passed over.
PAST_S = 0.6
# How strongly the parts of resting limbs sink.
_SINKING = {'elbow': 1.0, 'fist': 0.9, 'knee': 0.35, 'ankle': 0.35}


def sample_lying(rng: np.random.Generator) -> tuple[str, float]:
    """How an infant lies, and its roll about the trunk, rad: mostly on the back."""
    shares = np.array([row[0] for row in LYING.values()])
    name = str(rng.choice(list(LYING), p=shares / shares.sum()))
    return name, float(np.deg2rad(rng.normal(*LYING[name][1:])))


def lying_of_roll(roll_rad: float) -> str:
    """Name of the lying position nearest to a roll, rad."""
    def away(name):
        return abs((np.rad2deg(roll_rad) - LYING[name][1] + 180) % 360 - 180)
    return min(LYING, key=away)


def sample_infant(rng: np.random.Generator, times_s: np.ndarray, roll_rad: float | None = None,
                  shape: BodyShape | None = None, shown_s: np.ndarray | None = None
                  ) -> PosedBodies:
    """One infant that lies and moves at the given times.

    Args:
        times_s: (F,) s, rising. Times within `MOMENT_GAP_S` of each other belong to one
            movement; after a longer gap it lies anew.
        roll_rad: how it lies: 0 on the back, pi on the front; None: drawn.
        shape: the infant; None: drawn.
        shown_s: (G,) s, rising: show it at these times in place of `times_s`, which then belong
            to one movement of two frames or more; splines lead through its poses.

    Raises:
        InvalidInputError: the times are empty, not finite or don't rise, or `shown_s` leaves one
            movement's time.
    """
    times_s = _checked_times(times_s)
    shape = BodyShape.sample(rng) if shape is None else shape
    body = measure(shape)
    moments = _moments(times_s)
    if shown_s is not None:
        shown_s = _checked_times(shown_s)
        if len(moments) > 1 or shown_s[0] < times_s[0] or shown_s[-1] > times_s[-1]:
            raise InvalidInputError(
                f'shown_s: must lie within one movement, {times_s[0]:g} to {times_s[-1]:g} s '
                f'without a gap, got {shown_s[0]:g} to {shown_s[-1]:g} s')
        placed = _sample_moment(rng, body, times_s, roll_rad)
        return _bodies(shape, [_between(placed, times_s, shown_s)])
    if max(len(moment) for moment in moments) == 1:
        return _bodies(shape, [_sample_stills(rng, body, len(moments), roll_rad)])
    return _bodies(shape, [_sample_moment(rng, body, moment, roll_rad) for moment in moments])


def _sample_moment(rng: np.random.Generator, body: CapsuleBody, times_s: np.ndarray,
                   roll_rad: float | None) -> Placed:
    """One movement; where it can't be had without crossings, it goes past that moment."""
    movement = _sample_wish(rng, times_s, roll_rad)
    loose = np.tile(rng.uniform(0, 1, 4), (len(times_s), 1))
    interval = float(np.median(np.diff(times_s))) if len(times_s) > 1 else None
    placed = _resolve(body, movement, loose, interval)
    for _ in range(MAX_DRAWS):
        bad = placed.crossing_m > TOLERANCE_M
        if not bad.any():
            break
        near = np.abs(times_s[:, None] - times_s[bad]).min(1) <= PAST_S
        if (~near).sum() < 2:
            return _sample_moment(rng, body, times_s, roll_rad)
        good = np.flatnonzero(~near)
        past = PchipInterpolator(times_s[good], placed.angles_deg[good])(
            np.clip(times_s, times_s[good[0]], times_s[good[-1]]))
        movement = dataclasses.replace(movement, angles_deg=past, reaches={
            pair: np.where(near, 0.0, weight) for pair, weight in movement.reaches.items()})
        placed = _resolve(body, movement, loose, interval)
    return placed


def _between(placed: Placed, times_s: np.ndarray, shown_s: np.ndarray) -> Placed:
    """A movement's poses at other times within it."""
    nearest = np.abs(times_s[:, None] - shown_s).argmin(0)
    turn = RotationSpline(times_s, Rotation.from_matrix(placed.turn))(shown_s).as_matrix()
    return Placed(CubicSpline(times_s, placed.angles_deg)(shown_s), turn,
                  CubicSpline(times_s, placed.height_m)(shown_s), placed.crossing_m[nearest])


def _sample_stills(rng: np.random.Generator, body: CapsuleBody, count: int,
                   roll_rad: float | None) -> Placed:
    """Poses on their own; those that end in crossings are drawn again."""
    best = None
    missing = np.arange(count)
    for _ in range(MAX_DRAWS):
        wishes = [_sample_wish(rng, np.zeros(1), roll_rad) for _ in missing]
        placed = _resolve(body, _together(wishes), rng.uniform(0, 1, (len(missing), 4)), None)
        if best is None:
            best = placed
        else:
            best.replace_frames(missing, placed)
        missing = np.flatnonzero(best.crossing_m > TOLERANCE_M)
        if not len(missing):
            break
    return best


def _sample_wish(rng: np.random.Generator, times_s: np.ndarray, roll_rad: float | None
                 ) -> Movement:
    lying, roll = sample_lying(rng) if roll_rad is None else (lying_of_roll(roll_rad), roll_rad)
    return sample_movement(rng, times_s, lying, roll, rng.uniform(-np.pi, np.pi))


def sample_adult(rng: np.random.Generator, times_s: np.ndarray) -> PosedBodies:
    """One adult in everyday poses, standing, sitting or lying on the plane z = 0.

    Args:
        times_s: as in `sample_infant`; another kind of pose is drawn after each longer gap.

    Raises:
        InvalidInputError: as `sample_infant`.
    """
    times_s = _checked_times(times_s)
    shape = BodyShape.sample_adult(rng)
    moments = _moments(times_s)
    placed = adults.sample_placed(rng, measure(shape), moments)
    return _bodies(shape, placed)


def _moments(times_s: np.ndarray) -> list[np.ndarray]:
    """Times of each movement."""
    return np.split(times_s, 1 + np.flatnonzero(np.diff(times_s) > MOMENT_GAP_S))


def _checked_times(times_s: np.ndarray) -> np.ndarray:
    times_s = np.asarray(times_s, dtype=np.float64)
    if times_s.ndim != 1 or not len(times_s) or not np.isfinite(times_s).all() or (
            np.diff(times_s) <= 0).any():
        raise InvalidInputError('times_s: must be one or more finite times, each later than the '
                                f'one before, got shape {times_s.shape}')
    return times_s


def _together(movements: list[Movement]) -> Movement:
    """Moments of one frame each as one; a reach that a moment lacks weighs nothing there."""
    pairs = list(dict.fromkeys(pair for movement in movements for pair in movement.reaches))
    reaches = {pair: np.concatenate([movement.reaches.get(pair, np.zeros(1))
                                     for movement in movements]) for pair in pairs}
    joined = {name: np.concatenate([getattr(movement, name) for movement in movements])
              for name in ('angles_deg', 'roll_rad', 'yaw_rad', 'activity')}
    return Movement(**joined, reaches=reaches)


def _resolve(body: CapsuleBody, movement: Movement, loose: np.ndarray, interval_s: float | None
             ) -> Placed:
    """Let a movement happen on a mattress; `loose` (F, 4): how far resting limbs give way."""
    turn = (axis_rotation(2, movement.yaw_rad - np.pi / 2)
            @ axis_rotation(0, np.full(len(movement.yaw_rad), -np.pi / 2))
            @ axis_rotation(2, movement.roll_rad))
    calm = np.clip(1.2 - movement.activity, 0.0, 1.0)
    gravity = {}
    for name, strength in _SINKING.items():
        limb = 'arm' if name in ('elbow', 'fist') else 'leg'
        for side in 'LR':
            region = REGIONS.index(f'{limb}.{side}')
            gravity[f'{name}.{side}'] = 2.0 * strength * calm[:, region] * loose[:, region]
    for (first, second), weight in movement.reaches.items():
        for name in (first, second):
            for joint in (name, name.replace('fist', 'elbow')):
                if joint in gravity:
                    gravity[joint] = gravity[joint] * (1 - weight)
    goals = tuple(Goal(*pair, weight) for pair, weight in movement.reaches.items())
    return resolve(body, movement.angles_deg, turn, Surroundings(LYING_SUPPORTS, gravity, goals),
                   interval_s)


def _bodies(shape: BodyShape, placed: list[Placed]) -> PosedBodies:
    """Skin the corrected poses and put them into the world."""
    angles = np.concatenate([part.angles_deg for part in placed])
    turn = np.concatenate([part.turn for part in placed])
    up = np.concatenate([part.height_m for part in placed])
    rotations = rotations_from_angles(
        {name: angles[:, index] for name, index in FREEDOM_INDEX.items()})
    bodies = pose_bodies(shape, rotations, len(angles))
    turned = {name: getattr(bodies, name) @ np.swapaxes(turn, 1, 2).astype(
        getattr(bodies, name).dtype) for name in ('vertices_m', 'keypoints_m', 'joints_m')}
    for points in turned.values():
        points[..., 2] += up[:, None].astype(points.dtype)
    turned['vertices_m'][..., 2] = press(turned['vertices_m'][..., 2])
    return dataclasses.replace(bodies, **turned)


def press(height_m: np.ndarray) -> np.ndarray:
    """Flatten what lies under the mattress's surface, softly: heights become positive."""
    return np.where(height_m > 0.004, height_m, 0.004 * np.exp(
        np.minimum(height_m - 0.004, 0.0) / 0.02)).astype(np.float32)
