"""The latest camera that CameraInfo messages told of, and what is wrong with them."""

from __future__ import annotations

import time

from sensor_msgs.msg import CameraInfo

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.ros.cameras import camera_for_picture, decode_camera_info
from infant_pose_ros.structures import Camera

#: A CameraInfo is recent for this long, s.
RECENT_S = 2.0


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
        self._came_s = -float('inf')

    @property
    def error(self) -> str | None:
        """Why the last CameraInfo can't be used, for itself or for the last picture."""
        return self.decode_error or self.fit_error

    @property
    def arrives(self) -> bool:
        """Whether any came in the last seconds."""
        return time.monotonic() - self._came_s < RECENT_S

    def take(self, message: CameraInfo) -> None:
        """Keep what a message tells."""
        self._came_s = time.monotonic()
        try:
            self.camera, self.decode_error = decode_camera_info(message), None
        except InvalidInputError as error:
            self.camera, self.decode_error = None, str(error)

    def fitted(self, camera: Camera | None, size_wh: tuple[int, int]) -> Camera | None:
        """A camera that was kept earlier, for a picture of `size_wh`; None where none fits."""
        self.fit_error = None
        if camera is None:
            return None
        try:
            return camera_for_picture(camera, size_wh)
        except InvalidInputError as error:
            self.fit_error = str(error)
            return None
