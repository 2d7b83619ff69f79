"""What overlay_node draws, and how pictures find their answers. Knows no node."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from infant_pose_ros.config import OverlayNodeSettings
from infant_pose_ros.geometry.boxes import box_around, expand_box
from infant_pose_ros.media.draw import draw_box, draw_label, draw_pose, private_background
from infant_pose_ros.skeleton import TrackState

#: The box drawn is the keypoints' extent, larger by this factor.
BOX_SCALE = 1.15
#: Answers over which the rate is taken.
RATE_ANSWERS = 30


class StampMatcher:
    """Brings together messages of several topics that carry one stamp.

    Each topic comes in order, so a complete set shows that whatever began to wait before it
    will never be complete: it is left out. Stamps are compared for equality only, so that they
    may jump (a bag that loops).

    Args:
        topics: the names that make a set complete.
        max_waiting: most stamps kept while they wait; those that wait longest go first.
    """

    def __init__(self, topics: Sequence[str], max_waiting: int):
        self._topics = frozenset(topics)
        self._max_waiting = max_waiting
        self._waiting: dict[int, dict[str, Any]] = {}

    def add(self, topic: str, stamp_ns: int, message: Any) -> dict[str, Any] | None:
        """Note a message; the complete set by topic if this was its last part, else None."""
        parts = self._waiting.setdefault(stamp_ns, {})
        parts[topic] = message
        if parts.keys() == self._topics:
            for waiting_ns in list(self._waiting):
                del self._waiting[waiting_ns]
                if waiting_ns == stamp_ns:
                    break
            return parts
        if len(self._waiting) > self._max_waiting:
            del self._waiting[next(iter(self._waiting))]
        return None

    def __len__(self) -> int:
        return len(self._waiting)


class RateMeter:
    """Rate of the last answers, from their stamps."""

    def __init__(self):
        self._stamps_ns: deque[int] = deque(maxlen=RATE_ANSWERS)

    def tick(self, stamp_ns: int) -> float | None:
        """Note an answer; answers a second, or None before the second one."""
        if self._stamps_ns and stamp_ns <= self._stamps_ns[-1]:
            self._stamps_ns.clear()
        self._stamps_ns.append(stamp_ns)
        span_ns = stamp_ns - self._stamps_ns[0]
        return 1e9 * (len(self._stamps_ns) - 1) / span_ns if span_ns else None


def draw_answer(image_rgb: np.ndarray, infants: np.ndarray, raw_infants: np.ndarray | None,
                settings: OverlayNodeSettings, rate_hz: float | None) -> np.ndarray:
    """A new picture with everything that the settings ask for.

    Args:
        image_rgb: (H, W, 3) uint8; stays as it is.
        infants, raw_infants: (N, 16) of `ros.keypoints.KEYPOINT_DTYPE`.
        rate_hz: answers a second, to be written; None leaves it out.
    """
    canvas = private_background(image_rgb, settings.privacy)
    for infant in raw_infants if raw_infants is not None else ():
        draw_pose(canvas, _points_px(infant), infant['score'], infant['state'],
                  settings.score_min, thin=True)
    for infant in infants:
        _draw_infant(canvas, infant, settings)
    if settings.show_text:
        count = f'{len(infants)} infants' if len(infants) != 1 else '1 infant'
        draw_label(canvas, count if rate_hz is None else f'{count}  {rate_hz:.1f} Hz',
                   (0, canvas.shape[0]))
    return canvas


def _draw_infant(canvas: np.ndarray, infant: np.ndarray, settings: OverlayNodeSettings) -> None:
    points_px, found = _points_px(infant), infant['state'] != TrackState.LOST
    draw_pose(canvas, points_px, infant['score'], infant['state'], settings.score_min)
    box = box_around(np.where(found[:, None], points_px, np.nan))
    if box is None:
        return
    box = expand_box(box, BOX_SCALE)
    if settings.show_box:
        draw_box(canvas, box)
    if settings.show_text:
        measured = int((infant['state'] == TrackState.MEASURED).sum())
        draw_label(canvas, f'infant {infant["track"][0]}  score {infant["score"].mean():.2f}  '
                           f'{measured}/{len(infant)} seen', (box[0], box[1]))


def _points_px(infant: np.ndarray) -> np.ndarray:
    return np.stack([infant['u'], infant['v']], axis=-1).astype(float)
