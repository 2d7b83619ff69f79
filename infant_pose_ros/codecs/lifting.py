"""The lifter's numbers: rays to its 32 inputs, 3D keypoints to its 48 targets, and back.

The network of Martinez et al. (2017) should not have to learn where in the picture the infant
lies, which way up, how far away and how long it is. So the camera is turned, in thought, until
the trunk stands upright on the optical axis, and lengths are those of one canonical body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS, ROOT

CANONICAL_BODY_LENGTH_MM = 600.0

_SHORTEST_TRUNK = 1e-6
_SMALLEST_SPREAD = 1e-9
#: Rays further than 87 degrees from the trunk are treated as if they were there.
_SMALLEST_DEPTH = 0.05


@dataclass(frozen=True, eq=False)
class LiftingView:
    """The turned camera: `rotation` (..., 3, 3) takes camera axes to the view's axes."""

    rotation: np.ndarray


class LiftingCodec:
    """Encodes the lifter's inputs and targets and decodes its output; batched, stateless."""

    def encode_input(self, rays: np.ndarray) -> tuple[np.ndarray, LiftingView]:
        """Rays to the network's inputs.

        The view's optical axis goes through the middle of pelvis and thorax, and pelvis to
        thorax points to its -y. The points are projected again there, taken relative to the
        pelvis and divided by the root of their mean squared distance from it.

        Args:
            rays: (..., 16, 2) points on the normalised image plane (x/z, y/z), all finite.

        Returns:
            inputs (..., 32) float32 (x and y by turns; all 0 if all the points coincide), and
            the view that `decode_output` needs.

        Raises:
            InvalidInputError: the shape doesn't fit or a ray is not finite.
        """
        rays = _checked_keypoints('rays', rays, 2)
        if not np.isfinite(rays).all():
            missing = int((~np.isfinite(rays).all(axis=-1)).sum())
            raise InvalidInputError(
                f'lifting: all {NUM_KEYPOINTS} rays must be finite, got {missing} that are not; '
                'fill them in or leave the pose out')
        view = LiftingView(_view_rotation(rays))
        ones = np.ones((*rays.shape[:-1], 1))
        turned = np.concatenate([rays, ones], axis=-1) @ view.rotation.swapaxes(-1, -2)
        points = turned[..., :2] / np.maximum(turned[..., 2:], _SMALLEST_DEPTH)
        points = points - points[..., ROOT:ROOT + 1, :]
        spread = np.sqrt((points ** 2).sum(axis=-1).mean(axis=-1))[..., None, None]
        points = points / np.maximum(spread, _SMALLEST_SPREAD)
        return points.reshape(*rays.shape[:-2], NUM_KEYPOINTS * 2).astype(np.float32), view

    def encode_target(self, keypoints_m: np.ndarray, body_length_m, view: LiftingView):
        """3D keypoints to the network's targets.

        Args:
            keypoints_m: (..., 16, 3) camera frame, m; NaN where unknown stays NaN.
            body_length_m: (...) or one number: crown to heel length of each body, m.
            view: from `encode_input` of the same poses.

        Returns:
            (..., 48) float32, mm relative to the pelvis in the view's axes, for a body of
            CANONICAL_BODY_LENGTH_MM.

        Raises:
            InvalidInputError: the shape doesn't fit or a length is not positive.
        """
        keypoints = _checked_keypoints('keypoints_m', keypoints_m, 3)
        relative = keypoints - keypoints[..., ROOT:ROOT + 1, :]
        target = relative @ view.rotation.swapaxes(-1, -2) / _metres_per_mm(body_length_m)
        return target.reshape(*keypoints.shape[:-2], NUM_KEYPOINTS * 3).astype(np.float32)

    def decode_output(self, output: np.ndarray, view: LiftingView, body_length_m) -> np.ndarray:
        """The network's output (..., 48) to (..., 16, 3) m relative to the pelvis, camera axes.

        The inverse of `encode_target`; the pelvis is put at exactly 0.

        Raises:
            InvalidInputError: the shape doesn't fit or a length is not positive.
        """
        output = np.asarray(output, dtype=np.float64)
        if output.shape[-1:] != (NUM_KEYPOINTS * 3,):
            raise InvalidInputError(
                f'lifting: expected an output of shape (..., {NUM_KEYPOINTS * 3}), got '
                f'{output.shape}')
        points = output.reshape(*output.shape[:-1], NUM_KEYPOINTS, 3)
        points = points - points[..., ROOT:ROOT + 1, :]
        return points @ view.rotation * _metres_per_mm(body_length_m)


def _view_rotation(rays: np.ndarray) -> np.ndarray:
    """Rotation (..., 3, 3) for rays (..., 16, 2); its rows are the view's axes in the camera's.

    The view's x axis is the normal of the plane through the camera, the pelvis and the thorax.
    """
    pelvis, thorax = rays[..., Joint.PELVIS, :], rays[..., Joint.THORAX, :]
    up = thorax - pelvis
    is_short = np.linalg.norm(up, axis=-1, keepdims=True) < _SHORTEST_TRUNK
    up = np.where(is_short, (0.0, -1.0), up)  # the trunk points at the camera: keep its up
    middle = (pelvis + thorax) / 2
    axis_z = _unit(np.concatenate([middle, np.ones((*middle.shape[:-1], 1))], axis=-1))
    axis_x = _unit(np.stack([
        -up[..., 1], up[..., 0], middle[..., 0] * up[..., 1] - middle[..., 1] * up[..., 0]],
        axis=-1))
    return np.stack([axis_x, np.cross(axis_z, axis_x), axis_z], axis=-2)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _metres_per_mm(body_length_m) -> np.ndarray:
    """Metres on this body for one millimetre on the canonical one, shaped (..., 1, 1)."""
    length = np.asarray(body_length_m, dtype=np.float64)
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise InvalidInputError(
            f'body_length_m: must be finite and positive, got {body_length_m}; give the length '
            'in metres, for example 0.6')
    return (length / CANONICAL_BODY_LENGTH_MM)[..., None, None]


def _checked_keypoints(name: str, value, ndim: int) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape[-2:] != (NUM_KEYPOINTS, ndim):
        raise InvalidInputError(
            f'lifting: expected {name} of shape (..., {NUM_KEYPOINTS}, {ndim}), got {array.shape}')
    return array
