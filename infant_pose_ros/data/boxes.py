"""Training samples of the detector: whole pictures, zoomed, moved, turned, recoloured."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from infant_pose_ros.data.company import Company
from infant_pose_ros.data.crops import recolour, softened
from infant_pose_ros.data.stills import read_image, Stills

#: Smallest side of a strip beside the infant that serves as a picture of nobody, px.
_MIN_STRIP_PX = 110
_MIN_SEEN = 0.5


def empty_strip(box_xyxy: np.ndarray, size_wh: tuple[int, int]) -> tuple[int, ...] | None:
    """The largest part (x1, y1, x2, y2) of a picture beside the box; None where it is narrow."""
    width, height = size_wh
    x1, y1, x2, y2 = (int(v) for v in box_xyxy)
    strips = [(0, 0, max(x1 - 4, 0), height), (min(x2 + 4, width), 0, width, height),
              (0, 0, width, max(y1 - 4, 0)), (0, min(y2 + 4, height), width, height)]
    best = max(strips, key=lambda s: min(s[2] - s[0], s[3] - s[1]))
    return best if min(best[2] - best[0], best[3] - best[1]) >= _MIN_STRIP_PX else None


class BoxDataset(Dataset):
    """Pictures with boxes, as torchvision's detectors take them.

    Items are (image (3, H, W) float32 0..1, target with `boxes` (K, 4) and `labels` (K,)).

    Args:
        stills: labelled pictures. size_wh: of what the network sees. augment: for training.
        padding: the box is widened by this share of its sides.
        empty_share: share of samples that are cut to a part beside the box, where there is one.
        nobody: no sample has a box, whoever is in the picture.
        company: others to lay beside the infant. company_share: in so many samples.
    """

    def __init__(self, stills: Stills, size_wh: tuple[int, int], augment: bool, seed: int = 0,
                 padding: float = 0.0, empty_share: float = 0.0, nobody: bool = False,
                 company: Company | None = None, company_share: float = 0.0):
        self.stills, self.size_wh, self.augment = stills, size_wh, augment
        self.seed, self.padding, self.empty_share, self.epoch = seed, padding, empty_share, 0
        self.nobody = nobody
        self.company, self.company_share = company, company_share

    def __len__(self) -> int:
        return len(self.stills)

    def __getitem__(self, index: int):
        cv2.setNumThreads(0)
        rng = np.random.default_rng([self.seed, index, self.epoch])
        image = read_image(self.stills.paths[index])
        box = self._box(index)
        if box is not None and rng.random() < self.empty_share:
            strip = empty_strip(box, (image.shape[1], image.shape[0]))
            if strip is not None:
                image, box = image[strip[1]:strip[3], strip[0]:strip[2]], None
        boxes = np.zeros((0, 4)) if box is None else box[None]
        if len(boxes) and self.company and rng.random() < self.company_share:
            image, boxes = self.company.join(image, box, rng)
        image, boxes = self._place(image, boxes, rng)
        if self.augment:
            image = recolour(image, rng)
        return (torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255,
                {'boxes': torch.from_numpy(boxes).float(),
                 'labels': torch.ones(len(boxes), dtype=torch.int64)})

    def strips(self) -> BoxDataset:
        """Parts beside the infant of those pictures that have room for it, not augmented."""
        rows = [row for row in range(len(self)) if (box := self._box(row)) is not None
                and empty_strip(box, read_image(self.stills.paths[row]).shape[1::-1])]
        return BoxDataset(self.stills.part(np.array(rows, int)), self.size_wh, False, self.seed,
                          self.padding, empty_share=1.0)

    def _box(self, index: int) -> np.ndarray | None:
        """The box to find, None where there is none."""
        box = self.stills.box_xyxy[index]
        if self.nobody or not np.isfinite(box).all():
            return None
        grow = self.padding * np.tile(box[2:] - box[:2], 2)
        return box + grow * [-1, -1, 1, 1]

    def _place(self, image, boxes, rng):
        """Fit the picture into the network's, in training with random zoom, place and turn."""
        width, height = self.size_wh
        if self.augment:
            image, boxes = turn_quarters(image, boxes, int(rng.integers(4)))
            if rng.random() < 0.5:
                image = np.ascontiguousarray(image[:, ::-1])
                boxes = boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [image.shape[1], 0] * 2
        fit = min(width / image.shape[1], height / image.shape[0])
        scale = fit * (np.exp(rng.uniform(np.log(0.55), np.log(1.5))) if self.augment else 1.0)
        if self.augment and len(boxes):
            longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=0)
            scale = min(scale, 0.98 * width / longest[0], 0.98 * height / longest[1])
        room = np.array([width, height]) - scale * np.array([image.shape[1], image.shape[0]])
        shift = room * rng.uniform(0, 1, 2) if self.augment else np.zeros(2)
        # Boxes are measured at the edges of pixels, warpAffine counts from their centres.
        matrix = np.column_stack([scale * np.eye(2), shift + (scale - 1) / 2])
        border = tuple(int(v) for v in rng.integers(0, 256, 3)) if self.augment else (0, 0, 0)
        image = cv2.warpAffine(softened(image, scale), matrix, (width, height),
                               borderValue=border)
        moved = boxes * scale + np.tile(shift, 2)
        inside = np.clip(moved, 0, [width, height, width, height])
        areas, seen = (np.prod(np.maximum(each[:, 2:] - each[:, :2], 0), axis=1)
                       for each in (moved, inside))
        return image, inside[seen >= _MIN_SEEN * areas]


def turn_quarters(image: np.ndarray, boxes: np.ndarray, quarters: int):
    """Turn a picture counter-clockwise by quarters, with its boxes (..., 4) in px.

    Boxes are measured at the edges of pixels, not at their centres.
    """
    for _ in range(quarters):
        width = image.shape[1]
        image = np.rot90(image)
        x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
        boxes = np.stack([y1, width - x2, y2, width - x1], axis=-1)
    return np.ascontiguousarray(image), boxes
