"""Meshes of simple things: vertices (V, 3) in m and faces (T, 3)."""

from __future__ import annotations

import numpy as np

Mesh = tuple[np.ndarray, np.ndarray]


def grid_faces(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Faces of a grid of vertices in row order; `closed` joins the last column to the first."""
    i, j = np.mgrid[:rows - 1, :columns if closed else columns - 1]
    a, b = i * columns + j, i * columns + (j + 1) % columns
    return np.concatenate([np.stack([a, b, a + columns], -1).reshape(-1, 3),
                           np.stack([b, b + columns, a + columns], -1).reshape(-1, 3)])


def tube(points_m: np.ndarray, radii_m: np.ndarray, segments: int = 8) -> Mesh:
    """A round tube along points (N, 3) with a radius (N,) at each."""
    tangent = np.gradient(points_m, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    helper = np.where(np.abs(tangent[:, 2:]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    side = np.cross(tangent, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    other = np.cross(tangent, side)
    turn = np.arange(segments) * 2 * np.pi / segments
    circle = (np.cos(turn)[None, :, None] * side[:, None]
              + np.sin(turn)[None, :, None] * other[:, None])
    vertices = points_m[:, None] + np.asarray(radii_m)[:, None, None] * circle
    return vertices.reshape(-1, 3), grid_faces(len(points_m), segments, True)


def capsule(start: np.ndarray, end: np.ndarray, radii: tuple[float, float],
            segments: int = 12) -> Mesh:
    """A rounded limb between two points."""
    axis = end - start
    axis = axis / (np.linalg.norm(axis) + 1e-9)
    cap = np.sqrt(np.clip(1 - np.array([1.0, 0.85, 0.5, 0.0]) ** 2, 0.002, 1))
    first = [start - axis * radii[0] * s for s in (1.0, 0.85, 0.5, 0.0)]
    last = [end + axis * radii[1] * s for s in (0.0, 0.5, 0.85, 1.0)]
    return tube(np.array(first + last),
                np.concatenate([radii[0] * cap, radii[1] * cap[::-1]]), segments)


def ellipsoid(centre: np.ndarray, radii: np.ndarray, power: float = 1.0, turn_rad: float = 0.0
              ) -> Mesh:
    """An ellipsoid or, with a power below 1, a box with soft edges."""
    rings, segments = 13, 20
    up, around = np.meshgrid(np.linspace(-np.pi / 2, np.pi / 2, rings),
                             np.arange(segments) * 2 * np.pi / segments, indexing='ij')
    x, y, z = (np.sign(v) * np.abs(v) ** power * radius for v, radius in zip((
        np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)), radii))
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    vertices = np.stack([cos * x - sin * y, sin * x + cos * y, z], -1).reshape(-1, 3) + centre
    return vertices, grid_faces(rings, segments, True)


def box(low: np.ndarray, high: np.ndarray, turn_rad: float = 0.0) -> Mesh:
    """A box with sharp edges (each side has corners of its own), turned about its middle."""
    corner = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
    sides = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    vertices = np.concatenate([corner[list(side)] for side in sides])
    middle, size = (low + high) / 2, high - low
    vertices = (vertices - 0.5) * size
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    faces = np.concatenate([[[4 * k, 4 * k + 1, 4 * k + 2], [4 * k, 4 * k + 2, 4 * k + 3]]
                            for k in range(6)])
    return vertices @ turn.T + middle, faces


def joined(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    base = np.cumsum([0] + [len(vertices) for vertices, _ in meshes])
    return (np.concatenate([vertices for vertices, _ in meshes]),
            np.concatenate([faces + start for (_, faces), start in zip(meshes, base)]))
