"""Fabrics: a bank of small tileable pictures for clothes, sheets, blankets and toys."""

from __future__ import annotations

import colorsys
import functools

import cv2
import numpy as np

TEXTURE_SIZE = 256
#: The first fabrics of a bank are plain and pale: sheets, muslins, nappies, hospital linen.
LINEN = 20


def _colour(rng: np.random.Generator) -> np.ndarray:
    """An RGB colour, 0..255: half of them pale, as infants' textiles are."""
    pale = rng.random() < 0.5
    saturation = rng.uniform(0.0, 0.35) if pale else rng.uniform(0.1, 0.9)
    value = rng.uniform(0.7, 1.0) if pale else rng.uniform(0.12, 1.0)
    return 255.0 * np.array(colorsys.hsv_to_rgb(rng.random(), saturation, value))


def _clouds(rng: np.random.Generator, coarse: int, octaves: int = 4) -> np.ndarray:
    """Tileable noise, 0..1, (size, size)."""
    total = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.float32)
    for octave in range(octaves):
        cells = min(coarse * 2 ** octave, TEXTURE_SIZE)
        grid = rng.random((cells, cells)).astype(np.float32)
        tiled = cv2.resize(np.tile(grid, (3, 3)), (3 * TEXTURE_SIZE,) * 2,
                           interpolation=cv2.INTER_CUBIC)
        total += 0.55 ** octave * tiled[TEXTURE_SIZE:-TEXTURE_SIZE, TEXTURE_SIZE:-TEXTURE_SIZE]
    return (total - total.min()) / (np.ptp(total) + 1e-6)


def _waves(rng: np.random.Generator) -> np.ndarray:
    """Tileable stripes, -1..1, of a random whole number of periods either way."""
    y, x = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE] / TEXTURE_SIZE * 2 * np.pi
    periods = rng.integers(0, 14, 2) * rng.choice([-1, 1], 2)
    if not periods.any():
        periods[rng.integers(2)] = rng.integers(2, 14)
    return np.sin(periods[0] * x + periods[1] * y + rng.uniform(0, 2 * np.pi))


def _stripes(rng):
    return (_waves(rng) > rng.uniform(-0.7, 0.7)).astype(np.float32)


def _checks(rng):
    y, x = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE] / TEXTURE_SIZE * 2 * np.pi
    periods = rng.integers(2, 14)
    across, down = np.sin(periods * x) > 0, np.sin(periods * y) > 0
    return (across ^ down if rng.random() < 0.4 else (across * 0.5 + down * 0.5)).astype(
        np.float32)


def _prints(rng):
    """Scattered dots, rings, blobs and polygons that wrap around the edges."""
    canvas = np.zeros((3 * TEXTURE_SIZE, 3 * TEXTURE_SIZE), np.uint8)
    radius, shape = rng.uniform(4, 34), rng.integers(4)
    for _ in range(int(np.clip(9000 / radius ** 2, 4, 90))):
        centre = rng.uniform(0, TEXTURE_SIZE, 2)
        size = radius * rng.uniform(0.6, 1.3)
        corners = rng.integers(3, 8)
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        level = int(rng.choice([255, 255, 150]))
        for dx in (0, 1, 2):
            for dy in (0, 1, 2):
                at = centre + TEXTURE_SIZE * np.array([dx, dy])
                if shape == 0:
                    cv2.circle(canvas, at.astype(int), int(size), level, -1)
                elif shape == 1:
                    cv2.circle(canvas, at.astype(int), int(size), level, max(int(size / 4), 1))
                elif shape == 2:
                    points = at + size * np.stack([np.cos(angles), np.sin(angles)], 1)
                    cv2.fillPoly(canvas, [points.astype(np.int32)], level)
                else:
                    cv2.ellipse(canvas, at.astype(int), (int(size), int(size / 2) + 1),
                                float(np.rad2deg(angles[0])), 0, 360, level, -1)
    return canvas[TEXTURE_SIZE:-TEXTURE_SIZE, TEXTURE_SIZE:-TEXTURE_SIZE] / np.float32(255)


def _camouflage(rng):
    return (_clouds(rng, int(rng.integers(2, 10))) > rng.uniform(0.35, 0.65)).astype(np.float32)


def _quilt(rng):
    """Stitched diamonds or squares."""
    y, x = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE] / TEXTURE_SIZE * np.pi
    periods = int(rng.integers(4, 14))
    first, second = (x + y, x - y) if rng.random() < 0.5 else (x, y)
    line = np.minimum(np.abs(np.sin(periods * first)), np.abs(np.sin(periods * second)))
    return (np.clip(line / rng.uniform(0.15, 0.6), 0, 1)).astype(np.float32)


def _tiles(rng):
    """Foam tiles, floor tiles or planks: joints between patches of uneven tone."""
    rows, columns = int(rng.choice([1, 2, 4])), int(rng.choice([1, 2, 8]))
    tone = rng.random((rows, columns)).astype(np.float32) * rng.uniform(0.2, 1.0)
    picture = cv2.resize(tone, (TEXTURE_SIZE,) * 2, interpolation=cv2.INTER_NEAREST)
    picture[::TEXTURE_SIZE // rows] = 1.0
    picture[:, ::TEXTURE_SIZE // columns] = 1.0
    return picture


def _lettering(rng):
    """Words and numbers, as on hospital linen and toys."""
    picture = np.zeros((TEXTURE_SIZE,) * 2, np.uint8)
    for _ in range(rng.integers(1, 6)):
        text = ''.join(rng.choice(list('ABCDEHKMNOPRSTUW0123456789'), rng.integers(1, 6)))
        cv2.putText(picture, text, tuple(int(v) for v in rng.integers([5, 40], [150, 240])),
                    int(rng.integers(0, 5)), rng.uniform(0.7, 2.0), 255, int(rng.integers(1, 5)))
    return picture / np.float32(255)


def _plain(rng):
    return np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.float32)


def fabric(rng: np.random.Generator, linen: bool = False) -> np.ndarray:
    """One tileable fabric, (256, 256, 3) uint8 RGB; `linen` asks for a plain and pale one."""
    makers = [_plain, _stripes, _checks, _prints, _camouflage, lambda r: _clouds(r, 3), _quilt,
              _tiles, _lettering]
    chances = [0.55, 0.08, 0.04, 0.08, 0, 0.05, 0.16, 0, 0.04] if linen else [
        0.27, 0.15, 0.09, 0.22, 0.05, 0.07, 0.05, 0.07, 0.03]
    maker = makers[rng.choice(len(makers), p=chances)]
    share = maker(rng)[..., None]
    first, second = _colour(rng), _colour(rng)
    if linen:
        tint = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.14), 1.0))
        first = 255.0 * rng.uniform(0.72, 1.0) * tint
    if linen or rng.random() < 0.5:
        second = first * rng.uniform(0.6, 0.95) + (1 - rng.uniform(0.7, 1)) * 40
    picture = first * (1 - share) + second * share
    if not linen and maker in (_stripes, _checks, _prints) and rng.random() < 0.4:
        extra = _prints(rng)[..., None]
        picture = picture * (1 - extra) + _colour(rng) * extra
    weave = 1 + rng.uniform(0.0, 0.06) * (rng.random((TEXTURE_SIZE,) * 2)[..., None] - 0.5)
    uneven = 1 + rng.uniform(0.0, 0.18) * (_clouds(rng, 3, 3)[..., None] - 0.5)
    return np.clip(picture * weave * uneven, 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=2)
def fabric_bank(seed: int, count: int = 72) -> np.ndarray:
    """(count, 256, 256, 3) uint8 RGB fabrics, the first `LINEN` plain and pale ones.

    The same seed gives the same bank.
    """
    rng = np.random.default_rng([seed, 7])
    return np.stack([fabric(rng, index < LINEN) for index in range(count)])


@functools.lru_cache(maxsize=2)
def relief_bank(seed: int, count: int = 24) -> np.ndarray:
    """(count, 256, 256) float32 tileable heights, 0..1: sharp creases first, then wrinkles."""
    rng = np.random.default_rng([seed, 8])
    creases = np.abs(_clouds(rng, 3, 3) - 0.5) * 2.0
    return np.stack([creases] + [_clouds(rng, int(rng.integers(2, 7)), 3)
                                 for _ in range(count - 1)])
