"""The latest camera that CameraInfo messages told of, and what is wrong with them."""

from __future__ import annotations

import time

from sensor_msgs.msg import CameraInfo

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.ros.cameras import camera_for_picture, decode_camera_info
from infant_pose_ros.ros.pace import Pace
from infant_pose_ros.structures import Camera


class CameraMemory:
    """Keeps the latest usable camera.

    Attributes:
        camera: None while none is known, or the last CameraInfo can't be used.
        decode_error: why the last CameraInfo can't be used for any picture; None: it can.
        fit_error: why it can't be used for the last picture; None: it can.
    """

    def __init__(self):
        self.camera: Camera | None = None
        self.decode_error: str | None = None
        self.fit_error: str | None = None
        self._pace = Pace()

    @property
    def error(self) -> str | None:
        """Why the last CameraInfo can't be used, for itself or for the last picture."""
        return self.decode_error or self.fit_error

    @property
    def arrives(self) -> bool:
        """Whether any came lately, for how often they come."""
        return self._pace.is_recent(time.monotonic())

    @property
    def age_s(self) -> float | None:
        """How long ago the last one came, s; None: none did."""
        age_s = time.monotonic() - self._pace.last_s
        return age_s if age_s < float('inf') else None

    def take(self, message: CameraInfo) -> None:
        """Keep what a message tells."""
        self._pace.tick(time.monotonic())
        try:
            self.camera, self.decode_error = decode_camera_info(message), None
        except InvalidInputError as error:
            self.camera, self.decode_error = None, str(error)

    def fitted(self, camera: Camera | None, size_wh: tuple[int, int]) -> Camera | None:
        """A camera that was kept earlier, for a picture of `size_wh`; None where none fits."""
        fitted = fit_error = None
        try:
            fitted = None if camera is None else camera_for_picture(camera, size_wh)
        except InvalidInputError as error:
            fit_error = str(error)
        self.fit_error = fit_error      # once: another thread reads it
        return fitted
