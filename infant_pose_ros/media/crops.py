"""Cut the pose network's input out of a picture, in training as in use."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from infant_pose_ros.geometry.crops import Crop

#: Pictures are averaged down before they are sampled, up to this factor.
MAX_SHRINK = 4


def cut_crop(image_rgb: np.ndarray, crop: Crop,
             border_rgb: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """The crop's input picture (S, S, 3) uint8; `border_rgb` beyond the frame.

    A crop larger than the input is sampled finer and averaged down, against aliasing.
    """
    shrink = int(np.clip(round(crop.side_px / crop.input_size), 1, MAX_SHRINK))
    fine = replace(crop, input_size=crop.input_size * shrink)
    picture = cv2.warpAffine(image_rgb, fine.frame_to_model, (fine.input_size,) * 2,
                             flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                             borderValue=border_rgb)
    if shrink == 1:
        return picture
    return cv2.resize(picture, (crop.input_size,) * 2, interpolation=cv2.INTER_AREA)
