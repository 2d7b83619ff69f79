"""What can be wrong with a node, each with a name and its mend. Knows no rclpy, no messages.

docs/troubleshooting.md explains every name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
import difflib
import enum
from typing import TYPE_CHECKING

from infant_pose_ros.errors import CheckpointError
from infant_pose_ros.ros.pace import RECENT_S

if TYPE_CHECKING:
    from infant_pose_ros.ros.diagnostics import FrameStatistics

#: A failed frame shows for this long, s.
ERROR_SHOWN_S = 5.0
#: Shares of the recent frames from which loss and staleness are a fault. What is shown already
#: is over at `OVER_SHARE` of the limit.
LOST_SHARE, STALE_SHARE = 0.05, 0.10
OVER_SHARE = 0.5
#: Fewer than so many tell of no share, unless they are all.
FEW_LATE = 3
#: The same of frames without a depth picture, where depth is asked for.
WITHOUT_DEPTH_SHARE = 0.10
#: A frame is worked on for so long at most, and images come for so long without an answer, s.
STUCK_S = 5.0
#: So many images must have come lately before their dropping tells anything.
FEW_FRAMES = 10
#: Frames older than this come from another clock rather than from a slow machine, s.
OTHER_CLOCK_S = 60.0
#: What the types of messages with pictures are called as a transport.
MESSAGE_TRANSPORTS = {
    'sensor_msgs/msg/Image': 'raw', 'sensor_msgs/msg/CompressedImage': 'compressed'}
#: Most topics that are named to somebody who asked for another one.
MAX_TOPICS_NAMED = 5
_QOS_MEND = ('its publisher offers best_effort and this node asks for reliable: set the parameter '
             'reliability to auto')
_PROFILE = 'use the Fast DDS profile of this package, on both sides'


class Severity(enum.IntEnum):
    """Levels of REP-107: WARN works, but not as it should; ERROR does not work."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong (OK: worth a note, nothing to mend).

    Attributes:
        severity: how bad it is.
        name: snake_case, stable, one of those in docs/troubleshooting.md.
        text: the cause, and after a colon the mend.
    """

    severity: Severity
    name: str
    text: str


@dataclass(frozen=True)
class InputStatus:
    """What the graph tells of the node's inputs.

    Attributes:
        topic: the image topic, resolved. transport: 'raw' or 'compressed'.
        num_publishers: of the image. num_incompatible: of these, offering less reliability
            than the subscription asks for.
        other_type: a message type other than the one subscribed to that its publishers have; ''
            where there is none.
        other_topics: topics that carry images and have publishers, with their transport.
        camera_info_topic: resolved. has_camera_info: whether a usable one came.
        camera_info_arrives: whether any came lately. camera_info_age_s: how long ago the last one
            came; None: none did, or nobody asks.
        camera_error: why the last CameraInfo can't be used at all.
        camera_misfit: why it can't be used for the last picture.
        camera_size_wh: the resolution that it is for; None: none is known.
        uses_sim_time: whether the node's clock follows /clock.
        tells_lost: whether the middleware tells of images that got lost.
        clock_ns: the node's clock. num_clock_publishers: of /clock.
    """

    topic: str
    transport: str = 'raw'
    num_publishers: int = 0
    num_incompatible: int = 0
    other_topics: tuple[tuple[str, str], ...] = ()
    camera_info_topic: str = '/camera_info'
    has_camera_info: bool = False
    camera_info_arrives: bool = False
    camera_info_age_s: float | None = None
    camera_error: str | None = None
    camera_misfit: str | None = None
    camera_size_wh: tuple[int, int] | None = None
    other_type: str = ''
    uses_sim_time: bool = False
    clock_ns: int = 0
    num_clock_publishers: int = 0
    tells_lost: bool = False


@dataclass(frozen=True)
class DepthStatus:
    """The same of the depth pictures: their topic, resolved, and how many publish it."""

    topic: str
    num_publishers: int = 0


def input_faults(inputs: InputStatus, statistics: FrameStatistics, active_for_s: float,
                 no_image_warn_s: float) -> Iterator[Fault]:
    """Missing or unusable images and CameraInfo, of a node that is active and enabled."""
    waited_s = (active_for_s if statistics.since_image_s is None
                else min(active_for_s, statistics.since_image_s))
    if waited_s > no_image_warn_s:
        yield _no_image(inputs, f'no image on {inputs.topic} for {waited_s:.0f} s')
        return
    if inputs.num_incompatible:
        yield Fault(Severity.WARN, 'incompatible_qos',
                    f'{inputs.num_incompatible} of {inputs.num_publishers} publishers of '
                    f'{inputs.topic} are not heard: {_QOS_MEND}')
    if inputs.camera_error:
        yield Fault(Severity.WARN, 'camera_info_unusable',
                    f'3D is relative to the pelvis: {inputs.camera_error}')
    elif inputs.camera_misfit:
        yield Fault(Severity.WARN, 'camera_info_misfit',
                    f'3D is relative to the pelvis: {inputs.camera_misfit}')
    elif not inputs.has_camera_info and active_for_s > no_image_warn_s:
        yield Fault(Severity.WARN, 'no_camera_info',
                    f'no CameraInfo on {inputs.camera_info_topic}: 3D is relative to the pelvis; '
                    'publish one, or remap camera_info')
    if _has_old_camera_info(inputs, statistics):
        yield Fault(Severity.OK, 'camera_info_stopped',
                    f'no CameraInfo on {inputs.camera_info_topic} for '
                    f'{inputs.camera_info_age_s:.0f} s though images come, and the last one stays '
                    'in use: where the camera was exchanged, let the new one publish its own')


def _has_old_camera_info(inputs: InputStatus, statistics: FrameStatistics) -> bool:
    """Whether images went on to come after the last CameraInfo."""
    age_s, since_image_s = inputs.camera_info_age_s, statistics.since_image_s
    return (inputs.has_camera_info and not inputs.camera_info_arrives and age_s is not None
            and since_image_s is not None and age_s - since_image_s > RECENT_S)


def _no_image(inputs: InputStatus, what: str) -> Fault:
    if inputs.other_type:
        mend = MESSAGE_TRANSPORTS.get(inputs.other_type)
        return Fault(Severity.ERROR, 'wrong_type',
                     f'{what}: its publisher sends {inputs.other_type}: ' + (
                         f'set image_transport to {mend}, and remap to match' if mend else
                         'remap image to a topic with pictures'))
    if inputs.num_incompatible:
        return Fault(Severity.ERROR, 'incompatible_qos', f'{what}: {_QOS_MEND}')
    if inputs.num_publishers and inputs.camera_info_arrives:
        return Fault(Severity.ERROR, 'lost_in_transport',
                     f'{what}: its CameraInfo arrives, so the pictures get lost on the way: let '
                     f'the camera publish reliable, or {_PROFILE}')
    if inputs.num_publishers:
        return Fault(Severity.ERROR, 'no_image',
                     f'{what}: its publisher is there but sends nothing: is the camera running?')
    others = [f'{topic} (needs image_transport:={transport})'
              if transport != inputs.transport else topic
              for topic, transport in nearest(inputs.topic, inputs.other_topics)]
    if others:
        return Fault(Severity.ERROR, 'no_publisher',
                     f'{what}: nobody publishes it; remap image to one that carries images: '
                     f'{", ".join(others)}')
    return Fault(Severity.ERROR, 'no_publisher',
                 f'{what}: nobody publishes it, and no other topic carries images: start the '
                 'camera')


def nearest(topic: str, others: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those topics (with their transport) other than `topic` whose names are the likest to it."""
    def likeness(other: tuple[str, str]) -> float:
        return difflib.SequenceMatcher(None, topic, other[0]).ratio()

    found = sorted((other for other in others if other[0] != topic),
                   key=lambda other: (-likeness(other), other))
    return found[:MAX_TOPICS_NAMED]


def frame_faults(statistics: FrameStatistics, max_age_ms: float, drop_warn_share: float = 1.0,
                 shown: Set[str] = frozenset(), tells_lost: bool = False,
                 active_for_s: float = float('inf')) -> Iterator[Fault]:
    """Frames that failed, came too late, got lost or were replaced unseen; refusals.

    Args:
        shown: names of the faults that are shown already; they are over at half their limit.
        tells_lost: whether the middleware tells of images that got lost.
        active_for_s: for how long frames could have been answered.
    """
    if statistics.since_error_s is not None and statistics.since_error_s < ERROR_SHOWN_S:
        yield failed_frame(statistics.error)
    worked_on = statistics.recent_answered + statistics.recent_stale
    is_late = statistics.recent_stale >= FEW_LATE or not statistics.recent_answered
    if is_late and statistics.recent_stale > (
            _limit(STALE_SHARE, 'stale_frames', shown) * worked_on):
        yield _stale(statistics, worked_on, max_age_ms)
    sent = statistics.recent_in + statistics.recent_lost
    if statistics.recent_lost >= FEW_LATE and statistics.recent_lost > (
            _limit(LOST_SHARE, 'lost_in_transport', shown) * sent):
        yield _lost(statistics, sent, tells_lost)
    if statistics.in_flight_s is not None and statistics.in_flight_s > STUCK_S:
        yield _stuck(statistics.in_flight_s)
    elif statistics.recent_in >= FEW_FRAMES and statistics.recent_dropped > (
            _limit(drop_warn_share, 'falling_behind', shown) * statistics.recent_in):
        yield _falling_behind(statistics, active_for_s)
    if statistics.num_refused:      # where an infant is told of as well, all is as it should be
        yield Fault(Severity.OK if statistics.num_infants else Severity.WARN, 'adults_refused',
                    f'{statistics.num_refused} in view not told of, taken for adults: if one is '
                    "an infant, lower infant_score_min, or set adult_policy to 'prefer' or 'off'")


def _stuck(in_flight_s: float) -> Fault:
    return Fault(Severity.ERROR, 'worker_stuck',
                 f'a frame has been worked on for {in_flight_s:.0f} s, and none is answered '
                 'meanwhile: see whether the GPU hangs (nvidia-smi, dmesg) or memory is short, '
                 'and start the node again')


def _falling_behind(statistics: FrameStatistics, active_for_s: float) -> Fault:
    is_answering = statistics.recent_answered or active_for_s <= STUCK_S
    return Fault(Severity.WARN if is_answering else Severity.ERROR, 'falling_behind',
                 f'{statistics.recent_dropped} of {statistics.recent_in} recent images were '
                 f'replaced unseen by newer ones, {statistics.input_hz:.1f} a second come and '
                 f'{statistics.output_hz:.1f} are answered: lower the rate of the camera, raise '
                 'detect_every, lower max_infants, or use a GPU')


def _lost(statistics: FrameStatistics, sent: int, tells_lost: bool) -> Fault:
    lost, told = statistics.recent_lost, statistics.recent_told_lost
    if tells_lost and statistics.recent_in and not (told or statistics.recent_dropped):
        return Fault(Severity.WARN, 'camera_info_more_often',
                     f'{lost} of {sent} recent CameraInfos came without their image, though the '
                     'middleware lost none: where images are throttled on purpose, throttle '
                     'CameraInfo alike; else this machine is too busy to take each one: lower the '
                     'rate or the resolution of the camera')
    what = f'{lost} of {sent} recent images '
    on_the_way = f'let the camera publish reliable, or {_PROFILE}'
    if not tells_lost:
        text = (f'{what}got lost in transport: {on_the_way}; where this machine is busy, lower '
                'the rate of the camera')
    elif told > 0.5 * lost:
        text = f'{what}got lost in transport: {on_the_way}'
    else:
        text = (f'{what}did not reach this node, though the middleware lost only {told}: newer '
                'ones took their place, so this machine is busy: lower the rate or the '
                f'resolution of the camera; where it is not busy, {_PROFILE}')
    return Fault(Severity.WARN, 'lost_in_transport', text)


def _limit(share: float, name: str, shown: Set[str]) -> float:
    return share * (OVER_SHARE if name in shown and share < 1.0 else 1.0)


def failed_frame(error: str | None) -> Fault:
    """The fault of a frame that failed with this text."""
    text = error or 'for an unknown reason'
    if 'unknown encoding' in text:
        return Fault(Severity.ERROR, 'unknown_encoding',
                     f'a frame failed: {text}: let the driver publish one of these, or install '
                     'cv_bridge')
    if 'out of memory' in text:
        return Fault(Severity.ERROR, 'gpu_out_of_memory',
                     f'a frame failed: {_with_gpu_mend(text)}')
    return Fault(Severity.ERROR, 'frame_failed', f'a frame failed: {text}')


def _stale(statistics: FrameStatistics, worked_on: int, max_age_ms: float) -> Fault:
    age_s = statistics.stale_age_s or 0.0
    mend = ('their stamps come from another clock: play the bag with --clock and set '
            'use_sim_time, or set max_age_ms to 0' if age_s > OTHER_CLOCK_S else
            'the machine or the network is too slow: lower the rate or resolution, or '
            'raise max_age_ms')
    return Fault(Severity.WARN if statistics.recent_answered else Severity.ERROR, 'stale_frames',
                 f'{statistics.recent_stale} of {worked_on} recent frames were older than '
                 f'{max_age_ms:.0f} ms (the last {age_s:.1f} s): {mend}')


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
    yield Fault(Severity.WARN, 'no_depth',
                f'{without} of {worked_on} recent frames had no depth picture: {why}')


def configure_fault(error: Exception) -> Fault:
    """Why the models could not be loaded."""
    text = f'configure failed: {error}'
    if isinstance(error, CheckpointError):
        if 'no such' in text:
            return Fault(Severity.ERROR, 'model_missing', text)
        return Fault(Severity.ERROR, 'model_damaged', text)
    if 'out of memory' in text:
        return Fault(Severity.ERROR, 'gpu_out_of_memory', _with_gpu_mend(text))
    return Fault(Severity.ERROR, 'configure_failed', text)


def _with_gpu_mend(text: str) -> str:
    if 'gpu_oom_policy' in text:
        return text
    return (f"{text}: set gpu_oom_policy to 'cpu', lower max_infants or max_batch, or free memory "
            'of the GPU')


def transition_fault(label: str) -> Fault:
    """A lifecycle transition out of the state `label` raised."""
    return Fault(Severity.ERROR, 'transition_failed',
                 f'a transition out of {label} failed, see the log: configure the node again')


def fallback_faults(fallback: str) -> Iterator[Fault]:
    """What the pipeline says of running on another device than asked for; '' for nothing."""
    if fallback:
        yield Fault(Severity.WARN, 'gpu_out_of_memory', fallback)


def output_faults(unheard: Iterable[tuple[str, str, str]]) -> Iterator[Fault]:
    """Subscribers of the answers that get none, as `PoseOutputs.unheard` has them."""
    told = [f'{node} on {topic} ({reason})' for topic, node, reason in unheard]
    if told:
        yield Fault(Severity.WARN, 'output_qos',
                    'a subscriber gets nothing, as it asks for more than is offered: '
                    f'{", ".join(told)}: let it ask for what ros2 topic info --verbose shows')


def worker_ended() -> Fault:
    """The worker's thread ended, and with it the frame in work."""
    return Fault(Severity.ERROR, 'worker_ended',
                 'the worker thread ended and was started again: the log says what it died of; '
                 'deactivate and activate the node if no answers come')


def unknown_parameter_faults(unknown: Sequence[str], known: Iterable[str] = ()
                             ) -> Iterator[Fault]:
    """Parameters given at the start that nobody declared, with the nearest that are known."""
    known = list(known)
    told = []
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1)
        told.append(f'parameter {name} is not known and has no effect: ' + (
            f'did you mean {near[0]}?' if near else 'see docs/parameters.md'))
    if told:
        yield Fault(Severity.WARN, 'unknown_parameter', '; '.join(told))
