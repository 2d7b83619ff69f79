"""What a soak's own cameras show: pictures of the bundled clip, also in other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from infant_pose_ros.media.sources import bundled_clip, open_source
from infant_pose_ros.media.writer import VideoWriter
from infant_pose_ros.structures import Camera

NUM_PICTURES = 30
#: Size and rate of the other cameras that a camera is exchanged for.
OTHER_CAMERAS = (((320, 240), 15.0), ((1280, 720), 10.0), ((240, 320), 30.0))


@dataclass(frozen=True, eq=False)
class Props:
    """Pictures, (H, W, 3) uint8 RGB, the camera that took them, and videos with their rates."""

    pictures_rgb: Sequence[np.ndarray]
    camera: Camera
    other_sources: Sequence[tuple[str, float]]


def make_props(folder: Path) -> Props:
    """Read the clip's first pictures, and write videos of other sizes into a folder."""
    with open_source(bundled_clip()) as source:
        pictures = [np.ascontiguousarray(frame.image_rgb)
                    for frame in islice(source, NUM_PICTURES)]
        camera = Camera.from_camera_info_yaml(source.camera_info_path)
    folder.mkdir(parents=True, exist_ok=True)
    others = []
    for size_wh, rate_hz in OTHER_CAMERAS:
        path = folder / f'{size_wh[0]}x{size_wh[1]}.mp4'
        writer = VideoWriter(path, rate_hz, size_wh)
        for picture in pictures:
            writer.write(cv2.resize(picture, size_wh))
        writer.close()
        others.append((str(path), rate_hz))
    return Props(pictures, camera, others)
