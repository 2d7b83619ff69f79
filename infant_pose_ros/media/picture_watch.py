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
#: By how much a step edge is steeper after the fine blur than after the coarse one, less 1.
STEP_EDGE = (COARSE / FINE) ** 0.5 - 1.0
#: A gradient counts as an edge from this on, grey levels per px at the coarse width, and from
#: so many times the noise on.
EDGE_MIN, EDGE_OVER_NOISE = 1.0, 6.0
#: Fewer edge pixels than this share of the picture tell nothing of sharpness.
EDGE_SHARE_MIN = 0.003
#: Pictures with a shorter side than this, after leaving out pixels, tell nothing of it either.
SMALLEST_PX = 16


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
    """Sharpness of the edges in a (h, w) uint8 picture, as `PictureLook` has it.

    An edge loses steepness when it is blurred, the more the steeper it was: the root mean square
    gradient over edge pixels after a fine blur is compared with that after a coarse one (the
    re-blur idea of Zhuo and Sim, "Defocus map estimation from a single image", 2011, taken over
    all edges). Noise, which would look like detail, is estimated and taken out of both. The
    less sharp of the horizontal and vertical gradients counts, as motion blurs one direction.
    """
    if min(grey.shape) < SMALLEST_PX:
        return None
    noise = _noise_std(grey)
    fine, coarse = (cv2.GaussianBlur(grey.astype(np.float32), (0, 0), width)
                    for width in (FINE, COARSE))
    least = max(EDGE_MIN, EDGE_OVER_NOISE * noise * _NOISE_GAIN[COARSE] ** 0.5)
    found = []
    for fine_slope, coarse_slope in zip(_slopes(fine), _slopes(coarse), strict=True):
        is_edge = np.abs(coarse_slope) > least
        if np.count_nonzero(is_edge) < EDGE_SHARE_MIN * is_edge.size:
            continue
        powers = [float(np.mean(np.square(slope[is_edge]))) - noise ** 2 * _NOISE_GAIN[width]
                  for slope, width in ((fine_slope, FINE), (coarse_slope, COARSE))]
        ratio = (max(powers[0], 0.0) / powers[1]) ** 0.5
        found.append(min(1.0, max(0.0, (ratio - 1.0) / STEP_EDGE)))
    return min(found, default=None)


def _slopes(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Central differences along columns and rows, (h - 2, w - 2) each."""
    return (0.5 * (picture[1:-1, 2:] - picture[1:-1, :-2]),
            0.5 * (picture[2:, 1:-1] - picture[:-2, 1:-1]))


def _noise_std(grey: np.ndarray) -> float:
    """Standard deviation of the noise, grey levels, by the median of what no edge explains."""
    rows = grey[::2].astype(np.int16)
    following = grey[1::2].astype(np.int16)[:len(rows)]
    rows = rows[:len(following)]
    crossed = (rows[:, :-1] - rows[:, 1:] - following[:, :-1] + following[:, 1:])[:, ::2]
    return 0.5 * 1.4826 * float(np.median(np.abs(crossed)))


def _noise_gain(width: float) -> float:
    """Variance of a central difference after a Gaussian blur of white noise of variance 1."""
    kernel = cv2.getGaussianKernel(2 * round(4.0 * width) + 1, width).ravel()
    return float(np.sum(np.convolve(kernel, (0.5, 0.0, -0.5)) ** 2) * np.sum(kernel ** 2))


_NOISE_GAIN = {width: _noise_gain(width) for width in (FINE, COARSE)}
