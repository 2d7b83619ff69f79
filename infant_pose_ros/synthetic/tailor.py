"""Where on the body each vertex of the model lies, in terms of clothes and of the face.

Shapes hardly change these places, so that those of the default body serve every body.
"""

from __future__ import annotations

from dataclasses import dataclass
import functools

import numpy as np

from infant_pose_ros.synthetic.body import BodyShape, pose_bodies, rest_pose, weight_of

_ARM_CHAIN = ('upperarm01', 'lowerarm01', 'wrist')
_LEG_CHAIN = ('upperleg01', 'lowerleg01', 'foot')
_ARM_SKIN = ('upperarm', 'lowerarm', 'wrist', 'finger', 'metacarpal')
_LEG_SKIN = ('upperleg', 'lowerleg', 'foot', 'toe')


@dataclass(frozen=True, eq=False)
class TailorMap:
    """Where on the body a vertex lies, in terms that a tailor understands; each array is (V,).

    Attributes:
        arm: 0 at the shoulder, 1 at the wrist, 0 off the arms. leg: 0 at the hip, 1 at the ankle.
        head, hand, foot: 0..1 share of the vertex that belongs there.
        height: 0 at the heel, 1 at the crown, at rest. front: 1 at the front, -1 at the back.
        eye: 0..1 share that belongs to an eyeball.
    """

    arm: np.ndarray
    leg: np.ndarray
    head: np.ndarray
    hand: np.ndarray
    foot: np.ndarray
    height: np.ndarray
    front: np.ndarray
    eye: np.ndarray


def _rest_vertices() -> np.ndarray:
    """(V, 3) float32, m, of the default body."""
    return pose_bodies(BodyShape(), {}, 1).rest_vertices_m


@functools.lru_cache(maxsize=1)
def tailor_map() -> TailorMap:
    """The map of the model's vertices."""
    vertices = _rest_vertices()
    low, high = vertices[:, 2].min(), vertices[:, 2].max()
    depth = vertices[:, 1] - np.median(vertices[:, 1])
    return TailorMap(
        arm=_limb_share(_ARM_CHAIN, _ARM_SKIN), leg=_limb_share(_LEG_CHAIN, _LEG_SKIN),
        head=np.clip(weight_of(('head', 'neck02', 'neck03', 'eye')), 0, 1),
        hand=np.clip(weight_of(('finger', 'metacarpal')), 0, 1),
        foot=np.clip(weight_of(('foot', 'toe')), 0, 1),
        height=(vertices[:, 2] - low) / (high - low),
        front=np.clip(-depth / np.abs(depth).max() * 2, -1, 1).astype(np.float32),
        eye=np.clip(weight_of(('eye',)), 0, 1))


def _limb_share(chain: tuple[str, ...], skin: tuple[str, ...]) -> np.ndarray:
    """(V,) float32 share of the way along a limb's `chain` of bones, over the limb's `skin`."""
    vertices, heads = rest_pose(BodyShape())
    return sum(
        np.clip(weight_of(skin, side), 0, 1)
        * _share_along(vertices, np.stack([heads[f'{bone}.{side}'] for bone in chain]))
        for side in 'LR').astype(np.float32)


def _share_along(points: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """Share (V,), 0 to 1.1, of the way along a chain of bones (3, 3) nearest to points (V, 3)."""
    lengths = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    distances, shares = [], []
    for k in (0, 1):
        direction = (chain[k + 1] - chain[k]) / lengths[k]
        along = (points - chain[k]) @ direction
        on_bone = np.clip(along, 0, lengths[k])
        distances.append(np.linalg.norm(
            points - chain[k] - on_bone[:, None] * direction, axis=1))
        shares.append(k * lengths[0] + np.where(k == 1, np.clip(along, 0, None), on_bone))
    nearest = np.where(distances[0] <= distances[1], shares[0], shares[1])
    return np.clip(nearest / lengths.sum(), 0.0, 1.1)


@functools.lru_cache(maxsize=1)
def face_map() -> np.ndarray:
    """(V, 4) float32 face coordinates of the vertices.

    Left, back and up of the eyes' middle, in distances between the eyes; then 1 on the body's
    left side, -1 on its right.
    """
    rest = _rest_vertices()
    eye = tailor_map().eye > 0.9
    left, right = rest[eye & (rest[:, 0] > 0)].mean(0), rest[eye & (rest[:, 0] < 0)].mean(0)
    apart = float(np.linalg.norm(left - right))
    face = (rest - (left + right) / 2) / apart
    return np.column_stack([face, np.sign(rest[:, 0])]).astype(np.float32)


@functools.lru_cache(maxsize=1)
def tailor_columns() -> np.ndarray:
    """(V, 12) float32: the tailor's map and the face map, as the shading kernel reads them."""
    where = tailor_map()
    return np.column_stack([
        where.arm, where.leg, where.head, where.hand, where.foot, where.height, where.front,
        where.eye, face_map()]).astype(np.float32)
