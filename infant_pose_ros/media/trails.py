"""The last paths of wrists and ankles, to be drawn behind a skeleton: jitter shows in them."""

from __future__ import annotations

from collections import deque

import numpy as np

from infant_pose_ros.media.draw import draw_path
from infant_pose_ros.skeleton import Joint, SIDE_COLOURS_RGB, SIDES, TrackState

TRAIL_JOINTS = (Joint.R_WRIST, Joint.L_WRIST, Joint.R_ANKLE, Joint.L_ANKLE)
#: Most frames of a trail, whatever their rate.
MAX_TRAIL_FRAMES = 240


class Trails:
    """Remembers where the ends of the limbs of each track were.

    Args:
        length_s: how far back a trail goes, s; 0 remembers nothing.
    """

    def __init__(self, length_s: float):
        self._length_s = length_s
        self._frames: deque[tuple[float, dict[int, np.ndarray]]] = deque(maxlen=MAX_TRAIL_FRAMES)

    def add(self, stamp_s: float, infants: np.ndarray) -> None:
        """Note a frame, (N, 16) of `KEYPOINT_DTYPE`; a stamp that jumps back begins anew."""
        if not self._length_s:
            return
        if self._frames and stamp_s <= self._frames[-1][0]:
            self._frames.clear()
        places = {}
        for infant in infants:
            ends = infant[list(TRAIL_JOINTS)]
            points = np.stack([ends['u'], ends['v']], axis=-1).astype(float)
            points[ends['state'] == TrackState.LOST] = np.nan
            places[int(infant['track'][0])] = points
        self._frames.append((stamp_s, places))
        while stamp_s - self._frames[0][0] > self._length_s:
            self._frames.popleft()

    def paths(self, track: int) -> np.ndarray:
        """(T, 4, 2) px, oldest first, of the frames remembered; NaN where not known."""
        unknown = np.full((len(TRAIL_JOINTS), 2), np.nan)
        return np.array([places.get(track, unknown) for _, places in self._frames]
                        ).reshape(-1, len(TRAIL_JOINTS), 2)

    def draw(self, image_rgb: np.ndarray, infants: np.ndarray) -> None:
        """Draw the trails of these infants into the picture, fading towards the past."""
        for infant in infants if self._length_s else ():
            paths = self.paths(int(infant['track'][0]))
            for index, joint in enumerate(TRAIL_JOINTS):
                draw_path(image_rgb, paths[:, index], SIDE_COLOURS_RGB[SIDES[joint]])
