"""Where the camera stands: above a cot, or anywhere around an adult."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.structures import Camera


def look_at(position_m: np.ndarray, target_m: np.ndarray, roll_rad: float) -> np.ndarray:
    """World-to-camera matrix (3, 4) of a camera that looks at `target_m`, rolled."""
    forward = target_m - position_m
    forward = forward / np.linalg.norm(forward)
    steep = abs(forward[2]) > 0.985
    helper = np.array([0.0, 1.0, 0.0]) if steep else np.array([0.0, 0.0, 1.0])
    right = np.cross(forward, helper)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll_rad), np.sin(roll_rad)
    rotation = np.stack([cos * right + sin * down, cos * down - sin * right, forward])
    return np.hstack([rotation, -(rotation @ position_m)[:, None]])


def _lens(rng: np.random.Generator, size_wh: tuple[int, int], low_deg: float, high_deg: float
          ) -> Camera:
    """Intrinsics of a lens; limits of the field of view across the picture, degrees."""
    width, height = size_wh
    field = np.deg2rad(low_deg + (high_deg - low_deg) * rng.beta(1.2, 1.8))
    focal = width / (2 * np.tan(field / 2))
    centre = np.array([width, height]) * (0.5 + rng.normal(0, 0.01, 2))
    return Camera(focal, focal * rng.uniform(0.99, 1.01), *centre, width, height)


def sample_camera(rng: np.random.Generator, keypoints_m: np.ndarray, size_wh: tuple[int, int],
                  intrinsics: Camera | None = None) -> tuple[Camera, np.ndarray]:
    """A camera 0.5 to 1.5 m above the infant, 45 to 100 degrees wide, tilted, at any roll.

    The infant is often off the centre and at times partly outside. Where no such camera shows it
    at a fitting size, the camera stands 0.4 to 2.5 m away.

    Args:
        keypoints_m: (F, 16, 3) of the whole clip, world. size_wh: picture, px.
        intrinsics: of the camera, where they are fixed; drawn otherwise.

    Returns:
        The intrinsics and the world-to-camera matrix (3, 4).
    """
    points = keypoints_m.reshape(-1, 3)
    middle = (points.min(0) + points.max(0)) / 2
    extent = float(np.linalg.norm(np.ptp(keypoints_m[0], axis=0)[:2])) + 0.06
    for _ in range(60):
        camera = _lens(rng, size_wh, 45, 100)
        camera = camera if intrinsics is None else intrinsics
        distance = rng.uniform(0.5, 1.5)
        share = camera.fx * extent / (distance * camera.height)
        if 0.42 < share < 1.1:
            break
    else:
        distance = np.clip(distance * share / rng.uniform(0.4, 0.95), 0.4, 2.5)
    std, most = (12, 35) if rng.random() < 0.93 else (25, 50)
    tilt, azimuth = min(abs(rng.normal(0, std)), most), rng.uniform(-np.pi, np.pi)
    tilt = np.deg2rad(tilt)
    towards = np.array([np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth),
                        np.cos(tilt)])
    free = max(0.02, 0.5 * distance * camera.height / camera.fx - extent / 2)
    spread = 0.8 * free + (0.25 * extent if rng.random() < 0.12 else 0.0)
    target = middle + np.append(rng.uniform(-1, 1, 2) * spread, 0.0)
    return camera, look_at(target + distance * towards, target, rng.uniform(-np.pi, np.pi))


def sample_adult_camera(rng: np.random.Generator, keypoints_m: np.ndarray,
                        size_wh: tuple[int, int]) -> tuple[Camera, np.ndarray]:
    """A camera at any height around an adult: mostly upright at eye level, at times above.

    Args:
        keypoints_m: (1, 16, 3) world. size_wh: picture, px.

    Returns:
        As `sample_camera`.
    """
    camera = _lens(rng, size_wh, 40, 95)
    middle = (keypoints_m[0].min(0) + keypoints_m[0].max(0)) / 2
    extent = float(np.ptp(keypoints_m[0], axis=0).max()) + 0.15
    above = rng.random() < 0.3
    elevation = np.deg2rad(rng.uniform(35, 89) if above else rng.normal(8, 12))
    azimuth = rng.uniform(-np.pi, np.pi)
    towards = np.array([np.cos(elevation) * np.cos(azimuth),
                        np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    distance = camera.fx * extent / (rng.uniform(0.45, 1.15) * camera.height)
    target = middle + rng.uniform(-0.15, 0.15, 3) * extent
    position = target + max(distance, 0.9) * towards
    position[2] = max(position[2], 0.15)
    roll = rng.uniform(-np.pi, np.pi) if above and rng.random() < 0.7 else rng.normal(0, 0.1)
    return camera, look_at(position, target, roll)
