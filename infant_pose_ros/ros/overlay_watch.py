"""What becomes of an overlay_node's pictures, and what is wrong. Knows no node."""

from __future__ import annotations

from collections.abc import Iterator

from infant_pose_ros.ros.diagnostics import FrameCounters, FrameStatistics
from infant_pose_ros.ros.faults import (
    ERROR_SHOWN_S,
    Fault,
    FEW_FRAMES,
    input_faults,
    InputStatus,
    OVER_SHARE,
    Severity,
)
from infant_pose_ros.ros.pace import Pace

#: Without an image, or without keypoints while images come, for longer (or for some of the
#: images' periods), something is wrong, s.
WAIT_S = 3.0
#: The first keypoints of all may take longer, as pose_node loads its models, s.
FIRST_WAIT_S = 10.0
#: Share of the pictures that were drawn or left out lately from which leaving out is told.
UNANSWERED_SHARE = 0.5
#: What the privacy modes draw on.
BACKGROUNDS = {'off': 'the picture', 'black': 'black', 'blur': 'the blurred picture'}


class OverlayWatch:
    """Counts pictures and keypoints; used on the executor's thread alone. Times are s, steady."""

    def __init__(self, now_s: float):
        self._counters = FrameCounters()
        self._pictures = Pace()
        self._began_s = self._keypoints_s = now_s
        self._answered_since_s, self._unstamped_s = float('inf'), -float('inf')
        self._shown: frozenset[str] = frozenset()

    def picture_came(self, now_s: float, is_stamped: bool = True) -> None:
        """Note a picture; exactly one of drawn, given_up and failed follows, or it waits. One
        without a stamp is given up at once.
        """
        if not self._pictures.is_recent(now_s, WAIT_S):
            self._keypoints_s = now_s       # nobody could answer a picture that didn't come
        self._pictures.tick(now_s)
        self._counters.arrived(now_s)
        if not is_stamped:
            self._unstamped_s = now_s
            self.given_up(now_s)

    def keypoints_came(self, now_s: float) -> None:
        """Note keypoints."""
        if (now_s - self._keypoints_s > self._pictures.recent_s(WAIT_S)
                or self._answered_since_s > now_s):
            self._answered_since_s = now_s
        self._keypoints_s = now_s

    def drawn(self, now_s: float) -> None:
        """A picture was answered, and drawn if anybody looks at it."""
        self._counters.begun(now_s)
        self._counters.answered(now_s, None, {}, 0)

    def given_up(self, now_s: float) -> None:
        """A picture was left out: keypoints of its stamp never came."""
        self._counters.dropped(now_s)

    def failed(self, now_s: float, error: str) -> None:
        """A picture or its keypoints could not be read."""
        self._counters.begun(now_s)
        self._counters.failed(now_s, error)

    def report(self, now_s: float, inputs: InputStatus, keypoints_topic: str,
               num_keypoints_publishers: int, privacy: str
               ) -> tuple[list[Fault], str, dict[str, str]]:
        """Faults, summary and values for /diagnostics."""
        statistics = self._counters.snapshot(now_s)
        found = list(self._faults(
            now_s, statistics, inputs, keypoints_topic, num_keypoints_publishers))
        self._shown = frozenset(fault.name for fault in found)
        summary = f'{statistics.output_hz:.1f} pictures a second, drawn on {BACKGROUNDS[privacy]}'
        return found, summary, {
            'privacy': privacy, 'image_topic': inputs.topic, 'keypoints_topic': keypoints_topic,
            'picture_rate_hz': f'{statistics.input_hz:.2f}',
            'drawn_rate_hz': f'{statistics.output_hz:.2f}',
            'pictures_drawn': str(statistics.answered),
            'pictures_unanswered': str(statistics.dropped),
            'pictures_failed': str(statistics.failed)}

    def _faults(self, now_s: float, statistics: FrameStatistics, inputs: InputStatus,
                keypoints_topic: str, num_keypoints_publishers: int) -> Iterator[Fault]:
        wait_s = self._pictures.recent_s(WAIT_S)
        yield from input_faults(inputs, statistics, now_s - self._began_s, wait_s)
        if statistics.since_error_s is not None and statistics.since_error_s < ERROR_SHOWN_S:
            yield Fault(Severity.ERROR, 'picture_failed',
                        f'a picture was left out: {statistics.error}: let its publisher send '
                        'whole messages of a layout that this node knows')
        if not statistics.recent_in:
            return
        if now_s - self._unstamped_s < statistics.window_s:
            yield Fault(Severity.WARN, 'no_stamps',
                        'pictures carry no stamp, so which keypoints are theirs can not be told, '
                        'and they are left out: let the driver stamp them')
            return
        waited_s, dropped = now_s - self._keypoints_s, statistics.recent_dropped
        # Not of those that came: who is left out may have waited for longer than is recent.
        settled = statistics.recent_answered + dropped
        is_first = self._answered_since_s > now_s
        if waited_s > (max(FIRST_WAIT_S, wait_s) if is_first else wait_s):
            yield Fault(Severity.ERROR, 'no_keypoints',
                        f'no keypoints on {keypoints_topic} for {waited_s:.0f} s: ' + (
                            'their publisher is there: look at its own /diagnostics'
                            if num_keypoints_publishers else
                            'nobody publishes them: start pose_node, or remap keypoints'))
        elif now_s - self._answered_since_s <= statistics.window_s:
            return      # what waited before is left out now
        elif settled >= FEW_FRAMES and dropped > settled * UNANSWERED_SHARE * (
                OVER_SHARE if 'pictures_unanswered' in self._shown else 1.0):
            yield Fault(Severity.WARN, 'pictures_unanswered',
                        f'{dropped} of {settled} recent pictures were left out, as keypoints of '
                        'their stamp never came: let both be of one camera; if they are, '
                        'pose_node falls behind: lower the rate of the camera')
