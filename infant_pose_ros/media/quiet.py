"""Keeps OpenCV and FFmpeg from writing their own complaints: our errors say it in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os

import cv2


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence both libraries' logs while the block runs (FFmpeg's for good)."""
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
