"""Lamps, exposure, lens and sensor: what makes a picture of a scene a photograph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from infant_pose_ros.synthetic.scene import Scene


def lamp(elevation_rad: float, azimuth_rad: float) -> np.ndarray:
    """(3,) unit vector towards a lamp."""
    return np.array([np.cos(elevation_rad) * np.cos(azimuth_rad),
                     np.cos(elevation_rad) * np.sin(azimuth_rad), np.sin(elevation_rad)])


def sample_light(rng: np.random.Generator, towards_camera: np.ndarray) -> dict:
    """Fields of `Scene` for lamps, exposure, lens and sensor.

    A tenth of pictures are infrared-like: grey, lit from the camera, bright in the middle.

    Args:
        towards_camera: (3,) unit vector.
    """
    elevation, azimuth = np.deg2rad(rng.uniform(25, 88)), rng.uniform(0, 2 * np.pi)
    warmth, green = rng.normal(0, 0.10), rng.normal(0, 0.03)
    tint = np.array([1 + warmth, 1.0 + green, 1 - warmth])
    strength = rng.uniform(0.15, 0.95)
    grey = rng.random() < 0.10
    kind = rng.choice(['dim', 'plain', 'over'], p=[0.15, 0.75, 0.10])
    exposure = {'dim': (0.25, 0.6), 'plain': (0.75, 1.4), 'over': (1.5, 2.3)}[str(kind)]
    fields = {
        'light': lamp(elevation, azimuth), 'sun': strength * tint,
        'ambient': (1.0 - 0.7 * strength) * np.array([1 - warmth, 1.0, 1 + warmth]),
        'fill': np.zeros(3), 'fill_light': lamp(np.deg2rad(rng.uniform(10, 80)),
                                                rng.uniform(0, 2 * np.pi)),
        'shadow_blur': int(rng.choice([3, 7, 15, 25, 41])), 'beam': np.zeros(3),
        'beam_dark': 1.0, 'grey': bool(grey),
        'gain': rng.uniform(*exposure) * (1 + rng.normal(0, 0.06, 3)),
        'gamma': rng.uniform(0.85, 1.2),
        'vignette': float(rng.choice([0.0, rng.uniform(0.1, 0.6)])),
        'vignette_centre': rng.normal(0, 0.1, 2),
        'noise': float(rng.choice([0.004, 0.012, 0.035], p=[0.45, 0.38, 0.17])
                       * (1.8 if kind == 'dim' else 1)),
        'blur_px': float(rng.choice([0.0, 0.6, 1.0, 1.8], p=[0.3, 0.37, 0.25, 0.08])),
        'motion_px': np.zeros(2), 'sharpen': 0.0, 'coarse': 1.0, 'jpeg': int(rng.integers(55, 98))}
    if rng.random() < 0.4:
        fields['fill'] = rng.uniform(0.1, 0.6) * np.clip(1 + rng.normal(0, 0.12, 3), 0.6, 1.4)
    if rng.random() < 0.15:
        turn = rng.uniform(0, 2 * np.pi)
        scale = rng.uniform(3.0, 9.0)
        fields['beam'] = scale * np.array([np.cos(turn), np.sin(turn), rng.uniform(-0.2, 0.2)])
        fields['beam_dark'] = float(rng.uniform(0.1, 0.7))
    if rng.random() < 0.07:
        turn, length = rng.uniform(0, np.pi), rng.uniform(2, 9)
        fields['motion_px'] = length * np.array([np.cos(turn), np.sin(turn)])
    look = rng.random()
    if look < 0.18:
        fields['sharpen'] = float(rng.uniform(0.3, 1.2))
    elif look > 0.9:
        fields['coarse'] = float(rng.uniform(0.35, 0.7))
    if grey and rng.random() < 0.8:
        fields.update(light=towards_camera, vignette=float(rng.uniform(0.5, 2.5)),
                      sun=np.full(3, rng.uniform(0.6, 1.0)),
                      ambient=np.full(3, rng.uniform(0.05, 0.35)), fill=np.zeros(3),
                      gain=np.full(3, rng.uniform(0.6, 2.0)))
    return fields


def lens(scene: Scene, image: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 after blur, motion blur, a coarse sensor and sharpening."""
    if scene.blur_px > 0:
        image = cv2.GaussianBlur(image, (0, 0), scene.blur_px)
    length = float(np.hypot(*scene.motion_px))
    if length > 1.0:
        half = int(np.ceil(length / 2)) + 1
        kernel = np.zeros((2 * half + 1,) * 2, np.float32)
        end = np.rint(np.asarray(scene.motion_px) / 2).astype(int)
        cv2.line(kernel, (half - end[0], half - end[1]), (half + end[0], half + end[1]), 1.0)
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if scene.coarse < 1.0:
        height, width = image.shape[:2]
        small = cv2.resize(image, None, fx=scene.coarse, fy=scene.coarse,
                           interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if scene.sharpen > 0.0:
        soft = cv2.GaussianBlur(image, (0, 0), 1.5)
        image = cv2.addWeighted(image, 1 + scene.sharpen, soft, -scene.sharpen, 0)
    return image
