"""Correct poses so that nothing goes through anything: limbs, trunk, head and mattress.

The pose is moved as little as it takes, in its own degrees of freedom, so that bones keep their
length: semismooth Gauss-Newton steps on a sum of squares, all frames at once. A frame's terms are
the shift of each angle over its spread, crossings of capsules and of the mattress (hinges), the
pull of gravity, and goals such as a hand at the mouth. Second differences of the shift over time
couple the frames (a banded system), which keeps a movement smooth.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from scipy.linalg import solveh_banded

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.synthetic.body import axis_rotation
from infant_pose_ros.synthetic.capsules import CapsuleBody, crossings
from infant_pose_ros.synthetic.kinematics import (
    forward_points,
    FREEDOM_NAMES,
    freedoms,
    limb_of,
)

#: Flesh and mattress yield that far, m.
SINK_M = 0.006
CONTACT_STD_M, MATTRESS_STD_M, SUPPORT_STD_M, GOAL_STD_M = 0.0007, 0.001, 0.012, 0.010
HEIGHT_STD_M, TILT_STD_RAD = 0.05, np.deg2rad(9.0)
SMOOTH_S = 0.16
#: Crossings nearer than this are watched, m.
NEAR_M = 0.03
_MAX_STEP, _DAMPING, _INNER = 1.0, 0.3, 4
MIN_ITERATIONS, MAX_ITERATIONS, GOOD_ENOUGH_M = 6, 16, 0.0025
_LIMIT_WEIGHT = 1e5

_ACTIVE = tuple(index for index, name in enumerate(FREEDOM_NAMES) if not name.startswith('curl'))
_LIMB_OF = tuple(limb_of(FREEDOM_NAMES[index]) for index in _ACTIVE)
NUM_UNKNOWNS = len(_ACTIVE) + 3  # and height, and tilts about the world's x and y
#: What a lying body rests on: `Surroundings.supports`.
LYING_SUPPORTS = ((('pelvis.L', 'pelvis.R'), 1.0), (('chest.L', 'chest.R'), 1.0),
                  (('skull', 'chin'), 2.5))


def _columns() -> list[list[int]]:
    """Unknowns in groups that move disjoint points, so that one evaluation serves a group."""
    groups: list[list[int]] = []
    for limb in dict.fromkeys(_LIMB_OF):
        own = [k for k, name in enumerate(_LIMB_OF) if name == limb]
        if limb == 'trunk':
            groups += [[k] for k in own]
            first = len(groups)
            continue
        for place, k in enumerate(own):
            if first + place == len(groups):
                groups.append([])
            groups[first + place].append(k)
    return groups


_GROUPS = _columns()
_FREEDOMS = tuple(freedoms()[FREEDOM_NAMES[index]] for index in _ACTIVE)
_STD = np.array([freedom.std for freedom in _FREEDOMS])
_LOW = np.array([freedom.low for freedom in _FREEDOMS])
_HIGH = np.array([freedom.high for freedom in _FREEDOMS])


@dataclass(frozen=True, eq=False)
class Goal:
    """Two points that should meet: names, and how much they should, (F,) 0..1."""

    first: str
    second: str
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What pulls at a body.

    Attributes:
        supports: groups of points of which the lowest rests on the mattress, and how loosely
            (a factor on the spread).
        gravity: point -> (F,) strength 0..1 with which it sinks towards the mattress.
        goals: points that should meet.
    """

    supports: tuple[tuple[tuple[str, ...], float], ...]
    gravity: dict[str, np.ndarray] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()

    def part(self, which: np.ndarray) -> Surroundings:
        """The same for the frames `which` alone."""
        return Surroundings(
            self.supports, {name: strength[which] for name, strength in self.gravity.items()},
            tuple(Goal(goal.first, goal.second, goal.weight[which]) for goal in self.goals))


@dataclass(frozen=True, eq=False)
class Placed:
    """Corrected poses: a point of the body at `p` lies at `turn @ p + (0, 0, height_m)`.

    Attributes:
        angles_deg: (F, D) in the order of `FREEDOM_NAMES`. turn: (F, 3, 3). height_m: (F,).
        crossing_m: (F,) the deepest crossing that is left, of capsules or of the mattress beyond
            `SINK_M`.
    """

    angles_deg: np.ndarray
    turn: np.ndarray
    height_m: np.ndarray
    crossing_m: np.ndarray

    def replace_frames(self, which: np.ndarray, others: Placed) -> None:
        """Overwrite the frames `which` (indices) with all of `others`, in place."""
        for spec in fields(self):
            getattr(self, spec.name)[which] = getattr(others, spec.name)


class _Frames:
    """The state of all frames: unknowns (F, U) in units of their spread, and what follows."""

    def __init__(self, body: CapsuleBody, angles_deg: np.ndarray, turn: np.ndarray,
                 coupled: bool):
        self.body, self.angles, self.base = body, angles_deg, turn
        self.unknowns = np.zeros((len(angles_deg), NUM_UNKNOWNS))
        own = angles_deg[:, _ACTIVE]
        free = np.full((len(own), 3), np.inf)
        self.low = np.hstack([(_LOW - own) / _STD, -free])
        self.high = np.hstack([(_HIGH - own) / _STD, free])
        local = forward_points(body.heads_m, body.points, angles_deg)
        spheres = body.segments(local @ np.swapaxes(turn, 1, 2))[..., 2] - body.radii_m
        lying = np.abs(turn[:, 2, 2]) < 0.5  # a lying body rests on its trunk, others on any part
        self.start_m = -np.where(lying, spheres[:, :3].min((1, 2)), spheres.min((1, 2))) - SINK_M
        if coupled:
            self.start_m = np.full(len(turn), self.start_m.mean())
        self._limbs = np.array([point.limb for point in body.points])

    def part(self, which: np.ndarray) -> _Frames:
        """The frames `which` alone, as they are now."""
        frames = _Frames(self.body, self.angles[which], self.base[which], coupled=False)
        frames.unknowns, frames.start_m = self.unknowns[which], self.start_m[which]
        return frames

    def placed(self) -> Placed:
        """The poses as they are now."""
        world, _ = self.points(with_slopes=False)
        return Placed(self.corrected(), self.turn(), self.height(), _worst(self.body, world))

    def corrected(self) -> np.ndarray:
        """Angles (F, D), degrees, within their limits."""
        angles = self.angles.copy()
        angles[:, _ACTIVE] = np.clip(
            angles[:, _ACTIVE] + self.unknowns[:, :-3] * _STD, _LOW, _HIGH)
        return angles

    def turn(self) -> np.ndarray:
        """(F, 3, 3) of the trunk, tilts included."""
        tilt = self.unknowns[:, -2:] * TILT_STD_RAD
        return axis_rotation(0, tilt[:, 0]) @ axis_rotation(1, tilt[:, 1]) @ self.base

    def height(self) -> np.ndarray:
        """(F,) of the hips above the mattress, m."""
        return self.start_m + self.unknowns[:, -3] * HEIGHT_STD_M

    def points(self, with_slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """World points (F, P, 3) and their slopes (F, P, 3, U) by the unknowns."""
        angles, turn, body = self.corrected(), self.turn(), self.body
        count, step = len(angles), 0.5
        trials = [angles]
        for group in _GROUPS if with_slopes else ():
            trial = angles.copy()
            trial[:, [_ACTIVE[k] for k in group]] += step
            trials.append(trial)
        local = forward_points(body.heads_m, body.points, np.concatenate(trials))
        local = local.reshape(len(trials), count, -1, 3)
        turned = local @ np.swapaxes(turn, 1, 2)
        world = turned[0].copy()
        world[..., 2] += self.height()[:, None]
        if not with_slopes:
            return world, None
        slopes = np.zeros(world.shape + (NUM_UNKNOWNS,), np.float32)
        for moved, group in zip(turned[1:], _GROUPS):
            for k in group:
                mask = slice(None) if _LIMB_OF[k] == 'trunk' else self._limbs == _LIMB_OF[k]
                column = slopes[..., k]
                column[:, mask] = (moved - turned[0])[:, mask] * (_STD[k] / step)
        slopes[:, :, 2, -3] = HEIGHT_STD_M
        slopes[:, :, 1, -2], slopes[:, :, 2, -2] = -turned[0][..., 2], turned[0][..., 1]
        slopes[:, :, 0, -1], slopes[:, :, 2, -1] = turned[0][..., 2], -turned[0][..., 0]
        slopes[..., -2:] *= TILT_STD_RAD
        return world, slopes


class _Rows:
    """Linearised terms, gathered: frame, value and slope over the spread; hinges count above 0."""

    def __init__(self):
        self._parts = []

    def add(self, frames: np.ndarray, values: np.ndarray, slopes: np.ndarray,
            std: float | np.ndarray, hinge: bool = True) -> None:
        std = np.broadcast_to(std, values.shape)
        self._parts.append((frames, values / std, slopes / std[:, None],
                            np.full(len(frames), hinge)))

    def gather(self, count: int) -> None:
        """Sort what was added by frame, for `count` frames."""
        frames, values, slopes, hinge = (np.concatenate(part) for part in zip(*self._parts))
        order = np.argsort(frames, kind='stable')
        self.frames, self.values, self.hinge = frames[order], values[order], hinge[order]
        self.slopes = slopes[order].astype(np.float64)
        self.starts = np.searchsorted(self.frames, np.arange(count + 1))

    def predicted(self, step: np.ndarray) -> np.ndarray:
        """Values after a step (F, U)."""
        return self.values + (self.slopes * step[self.frames]).sum(1)

    def normal_equations(self, unknowns: np.ndarray, active: np.ndarray
                         ) -> tuple[np.ndarray, np.ndarray]:
        """Matrices (F, U, U) and right sides (F, U) for the new unknowns."""
        slopes = self.slopes * active[:, None]
        wanted = ((slopes * unknowns[self.frames]).sum(1) - self.values) * active
        matrix = np.zeros((len(unknowns), NUM_UNKNOWNS, NUM_UNKNOWNS))
        right = np.zeros(unknowns.shape)
        for frame in np.flatnonzero(np.diff(self.starts)):
            own = slopes[self.starts[frame]:self.starts[frame + 1]]
            matrix[frame] = own.T @ own
            right[frame] = own.T @ wanted[self.starts[frame]:self.starts[frame + 1]]
        return matrix, right


def _capsule_rows(rows: _Rows, body: CapsuleBody, world: np.ndarray, slopes: np.ndarray
                  ) -> None:
    depth, s, t, direction = crossings(body, world)
    frames, pairs = np.nonzero(depth > -NEAR_M)
    if not len(frames):
        return
    total = 0.0
    for k, share, sign in ((0, s, 1.0), (1, t, -1.0)):
        capsule = body.pairs[pairs, k]
        low, high = body.span[capsule].T
        along = (low + share[frames, pairs] * (high - low))[:, None]
        normal = direction[frames, pairs]
        for end, weight in ((0, 1 - along), (1, along)):
            moved = slopes[frames, body.ends[capsule, end]]
            total = total + sign * weight * np.einsum('ni,niu->nu', normal, moved)
    rows.add(frames, depth[frames, pairs] + 0.0005, total, CONTACT_STD_M)


def _mattress_rows(rows: _Rows, body: CapsuleBody, world: np.ndarray, slopes: np.ndarray
                   ) -> None:
    depth = body.thickness_m - SINK_M - world[..., 2]
    frames, points = np.nonzero(depth > -NEAR_M)
    rows.add(frames, depth[frames, points], -slopes[frames, points, 2], MATTRESS_STD_M)


def _pull_rows(rows: _Rows, body: CapsuleBody, around: Surroundings, world: np.ndarray,
               slopes: np.ndarray) -> None:
    every = np.arange(len(world))
    radius = body.thickness_m
    for group, looseness in around.supports:
        own = np.array([body.point(name) for name in group])
        gap = world[:, own, 2] - radius[own] + SINK_M
        lowest = gap.argmin(1)
        value = gap[every, lowest]
        frames = np.flatnonzero(value > -NEAR_M)
        rows.add(frames, value[frames], slopes[frames, own[lowest[frames]], 2],
                 SUPPORT_STD_M * looseness)
    for name, strength in around.gravity.items():
        index = body.point(name)
        gap = world[:, index, 2] - radius[index]
        frames = np.flatnonzero((gap > -NEAR_M) & (strength > 0.01))
        rows.add(frames, gap[frames], slopes[frames, index, 2],
                 body.heads_m['head'][2] / strength[frames])
    for goal in around.goals:
        first, second = body.point(goal.first), body.point(goal.second)
        frames = np.flatnonzero(goal.weight > 0.02)
        for axis in range(3):
            rows.add(frames, world[frames, first, axis] - world[frames, second, axis],
                     slopes[frames, first, axis] - slopes[frames, second, axis],
                     GOAL_STD_M / goal.weight[frames], hinge=False)


def _solve(matrix: np.ndarray, right: np.ndarray, smooth: float) -> np.ndarray:
    """Solve for all frames: own terms, the prior, and the second differences over time."""
    count, size = right.shape
    matrix = matrix + np.eye(size)
    if smooth <= 0 or count < 3:
        return np.linalg.solve(matrix, right[..., None])[..., 0]
    difference = np.zeros((3, count))  # diagonals of D'D of second differences
    for shift, weight in ((0, 1.0), (1, -2.0), (2, 1.0)):
        difference[0, shift:count - 2 + shift] += weight * weight
    difference[1, :count - 1][:-1] += -2.0
    difference[1, 1:count - 1] += -2.0
    difference[2, :count - 2] += 1.0
    banded = np.zeros((2 * size + 1, count, size))
    for k in range(size):
        banded[k, :, :size - k] = np.diagonal(matrix, -k, 1, 2)
    for lag in range(3):
        banded[lag * size] += smooth * difference[lag][:, None]
    return solveh_banded(banded.reshape(2 * size + 1, -1), right.reshape(-1), lower=True,
                         overwrite_ab=True, check_finite=False).reshape(count, size)


def _step(rows: _Rows, frames: _Frames, smooth: float, damping: float) -> np.ndarray:
    """Step (F, U) to the linearised problem's solution.

    Hinges that count are found by trying, as are unknowns that would leave their limits and are
    held there.
    """
    unknowns, low, high = frames.unknowns, frames.low, frames.high
    active = ~rows.hinge | (rows.values > 0)
    held, bound = np.zeros(unknowns.shape), np.zeros(unknowns.shape)
    diagonal = np.arange(NUM_UNKNOWNS)
    for _ in range(_INNER):
        matrix, right = rows.normal_equations(unknowns, active)
        matrix[:, diagonal, diagonal] += held + damping
        new = _solve(matrix, right + held * bound + damping * unknowns, smooth)
        limit = np.clip(new, low, high)
        leaving = np.abs(new - limit) > 0.02
        bound = np.where(leaving, limit, bound)
        held = np.where(leaving, _LIMIT_WEIGHT, held)
        now = ~rows.hinge | (rows.predicted(limit - unknowns) > 0)
        if not leaving.any() and (now == active).all():
            break
        active = now
    return limit - unknowns


def resolve(body: CapsuleBody, angles_deg: np.ndarray, turn: np.ndarray, around: Surroundings,
            interval_s: float | None = None) -> Placed:
    """Correct poses.

    Args:
        angles_deg: (F, D) wished, in the order of `FREEDOM_NAMES`. turn: (F, 3, 3) of the trunk.
        around: what pulls. interval_s: time between frames, above 0; None: frames on their own.

    Raises:
        InvalidInputError: an interval that is not above 0.
    """
    if interval_s is not None and not interval_s > 0:
        raise InvalidInputError(
            f'interval_s: must be above 0, or None for frames on their own, got {interval_s}')
    if interval_s is None:
        return _resolve_alone(body, angles_deg, turn, around)
    frames = _Frames(body, angles_deg, turn, coupled=True)
    smooth = (SMOOTH_S / interval_s) ** 4
    for number in range(MAX_ITERATIONS):
        if _advance(frames, around, smooth, number):
            break
    return frames.placed()


def _resolve_alone(body: CapsuleBody, angles_deg: np.ndarray, turn: np.ndarray,
                   around: Surroundings) -> Placed:
    """Correct frames that have nothing to do with each other; those that are good stay."""
    frames = _Frames(body, angles_deg, turn, coupled=False)
    for number in range(MIN_ITERATIONS):
        _advance(frames, around, 0.0, number)
    placed = frames.placed()
    left = np.flatnonzero(placed.crossing_m > GOOD_ENOUGH_M)
    if len(left):
        rest, near = frames.part(left), around.part(left)
        for number in range(MIN_ITERATIONS, MAX_ITERATIONS):
            if _advance(rest, near, 0.0, number):
                break
        placed.replace_frames(left, rest.placed())
    return placed


def _advance(frames: _Frames, around: Surroundings, smooth: float, number: int) -> bool:
    """One step of all frames, in place; True if there was no need of it."""
    body = frames.body
    world, slopes = frames.points(with_slopes=True)
    if number >= MIN_ITERATIONS and _worst(body, world).max() < GOOD_ENOUGH_M:
        return True
    rows = _Rows()
    _capsule_rows(rows, body, world, slopes)
    _mattress_rows(rows, body, world, slopes)
    _pull_rows(rows, body, around, world, slopes)
    rows.gather(len(world))
    calm = 2.0 ** (number // 4)  # later steps are shorter: what swings comes to rest
    step = _step(rows, frames, smooth, _DAMPING * calm ** 2)
    largest = np.abs(step).max(1, keepdims=True)
    frames.unknowns += step * np.minimum(1.0, _MAX_STEP / calm / np.maximum(largest, 1e-9))
    return False


def _worst(body: CapsuleBody, world: np.ndarray) -> np.ndarray:
    """(F,) the deepest crossing, m, of capsules or of the mattress beyond what it yields."""
    sunk = body.thickness_m - SINK_M - world[..., 2]
    return np.maximum(crossings(body, world)[0].max(1), sunk.max(1))
