"""Drawing poses, boxes and labels over pictures (OpenCV, anti-aliased, sub-pixel)."""

from __future__ import annotations

import cv2
import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import BONES, NUM_KEYPOINTS, SIDE_COLOURS_RGB, SIDES, TrackState

OUTLINE = (25, 25, 25)
PRIVACY_MODES = ('off', 'black', 'blur')
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # OpenCV's fixed point: coordinates in sixteenths of a pixel
_BLUR_CELLS = 20


def draw_pose(image_rgb: np.ndarray, keypoints_px: np.ndarray, score: np.ndarray,
              state: np.ndarray, score_min: float = 0.0, thin: bool = False) -> np.ndarray:
    """Draw a skeleton into the picture; left, right and centre differ in colour.

    A measured joint is a filled disc, a predicted one a ring; bones to predicted joints are
    thinner. Nothing is drawn for a keypoint that is NaN, lost, or scores under `score_min`.

    Args:
        image_rgb: (H, W, 3) uint8, changed in place.
        keypoints_px: (16, 2) frame px, NaN where missing.
        score: (16,) 0..1.
        state: (16,) of `TrackState`.
        thin: fine lines and dots, for poses before smoothing.

    Returns:
        The same picture.

    Raises:
        InvalidInputError: arrays of another shape.
    """
    keypoints_px = np.asarray(keypoints_px, dtype=float)
    score, state = np.asarray(score, dtype=float), np.asarray(state)
    if keypoints_px.shape != (NUM_KEYPOINTS, 2) or score.shape != (NUM_KEYPOINTS,) or \
            state.shape != (NUM_KEYPOINTS,):
        raise InvalidInputError(
            f'draw_pose: expected keypoints (16, 2), score (16,) and state (16,), got '
            f'{keypoints_px.shape}, {score.shape} and {state.shape}')
    shown = (np.isfinite(keypoints_px).all(axis=1) & (state != TrackState.LOST)
             & (score >= score_min))
    points = _fixed_points(keypoints_px, shown, image_rgb.shape)
    unit = _line_unit(image_rgb)
    bones = [(a, b) for a, b in BONES if shown[a] and shown[b]]
    sure = state == TrackState.MEASURED
    for outline in (False,) if thin else (True, False):
        for a, b in bones:
            width = 1 if thin else unit * ((3 if sure[a] and sure[b] else 1) + 2 * outline)
            _line(image_rgb, points[a], points[b],
                  OUTLINE if outline else SIDE_COLOURS_RGB[SIDES[b]], width)
    for joint in np.flatnonzero(shown):
        _joint(image_rgb, points[joint], SIDE_COLOURS_RGB[SIDES[joint]],
               sure[joint], unit, thin)
    return image_rgb


def draw_box(image_rgb: np.ndarray, box_xyxy: np.ndarray,
             colour: tuple[int, int, int] = (235, 235, 235)) -> np.ndarray:
    """Draw a box (4,), frame px, in place; one that isn't finite is left out."""
    box = np.asarray(box_xyxy, dtype=float)
    if box.shape != (4,):
        raise InvalidInputError(f'draw_box: expected a box of 4 numbers, got shape {box.shape}')
    if np.isfinite(box).all():
        corners = _fixed_points(box.reshape(2, 2), np.ones(2, dtype=bool), image_rgb.shape)
        for colour_, width in ((OUTLINE, 3), (colour, 1)):
            cv2.rectangle(image_rgb, corners[0], corners[1], colour_,
                          width * _line_unit(image_rgb), cv2.LINE_AA, _SHIFT)
    return image_rgb


def draw_label(image_rgb: np.ndarray, text: str, corner_px: tuple[float, float],
               colour: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """Write a line of text on a dark plate in place, kept inside the picture.

    Args:
        corner_px: lower left corner of the plate, frame px.
    """
    unit = _line_unit(image_rgb)
    scale, pad = 0.45 * unit, 3 * unit
    (width, height), below = cv2.getTextSize(text, _FONT, scale, unit)
    rows, columns = image_rgb.shape[:2]
    left = int(np.clip(corner_px[0], 0, max(columns - width - 2 * pad, 0)))
    bottom = int(np.clip(corner_px[1], height + below + 2 * pad, max(rows - 1, 0)))
    plate = image_rgb[max(bottom - height - below - 2 * pad, 0):bottom,
                      left:left + width + 2 * pad]
    plate[:] = plate // 3
    cv2.putText(image_rgb, text, (left + pad, bottom - below - pad), _FONT, scale, colour,
                unit, cv2.LINE_AA)
    return image_rgb


def draw_path(image_rgb: np.ndarray, points_px: np.ndarray,
              colour: tuple[int, int, int]) -> np.ndarray:
    """Draw the way that a point took, in place: thin, faint and grey where it began.

    Args:
        points_px: (T, 2) frame px, oldest first; NaN leaves a gap.
    """
    points_px = np.asarray(points_px, dtype=float).reshape(-1, 2)
    shown = np.isfinite(points_px).all(axis=1)
    points = _fixed_points(points_px, shown, image_rgb.shape)
    unit = _line_unit(image_rgb)
    pieces = np.flatnonzero(shown[1:] & shown[:-1])
    newness = (pieces + 1) / max(len(points) - 1, 1)
    for index, new in zip(pieces, newness):
        _line(image_rgb, points[index], points[index + 1], OUTLINE, unit * (2 + 2 * (new > 0.5)))
    for index, new in zip(pieces, newness):
        faded = tuple(round(95 + new * (channel - 95)) for channel in colour)
        _line(image_rgb, points[index], points[index + 1], faded, unit * (1 + (new > 0.5)))
    return image_rgb


def beside_each_other(left_rgb: np.ndarray, right_rgb: np.ndarray) -> np.ndarray:
    """Two pictures of one height (H, W, 3) as one, with a line between; its width is even."""
    line = np.full((left_rgb.shape[0], 2 * _line_unit(left_rgb), 3), 235, dtype=np.uint8)
    return np.hstack([left_rgb, line, right_rgb])


def private_background(image_rgb: np.ndarray, mode: str) -> np.ndarray:
    """A new picture to draw on: 'off' a copy, 'black', or 'blur'.

    The blur keeps 20 averages along the longer side: a head that is not much larger than such a
    cell has no face any more. The finer content is gone, not hidden.

    Raises:
        InvalidInputError: another mode.
    """
    if mode == 'off':
        return image_rgb.copy()
    if mode == 'black':
        return np.zeros_like(image_rgb)
    if mode != 'blur':
        raise InvalidInputError(
            f'privacy: {mode!r} is not one of {", ".join(map(repr, PRIVACY_MODES))}')
    rows, columns = image_rgb.shape[:2]
    cell = max(rows, columns) / _BLUR_CELLS
    small = cv2.resize(image_rgb, (max(round(columns / cell), 1), max(round(rows / cell), 1)),
                       interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)


def _joint(image_rgb, centre, colour, measured: bool, unit: int, thin: bool) -> None:
    if thin:
        cv2.circle(image_rgb, centre, 2 * unit << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
        return
    cv2.circle(image_rgb, centre, 5 * unit << _SHIFT, OUTLINE, -1 if measured else 3 * unit,
               cv2.LINE_AA, _SHIFT)
    cv2.circle(image_rgb, centre, (4 if measured else 5) * unit << _SHIFT, colour,
               -1 if measured else unit, cv2.LINE_AA, _SHIFT)


def _line(image_rgb, start, end, colour, width: int) -> None:
    cv2.line(image_rgb, start, end, colour, width, cv2.LINE_AA, _SHIFT)


def _fixed_points(points_px: np.ndarray, shown: np.ndarray,
                  shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """OpenCV's fixed-point pixels; far outside is drawn to just outside, so nothing overflows."""
    limit = 2.0 * max(shape[:2])
    safe = np.where(shown[:, None], points_px, 0.0)
    scaled = np.rint(np.clip(safe, -limit, 2.0 * limit) * (1 << _SHIFT)).astype(int)
    return [(int(x), int(y)) for x, y in scaled]


def _line_unit(image_rgb: np.ndarray) -> int:
    """Line width that suits the picture: 1 at 640x480 and below, 2 at 1280x960, ..."""
    return max(1, round(min(image_rgb.shape[:2]) / 480))
