"""What can be wrong with a pose_node, each with its mend. Knows no rclpy, and no messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infant_pose_ros.ros.diagnostics import FrameStatistics

#: A failed frame shows for this long, s.
ERROR_SHOWN_S = 5.0
#: Shares of the recent frames from which loss and staleness are a fault.
LOST_SHARE, STALE_SHARE = 0.05, 0.10
#: The same of frames without a depth picture, where depth is asked for.
WITHOUT_DEPTH_SHARE = 0.10
#: Frames older than this come from another clock rather than from a slow machine, s.
OTHER_CLOCK_S = 60.0
#: Stamps may lie this far in the future before the clocks count as apart, ms.
FUTURE_MS = 50.0


class Severity(enum.IntEnum):
    """Levels of REP-107."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and what to do about it."""

    severity: Severity
    text: str


@dataclass(frozen=True)
class InputStatus:
    """What the graph tells of the node's inputs.

    Attributes:
        topic: the image topic, resolved. transport: 'raw' or 'compressed'.
        num_publishers: of the image. num_incompatible: of these, offering less reliability
            than the subscription asks for.
        other_topics: topics that carry images and have publishers, with their transport.
        camera_info_topic: resolved. has_camera_info: whether a usable one came.
        camera_info_arrives: whether any came in the last seconds.
        camera_error: why the last CameraInfo can't be used.
    """

    topic: str
    transport: str = 'raw'
    num_publishers: int = 0
    num_incompatible: int = 0
    other_topics: tuple[tuple[str, str], ...] = ()
    camera_info_topic: str = '/camera_info'
    has_camera_info: bool = False
    camera_info_arrives: bool = False
    camera_error: str | None = None


def input_faults(inputs: InputStatus, statistics: FrameStatistics, active_for_s: float,
                 no_image_warn_s: float) -> Iterator[Fault]:
    """Missing or unusable images and CameraInfo, of a node that is active and enabled."""
    waited_s = (active_for_s if statistics.since_image_s is None
                else min(active_for_s, statistics.since_image_s))
    if waited_s > no_image_warn_s:
        yield Fault(Severity.WARN,
                    f'no image on {inputs.topic} for {waited_s:.0f} s: {_why_no_image(inputs)}')
        return
    if inputs.camera_error:
        yield Fault(Severity.WARN, f'3D is relative to the pelvis: {inputs.camera_error}')
    elif not inputs.has_camera_info and active_for_s > no_image_warn_s:
        yield Fault(Severity.WARN,
                    f'no CameraInfo on {inputs.camera_info_topic}: 3D is relative to the pelvis; '
                    'publish one, or remap camera_info')


def _why_no_image(inputs: InputStatus) -> str:
    if inputs.num_incompatible:
        return ('its publisher offers best_effort and this node asks for reliable: set the '
                'parameter reliability to auto')
    if inputs.num_publishers and inputs.camera_info_arrives:
        return ('its CameraInfo arrives, so the pictures get lost on the way: let the camera '
                'publish reliable, or use the Fast DDS profile of this package')
    if inputs.num_publishers:
        return 'its publisher is there but sends nothing: is the camera running?'
    others = [f'{topic} (needs image_transport:={transport})'
              if transport != inputs.transport else topic
              for topic, transport in inputs.other_topics if topic != inputs.topic]
    if others:
        return f'nobody publishes it; remap image to one that carries images: {", ".join(others)}'
    return 'nobody publishes it, and no other topic carries images: start the camera'


def frame_faults(statistics: FrameStatistics, is_stamped: bool, max_age_ms: float
                 ) -> Iterator[Fault]:
    """Frames that failed, came too late, got lost, or carry stamps that tell nothing; refusals."""
    if statistics.since_error_s is not None and statistics.since_error_s < ERROR_SHOWN_S:
        yield Fault(Severity.ERROR, f'a frame failed: {statistics.error}')
    if not is_stamped:
        yield Fault(Severity.WARN, 'images carry no stamp (0): the time of arrival stands in, '
                                   'ages are unknown; let the driver stamp them')
    worked_on = statistics.recent_answered + statistics.recent_stale
    if statistics.recent_stale > STALE_SHARE * worked_on:
        age_s = statistics.stale_age_s or 0.0
        mend = ('their stamps come from another clock: play the bag with --clock and set '
                'use_sim_time, or set max_age_ms to 0' if age_s > OTHER_CLOCK_S else
                'the machine or the network is too slow: lower the rate or resolution, or '
                'raise max_age_ms')
        yield Fault(Severity.WARN, f'{statistics.recent_stale} of {worked_on} recent frames were '
                                   f'older than {max_age_ms:.0f} ms (the last {age_s:.1f} s): '
                                   f'{mend}')
    sent = statistics.recent_in + statistics.recent_lost
    if statistics.recent_lost > LOST_SHARE * sent:
        yield Fault(Severity.WARN, f'{statistics.recent_lost} of {sent} recent images got lost in '
                                   'transport: let the camera publish reliable, or use the '
                                   'Fast DDS profile of this package')
    if statistics.age_ms_p50 is not None and statistics.age_ms_p50 < -FUTURE_MS:
        yield Fault(Severity.WARN, f'stamps lie {-statistics.age_ms_p50:.0f} ms in the future: '
                                   "synchronise the camera's clock with this machine's")
    if statistics.num_refused:
        yield Fault(Severity.WARN, f'{statistics.num_refused} in view not told of, taken for '
                                   'adults: if one is an infant, lower infant_score_min, or set '
                                   "adult_policy to 'prefer' or 'off'")


def depth_faults(statistics: FrameStatistics, topic: str, num_publishers: int) -> Iterator[Fault]:
    """Frames without a depth picture, of a node that was asked to use depth."""
    without = statistics.recent_without_depth
    worked_on = without + statistics.recent_with_depth
    if without <= WITHOUT_DEPTH_SHARE * worked_on:
        return
    if statistics.depth_error:
        why = statistics.depth_error
    elif num_publishers == 0:
        why = f'nobody publishes {topic}; remap depth, or set use_depth to false'
    else:
        why = (f'none of exactly their stamp came on {topic} in time: let the driver align depth '
               'to colour and stamp both alike, or raise depth_wait_ms')
    yield Fault(Severity.WARN, f'{without} of {worked_on} recent frames had no depth picture: '
                               f'{why}')
