"""From poses in a picture to poses in space: the lifter, and the placement of what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from infant_pose_ros.codecs.lifting import CANONICAL_BODY_LENGTH_MM, LiftingCodec
from infant_pose_ros.codecs.uncertainty import SpaceUncertainty
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.cameras import (
    assumed_camera,
    camera_for_picture,
    ray_covariances,
    undistort_to_rays,
)
from infant_pose_ros.geometry.neighbours import fill_missing
from infant_pose_ros.geometry.placement import MIN_POINTS, place_root
from infant_pose_ros.models.checkpoints import Manifest
from infant_pose_ros.skeleton import NUM_KEYPOINTS, ROOT
from infant_pose_ros.structures import Camera, Pose2D, Pose3D

#: Lifting error of a keypoint, standard deviation for a canonical body, where a checkpoint
#: doesn't say it, and the least that is believed, mm.
DEFAULT_JOINT_STD_MM = 25.0
MIN_JOINT_STD_MM = 1.0
#: The part of it along the ray that changes from frame to frame, where a checkpoint doesn't say
#: it, mm.
DEFAULT_JOINT_JITTER_MM = 6.0


class LiftRequest(NamedTuple):
    """Poses of one picture to lift; the arguments of `PoseLifter.lift`."""

    poses_2d: Sequence[Pose2D]
    camera: Camera | None
    size_wh: tuple[int, int]
    body_length_m: float | Sequence[float]


class _View(NamedTuple):
    """How the poses of one picture were seen.

    Attributes:
        lens: given or assumed. rays: (16, 2) of each pose. usable: those that can be lifted.
        lengths_m: (N,) crown to heel.
    """

    lens: Camera
    rays: list[np.ndarray]
    usable: list[int]
    lengths_m: np.ndarray

    @classmethod
    def of(cls, request: LiftRequest) -> _View:
        """Raises InvalidInputError where the camera doesn't fit the picture."""
        camera, size_wh = request.camera, request.size_wh
        lens = camera_for_picture(camera, size_wh) if camera else assumed_camera(size_wh)
        rays = [undistort_to_rays(lens, pose.keypoints_px) for pose in request.poses_2d]
        usable = [index for index, ray in enumerate(rays)
                  if np.isfinite(ray).all(axis=1).sum() >= MIN_POINTS]
        return cls(lens, rays, usable,
                   np.broadcast_to(np.asarray(request.body_length_m, float), len(rays)))


class PoseLifter:
    """Lifts poses in a picture into space; always fp32.

    Args:
        module: a `Lifter`; it is taken over.
        manifest: of its checkpoint.
        device: a PyTorch device.
    """

    def __init__(self, module: nn.Module, manifest: Manifest, device: str = 'cpu'):
        self.manifest = manifest
        self._codec = LiftingCodec()
        self._device = torch.device(device)
        self._module = module.to(self._device).eval()
        self._joint_std_mm = np.maximum(
            _by_joint(manifest, 'joint_std_mm', DEFAULT_JOINT_STD_MM), MIN_JOINT_STD_MM)
        self._uncertainty = SpaceUncertainty.from_dict(
            manifest.uncertainty) if manifest.uncertainty else None
        self._joint_jitter_mm = _by_joint(manifest, 'joint_jitter_mm', DEFAULT_JOINT_JITTER_MM)

    def lift(self, poses_2d: Sequence[Pose2D], camera: Camera | None, size_wh: tuple[int, int],
             body_length_m: float | Sequence[float]) -> list[Pose3D | None]:
        """Poses in space, one for each pose in the picture.

        A keypoint that is missing, or has no ray through the lens, is missing in space too; for
        the network its neighbours in the skeleton stand in for it.

        Args:
            poses_2d: frame px.
            camera: with it the root is placed in the camera's frame; None gives poses relative
                to the pelvis, seen by an assumed camera.
            size_wh: of the picture, px; the camera is scaled to it.
            body_length_m: crown to heel, of all or of each.

        Returns:
            None where a pose can't be lifted: fewer than four keypoints have a ray, or no place
            in front of the camera explains the picture.

        Raises:
            InvalidInputError: the camera's picture has other proportions.
        """
        return self.lift_batch([LiftRequest(poses_2d, camera, size_wh, body_length_m)])[0]

    def lift_batch(self, requests: Sequence[LiftRequest]) -> list[list[Pose3D | None]]:
        """`lift` of several pictures, whose poses go through the network together."""
        views = [_View.of(request) for request in requests]
        rays = [view.rays[index] for view in views for index in view.usable]
        if not rays:
            return [[None] * len(view.rays) for view in views]
        lengths_m = np.concatenate([view.lengths_m[view.usable] for view in views])
        relative_m = iter(self._relative(rays, lengths_m))
        return [self._lifted(request, view, relative_m)
                for request, view in zip(requests, views)]

    @torch.no_grad()
    def _relative(self, rays: list[np.ndarray], lengths_m: np.ndarray) -> np.ndarray:
        """(N, 16, 3) m relative to the pelvis, of bodies seen along rays (16, 2)."""
        inputs, view = self._codec.encode_input(np.stack([fill_missing(each) for each in rays]))
        output = self._module(torch.from_numpy(inputs).to(self._device)).cpu().numpy()
        return self._codec.decode_output(output, view, lengths_m)

    def _lifted(self, request: LiftRequest, view: _View, relative_m: Iterator[np.ndarray]
                ) -> list[Pose3D | None]:
        """The poses of one picture; takes those that are usable from `relative_m`."""
        lifted: list[Pose3D | None] = [None] * len(view.rays)
        for index, keypoints_m in zip(view.usable, relative_m):
            pose_2d = request.poses_2d[index]
            spread, noise = ray_covariances(
                view.lens, pose_2d.keypoints_px,
                np.stack([pose_2d.covariance_px2, pose_2d.noise_px2]))
            seen = _SeenBody(
                keypoints_m, view.rays[index], spread, noise, float(view.lengths_m[index]),
                self._uncertainty,
                *(std_mm / CANONICAL_BODY_LENGTH_MM * view.lengths_m[index]
                  for std_mm in (self._joint_std_mm, self._joint_jitter_mm)))
            if request.camera is None:
                lifted[index] = seen.relative()
            else:
                with contextlib.suppress(InvalidInputError):    # no such place: stays None
                    lifted[index] = seen.placed()
        return lifted


def _by_joint(manifest: Manifest, name: str, default: float) -> np.ndarray:
    """(16,) of a metric that a manifest has for each keypoint, or for all."""
    return np.broadcast_to(np.asarray(manifest.metrics.get(name, default), float), NUM_KEYPOINTS)


@dataclass(frozen=True, eq=False)
class _SeenBody:
    """A lifted body and how it was seen.

    How large its errors are says the lifter's calibration. Without one, what changes from frame
    to frame in a keypoint is how far beside its ray it was seen, times the depth, and the
    lifter's jitter along the ray; the lifter's whole error is larger, but hardly changes while
    the pose doesn't.

    Attributes:
        relative_m: (16, 3) relative to the pelvis, camera axes.
        rays: (16, 2), NaN where missing. rays_variance, rays_noise: (16, 2, 2) of their error,
            and of its part that changes.
        body_length_m: crown to heel. uncertainty: the calibration, if there is one.
        std_m, jitter_m: (16,) the lifter's error, and its part along the ray that changes.
    """

    relative_m: np.ndarray
    rays: np.ndarray
    rays_variance: np.ndarray
    rays_noise: np.ndarray
    body_length_m: float
    uncertainty: SpaceUncertainty | None
    std_m: np.ndarray
    jitter_m: np.ndarray

    def relative(self) -> Pose3D:
        """The pose relative to the pelvis; its scale in the picture gives the depth."""
        known = np.isfinite(self.rays).all(axis=1)
        spread_m, spread = (np.sqrt(points[known].var(axis=0).sum())
                            for points in (self.relative_m[:, :2], self.rays))
        depth_m = np.full(NUM_KEYPOINTS, spread_m / max(spread, 1e-9))
        if self.uncertainty:
            return self._calibrated(self.relative_m, depth_m, False)
        lateral_m2 = self._lateral_m2(depth_m)
        noise_m2 = self._noise_m2(lateral_m2 + lateral_m2[ROOT])
        noise_m2[ROOT] = 0.0
        return self._pose(self.relative_m, noise_m2, np.zeros((3, 3)), False)

    def placed(self) -> Pose3D:
        """The pose in the camera's frame.

        Raises:
            InvalidInputError: as `place_root`.
        """
        weights = 2.0 / np.trace(self.rays_variance, axis1=1, axis2=2)
        place = place_root(self.relative_m, self.rays, weights, self.std_m ** 2)
        keypoints_m = self.relative_m + place.translation_m
        if self.uncertainty:
            return self._calibrated(keypoints_m, keypoints_m[:, 2], True)
        lateral_m2 = self._lateral_m2(keypoints_m[:, 2])
        noise_m2 = self._noise_m2(lateral_m2 + lateral_m2[ROOT])
        noise_m2[ROOT] = np.einsum('akj,kji,bki->ab', place.gain, lateral_m2, place.gain)
        return self._pose(keypoints_m, noise_m2, place.covariance_m2, True)

    def _calibrated(self, keypoints_m: np.ndarray, depth_m: np.ndarray, is_absolute: bool
                    ) -> Pose3D:
        """The pose with the errors that the calibration expects."""
        error_m2, noise_m2 = self.uncertainty.covariances(
            self.rays, self.rays_variance, self.rays_noise, depth_m, self.body_length_m,
            is_absolute)
        return self._known(keypoints_m, error_m2, noise_m2, is_absolute)

    def _lateral_m2(self, depth_m: np.ndarray) -> np.ndarray:
        """(16, 2, 2) m^2 beside the ray at (16,) depths; 0 where missing."""
        return np.nan_to_num(self.rays_noise) * depth_m[:, None, None] ** 2

    def _noise_m2(self, lateral_m2: np.ndarray) -> np.ndarray:
        """(16, 3, 3) m^2 from what is beside the rays and along them."""
        along = np.column_stack([np.nan_to_num(self.rays), np.ones(NUM_KEYPOINTS)])
        along *= (self.jitter_m / np.linalg.norm(along, axis=1))[:, None]
        noise_m2 = along[:, :, None] * along[:, None]
        noise_m2[:, :2, :2] += lateral_m2
        return noise_m2

    def _pose(self, keypoints_m: np.ndarray, noise_m2: np.ndarray, shift_m2: np.ndarray,
              is_absolute: bool) -> Pose3D:
        covariance_m2 = noise_m2 + shift_m2 + (self.std_m ** 2)[:, None, None] * np.eye(3)
        return self._known(keypoints_m, covariance_m2, noise_m2, is_absolute)

    def _known(self, keypoints_m: np.ndarray, covariance_m2: np.ndarray, noise_m2: np.ndarray,
               is_absolute: bool) -> Pose3D:
        """The pose without the keypoints that have no ray."""
        known = np.isfinite(self.rays).all(axis=1)
        deep = known[:, None, None]
        return Pose3D(np.where(known[:, None], keypoints_m, np.nan),
                      np.where(deep, covariance_m2, np.nan), is_absolute,
                      np.where(deep, noise_m2, np.nan))
