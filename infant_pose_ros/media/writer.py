"""Writing a video, one picture at a time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from infant_pose_ros.errors import InvalidInputError, SourceError
from infant_pose_ros.media.quiet import quiet_opencv

#: Pictures a second that a video may have.
MAX_RATE_HZ = 1000.0


class VideoWriter:
    """Write an MP4 (MPEG-4 part 2, which OpenCV's wheels can write everywhere).

    Args:
        path: the file; its folder is made, an older file is replaced.
        rate_hz: pictures a second, positive.
        size_wh: width and height of every picture, px.

    Raises:
        SourceError: the file can't be written.
        InvalidInputError: a rate or size that isn't positive.
    """

    def __init__(self, path: str | Path, rate_hz: float, size_wh: tuple[int, int]):
        self.path = Path(path)
        self.size_wh = (int(size_wh[0]), int(size_wh[1]))
        self.num_frames = 0
        if not 0 < rate_hz <= MAX_RATE_HZ or min(self.size_wh) <= 0:
            raise InvalidInputError(
                f'video {path}: rate (at most {MAX_RATE_HZ:g}) and size must be positive, got '
                f'{rate_hz} Hz and {size_wh}')
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(f'video {path}: can not be written: {error}') from error
        with quiet_opencv():
            self._writer = cv2.VideoWriter(
                str(self.path), cv2.VideoWriter.fourcc(*'mp4v'), float(rate_hz), self.size_wh)
        if not self._writer.isOpened():
            raise SourceError(
                f'video {path}: can not be written; is the folder writable and the name .mp4?')

    def write(self, image_rgb: np.ndarray) -> None:
        """Add one picture, (H, W, 3) uint8 RGB of the size given at the start.

        Raises:
            InvalidInputError: another size or type.
        """
        expected = (self.size_wh[1], self.size_wh[0], 3)
        if image_rgb.shape != expected or image_rgb.dtype != np.uint8:
            raise InvalidInputError(f'video {self.path}: expected a uint8 picture of shape '
                                    f'{expected}, got {image_rgb.dtype} {image_rgb.shape}')
        self._writer.write(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        self.num_frames += 1

    def close(self) -> None:
        """Finish the file; calling it twice does no harm."""
        self._writer.release()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_exc_info) -> None:
        self.close()


def fitted_picture(image_rgb: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """The picture (H, W, 3) uint8 scaled into `size_wh` px, its proportions kept, on black."""
    height, width = image_rgb.shape[:2]
    if (width, height) == tuple(size_wh):
        return image_rgb
    scale = min(size_wh[0] / width, size_wh[1] / height)
    new_w, new_h = (min(max(round(side * scale), 1), limit)
                    for side, limit in zip((width, height), size_wh))
    canvas = np.zeros((size_wh[1], size_wh[0], 3), dtype=np.uint8)
    left, top = (size_wh[0] - new_w) // 2, (size_wh[1] - new_h) // 2
    canvas[top:top + new_h, left:left + new_w] = cv2.resize(
        image_rgb, (new_w, new_h), interpolation=cv2.INTER_AREA)
    return canvas
