"""Pixels to rays and points to pixels, through the lens distortion that ROS cameras report."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.structures import Camera

#: Pictures whose aspect differs by more than this share are another camera mode, not a scaling.
ASPECT_TOLERANCE = 0.01
#: Focal length over the picture's longer side where no calibration is known: a 45 degree lens.
ASSUMED_FOCAL_FACTOR = 1.2

_UNDISTORT_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-10)
#: A ray that comes back this far from its pixel lies where the lens model can't be inverted.
_MAX_ROUND_TRIP_PX = 0.5

#: Points around a pixel between which the lens counts as linear, px.
_SIDE_STEP_PX = 0.5
_SIDE_STEPS_PX = _SIDE_STEP_PX * np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])


def undistort_to_rays(camera: Camera, points_px: np.ndarray) -> np.ndarray:
    """Frame px (..., 2) to the normalised image plane (..., 2): x/z and y/z of the ray.

    NaN stays NaN, and a pixel for which the distortion has no inverse (far outside of the
    calibrated picture) becomes NaN.
    """
    points = np.asarray(points_px, dtype=np.float64)
    if not camera.has_distortion:
        return (points - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    flat = points.reshape(-1, 2)
    rays = np.full_like(flat, np.nan)
    known = np.isfinite(flat).all(axis=-1)
    if known.any():
        pixels = flat[known][:, None]
        if camera.distortion_model == 'equidistant':
            found = cv2.fisheye.undistortPoints(
                pixels, camera.matrix, camera.distortion, criteria=_UNDISTORT_STOP)[:, 0]
        else:
            found = cv2.undistortPoints(
                pixels, camera.matrix, camera.distortion, criteria=_UNDISTORT_STOP)[:, 0]
        back = project(camera, np.column_stack([found, np.ones(len(found))]))
        off_px = np.abs(back - flat[known]).max(axis=-1)
        rays[known] = np.where((off_px < _MAX_ROUND_TRIP_PX)[:, None], found, np.nan)
    return rays.reshape(points.shape)


def ray_covariances(camera: Camera, points_px: np.ndarray, covariances_px2: np.ndarray
                    ) -> np.ndarray:
    """Covariances (..., 2, 2) of pixels (..., 2) as those of their rays in the normalised plane.

    The lens counts: towards the edge of a fisheye's picture a pixel spans more of the plane than
    in its middle. NaN stays NaN; beside a pixel that has no ray the middle's span is taken.
    """
    focal = np.array([camera.fx, camera.fy])
    if not camera.has_distortion:
        return covariances_px2 / np.outer(focal, focal)
    points = np.asarray(points_px, dtype=np.float64)
    sides = points[..., None, :] + _SIDE_STEPS_PX       # left, right, above, below
    rays = undistort_to_rays(camera, sides)
    slopes = np.stack([rays[..., 1, :] - rays[..., 0, :], rays[..., 3, :] - rays[..., 2, :]],
                      axis=-1) / (2.0 * _SIDE_STEP_PX)
    slopes = np.where(np.isfinite(slopes).all((-1, -2), keepdims=True), slopes,
                      np.diag(1.0 / focal))
    return slopes @ covariances_px2 @ slopes.swapaxes(-1, -2)


def project(camera: Camera, points_m: np.ndarray) -> np.ndarray:
    """Points (..., 3) in the camera's optical frame, m, to frame px (..., 2).

    NaN for missing points and for points that are not in front of the camera (z <= 0). The
    pixels may lie outside of the picture.
    """
    points = np.asarray(points_m, dtype=np.float64)
    flat = points.reshape(-1, 3)
    seen = np.isfinite(flat).all(axis=-1) & (flat[:, 2] > 0)
    pixels = np.full((len(flat), 2), np.nan)
    if seen.any():
        plane = flat[seen, :2] / flat[seen, 2:]
        pixels[seen] = _plane_to_pixels(camera, plane)
    return pixels.reshape(*points.shape[:-1], 2)


def _plane_to_pixels(camera: Camera, plane: np.ndarray) -> np.ndarray:
    """Normalised-plane points (N, 2), all finite, to frame px (N, 2)."""
    if not camera.has_distortion:
        return plane * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    if camera.distortion_model == 'equidistant':
        return cv2.fisheye.distortPoints(
            plane[:, None], camera.matrix, camera.distortion)[:, 0]
    points = np.column_stack([plane, np.ones(len(plane))])
    return cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), camera.matrix, camera.distortion)[0][:, 0]


def assumed_camera(size_wh: tuple[int, int]) -> Camera:
    """A plausible camera for a picture of `size_wh` px without any calibration.

    Good enough to lift a pose relative to its pelvis; distances that it yields mean nothing.
    """
    width, height = (int(v) for v in size_wh)
    focal = ASSUMED_FOCAL_FACTOR * max(width, height)
    return Camera(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)


def scaled_camera(camera: Camera, size_wh: tuple[int, int]) -> Camera:
    """The same camera for its picture scaled to `size_wh` px; the distortion stays.

    Raises:
        InvalidInputError: the size is not positive.
    """
    width, height = (int(v) for v in size_wh)
    if width <= 0 or height <= 0:
        raise InvalidInputError(f'size_wh: must be positive, got {width}x{height}')
    scale_x, scale_y = width / camera.width, height / camera.height
    return dataclasses.replace(
        camera, fx=camera.fx * scale_x, fy=camera.fy * scale_y,
        cx=(camera.cx + 0.5) * scale_x - 0.5, cy=(camera.cy + 0.5) * scale_y - 0.5,
        width=width, height=height)


def camera_for_picture(camera: Camera, size_wh: tuple[int, int]) -> Camera:
    """`camera` for a picture of `size_wh`: itself, or scaled where only the resolution differs.

    Raises:
        InvalidInputError: the picture has another aspect, so that no scaling fits.
    """
    width, height = size_wh
    if (camera.width, camera.height) == (width, height):
        return camera
    if abs(camera.width * height / (camera.height * width) - 1.0) > ASPECT_TOLERANCE:
        raise InvalidInputError(
            f'camera_info is for {camera.width}x{camera.height} but the image is '
            f'{width}x{height}, which no scaling explains: calibrate this mode of the camera, '
            'or give the camera_info that belongs to the image')
    return scaled_camera(camera, size_wh)
