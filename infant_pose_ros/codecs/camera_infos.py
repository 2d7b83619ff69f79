"""CameraInfo messages to `Camera`.

The message may come from rclpy or from a bag read without ROS: only its fields are looked at.
"""

from __future__ import annotations

from infant_pose_ros.structures import Camera, effective_lens


def decode_camera_info(msg) -> Camera:
    """The camera of the published picture: K, moved and scaled by the region of interest and
    the binning as the message defines them.

    Raises:
        InvalidInputError: not calibrated, without a size, or an unknown distortion model.
    """
    k, roi = msg.k, msg.roi
    bin_x, bin_y = max(1, msg.binning_x), max(1, msg.binning_y)
    model, coefficients = effective_lens(msg.distortion_model, msg.d)
    return Camera(
        fx=k[0] / bin_x, fy=k[4] / bin_y,
        cx=_binned(k[2] - roi.x_offset, bin_x), cy=_binned(k[5] - roi.y_offset, bin_y),
        width=(roi.width or msg.width) // bin_x, height=(roi.height or msg.height) // bin_y,
        distortion_model=model, distortion=coefficients)


def _binned(centre_px: float, binning: int) -> float:
    return (centre_px + 0.5) / binning - 0.5
