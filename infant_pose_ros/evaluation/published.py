"""Published figures on videos 11 and 12 of MINI-RGBD: other data, for comparison only."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

PUBLISHED_ON = 'MINI-RGBD videos 11 and 12'
PAPER = 'Ellershaw et al. 2020'


@dataclass(frozen=True)
class Published:
    """One row of a published table; None where no figure was given.

    Attributes:
        label: what the row is. source: who published it.
        iou, pckh1, pckh2: percent. ajpe: px in 2D, mm in 3D.
    """

    label: str
    pckh1: float | None = None
    pckh2: float | None = None
    ajpe: float | None = None
    iou: float | None = None
    source: str = PAPER


#: Kind of row -> key -> published row, in the order of the tables.
PUBLISHED = MappingProxyType({
    'boxes': {
        'this_method': Published('this method', iou=87.7),
    },
    '2d': {
        'this_method': Published('this method', 93.77, 96.05, 8.17),
        'no_adults': Published('without adult pre-training', 82.98, None, 10.96),
        'no_common_keypoints': Published('without the common keypoints', 79.57, None, 13.36),
        'no_crop': Published('without the crop', 62.58, None, 17.41),
        'adult_network': Published('adapted OpenPose', 86.54, 91.64),
    },
    '3d': {
        'estimated_2d': Published('this method, from estimated 2D', 65.20, 88.99, 28.47),
        'true_2d': Published('from true 2D', 69.28, 91.19, 25.44),
        'no_adults': Published('without adult pre-training', 52.18, 84.25, 34.18),
        'no_common_keypoints': Published('without the common keypoints', 20.19, None, 67.82),
        'random_ferns': Published('random ferns on depth', 51.09, 83.87, 44.90,
                                  source='Hesse et al.'),
        'zedo': Published('ZeDO-i', None, None, 21.2, source='2023'),
    },
})

#: Said over every table that has published figures in it.
PUBLISHED_NOTE = (
    f'Figures in *italics* are published ones, measured on **other data** ({PUBLISHED_ON}) by '
    'other networks: they say what to expect, not who is better.')
