"""The last step of a pose in space: its size and its distance, as well as they can be known."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from infant_pose_ros.filtering.scale import BodyScales, combined_scale, Scale
from infant_pose_ros.geometry.depth import (
    fuse_depth,
    joint_depths,
    length_from_mattress,
    measured_length,
)
from infant_pose_ros.skeleton import ROOT
from infant_pose_ros.structures import Pose2D, Pose3D

#: A measured length further than so many standard deviations from what is known is an error.
_MOST_SIGMA = 4.0


class Placed(NamedTuple):
    """A pose in its place.

    Attributes:
        pose: its covariance holds the error of the body's length; its noise doesn't.
        scale: of the body that it was given.
        placement: 'depth', 'reprojection' or 'none' (relative to the pelvis).
        measured_length_m: what this frame says of the length; None where it says nothing.
        distance_factor: the root's distance by depth over that by reprojection; None without
            depth.
    """

    pose: Pose3D
    scale: Scale
    placement: str
    measured_length_m: float | None = None
    distance_factor: float | None = None


def put_in_place(pose: Pose3D, pose_2d: Pose2D, scales: BodyScales, track_id: int | None,
                 depth_m: np.ndarray | None, mattress_distance_m: float) -> Placed:
    """Correct size and distance of a pose that was lifted with `scales.of(track_id)`.

    Args:
        pose: as the lifter gives it. pose_2d: where it was seen, frame px.
        scales: of the camera's infants. track_id: None for a new infant; its first measurement
            sets its size in the same frame.
        depth_m: (H, W) registered to the picture, or None.
        mattress_distance_m: 0 where unknown.
    """
    scale = scales.of(track_id)
    if not pose.is_absolute:
        return Placed(with_scale_error(pose, scale.relative_std), scale, 'none')

    def depths_of():
        return joint_depths(depth_m, pose_2d.keypoints_px, pose.keypoints_m, scale.length_m)

    depths = None if depth_m is None else depths_of()
    measured_m = None
    if scales.prior.origin != 'given':
        if depths is not None:
            measured_m = measured_length(pose, depths)
        if measured_m is None and mattress_distance_m > 0:
            measured_m = length_from_mattress(pose, scale.length_m, mattress_distance_m)
        if measured_m is not None and not _is_plausible(measured_m, scales.prior):
            measured_m = None
        if measured_m is not None and not scales.is_known(track_id):
            first = combined_scale(scales.prior, measured_m)
            pose = rescaled(pose, first.length_m / scale.length_m)
            scale = first
            depths = None if depth_m is None else depths_of()
    fusion = None if depths is None else fuse_depth(pose, depths, scale.relative_std)
    if fusion is not None:
        factor = fusion.pose.keypoints_m[ROOT, 2] / pose.keypoints_m[ROOT, 2]
        return Placed(fusion.pose, scale, 'depth', measured_m, factor)
    pose = moved_along_sight(pose, scales.distance_factor(track_id))
    return Placed(with_scale_error(pose, scale.relative_std), scale, 'reprojection', measured_m)


def rescaled(pose: Pose3D, factor: float) -> Pose3D:
    """The pose of a body that is `factor` times as long: everything metric is proportional."""
    return Pose3D(pose.keypoints_m * factor, pose.covariance_m2 * factor ** 2, pose.is_absolute,
                  pose.noise_m2 * factor ** 2)


def moved_along_sight(pose: Pose3D, factor: float) -> Pose3D:
    """The whole pose moved so that its root is `factor` times as far away."""
    root_m = pose.keypoints_m[ROOT]
    if factor == 1.0 or not np.isfinite(root_m).all():
        return pose
    return Pose3D(pose.keypoints_m + (factor - 1.0) * root_m, pose.covariance_m2,
                  pose.is_absolute, pose.noise_m2)


def with_scale_error(pose: Pose3D, relative_std: float) -> Pose3D:
    """`pose` whose covariance holds the error of the body's length.

    A body that is longer by a share is further away by the same share: each point's error lies
    along the line from the origin to it. It doesn't change from frame to frame, so it is no noise.
    """
    points = pose.keypoints_m
    return Pose3D(points, pose.covariance_m2 + relative_std ** 2 * (
        points[:, :, None] * points[:, None]), pose.is_absolute, pose.noise_m2)


def _is_plausible(measured_m: float, prior: Scale) -> bool:
    spread = math.hypot(prior.relative_std, 0.05)
    return measured_m > 0 and abs(math.log(measured_m / prior.length_m)) < _MOST_SIGMA * spread
