"""Several infants in one picture: others are cut out along their masks and laid beside the first.

A detector that has only ever seen one infant draws one box around two that lie side by side.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from infant_pose_ros.data.crops import softened
from infant_pose_ros.data.stills import read_image, Stills
from infant_pose_ros.errors import DatasetError

#: Sizes of a companion, shares of the first infant's; how far apart the two lie, shares of the
#: distance at which their boxes would touch.
_SIZES, _DISTANCES = (0.75, 1.3), (0.7, 1.4)
#: A companion may hide so much of an infant's box; so many places are tried.
_MOST_HIDDEN, _TRIES = 0.2, 4
#: Share of company that is two more infants.
_TWO_MORE = 0.25


def mask_path(image_path: Path) -> Path:
    """Where the mask of a picture of MINI-RGBD, SynthCot-12 or `synth --depth` lies."""
    if image_path.parent.name == 'rgb':
        number = image_path.stem.rpartition('_')[2]
        return image_path.parents[1] / 'fg_mask' / f'mask_{number}.png'
    return image_path.with_name(f'{image_path.stem}_mask.png')


class Company:
    """Infants that can be laid beside another one.

    Args:
        stills: labelled pictures with masks beside them.
    """

    def __init__(self, stills: Stills):
        self.stills = stills.people()

    def join(self, image: np.ndarray, box_xyxy: np.ndarray, rng: np.random.Generator
             ) -> tuple[np.ndarray, np.ndarray]:
        """Lay one or two infants beside one of about their size.

        Args:
            image: (H, W, 3) uint8. box_xyxy: (4,) around the infant in it, px.

        Returns:
            A picture, which may be larger, and the boxes (K, 4) of all in it. The infant stays
            alone where no place for another is found.

        Raises:
            DatasetError: a picture or its mask can't be read.
        """
        boxes = box_xyxy[None]
        for _ in range(2 if rng.random() < _TWO_MORE else 1):
            person, mask = self._cut_out(rng, (box_xyxy[2:] - box_xyxy[:2]).max())
            for _ in range(_TRIES):
                place = _place_beside(boxes[0], mask.shape[1::-1], rng)
                if _hidden_share(boxes, mask, place).max() < _MOST_HIDDEN:
                    image, boxes = _pasted(image, boxes, person, mask, place)
                    break
        return image, boxes

    def _cut_out(self, rng: np.random.Generator, side_px: float
                 ) -> tuple[np.ndarray, np.ndarray]:
        """One infant, turned and scaled to about `side_px`, and its mask (h, w) 0..1."""
        row = int(rng.integers(len(self.stills)))
        image, path = read_image(self.stills.paths[row]), mask_path(self.stills.paths[row])
        mask = read_image(path, is_grey=True) if path.is_file() else None
        if mask is None or mask.shape != image.shape[:2] or not mask.any():
            raise DatasetError(f'{path}: expected the mask of an infant, as large as the picture; '
                               'make the set again, stills with --depth')
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        size = np.array([columns[-1] - columns[0], rows[-1] - rows[0]]) + 1
        scale = side_px * rng.uniform(*_SIZES) / size.max()
        cos, sin = scale * np.array([np.cos(turn := rng.uniform(0, 2 * np.pi)), np.sin(turn)])
        reach = int(np.ceil(np.hypot(*size) * scale)) + 2
        linear = np.array([[cos, -sin], [sin, cos]])
        centre = np.array([columns[0] + columns[-1], rows[0] + rows[-1]]) / 2
        matrix = np.column_stack([linear, (reach - 1) / 2 - linear @ centre])
        person, mask = (cv2.warpAffine(picture, matrix, (reach, reach)) for picture in
                        (softened(image, scale), mask))
        rows, columns = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
        inner = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
        return person[inner], mask[inner].astype(np.float32) / 255


def _place_beside(box_xyxy: np.ndarray, size_wh: tuple[int, int],
                  rng: np.random.Generator) -> np.ndarray:
    """Top left corner (2,) of a box of `size_wh` in some direction beside another one."""
    half, other = (box_xyxy[2:] - box_xyxy[:2]) / 2, np.array(size_wh) / 2
    direction = np.array([np.cos(turn := rng.uniform(0, 2 * np.pi)), np.sin(turn)])
    touching = ((half + other) / np.maximum(np.abs(direction), 1e-6)).min()
    centre = box_xyxy[:2] + half + direction * touching * rng.uniform(*_DISTANCES)
    return np.rint(centre - other).astype(int)


def _hidden_share(boxes: np.ndarray, mask: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(K,) of each box that `mask` at `place` covers."""
    low = np.clip(np.floor(boxes[:, :2] - place).astype(int), 0, mask.shape[::-1])
    high = np.clip(np.ceil(boxes[:, 2:] - place).astype(int), 0, mask.shape[::-1])
    covered = [mask[y1:y2, x1:x2].sum() for (x1, y1), (x2, y2) in zip(low, high)]
    return np.array(covered) / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _pasted(image: np.ndarray, boxes: np.ndarray, person: np.ndarray, mask: np.ndarray,
            place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture, made larger where it must be, with one person more."""
    size = np.array(mask.shape[::-1])
    before = np.maximum(-place, 0)
    after = np.maximum(place + size - image.shape[1::-1], 0)
    image = cv2.copyMakeBorder(image, before[1], after[1], before[0], after[0],
                               cv2.BORDER_REPLICATE)
    (x, y), alpha = place + before, mask[:, :, None]
    part = image[y:y + size[1], x:x + size[0]]
    image[y:y + size[1], x:x + size[0]] = part * (1 - alpha) + person * alpha
    own = np.concatenate([place, place + size])
    return image, np.vstack([boxes, own]) + np.tile(before, 2)
