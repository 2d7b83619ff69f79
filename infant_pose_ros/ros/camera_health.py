"""All that is watched of one camera, and what is wrong with it. Knows no node."""

from __future__ import annotations

from collections.abc import Iterator
import threading

import numpy as np

from infant_pose_ros.config import PoseNodeSettings
from infant_pose_ros.media.picture_watch import PictureLook, PictureWatch
from infant_pose_ros.ros.diagnostics import FrameCounters, FrameStatistics
from infant_pose_ros.ros.faults import (
    depth_faults,
    DepthStatus,
    Fault,
    frame_faults,
    input_faults,
    InputStatus,
    Severity,
)
from infant_pose_ros.ros.pace import Pace
from infant_pose_ros.ros.stamp_watch import StampWatch

#: What is judged anew with every picture must hold for so long to be a fault, and must be
#: away for so long to be over, s.
HOLD_S = 1.0
#: Brightness and sharpness must rise over their limit by so much to be well again.
WELL_AGAIN = 1.15
#: Pictures are looked at this often at most, s.
LOOK_PERIOD_S = 0.05
#: A clock that shows the same time for longer stands still, s.
CLOCK_STILL_S = 2.0


class Lasting:
    """A condition that flickers: it begins and ends only after it held for `HOLD_S`."""

    def __init__(self):
        self.is_on = False
        self._differs_since_s: float | None = None

    def update(self, is_true: bool, now_s: float) -> bool:
        """Note the condition; whether it counts as true."""
        if is_true == self.is_on:
            self._differs_since_s = None
        elif self._differs_since_s is None:
            self._differs_since_s = now_s
        elif now_s - self._differs_since_s >= HOLD_S:
            self.is_on, self._differs_since_s = is_true, None
        return self.is_on


class CameraHealth:
    """Watches one camera from the arrival of its images to the answers; thread-safe.

    Attributes:
        counters: what became of every frame.

    Every `now_s` is one steady clock, s.
    """

    def __init__(self, settings: PoseNodeSettings):
        self.counters = FrameCounters()
        self._settings = settings
        self._lock = threading.Lock()
        self._stamps, self._pictures = StampWatch(), PictureWatch()
        self.restart(-float('inf'))

    def update_settings(self, settings: PoseNodeSettings) -> None:
        """Judge by these from now on."""
        with self._lock:
            self._settings = settings

    def restart(self, now_s: float) -> None:
        """Begin to wait anew: the node was activated, enabled or reset."""
        with self._lock:
            self._active_since_s = now_s
            self._stamps.restart()
            self._pictures.restart()
            self._look: PictureLook | None = None
            self._looks, self._answers = Pace(), Pace()
            self._size_wh: tuple[int, int] | None = None
            self._dark, self._blurred = Lasting(), Lasting()
            self._infant_s = -float('inf')
            self._clock: tuple[int, float] | None = None
            self._shown: frozenset[str] = frozenset()

    def message_came(self, stamp_ns: int, now_ns: int, now_s: float) -> None:
        """Note an image message; `now_ns` is the node's clock, 0 where it doesn't run."""
        with self._lock:
            self._stamps.saw(stamp_ns, now_ns, now_s)

    def picture_decoded(self, image_rgb: np.ndarray, now_s: float) -> None:
        """Note a (H, W, 3) uint8 picture before it is worked on."""
        with self._lock:
            self._size_wh = image_rgb.shape[1], image_rgb.shape[0]
            if now_s - self._looks.last_s < LOOK_PERIOD_S:
                return
            self._looks.tick(now_s)
            look = self._look = self._pictures.look(image_rgb, now_s)
            self._dark.update(_is_low(
                look.brightness, self._settings.brightness_min, self._dark.is_on), now_s)
            self._blurred.update(_is_low(
                look.sharpness, self._settings.sharpness_min, self._blurred.is_on), now_s)

    def answered(self, result, now_s: float) -> None:
        """Note the FrameResult of a frame."""
        with self._lock:
            if result.infants or not self._answers.is_recent(now_s):
                self._infant_s = now_s      # or nobody could be seen before
            self._answers.tick(now_s)

    def faults(self, now_s: float, inputs: InputStatus, depth: DepthStatus | None) -> list[Fault]:
        """What is wrong with the camera now, while the node is active and enabled."""
        statistics = self.counters.snapshot(now_s)
        with self._lock:
            found = list(self._faults(now_s, inputs, statistics))
            if depth is not None:
                found += depth_faults(statistics, depth.topic, depth.num_publishers)
            self._shown = frozenset(fault.name for fault in found)
        return found

    def _faults(self, now_s: float, inputs: InputStatus, statistics: FrameStatistics
                ) -> Iterator[Fault]:
        settings, active_for_s = self._settings, now_s - self._active_since_s
        clock = list(self._clock_faults(now_s, inputs))
        yield from clock
        for fault in input_faults(inputs, statistics, active_for_s, settings.no_image_warn_s):
            if not (clock and fault.name == 'no_image'):    # a paused bag sends none
                yield fault
        yield from frame_faults(
            statistics, settings.max_age_ms, settings.drop_warn_share, self._shown,
            inputs.tells_lost, active_for_s)
        yield from self._stamps.faults(now_s)
        if self._looks.is_recent(now_s):
            yield from self._picture_faults()
        yield from self._nobody(now_s)
        if inputs.has_camera_info and self._is_scaled(inputs):
            yield Fault(Severity.OK, 'camera_info_scaled', self._scaling(inputs))

    def _clock_faults(self, now_s: float, inputs: InputStatus) -> Iterator[Fault]:
        if self._clock is None or self._clock[0] != inputs.clock_ns:
            self._clock = (inputs.clock_ns, now_s)
        still_s = now_s - self._clock[1]
        if not inputs.uses_sim_time or still_s < CLOCK_STILL_S:
            return
        why = ('/clock has a publisher: is the bag or the simulation paused? Let it go on'
               if inputs.num_clock_publishers else
               'nobody publishes /clock: play the bag with --clock, start the simulation, or set '
               'use_sim_time to false')
        yield Fault(Severity.WARN, 'clock_stands_still',
                    f'the clock (use_sim_time) has stood still for {still_s:.0f} s: {why}')

    def _picture_faults(self) -> Iterator[Fault]:
        look, settings = self._look, self._settings
        if self._dark.is_on:
            yield Fault(Severity.WARN, 'too_dark',
                        f'the picture is too dark (brightness {look.brightness:.0f} of 255, '
                        f'limit {settings.brightness_min:g}): light the room, open the lens, or '
                        'lengthen the exposure; brightness_min sets the limit')
        if self._blurred.is_on and look.sharpness is not None:
            yield Fault(Severity.WARN, 'too_blurred',
                        f'the picture is blurred (sharpness {look.sharpness:.2f}, limit '
                        f'{settings.sharpness_min:g}): focus and clean the lens, fix the camera, '
                        'or shorten the exposure; sharpness_min sets the limit')
        limit_s = settings.frozen_warn_s
        if limit_s and look.unchanged_s > limit_s and self._stamps.still_s < limit_s:
            yield Fault(Severity.WARN, 'frozen_picture',
                        f'the picture has not changed by one bit for {look.unchanged_s:.0f} s, '
                        'though new stamps come: restart the camera or its driver; frozen_warn_s '
                        'sets the limit')

    def _nobody(self, now_s: float) -> Iterator[Fault]:
        limit_s = self._settings.no_infant_warn_s
        if not limit_s or not self._answers.is_recent(now_s):
            return
        if now_s - self._infant_s > limit_s:
            yield Fault(Severity.WARN, 'no_infant',
                        f'no infant found for {now_s - self._infant_s:.0f} s: is the whole infant '
                        'in the picture, inside of roi, and bright enough? A lower '
                        'detection_score_min finds more; no_infant_warn_s sets this limit')

    def _is_scaled(self, inputs: InputStatus) -> bool:
        return (self._size_wh is not None and inputs.camera_size_wh is not None
                and not inputs.camera_misfit and inputs.camera_size_wh != self._size_wh)

    def _scaling(self, inputs: InputStatus) -> str:
        (from_w, from_h), (to_w, to_h) = inputs.camera_size_wh, self._size_wh
        return (f'CameraInfo for {from_w}x{from_h} is scaled to the picture, {to_w}x{to_h}: '
                'nothing to mend if the driver scales and does not cut')

    def values(self, now_s: float) -> dict[str, str]:
        """What was seen of the pictures, for /diagnostics."""
        with self._lock:
            values = {}
            if self._size_wh is not None:
                values['picture'] = f'{self._size_wh[0]}x{self._size_wh[1]}'
            if self._look is not None and self._looks.is_recent(now_s):
                sharp = self._look.sharpness
                values['brightness'] = f'{self._look.brightness:.0f}'
                values['sharpness'] = 'unknown' if sharp is None else f'{sharp:.2f}'
            return values


def _is_low(value: float | None, limit: float, was_low: bool) -> bool:
    """Whether a value lies under its limit (0: never), with hysteresis."""
    return value is not None and value < limit * (WELL_AGAIN if was_low else 1.0)
