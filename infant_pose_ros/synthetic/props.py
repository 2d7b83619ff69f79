"""Things around an infant: toys, tubes, cables, cot bars, nests, an adult's hands, furniture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.shapes import box, capsule, ellipsoid, joined, Mesh, tube

SKIN = -1


@dataclass(frozen=True, eq=False)
class Prop:
    """A thing: `vertices_m` (V, 3), `faces` (T, 3), fabric index or `SKIN`, repeats a metre."""

    vertices_m: np.ndarray
    faces: np.ndarray
    fabric: int
    repeat: float


def _random_curve(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, sway: float,
                  count: int = 24) -> np.ndarray:
    """A smooth curve (count, 3) from start to end that sways sideways."""
    share = np.linspace(0, 1, count)[:, None]
    points = start + share * (end - start)
    for k in (1, 2, 3):
        points = points + sway / k * rng.normal(size=3) * np.sin(np.pi * k * share)
    return points


def _toy(rng: np.random.Generator, centre_xy: np.ndarray, fabrics: int) -> list[Prop]:
    """A ball, block, cushion, rattle, bottle or soft animal that lies on the bed."""
    def fabric():
        return int(rng.integers(fabrics))
    kind = rng.choice(['ball', 'block', 'cushion', 'rattle', 'animal', 'bottle'])
    turn = rng.uniform(0, 2 * np.pi)
    size = rng.uniform(0.02, 0.06)
    at = np.append(centre_xy, 0.0)
    if kind == 'ball':
        return [Prop(*ellipsoid(at + [0, 0, size], np.full(3, size)), fabric(), 5.0)]
    if kind == 'block':
        half = size * rng.uniform(0.6, 1.4, 3)
        return [Prop(*box(at - half * [1, 1, 0], at + half * [1, 1, 2], turn), fabric(), 8.0)]
    if kind == 'cushion':
        radii = rng.uniform([0.06, 0.06, 0.02], [0.2, 0.2, 0.05])
        return [Prop(*ellipsoid(at + [0, 0, radii[2]], radii, 0.5, turn), fabric(), 3.0)]
    ahead = np.array([np.cos(turn), np.sin(turn), 0.0])
    if kind in ('rattle', 'bottle'):
        low = at + [0, 0, size * 0.6]
        ring = ellipsoid(low + ahead * size * 2.2, np.array([1.0, 1.0, 0.5]) * size)
        return [Prop(*capsule(low - ahead * size * 1.5, low + ahead * size, (
            size * 0.3 if kind == 'rattle' else size * 0.6,) * 2), fabric(), 8.0),
            Prop(*ring, fabric(), 8.0)]
    side = np.array([-ahead[1], ahead[0], 0.0])
    low = at + [0, 0, size]
    parts = [ellipsoid(low, np.array([1.0, 1.0, 0.8]) * size * 1.2),
             ellipsoid(low + ahead * size * 1.9 + [0, 0, 0.2 * size], np.full(3, size * 0.9))]
    for sign in (-1, 1):
        parts += [ellipsoid(low + ahead * size * 2.4 + side * sign * size * 0.75,
                            np.full(3, size * 0.4)),
                  capsule(low + side * sign * size, low + side * sign * size * 2.2
                          + ahead * size * 0.6, (size * 0.4,) * 2),
                  capsule(low - ahead * size + side * sign * size * 0.5, low - ahead * size * 2.4
                          + side * sign * size * 0.9, (size * 0.45,) * 2)]
    return [Prop(*joined(parts), fabric(), 6.0)]


def _hand(rng: np.random.Generator, wrist: np.ndarray, towards: np.ndarray, size: float) -> Mesh:
    """An adult's hand: palm, four fingers, thumb. `towards`: (3,) unit vector of the fingers."""
    side = np.cross(towards, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side) + 1e-9
    up = np.cross(side, towards)
    curl = rng.uniform(0.0, 0.9)
    middle = wrist + towards * size * 0.28
    parts = [capsule(wrist + side * size * s, wrist + side * size * s * 1.3
                     + towards * size * 0.5, (size * 0.11, size * 0.10)) for s in (-0.14, 0, 0.14)]
    for k, reach in enumerate((0.85, 1.0, 1.05, 0.95)):
        base = middle + side * size * (k - 1.5) * 0.13 + towards * size * 0.22
        knuckle = base + (towards * np.cos(curl) - up * np.sin(curl)) * size * 0.25 * reach
        tip = knuckle + (towards * np.cos(2 * curl) - up * np.sin(2 * curl)) * size * 0.22 * reach
        parts += [capsule(base, knuckle, (size * 0.055, size * 0.05), 8),
                  capsule(knuckle, tip, (size * 0.05, size * 0.042), 8)]
    thumb = rng.choice([-1, 1]) * side
    parts.append(capsule(wrist + thumb * size * 0.18, wrist + thumb * size * 0.45
                         + towards * size * 0.35, (size * 0.07, size * 0.05), 8))
    return joined(parts)


def _reaching_arm(rng: np.random.Generator, middle: np.ndarray, reach: float, fabrics: int
                  ) -> list[Prop]:
    """An adult's arm with a sleeve and a hand that lies on the infant or beside it."""
    angle = rng.uniform(0, 2 * np.pi)
    away = np.array([np.cos(angle), np.sin(angle), 0.0])
    at = middle + np.append(rng.normal(0, 0.5 * reach, 2), 0.0)
    at[2] = rng.uniform(0.05, 0.16)
    size = rng.uniform(0.15, 0.19)
    wrist = at + away * size * 0.5 + [0, 0, 0.03]
    elbow = wrist + (away + [0, 0, rng.uniform(0.2, 0.8)]) * 0.26
    cuff = wrist + rng.choice([0.1, 0.5, 0.95]) * (elbow - wrist)
    shoulder = elbow + (away + rng.normal(0, 0.3, 3) * [1, 1, 0]) * 0.35
    towards = (at - wrist) / np.linalg.norm(at - wrist)
    sleeve = int(rng.integers(fabrics))
    return [Prop(*_hand(rng, wrist, towards, size), SKIN, 4.0),
            Prop(*capsule(wrist, elbow, (0.026, 0.040)), SKIN, 4.0),
            Prop(*capsule(cuff, elbow, (0.042, 0.055)), sleeve, 4.0),
            Prop(*capsule(elbow, shoulder, (0.055, 0.070)), sleeve, 4.0)]


def _cables(rng: np.random.Generator, keypoints_m: np.ndarray, reach: float, fabrics: int
            ) -> list[Prop]:
    """Electrode leads from chest or foot, or a feeding tube from the face, and where they go."""
    props = []
    fabric = int(rng.integers(fabrics))
    angle = rng.uniform(0, 2 * np.pi)
    far = keypoints_m[Joint.PELVIS] * [1, 1, 0] + reach * 2.2 * np.array(
        [np.cos(angle), np.sin(angle), 0.0]) + [0, 0, 0.01]
    places = [keypoints_m[Joint.THORAX] * 0.6 + keypoints_m[Joint.PELVIS] * 0.4,
              keypoints_m[Joint.THORAX], keypoints_m[Joint.R_ANKLE], keypoints_m[Joint.L_WRIST],
              keypoints_m[Joint.UPPER_NECK]]
    for _ in range(rng.integers(1, 5)):
        place = places[rng.integers(len(places))] + rng.normal(0, 0.02, 3)
        place = place * [1, 1, 0] + [0, 0, place[2] + 0.055]
        curve = _random_curve(rng, place, far + rng.normal(0, 0.03, 3) * [1, 1, 0], 0.06)
        curve[:, 2] = np.maximum(curve[:, 2], 0.004)
        radius = rng.uniform(0.0012, 0.0035)
        props += [Prop(*tube(curve, np.full(len(curve), radius), 6), fabric, 1.0),
                  Prop(*ellipsoid(place, np.array([0.012, 0.012, 0.005])),
                       int(rng.integers(fabrics)), 1.0)]
    return props


def _nest(rng: np.random.Generator, middle: np.ndarray, heading: np.ndarray, reach: float,
          fabric: int) -> Prop:
    """A padded rim around the infant, open or closed at the feet."""
    span = rng.choice([1.0, rng.uniform(0.55, 0.9)])
    turn = np.linspace(-np.pi * span, np.pi * span, 40)
    side = np.array([-heading[1], heading[0]])
    long, wide = reach * rng.uniform(1.25, 1.5), reach * rng.uniform(0.75, 1.0)
    flat = middle[:2] + np.cos(turn)[:, None] * heading * long + np.sin(
        turn)[:, None] * side * wide
    radius = rng.uniform(0.03, 0.07)
    points = np.column_stack([flat, np.full(len(turn), radius * 0.7)])
    return Prop(*tube(points, radius * (1 + 0.06 * np.sin(9 * turn)), 12), fabric, 3.0)


def _bars(rng: np.random.Generator, middle: np.ndarray, reach: float, fabric: int) -> Prop:
    """The side of a cot: upright bars and a rail, or one solid board."""
    angle = rng.uniform(0, 2 * np.pi)
    away = np.array([np.cos(angle), np.sin(angle), 0.0])
    along = np.array([-away[1], away[0], 0.0])
    foot = middle * [1, 1, 0] + away * reach * rng.uniform(1.1, 1.7)
    height, radius = rng.uniform(0.15, 0.45), rng.uniform(0.006, 0.016)
    parts = [capsule(foot + along * s, foot + along * s + [0, 0, height], (radius, radius), 8)
             for s in np.arange(-0.9, 0.91, rng.uniform(0.07, 0.13))]
    parts.append(capsule(foot - along + [0, 0, height], foot + along + [0, 0, height],
                         (radius * 1.6,) * 2, 8))
    return Prop(*joined(parts), fabric, 2.0)


def _furniture(rng: np.random.Generator, middle: np.ndarray, reach: float, drop: float,
               fabrics: int) -> list[Prop]:
    """Cupboards, chairs and boxes on the floor beyond the bed."""
    props = []
    for _ in range(rng.integers(1, 4)):
        angle, away = rng.uniform(0, 2 * np.pi), reach * rng.uniform(2.2, 4.5)
        foot = middle[:2] + away * np.array([np.cos(angle), np.sin(angle)])
        half = rng.uniform(0.08, 0.35, 2)
        top = rng.uniform(0.1, 0.9) - drop
        props.append(Prop(*box(np.append(foot - half, -drop), np.append(foot + half, top),
                               rng.uniform(0, np.pi)), int(rng.integers(fabrics)), 2.0))
    return props


def sample_props(rng: np.random.Generator, keypoints_m: np.ndarray, fabrics: int,
                 drop_m: float = 0.0) -> tuple[Prop, ...]:
    """What stands and lies around an infant whose keypoints are (F, 16, 3), world.

    Args:
        fabrics: how many the bank holds. drop_m: how far below the mattress the floor is.
    """
    points = keypoints_m.reshape(-1, 3)
    middle = points.mean(0)
    reach = float(np.abs(points[:, :2] - middle[:2]).max())
    up = (keypoints_m[0, Joint.THORAX] - keypoints_m[0, Joint.PELVIS])[:2]
    up = up / (np.linalg.norm(up) + 1e-9)
    props: list[Prop] = []
    for _ in range(rng.choice([0, 1, 2, 3, 5], p=[0.42, 0.25, 0.17, 0.1, 0.06])):
        angle, away = rng.uniform(0, 2 * np.pi), reach * rng.uniform(0.6, 1.8)
        props += _toy(rng, middle[:2] + away * np.array([np.cos(angle), np.sin(angle)]), fabrics)
    if rng.random() < 0.14:
        for _ in range(rng.integers(1, 3)):
            props += _reaching_arm(rng, middle, reach, fabrics)
    if rng.random() < 0.14:
        props += _cables(rng, keypoints_m[0], reach, fabrics)
    if rng.random() < 0.07:
        props.append(_nest(rng, middle, up, reach, int(rng.integers(fabrics))))
    if rng.random() < 0.10:
        fabric = int(rng.integers(fabrics))
        props += [_bars(rng, middle, reach, fabric) for _ in range(rng.integers(1, 3))]
    if rng.random() < 0.10:
        head = keypoints_m[0, Joint.HEAD_TOP] * [1, 1, 0]
        radii = np.array([rng.uniform(0.10, 0.18), rng.uniform(0.13, 0.24), 0.02])
        props.append(Prop(*ellipsoid(head, radii, 0.4, np.arctan2(up[1], up[0])),
                          int(rng.integers(fabrics)), 3.0))
    if rng.random() < 0.3:
        props += _furniture(rng, middle, reach, drop_m, fabrics)
    return tuple(props)


def sample_room(rng: np.random.Generator, keypoints_m: np.ndarray, fabrics: int
                ) -> tuple[Prop, ...]:
    """Furniture and things around an adult whose keypoints are (1, 16, 3), world."""
    middle, props = keypoints_m[0].mean(0), []
    for _ in range(rng.integers(0, 7)):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(1.0, 3.0)
        foot = middle[:2] + away * np.array([np.cos(angle), np.sin(angle)])
        half, top = rng.uniform(0.1, 0.6, 2), rng.uniform(0.2, 2.0)
        if rng.random() < 0.7:
            mesh = box(np.append(foot - half, 0.0), np.append(foot + half, top),
                       rng.uniform(0, np.pi))
        else:
            mesh = ellipsoid(np.append(foot, top / 2), np.append(half, top / 2), 0.6)
        props.append(Prop(*mesh, int(rng.integers(fabrics)), rng.uniform(0.5, 3)))
    return tuple(props)
