"""Beds: mattress, sheet, changing pad, floor; and cloths that lie over an infant or beside it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.props import Prop
from infant_pose_ros.synthetic.shapes import grid_faces
from infant_pose_ros.synthetic.textures import LINEN

_CELLS = 72


@dataclass(frozen=True, eq=False)
class Blanket:
    """A cloth over the part of the infant beyond `edge_m` along direction `towards` (2,).

    Attributes:
        fabric: of the bank. span_m: limits across, from the body's middle. fitted: follows the
            body's outline, as a sleeping bag does. thickness_m, rumple_m: of the cloth. seed: of
            its folds.
    """

    towards: np.ndarray
    edge_m: float
    fabric: int
    span_m: tuple[float, float] = (-1.0, 1.0)
    fitted: bool = False
    thickness_m: float = 0.012
    rumple_m: float = 0.0
    seed: int = 0


def _linen(rng: np.random.Generator, fabrics: int, share: float) -> int:
    """A fabric: with this chance one of the plain, pale ones."""
    return int(rng.integers(min(LINEN, fabrics) if rng.random() < share else fabrics))


def sample_bed(rng: np.random.Generator, keypoints_m: np.ndarray, fabrics: int,
               reliefs: int) -> dict:
    """Fields of `Scene` for the bed under keypoints (F, 16, 3), world."""
    points = keypoints_m.reshape(-1, 3)
    middle = points.mean(0)[:2]
    up = (keypoints_m[0, Joint.THORAX] - keypoints_m[0, Joint.PELVIS])[:2]
    heading = np.arctan2(up[1], up[0])
    angle = heading + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.15)
    if rng.random() < 0.3:
        angle = rng.uniform(0, 2 * np.pi)
    reach = float(np.abs(points[:, :2] - middle).max())
    pad, pad_box = -1, np.zeros(4)
    if rng.random() < 0.28:
        pad = _linen(rng, fabrics, 0.5)
        half = reach * rng.uniform([0.8, 0.5], [1.6, 1.1])
        pad_box = np.concatenate([middle + rng.normal(0, 0.05, 2), half])
    return {
        'sheet': _linen(rng, fabrics, 0.55), 'sheet_scale': rng.uniform(0.8, 5.0),
        # The kernel turns by the opposite angle.
        'sheet_angle': -angle, 'sheet_centre': middle + rng.normal(0, 0.1, 2),
        'mattress_m': np.maximum(rng.uniform([0.25, 0.3], [1.2, 1.5]), reach * 0.9),
        'floor': int(rng.integers(fabrics)), 'floor_scale': rng.uniform(0.7, 2.5),
        'drop_m': float(rng.choice([0.01, rng.uniform(0.05, 0.2), rng.uniform(0.4, 0.9)])),
        'wall': int(rng.integers(fabrics)), 'wall_m': rng.uniform(1.5, 4.0),
        'pad': pad, 'pad_box': pad_box, 'pad_angle': heading + rng.normal(0, 0.12),
        'relief': int(rng.integers(1, reliefs)),
        'folds': float(rng.choice([0.0, rng.uniform(0, 0.6), rng.uniform(0.3, 1.5)])),
        'creases': float(rng.choice([0.0, rng.uniform(0.2, 1.2)], p=[0.5, 0.5]))}


def sample_blanket(rng: np.random.Generator, keypoints_m: np.ndarray, fabrics: int
                   ) -> Blanket | None:
    """A blanket over legs, trunk or one side, or a sleeping bag, in a sixth of the scenes."""
    draw = rng.random()
    if draw > 0.17:
        return None
    points = keypoints_m[0]
    down = (points[[Joint.R_ANKLE, Joint.L_ANKLE]].mean(0) - points[Joint.THORAX])[:2]
    spine = (points[Joint.PELVIS] - points[Joint.THORAX])[:2]
    seed, fabric = int(rng.integers(2 ** 31)), _linen(rng, fabrics, 0.4)
    if draw < 0.05:
        towards = spine / max(np.linalg.norm(spine), 1e-6)
        edge = float(points[Joint.THORAX, :2] @ towards + rng.uniform(0.3, 1.0)
                     * np.linalg.norm(spine))
        return Blanket(towards, edge, fabric, fitted=True, seed=seed,
                       thickness_m=float(rng.uniform(0.012, 0.03)), rumple_m=0.01)
    angle = rng.uniform(0, 2 * np.pi)
    towards = down if rng.random() < 0.7 else np.array([np.cos(angle), np.sin(angle)])
    towards = towards / max(np.linalg.norm(towards), 1e-6)
    along = points[:, :2] @ towards
    low, high = (-1.0, 1.0) if rng.random() < 0.5 else np.sort(rng.uniform(-0.3, 0.3, 2))
    return Blanket(towards, float(np.quantile(along, rng.uniform(0.4, 0.95))), fabric,
                   (float(low), float(high)), thickness_m=float(rng.uniform(0.006, 0.02)),
                   rumple_m=float(rng.uniform(0.0, 0.03)), seed=seed)


def _rumple(seed: int, cells: int) -> np.ndarray:
    """(cells, cells) smooth folds, 0..1."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((9, 9)).astype(np.float32)
    fine = rng.random((20, 20)).astype(np.float32)
    return (0.7 * cv2.resize(coarse, (cells, cells), interpolation=cv2.INTER_CUBIC)
            + 0.3 * cv2.resize(fine, (cells, cells), interpolation=cv2.INTER_CUBIC))


def drape(blanket: Blanket, vertices_m: np.ndarray) -> Prop:
    """Lay a blanket over the body: a grid at the body's height, smoothed, a little above it."""
    along = vertices_m[:, :2] @ blanket.towards
    low, high = blanket.edge_m, max(float(along.max()), blanket.edge_m) + (
        0.05 if blanket.fitted else 0.15)
    side = np.array([-blanket.towards[1], blanket.towards[0]])
    across = vertices_m[:, :2] @ side
    centre = float(across.mean())
    left = max(float(across.min()) - 0.12, centre + blanket.span_m[0])
    right = max(min(float(across.max()) + 0.12, centre + blanket.span_m[1]), left + 0.08)
    row = np.clip((along - low) / (high - low) * (_CELLS - 1), -8, _CELLS - 1).astype(int)
    column = ((across - left) / (right - left) * (_CELLS - 1)).astype(int)
    heights = np.zeros((_CELLS, _CELLS), np.float32)
    inside = (row >= 0) & (column >= 0) & (column < _CELLS)
    np.maximum.at(heights, (row[inside], column[inside]), vertices_m[inside, 2])
    heights = cv2.dilate(heights, np.ones((7, 7), np.uint8))
    folds = _rumple(blanket.seed, _CELLS)
    ragged = (folds - 0.5) * 0.05 * (blanket.rumple_m > 0)
    top = cv2.GaussianBlur(heights, (0, 0), 2.2) + blanket.thickness_m + blanket.rumple_m * folds
    if blanket.fitted:
        body = cv2.GaussianBlur(cv2.dilate(heights, np.ones((5, 5), np.uint8)), (0, 0), 2.0)
        top = np.where(body > 0.006, top, -0.05)
    grid_along, grid_across = np.meshgrid(np.linspace(low, high, _CELLS),
                                          np.linspace(left, right, _CELLS), indexing='ij')
    flat = ((grid_along + ragged)[..., None] * blanket.towards
            + (grid_across + ragged)[..., None] * side)
    vertices = np.concatenate([flat, top[..., None]], -1).reshape(-1, 3)
    return Prop(vertices, grid_faces(_CELLS, _CELLS, False), blanket.fabric, 3.0)


def loose_cloth(rng: np.random.Generator, keypoints_m: np.ndarray, fabrics: int) -> Prop:
    """A muslin, towel or blanket that lies crumpled beside or under the infant."""
    points = keypoints_m[0]
    reach = float(np.ptp(points[:, :2], axis=0).max()) / 2
    angle, turn = rng.uniform(0, 2 * np.pi, 2)
    at = points.mean(0)[:2] + reach * rng.uniform(0.2, 1.5) * np.array(
        [np.cos(angle), np.sin(angle)])
    cells, half = 40, rng.uniform(0.08, 0.35, 2)
    x, y = np.meshgrid(np.linspace(-1, 1, cells), np.linspace(-1, 1, cells), indexing='ij')
    folds = _rumple(int(rng.integers(2 ** 31)), cells)
    near = np.linalg.norm(points.mean(0)[:2] - at) < 1.1 * reach
    height = 0.003 + (0.010 if near else rng.uniform(0.01, 0.06)) * folds
    warp = _rumple(int(rng.integers(2 ** 31)), cells) - 0.5
    x, y = (x + 0.35 * warp) * half[0], (y + 0.35 * (folds - 0.5)) * half[1]
    vertices = np.stack([at[0] + np.cos(turn) * x - np.sin(turn) * y,
                         at[1] + np.sin(turn) * x + np.cos(turn) * y, height], -1).reshape(-1, 3)
    return Prop(vertices, grid_faces(cells, cells, False), _linen(rng, fabrics, 0.5), 3.0)
