"""CameraInfo messages to `Camera`.

The message may come from rclpy or from a bag read without ROS: only its fields are looked at.
"""

from __future__ import annotations

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.structures import Camera, checked_intrinsics, effective_lens


def decode_camera_info(msg) -> Camera:
    """The camera of the published picture: K, moved and scaled by the region of interest and
    the binning as the message defines them.

    Raises:
        InvalidInputError: not calibrated, without a size, an unknown distortion model, numbers
            that no camera has, or a region that lies outside of the picture.
    """
    roi, (fx, fy, cx, cy) = msg.roi, checked_intrinsics(msg.k)
    for name, begin, size, whole in (('width', roi.x_offset, roi.width, msg.width),
                                     ('height', roi.y_offset, roi.height, msg.height)):
        if whole and begin + size > whole:
            raise InvalidInputError(
                f'camera: its region of interest ends at {begin + size}, but the {name} is '
                f'{whole}: the region is told in pixels of the whole, unbinned picture')
    bin_x, bin_y = max(1, msg.binning_x), max(1, msg.binning_y)
    model, coefficients = effective_lens(msg.distortion_model, msg.d)
    return Camera(
        fx=fx / bin_x, fy=fy / bin_y,
        cx=_binned(cx - roi.x_offset, bin_x), cy=_binned(cy - roi.y_offset, bin_y),
        width=(roi.width or msg.width) // bin_x, height=(roi.height or msg.height) // bin_y,
        distortion_model=model, distortion=coefficients)


def _binned(centre_px: float, binning: int) -> float:
    return (centre_px + 0.5) / binning - 0.5
