"""Training samples of the pose network: crops that are turned, moved, mirrored and recoloured."""

from __future__ import annotations

import cv2
import numpy as np
from torch.utils.data import Dataset

from infant_pose_ros.codecs.heatmaps import HeatmapCodec
from infant_pose_ros.data.stills import read_image, Stills
from infant_pose_ros.geometry.crops import Crop, transform_points
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.skeleton import MIRRORED_ORDER

CROP_SCALE = 1.25
#: Weight of a keypoint that is hidden but whose place is known.
HIDDEN_WEIGHT = 0.4


def whole_crop(size_wh: tuple[int, int], input_size: int) -> Crop:
    """The whole picture in the middle of the network's input, upright."""
    return Crop((np.array(size_wh) - 1) / 2, float(max(size_wh)), 0.0, input_size)


def softened(image: np.ndarray, scale: float) -> np.ndarray:
    """A picture without the detail that would alias where it is scaled by `scale`."""
    return cv2.GaussianBlur(image, (0, 0), 0.35 / scale) if scale < 0.7 else image


def recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change light, colour, sharpness and noise of an RGB uint8 picture, at times hide a part."""
    if rng.random() < 0.15:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    levels = np.arange(256) / 255.0
    tables = []
    gamma, gain, lift = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.2)), rng.normal(0, .04)
    for _ in range(3):
        channel = gain * np.exp(rng.normal(0, 0.07)) * levels ** gamma + lift
        tables.append(np.clip(channel * 255, 0, 255))
    image = cv2.LUT(image, np.stack(tables, -1)[None].astype(np.uint8))
    choice = rng.random()
    size_wh = np.array([image.shape[1], image.shape[0]])
    if choice < 0.2:
        small = (size_wh / rng.uniform(1.2, 3.0)).astype(int)
        image = cv2.resize(cv2.resize(image, small, interpolation=cv2.INTER_AREA),
                           size_wh, interpolation=cv2.INTER_LINEAR)
    elif choice < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 14), image.shape[:2] + (1,)).astype(np.float32)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        image = image.copy()
        for _ in range(rng.integers(1, 3)):
            patch = (rng.uniform(0.08, 0.3, 2) * size_wh).astype(int)
            x, y = rng.integers(0, size_wh - patch)
            image[y:y + patch[1], x:x + patch[0]] = rng.integers(0, 256, 3)
    return image


class CropDataset(Dataset):
    """Crops for training (`augment`) or for watching a training (the same every time).

    Items are (image (3, S, S) uint8, heatmaps (16, h, w) float32, weight (16,) float32,
    keypoints_model (16, 2) float32).

    Args:
        stills: labelled pictures, somebody in each.
        codec: makes the heatmaps.
        augment: mirror, turn, move and recolour.
        seed: of the augmentation.
        whole: the network sees the whole picture, not turned, in place of a crop.
        recolours: False leaves colours, sharpness and noise as they are.
    """

    def __init__(self, stills: Stills, codec: HeatmapCodec, augment: bool, seed: int = 0,
                 whole: bool = False, recolours: bool = True):
        self.stills = stills
        self.codec = codec
        self.augment = augment
        self.seed = seed
        self.whole = whole
        self.recolours = recolours
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.stills)

    def crop_of(self, index: int, rng: np.random.Generator,
                size_wh: tuple[int, int] | None = None) -> Crop:
        """The square to cut: about upright, with errors as a tracker makes them.

        Args:
            index: of the picture. rng: of the errors. size_wh: of the picture, where it is seen
                whole.
        """
        if self.whole:
            base = whole_crop(size_wh, self.codec.input_size)
            if not self.augment:
                return base
            turn, grow, shift = rng.normal(0, 0.15), np.exp(rng.normal(0, 0.1)), (
                rng.normal(0, 0.03, 2))
        elif self.augment:
            base = self._tight(index)
            turn = rng.normal(0, 0.3) if rng.random() < 0.6 else rng.uniform(-1.0, 1.0)
            grow, shift = np.exp(rng.normal(0.02, 0.14)), rng.normal(0, 0.05, 2)
        else:
            base = self._tight(index)
            turn, grow, shift = rng.normal(0, 0.15), np.exp(rng.normal(0, 0.05)), 0.0
        return Crop(base.centre_px + shift * base.side_px, base.side_px * grow,
                    base.angle_rad + turn, self.codec.input_size)

    def _tight(self, index: int) -> Crop:
        return Crop.from_keypoints(
            self.stills.keypoints_px[index], CROP_SCALE, self.codec.input_size)

    def __getitem__(self, index: int):
        cv2.setNumThreads(0)
        rng = np.random.default_rng(
            [self.seed, index, self.epoch if self.augment else 0, int(self.augment)])
        picture = read_image(self.stills.paths[index])
        crop = self.crop_of(index, rng, picture.shape[1::-1])
        size = self.codec.input_size
        border = tuple(int(v) for v in rng.integers(0, 256, 3)) if self.augment else (0, 0, 0)
        image = cut_crop(picture, crop, border)
        keypoints = transform_points(crop.frame_to_model, self.stills.keypoints_px[index])
        visible = self.stills.visible[index]
        if self.augment:
            if self.recolours:
                image = recolour(image, rng)
            if rng.random() < 0.5:
                image = np.ascontiguousarray(image[:, ::-1])
                keypoints[:, 0] = size - 1 - keypoints[:, 0]
                keypoints, visible = keypoints[list(MIRRORED_ORDER)], visible[list(MIRRORED_ORDER)]
        heatmaps, weight = self.codec.encode(keypoints, np.isfinite(keypoints).all(1))
        weight = weight * np.where(visible, 1.0, HIDDEN_WEIGHT)
        return (np.ascontiguousarray(image.transpose(2, 0, 1)), heatmaps,
                weight.astype(np.float32), keypoints.astype(np.float32))
