"""A depth picture, and what it says of where the joints of a lifted pose are.

A depth camera sees the skin, or what covers it; the joint's centre lies behind it. How far, as a
share of the body's length, was measured on the training sequences of SynthCot-12: for the trunk
it depends on which side of the infant faces the camera.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS, ROOT, SIDES
from infant_pose_ros.structures import Pose3D

#: A depth picture tells of the place of a pose with at least so many keypoints.
MIN_DEPTHS = 4
#: A depth is believed so many standard deviations nearer than the pose, and so many further away:
#: a hand, an adult's arm or a blanket in front is nearer, nothing of the infant's is further.
NEAR_SIGMA, FAR_SIGMA = 2.0, 4.0
#: Standard deviation of a depth camera's reading at the distance of a cot, m.
SENSOR_STD_M = 0.005
#: Standard deviation of what the depths of all joints of one infant have in common, share of the
#: body's length: clothes, a blanket, a body that is rounder than others.
_COMMON_STD = 0.012
#: The window around a keypoint reaches so far, as a share of the picture's width.
_WINDOW_SHARE = 1 / 320

#: Joint -> thickness in front of it, how much more where the infant faces the camera (less where
#: it turns its back), how much more on the side that faces the camera, the standard deviation of
#: the whole; and the standard deviation of a lifted joint's depth relative to the pelvis.
#: Thousandths of the body's length.
_SURFACE = {
    (Joint.R_HIP, Joint.L_HIP): (100, 27, -45, 15, 7),
    (Joint.R_SHOULDER, Joint.L_SHOULDER): (44, 10, -8, 11, 24),
    (Joint.PELVIS,): (106, 33, 0, 12, 2), (Joint.THORAX,): (78, 26, 0, 20, 20),
    (Joint.UPPER_NECK,): (91, 23, 0, 15, 27), (Joint.HEAD_TOP,): (76, -16, 0, 23, 41),
    (Joint.R_KNEE, Joint.L_KNEE): (37, -9, 0, 7, 33),
    (Joint.R_ANKLE, Joint.L_ANKLE): (30, 4, 0, 9, 42),
    (Joint.R_ELBOW, Joint.L_ELBOW): (35, 7, 0, 15, 45),
    (Joint.R_WRIST, Joint.L_WRIST): (23, 4, 0, 15, 74)}
_SHARES = np.zeros((NUM_KEYPOINTS, 5))
for _joints, _values in _SURFACE.items():
    _SHARES[list(_joints)] = np.array(_values) / 1000.0
_OWN_SIDE = np.array([{'left': 1.0, 'right': -1.0}.get(side, 0.0) for side in SIDES])


class JointDepths(NamedTuple):
    """`depth_m` (16,) of the joints' centres, z in the camera's frame, NaN unknown; `std_m` (16,)
    theirs; `offset_m` (16,) how far the centres lie behind what was seen, for a body of
    `body_length_m`.
    """

    depth_m: np.ndarray
    std_m: np.ndarray
    offset_m: np.ndarray
    body_length_m: float


class DepthFusion(NamedTuple):
    """A pose that a depth picture has corrected.

    Attributes:
        pose: the corrected pose.
        used: (16,) bool, the keypoints whose own depth was believed.
    """

    pose: Pose3D
    used: np.ndarray


def checked_depth(depth_m: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """`depth_m` if it is a depth picture for a picture of `size_wh`.

    Raises:
        InvalidInputError: no floating point array, or of another size.
    """
    if not (isinstance(depth_m, np.ndarray) and depth_m.ndim == 2
            and depth_m.dtype.kind == 'f'):
        raise InvalidInputError(
            f'depth_m: expected (H, W) of floating point metres, got '
            f'{getattr(depth_m, "shape", type(depth_m).__name__)} '
            f'{getattr(depth_m, "dtype", "")}')
    if depth_m.shape != (size_wh[1], size_wh[0]):
        raise InvalidInputError(
            f'depth_m: is {depth_m.shape[1]}x{depth_m.shape[0]} but the picture is '
            f'{size_wh[0]}x{size_wh[1]}: give the depth that is registered to the colour picture')
    return depth_m


def sample_depth(depth_m: np.ndarray, keypoints_px: np.ndarray) -> np.ndarray:
    """Depth (16,) at keypoints: the median of a small window, NaN where it shows too little.

    Args:
        depth_m: (H, W) m along the optical axis; NaN, infinite or not positive: unknown.
        keypoints_px: (16, 2) frame px; NaN where missing.
    """
    height, width = depth_m.shape
    radius = max(round(width * _WINDOW_SHARE), 1)
    points = np.asarray(keypoints_px, dtype=np.float64)
    middle = np.rint(np.clip(np.nan_to_num(points, nan=-1.0), -1e6, 1e6)).astype(int)
    around = np.arange(-radius, radius + 1)
    x = (middle[:, :1] + around)[:, None, :]
    y = (middle[:, 1:] + around)[:, :, None]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    window = np.where(inside, depth_m[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)],
                      np.nan).reshape(len(points), -1).astype(np.float64)
    known = np.isfinite(window) & (window > 0)
    ordered = np.sort(np.where(known, window, np.inf), axis=1)
    count = known.sum(axis=1)
    rows = np.arange(len(points))
    median = (ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, count // 2]) / 2
    is_told = (2 * count > inside.sum(axis=(1, 2))) & inside[:, radius, radius]
    return np.where(is_told, median, np.nan)


def trunk_facing(keypoints_m: np.ndarray) -> np.ndarray:
    """How far the trunk of a pose in the camera's frame (16, 3) faces the camera, (2,).

    The first is 1 where its front does and -1 where its back does, the second 1 where its left
    side does and -1 where the right one does. 0, 0 where the trunk is not known.
    """
    up = keypoints_m[Joint.THORAX] - keypoints_m[Joint.PELVIS]
    left = (keypoints_m[Joint.L_SHOULDER] - keypoints_m[Joint.R_SHOULDER]
            + keypoints_m[Joint.L_HIP] - keypoints_m[Joint.R_HIP])
    middle = (keypoints_m[Joint.PELVIS] + keypoints_m[Joint.THORAX]) / 2
    front = np.cross(left, up)
    left = np.cross(up, front)
    lengths = [np.linalg.norm(vector) for vector in (front, left, middle)]
    if not all(length > 1e-9 for length in lengths):    # NaN is not
        return np.zeros(2)
    return np.array([front @ -middle / lengths[0], left @ -middle / lengths[1]]) / lengths[2]


def joint_depths(depth_m: np.ndarray, keypoints_px: np.ndarray, keypoints_m: np.ndarray,
                 body_length_m: float) -> JointDepths:
    """Depths of the joints' centres behind what a depth picture shows at the keypoints.

    Args:
        depth_m: (H, W) as for `sample_depth`.
        keypoints_px: (16, 2) frame px.
        keypoints_m: (16, 3) the lifted pose in the camera's frame: which way it faces counts.
        body_length_m: crown to heel.
    """
    front, left = trunk_facing(keypoints_m)
    offset_m = (_SHARES[:, :2] @ (1.0, front) + _SHARES[:, 2] * left * _OWN_SIDE) * body_length_m
    seen_m = sample_depth(depth_m, keypoints_px)
    std_m = np.hypot(_SHARES[:, 3] * body_length_m, SENSOR_STD_M)
    return JointDepths(seen_m + offset_m, std_m, offset_m, body_length_m)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value (K,) where half of the weights (K,) is reached, K >= 1."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def measured_length(pose: Pose3D, depths: JointDepths) -> float | None:
    """Crown to heel length, m, at which a pose fits both its picture and its depths.

    All of an absolute pose is proportional to the length that it was lifted with, its distance
    too; so each joint whose surface is seen tells the length, and the weighted median is taken.

    Args:
        pose: absolute, lifted with the length that `depths` are for.
        depths: of its joints.

    Returns:
        None with fewer than `MIN_DEPTHS` joints.
    """
    surface_m = pose.keypoints_m[:, 2] - depths.offset_m
    known = np.isfinite(surface_m) & np.isfinite(depths.depth_m)
    known[known] = surface_m[known] > 0
    if known.sum() < MIN_DEPTHS:
        return None
    seen_m = (depths.depth_m - depths.offset_m)[known]
    std_m = np.hypot(depths.std_m, _SHARES[:, 4] * depths.body_length_m)[known]
    return depths.body_length_m * weighted_median(seen_m / surface_m[known], 1 / std_m)


def fuse_depth(pose: Pose3D, depths: JointDepths, scale_std: float = 0.0
               ) -> DepthFusion | None:
    """Correct a lifted and placed pose by the depths of its joints.

    First the whole pose is moved along the line of sight to its root: the depths that agree with
    their median are weighed against the placement by least squares. Then each keypoint is moved
    along its own ray by a scalar Kalman update, unless its depth is not believed: what is much
    nearer than the pose is something in front of it. What the picture says beside the rays stays.

    Args:
        pose: absolute; the error of the body's length is not in its covariance.
        depths: of its joints; NaN unknown.
        scale_std: relative standard deviation of the body's length.

    Returns:
        None where the depths say nothing: the root is missing, fewer than `MIN_DEPTHS` agree,
        or all are so far from the pose that the depth picture must belong to something else.
    """
    points = pose.keypoints_m
    known = np.isfinite(points).all(axis=1) & np.isfinite(depths.depth_m)
    if known.sum() < MIN_DEPTHS or not np.isfinite(points[ROOT]).all():
        return None
    own_m2 = (_SHARES[:, 4] * depths.body_length_m) ** 2 + (
        scale_std * (points[:, 2] - points[ROOT, 2])) ** 2
    variance_m2 = own_m2 + depths.std_m ** 2
    apart_m = depths.depth_m - points[:, 2]
    middle_m = weighted_median(apart_m[known], 1 / np.sqrt(variance_m2[known]))
    agrees = known & _is_believed(apart_m - middle_m, np.sqrt(variance_m2))
    weights = np.where(agrees, 1 / variance_m2, 0.0)
    root_m2 = pose.covariance_m2[ROOT, 2, 2] + (scale_std * points[ROOT, 2]) ** 2
    if agrees.sum() < MIN_DEPTHS or abs(middle_m) > FAR_SIGMA * np.sqrt(
            root_m2 + 1 / weights.sum()):
        return None
    shift_m2 = 1 / weights.sum() + (_COMMON_STD * depths.body_length_m) ** 2
    shift_m = (weights @ np.where(agrees, apart_m, 0.0)) / weights.sum()
    gain = root_m2 / (root_m2 + shift_m2)
    sight = points[ROOT] / points[ROOT, 2]
    moved = points + gain * shift_m * sight
    prior_m2 = (1 - gain) * root_m2 + own_m2
    noise_m2 = pose.noise_m2[:, 2, 2].copy()        # the root's own; the others' beside the root
    noise_m2[ROOT] = (1 - gain) ** 2 * noise_m2[ROOT] + (gain * SENSOR_STD_M) ** 2 / agrees.sum()

    rays = moved / moved[:, 2:]
    apart_m = depths.depth_m - moved[:, 2]
    used = known & _is_believed(apart_m, np.sqrt(prior_m2 + depths.std_m ** 2))
    gains = np.where(used, prior_m2 / (prior_m2 + depths.std_m ** 2), 0.0)
    keypoints_m = moved + (gains * np.where(used, apart_m, 0.0))[:, None] * rays
    noise_m2 = (1 - gains) ** 2 * noise_m2 + (gains * SENSOR_STD_M) ** 2
    variance_m2 = np.maximum((1 - gains) * prior_m2, noise_m2)
    return DepthFusion(Pose3D(
        keypoints_m, _with_depth_variance(pose.covariance_m2, rays, variance_m2), True,
        _with_depth_variance(pose.noise_m2, rays, noise_m2)), used)


def _is_believed(apart_m: np.ndarray, std_m: np.ndarray) -> np.ndarray:
    """Whether depths (16,) that lie `apart_m` behind the pose may be the infant's own."""
    return (apart_m > -NEAR_SIGMA * std_m) & (apart_m < FAR_SIGMA * std_m)


def _with_depth_variance(covariance_m2: np.ndarray, rays: np.ndarray,
                         variance_m2: np.ndarray) -> np.ndarray:
    """Covariances (16, 3, 3) with another variance (16,) of the depth along the rays (16, 3).

    What lies beside the ray, at a depth that were known, is kept.
    """
    beside = np.eye(3) - rays[:, :, None] * np.array([0.0, 0.0, 1.0])
    kept = beside @ covariance_m2 @ beside.swapaxes(1, 2)
    return kept + variance_m2[:, None, None] * rays[:, :, None] * rays[:, None]


#: Height of the trunk's joints above the mattress, share of the body's length, of an infant on
#: its side or front, and how much less it is on its back.
_TRUNK_HEIGHT, _LOWER_SUPINE = 0.13, 0.07


def length_from_mattress(pose: Pose3D, body_length_m: float, mattress_distance_m: float
                         ) -> float | None:
    """Crown to heel length, m, at which the trunk of a pose lies on the mattress.

    Args:
        pose: absolute, lifted with `body_length_m`.
        mattress_distance_m: from the camera to the mattress, along the optical axis.

    Returns:
        None where pelvis or thorax is missing.
    """
    trunk_m = pose.keypoints_m[[Joint.PELVIS, Joint.THORAX], 2].mean()
    if not np.isfinite(trunk_m):
        return None
    height = _TRUNK_HEIGHT - _LOWER_SUPINE * max(trunk_facing(pose.keypoints_m)[0], 0.0)
    return body_length_m * mattress_distance_m / (trunk_m + height * body_length_m)
