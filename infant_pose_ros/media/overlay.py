"""Pictures with everything drawn in that the settings of an overlay ask for."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.config import OverlayNodeSettings
from infant_pose_ros.geometry.boxes import box_around, expand_box
from infant_pose_ros.media.draw import (
    beside_each_other,
    draw_box,
    draw_label,
    draw_pose,
    private_background,
)
from infant_pose_ros.media.trails import Trails
from infant_pose_ros.skeleton import TrackState

#: The box drawn is the keypoints' extent, larger by this factor.
BOX_SCALE = 1.15


class OverlayPainter:
    """Draws answers frame by frame; remembers what the trails need.

    Infants are (N, 16) of `KEYPOINT_DTYPE`.
    """

    def __init__(self, settings: OverlayNodeSettings):
        self.settings = settings
        self._trails = Trails(settings.trail_s)
        self._raw_trails = Trails(settings.trail_s)

    @property
    def needs_raw(self) -> bool:
        """Whether the keypoints before smoothing are drawn."""
        return self.settings.draw_raw or self.settings.layout == 'side_by_side'

    def size_of(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Width and height of what is drawn from a picture of `size_wh`, px."""
        blank = np.zeros((size_wh[1], size_wh[0], 3), dtype=np.uint8)
        if self.settings.layout == 'side_by_side':
            blank = beside_each_other(blank, blank)
        return blank.shape[1], blank.shape[0]

    def draw(self, image_rgb: np.ndarray, stamp_s: float, infants: np.ndarray,
             raw_infants: np.ndarray | None = None, rate_hz: float | None = None) -> np.ndarray:
        """A new picture; twice as wide where raw and smoothed stand side by side.

        Args:
            image_rgb: (H, W, 3) uint8; stays as it is.
            stamp_s: its stamp, s; one that isn't later than the last ends the trails.
            infants: after smoothing.
            raw_infants: before smoothing, needed where `needs_raw` says so.
            rate_hz: answers a second, to be written; None leaves it out.
        """
        self._trails.add(stamp_s, infants)
        canvas = private_background(image_rgb, self.settings.privacy)
        if self.settings.layout == 'side_by_side':
            self._raw_trails.add(stamp_s, raw_infants)
            left = self._panel(canvas.copy(), raw_infants, self._raw_trails)
            right = self._panel(canvas, infants, self._trails)
            draw_label(left, 'raw', (0, 0))
            draw_label(right, 'smoothed', (0, 0))
            self._write_rate(right, infants, rate_hz)
            return beside_each_other(left, right)
        if self.settings.draw_raw:
            for infant in raw_infants:
                draw_pose(canvas, _points_px(infant), infant['score'], infant['state'],
                          self.settings.score_min, thin=True)
        self._panel(canvas, infants, self._trails)
        self._write_rate(canvas, infants, rate_hz)
        return canvas

    def _panel(self, canvas: np.ndarray, infants: np.ndarray, trails: Trails) -> np.ndarray:
        trails.draw(canvas, infants)
        for infant in infants:
            self._draw_infant(canvas, infant)
        return canvas

    def _draw_infant(self, canvas: np.ndarray, infant: np.ndarray) -> None:
        points_px, found = _points_px(infant), infant['state'] != TrackState.LOST
        draw_pose(canvas, points_px, infant['score'], infant['state'], self.settings.score_min)
        box = box_around(np.where(found[:, None], points_px, np.nan))
        if box is None:
            return
        box = expand_box(box, BOX_SCALE)
        if self.settings.show_box:
            draw_box(canvas, box)
        if self.settings.show_text:
            measured = int((infant['state'] == TrackState.MEASURED).sum())
            draw_label(canvas, f'infant {infant["track"][0]}  score {infant["score"].mean():.2f}'
                               f'  {measured}/{len(infant)} seen', (box[0], box[1]))

    def _write_rate(self, canvas: np.ndarray, infants: np.ndarray,
                    rate_hz: float | None) -> None:
        if self.settings.show_text:
            count = f'{len(infants)} infants' if len(infants) != 1 else '1 infant'
            draw_label(canvas, count if rate_hz is None else f'{count}  {rate_hz:.1f} Hz',
                       (0, canvas.shape[0]))


def _points_px(infant: np.ndarray) -> np.ndarray:
    return np.stack([infant['u'], infant['v']], axis=-1).astype(float)
