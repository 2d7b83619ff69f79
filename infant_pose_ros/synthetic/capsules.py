"""A body as capsules: the thickness of limbs, trunk and head, measured on its mesh at rest."""

from __future__ import annotations

from dataclasses import dataclass
import itertools

import numpy as np

from infant_pose_ros.synthetic.body import BodyShape, NOSE_VERTEX, rest_pose, weight_of
from infant_pose_ros.synthetic.kinematics import MarkedPoint

_LIMBS = ('arm.L', 'arm.R', 'leg.L', 'leg.R')
# Capsule -> first and last point, share of the way from which it counts (nearer the trunk flesh
# is one piece), and the bones whose skin it stands for.
_LIMB_CAPSULES = {
    'upper_arm': ('shoulder', 'elbow', 0.5, ('upperarm',)),
    'forearm': ('elbow', 'wrist', 0.1, ('lowerarm',)),
    'hand': ('wrist', 'fist', 0.15, ()),
    'thigh': ('hip', 'knee', 0.55, ('upperleg',)),
    'shin': ('knee', 'ankle', 0.1, ('lowerleg',)),
    'foot': ('heel', 'toes', 0.0, ())}
_CHAINS = {'arm': ('upper_arm', 'forearm', 'hand'), 'leg': ('thigh', 'shin', 'foot')}


@dataclass(frozen=True, eq=False)
class CapsuleBody:
    """A body's capsules, tapered: C of them between P marked points.

    Attributes:
        heads_m: heads of the bones at rest. points: P. names: of the points.
        ends: (C, 2) points. span: (C, 2) shares of the way between them. radii_m: (C, 2) there.
        capsule_names: C. pairs: (Q, 2) capsules that must not go through each other.
        thickness_m: (P,) how far from a point the skin is: of the capsules that end there
            and of some points more, which only the mattress meets.
    """

    heads_m: dict[str, np.ndarray]
    points: list[MarkedPoint]
    names: tuple[str, ...]
    ends: np.ndarray
    span: np.ndarray
    radii_m: np.ndarray
    capsule_names: tuple[str, ...]
    pairs: np.ndarray
    thickness_m: np.ndarray

    def point(self, name: str) -> int:
        """Index of a point."""
        return self.names.index(name)

    def segments(self, points_m: np.ndarray) -> np.ndarray:
        """Ends of the capsules' axes (F, C, 2, 3) from points (F, P, 3)."""
        first, last = points_m[:, self.ends[:, 0]], points_m[:, self.ends[:, 1]]
        return np.stack([first + self.span[:, k, None] * (last - first) for k in (0, 1)], 2)


def closest(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (...,) of the way along segments (..., 2, 3) at which each two are closest.

    Source: C. Ericson, "Real-Time Collision Detection" (2005), section 5.1.9.
    """
    along, other = first[..., 1, :] - first[..., 0, :], second[..., 1, :] - second[..., 0, :]
    between = first[..., 0, :] - second[..., 0, :]
    a, e = (along ** 2).sum(-1) + 1e-12, (other ** 2).sum(-1) + 1e-12
    b, c, f = (along * other).sum(-1), (along * between).sum(-1), (other * between).sum(-1)
    spread = a * e - b * b
    s = np.clip(np.where(spread > 1e-9 * a * e, (b * f - c * e) / np.maximum(spread, 1e-18), 0.5),
                0.0, 1.0)
    t = np.clip((b * s + f) / e, 0.0, 1.0)
    return np.clip((b * t - c) / a, 0.0, 1.0), t


def crossings(body: CapsuleBody, points_m: np.ndarray) -> tuple[np.ndarray, ...]:
    """How deep each pair of capsules crosses.

    Args:
        points_m: (F, P, 3).

    Returns:
        depth (F, Q), m, negative where apart; shares s, t (F, Q) of the closest points; unit
        vector (F, Q, 3) from the first to the second.
    """
    segments = body.segments(points_m)
    first, second = segments[:, body.pairs[:, 0]], segments[:, body.pairs[:, 1]]
    s, t = closest(first, second)
    between = ((second[..., 0, :] + t[..., None] * (second[..., 1, :] - second[..., 0, :]))
               - (first[..., 0, :] + s[..., None] * (first[..., 1, :] - first[..., 0, :])))
    distance = np.linalg.norm(between, axis=-1)
    radii = body.radii_m
    reach = sum(radii[body.pairs[:, k], 0] * (1 - share) + radii[body.pairs[:, k], 1] * share
                for k, share in ((0, s), (1, t)))
    return reach - distance, s, t, between / np.maximum(distance, 1e-6)[..., None]


def measure(shape: BodyShape) -> CapsuleBody:
    """The capsules of a body."""
    vertices, heads = rest_pose(shape)
    points = _trunk_points(vertices, heads)
    radii: dict[str, tuple[float, float]] = {}
    trunk = {name: radius for name, (_, radius) in points.items()}
    marked = {name: point for name, (point, _) in points.items()}
    for side in 'LR':
        marked.update(_limb_points(vertices, heads, side))
    names = tuple(marked)
    capsules = [('trunk.L', 'pelvis.L', 'chest.L', 0.0), ('trunk.R', 'pelvis.R', 'chest.R', 0.0),
                ('head', 'skull', 'chin', 0.0)]
    for name, first, last, _ in capsules:
        radii[name] = (trunk[first], trunk[last])
    for side, (name, (first, last, start, bones)) in itertools.product(
            'LR', _LIMB_CAPSULES.items()):
        ends = marked[f'{first}.{side}'].rest_m, marked[f'{last}.{side}'].rest_m
        capsules.append((f'{name}.{side}', f'{first}.{side}', f'{last}.{side}', start))
        if bones:
            skin = vertices[weight_of(bones, side) > 0.6]
            radii[f'{name}.{side}'] = _limb_radii(skin, *ends, start)
    for side in 'LR':
        wrist = radii[f'forearm.{side}'][1]
        radii[f'hand.{side}'] = (wrist, 1.15 * wrist)
        ankle = radii[f'shin.{side}'][1]
        radii[f'foot.{side}'] = (0.8 * ankle, 0.7 * ankle)
    labels = tuple(row[0] for row in capsules)
    ends = np.array([[names.index(row[1]), names.index(row[2])] for row in capsules])
    radii_m = np.array([radii[label] for label in labels])
    thickness = np.zeros(len(names))
    np.maximum.at(thickness, ends.ravel(), radii_m.ravel())
    for name in ('brow', 'nape'):
        thickness[names.index(name)] = trunk[name]
    for side in 'LR':
        thickness[names.index(f'fingers.{side}')] = 0.4 * radii[f'hand.{side}'][1]
        thickness[names.index(f'toes.{side}')] *= 1.35
        thickness[names.index(f'hip.{side}')] *= 1.25
    return CapsuleBody(
        heads, list(marked.values()), names, ends, np.array([[row[3], 1.0] for row in capsules]),
        radii_m, labels,
        np.array([[labels.index(a), labels.index(b)] for a, b in _pairs()]), thickness)


def _trunk_points(vertices: np.ndarray, heads: dict[str, np.ndarray]
                  ) -> dict[str, tuple[MarkedPoint, float]]:
    """Points of trunk and head with the radius of the body there, m."""
    skin = vertices[weight_of(('spine', 'root', 'pelvis', 'clavicle', 'breast')) > 0.7]
    hip, shoulder = heads['upperleg01.L'][2], heads['upperarm01.L'][2]
    points = {}
    for name, share, bone in (('pelvis', 0.12, 'root'), ('chest', 0.72, 'spine01')):
        height = hip + share * (shoulder - hip)
        slab = skin[np.abs(skin[:, 2] - height) < 0.08 * (shoulder - hip)]
        front, back = np.quantile(slab[:, 1], [0.02, 0.98])
        radius = (back - front) / 2
        aside = max(float(np.quantile(np.abs(slab[:, 0]), 0.97)) - radius, 0.0)
        for side, sign in (('L', 1.0), ('R', -1.0)):
            points[f'{name}.{side}'] = (MarkedPoint(
                bone, np.array([sign * aside, (front + back) / 2, height]), 'trunk'), radius)
    skull = vertices[weight_of(('head',)) > 0.5]
    low, high = skull.min(0), skull.max(0)
    radius = 0.95 * (high[0] - low[0]) / 2
    chin = 0.62 * radius
    nose = vertices[NOSE_VERTEX]
    points['skull'] = (MarkedPoint('head', np.array(
        [0.0, (0.45 * low[1] + 0.55 * high[1]), high[2] - 1.05 * radius]), 'trunk'), radius)
    points['chin'] = (MarkedPoint('head', np.array(
        [0.0, nose[1] + 1.3 * chin, low[2] + 1.1 * chin]), 'trunk'), chin)
    for name, depth in (('brow', nose[1] + 1.05 * radius), ('nape', high[1] - 0.95 * radius)):
        points[name] = (MarkedPoint(
            'head', np.array([0.0, depth, high[2] - 1.05 * radius]), 'trunk'), radius)
    points['mouth'] = (MarkedPoint('head', np.array(
        [0.0, nose[1] + 0.15 * chin, 0.55 * nose[2] + 0.45 * low[2]]), 'trunk'), 0.0)
    return points


def _limb_points(vertices: np.ndarray, heads: dict[str, np.ndarray], side: str
                 ) -> dict[str, MarkedPoint]:
    """Points of the arm and the leg of one side."""
    marked = {}
    for name, bone, limb in (
            ('shoulder', 'upperarm01', 'arm'), ('elbow', 'lowerarm01', 'arm'),
            ('wrist', 'wrist', 'arm'), ('hip', 'upperleg01', 'leg'),
            ('knee', 'lowerleg01', 'leg'), ('ankle', 'foot', 'leg')):
        bone = f'{bone}.{side}'
        marked[f'{name}.{side}'] = MarkedPoint(bone, heads[bone], f'{limb}.{side}')
    fist = 0.6 * heads[f'finger3-1.{side}'] + 0.4 * heads[f'finger3-3.{side}']
    marked[f'fist.{side}'] = MarkedPoint(f'wrist.{side}', fist, f'arm.{side}')
    tips = 1.5 * heads[f'finger3-3.{side}'] - 0.5 * heads[f'finger3-1.{side}']
    marked[f'fingers.{side}'] = MarkedPoint(f'wrist.{side}', tips, f'arm.{side}')
    skin = vertices[weight_of(('foot', 'toe'), side) > 0.6]
    low, high = skin.min(0), skin.max(0)
    sole = low[2] + 0.14 * (high[1] - low[1])
    for name, share in (('heel', 0.86), ('toes', 0.14)):
        place = np.array([(low[0] + high[0]) / 2, low[1] + share * (high[1] - low[1]), sole])
        marked[f'{name}.{side}'] = MarkedPoint(f'foot.{side}', place, f'leg.{side}')
    return marked


def _limb_radii(skin: np.ndarray, first: np.ndarray, last: np.ndarray, start: float
                ) -> tuple[float, float]:
    """Radii at `start` and at the end of an axis: a line through the skin's distances from it."""
    along = last - first
    share = (skin - first) @ along / (along @ along)
    inside = (share > max(start - 0.15, 0.0)) & (share < 1.0)
    distance = np.linalg.norm(skin - first - share[:, None] * along, axis=1)[inside]
    slope, offset = np.polyfit(share[inside], distance, 1)
    return offset + slope * start, offset + slope


def _pairs() -> list[tuple[str, str]]:
    """Pairs of capsules that may touch but not cross: all but neighbours."""
    pairs = [(f'{name}.{side}', other)
             for name, side, other in itertools.product(
                 _LIMB_CAPSULES, 'LR', ('trunk.L', 'trunk.R', 'head')) if (name, other) != (
                     'thigh', 'head')]
    for first, second in itertools.combinations(_LIMBS, 2):
        pairs += [(f'{a}.{first[-1]}', f'{b}.{second[-1]}')
                  for a, b in itertools.product(_CHAINS[first[:3]], _CHAINS[second[:3]])]
    return pairs
