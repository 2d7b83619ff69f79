"""Everything of one camera in a pose_node: its topics, what is known of it, and its counts."""

from __future__ import annotations

from dataclasses import replace
import time
from typing import Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from infant_pose_ros.codecs.depth_messages import decode_depth
from infant_pose_ros.config import PoseNodeSettings
from infant_pose_ros.errors import EncodingError, InfantPoseError, InvalidInputError
from infant_pose_ros.filtering.scale import known_scale
from infant_pose_ros.geometry.depth import checked_depth
from infant_pose_ros.ros.attempt import surviving
from infant_pose_ros.ros.camera_health import CameraHealth
from infant_pose_ros.ros.camera_memory import CameraMemory
from infant_pose_ros.ros.cameras import OVERDUE_S, TransportWatch
from infant_pose_ros.ros.diagnostics import frame_values
from infant_pose_ros.ros.faults import DepthStatus, Fault, output_faults, Severity
from infant_pose_ros.ros.frame import Frame, InHand
from infant_pose_ros.ros.frame_gathering import FrameGathering
from infant_pose_ros.ros.image_input import FollowingSubscription, ImageInput
from infant_pose_ros.ros.images import decode_compressed, decode_image
from infant_pose_ros.ros.outputs import PoseOutputs
from infant_pose_ros.ros.self_report import input_status, pipeline_values
from infant_pose_ros.ros.skeleton_info import skeleton_info, Space, SpaceWatch
from infant_pose_ros.ros.stamp_pairing import MAX_WAITING, StampPairing
from infant_pose_ros.ros.timing import CaptureClock, NS_PER_S, stamp_to_ns
from infant_pose_ros.ros.worker import FairWorker
from infant_pose_ros.structures import CameraFrame, FrameResult

LOG_PERIOD_S = 5.0
#: Depth pictures kept for their frames.
DEPTHS_KEPT = 8
#: Deterministic mode: messages kept while the node is busy; how long a frame waits for its
#: CameraInfo and depth, s (longer than the 3 s after which Fast DDS sends anew what got lost);
#: depth pictures and CameraInfos kept for their frames.
EVERY_DEPTH, EVERY_WAIT_S, EVERY_DEPTHS_KEPT, EVERY_INFOS_KEPT = 500, 5.0, 64, 4096


class CameraStream:
    """One camera: from its topics to frames for the worker, and from answers to topics.

    Args:
        node: the node whose topics these are. settings: of this camera.
        prefix: what the names of its topics begin with: '', or 'left/' say.
        budget_bytes: in deterministic mode, how much may wait to be answered.

    Attributes:
        name: of the camera. is_enabled: whether it is to be worked on while the node is active.
        health: its counts, and what is wrong with it.

    `take_up`, `publish`, `failed`, `begin_anew` and `take_settings` belong to the worker's thread
    while it runs; all else to the executor's.
    """

    def __init__(self, node: LifecycleNode, settings: PoseNodeSettings, prefix: str = '',
                 budget_bytes: int = 0):
        self._node, self._settings, self._prefix = node, settings, prefix
        self.name, self.is_enabled = settings.camera_name, True
        self.health = CameraHealth(settings)
        self._camera, self._capture_clock = CameraMemory(), CaptureClock()
        self._transport_watch = TransportWatch()
        self._space = SpaceWatch(Space.before_pictures(settings))
        self._last_header = Header()
        self._in_hand = InHand(budget_bytes if settings.deterministic else None)
        self._outputs = self._input = self._depth = self._gathering = None
        self._worker: FairWorker[Frame] | None = None
        self._description: dict[str, Any] = {}
        self._was_waited = False
        self._num_skipped = self._num_uncertain = 0

    # lifecycle

    def configure(self, description: dict[str, Any]) -> None:
        """Make publishers, and all that is needed to subscribe.

        Args:
            description: what the pipeline says of itself.

        Raises:
            SettingsError: a QoS override is none that exists.
        """
        settings, self._description = self._settings, description
        self._camera = CameraMemory()       # another camera may be there by now
        every, kinds = settings.deterministic, {}
        self._outputs = PoseOutputs(self._node, self.name, self._prefix)
        self._input = ImageInput(
            self._node, settings.image_transport, settings.reliability,
            surviving(self._on_image, self._image_failed),
            surviving(self._on_camera_info, self._message_failed), self._transport_watch.restart,
            EVERY_DEPTH if every else 1, self._prefix, every,
            lambda count: self.health.counters.told_lost(time.monotonic(), count))
        if settings.use_depth:
            kinds['depth'] = EVERY_DEPTHS_KEPT if every else DEPTHS_KEPT
            self._depth = FollowingSubscription(
                self._node, Image, f'{self._prefix}depth', settings.reliability,
                surviving(self._on_depth, self._message_failed),
                depth=EVERY_DEPTH if every else DEPTHS_KEPT)
        if every:
            kinds['camera_info'] = EVERY_INFOS_KEPT
        if kinds:
            pairing = StampPairing(
                kinds, EVERY_DEPTH if every else MAX_WAITING, self._in_hand.limit_bytes)
            self._gathering = FrameGathering(self._node, pairing, self._on_gathered)

    def activate(self, worker: FairWorker[Frame]) -> str:
        """Begin anew, with this worker that has nothing to do yet, and subscribe; says to what."""
        self._worker, self.is_enabled = worker, True
        self.begin_anew()
        self._outputs.clear_markers(self._header_now(), everything=True)
        self.publish_skeleton_info()
        self._begin_input()
        return f'{self._input.topic} ({self._input.reliability.name.lower()})'

    def pause(self) -> None:
        """Unsubscribe, and drop what waits to be worked on."""
        if self._input is not None:
            self._input.close()
        if self._depth is not None:
            self._depth.close()
        if self._gathering is not None:
            for frame in self._gathering.close():
                self.dropped(frame)
        if self._worker is not None:
            self._worker.drop(self.name)

    def deactivate(self) -> None:
        """Take the skeletons away; the worker is done with it."""
        self._worker = None
        self._outputs.clear_markers(self._header_now(), everything=True)

    def release(self) -> None:
        """Let go of publishers and subscriptions."""
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = self._input = self._depth = self._gathering = self._worker = None

    def enable(self) -> None:
        """Work on it again; `begin_anew` is the caller's."""
        self.is_enabled = True
        self._begin_input()

    def disable(self) -> None:
        """Unsubscribe; the markers go once the frame in work is answered."""
        self.is_enabled = False
        self.pause()

    def _begin_input(self) -> None:
        self.wait_anew()
        self._transport_watch.restart()
        if self._depth is not None:
            self._depth.open()
        self._input.open()

    def wait_anew(self) -> None:
        """Judge the inputs as if none had come; in deterministic mode no camera is known yet."""
        self.health.restart(time.monotonic())
        self._was_waited = False
        if self._settings.deterministic:
            self._camera.camera = None

    # input

    def _on_image(self, message: Image | CompressedImage) -> None:
        now_s, now_ns = time.monotonic(), self._now_ns()
        frame = Frame(self.name, message, now_ns, self._camera.camera)
        self.health.counters.arrived(now_s)
        self.health.message_came(frame.stamp_ns, now_ns, now_s)
        self.health.counters.lost(now_s, self._transport_watch.saw_image(frame.stamp_ns))
        if not self._took_in_hand(frame):
            return
        if self._gathering is None:
            self._worker.offer(self.name, frame)
        else:
            wanted = self._companions_to_come()
            wait_s = (EVERY_WAIT_S if self._settings.deterministic
                      else self._settings.depth_wait_ms / 1000.0)
            self._gathering.add_frame(frame, frame.stamp_ns, wait_s, wanted)

    def _took_in_hand(self, frame: Frame) -> bool:
        """Whether the frame finds room among those that wait; it is left out else."""
        if self._in_hand.take(frame.num_bytes):
            return True
        self._num_skipped += 1
        self.health.counters.dropped()
        return False

    def _companions_to_come(self) -> list[str]:
        """What a frame is to wait for: that which has publishers, as far as that is known yet."""
        topics = {'camera_info': self._input.camera_info_topic} if (
            self._settings.deterministic) else {}
        if self._depth is not None:
            topics['depth'] = self._depth.topic
        is_early = self._settings.deterministic and not self._was_waited
        return [kind for kind, topic in topics.items()
                if is_early or self._node.count_publishers(topic)]

    def _on_gathered(self, frame: Frame, companions: dict[str, Any]) -> None:
        self._was_waited = True
        self._in_hand.give_back(frame.num_bytes)
        frame.depth = companions.get('depth')
        if not self._took_in_hand(frame):
            return
        if companions.get('camera_info') is not None:
            frame.camera, = companions['camera_info']
        elif self._settings.deterministic:
            frame.camera = self._camera.camera
            self._num_uncertain += frame.camera is not None
        self._worker.offer(self.name, frame)

    def _on_camera_info(self, message: CameraInfo) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self._transport_watch.saw_camera_info(stamp_ns)
        self._camera.take(message)
        if self._settings.deterministic:
            self._gathering.add('camera_info', stamp_ns, (self._camera.camera,))

    def _on_depth(self, message: Image) -> None:
        self._gathering.add('depth', stamp_to_ns(message.header.stamp), message)

    def _image_failed(self, reason: str) -> None:
        self.health.counters.begun()
        self.health.counters.failed(time.monotonic(), reason)
        self._message_failed(reason)

    def _message_failed(self, reason: str) -> None:
        self._node.get_logger().error(
            f'{self.name}: a message was left out: {reason}', throttle_duration_sec=LOG_PERIOD_S)

    def dropped(self, frame: Frame) -> None:
        """A frame gave way to a newer one, or to the end of the work."""
        self._in_hand.give_back(frame.num_bytes)
        self.health.counters.dropped()

    # one frame, on the worker's thread

    def take_up(self, frame: Frame) -> CameraFrame | None:
        """Make a picture of a frame; None where it is too old, which is counted."""
        self._in_hand.give_back(frame.num_bytes)
        self.health.counters.begun()
        stamp_s = self._capture_clock.seconds(frame.stamp_ns, frame.arrival_ns)
        age_s, limit_ms = self._age_s(frame), self._settings.max_age_ms
        if limit_ms and age_s is not None and age_s * 1000.0 > limit_ms:
            self.health.counters.stale(time.monotonic(), age_s)
            return None
        begun_s = time.perf_counter()
        decode = (decode_compressed if self._settings.image_transport == 'compressed'
                  else decode_image)
        image_rgb = decode(frame.message)
        self.health.picture_decoded(image_rgb, time.monotonic())
        size_wh = image_rgb.shape[1::-1]
        frame.camera = self._camera.fitted(frame.camera, size_wh)
        depth_m = self._depth_m(frame, size_wh)
        frame.decode_ms = (time.perf_counter() - begun_s) * 1000.0
        return CameraFrame(image_rgb, stamp_s, frame.camera, self.name, depth_m)

    def publish(self, frame: Frame, result: FrameResult) -> None:
        """Send out the answer to a frame that was taken up, and count it.

        Raises:
            InfantPoseError: the camera was deactivated meanwhile: nobody would get it.
        """
        if self._worker is None:
            raise InfantPoseError('the node was deactivated while the frame was being worked on')
        begun_s = time.perf_counter()
        self._space.now = Space.of(result, frame.camera is not None)
        self.tell_space()
        self._last_header = frame.message.header
        self._outputs.publish(result, frame.message.header)
        stage_ms = {**result.stage_ms, 'decode': frame.decode_ms,
                    'publish': (time.perf_counter() - begun_s) * 1000.0}
        age_s, now_s = self._age_s(frame), time.monotonic()
        self.health.answered(result, now_s)
        self.health.counters.answered(now_s, None if age_s is None else age_s * 1000.0, stage_ms,
                                      len(result.infants), result.num_refused)

    def abandon(self) -> None:
        """Count what was in work when the worker's thread ended: it is answered no more."""
        self.health.counters.abandoned(time.monotonic())

    def failed(self, frame: Frame, reason: str) -> None:
        """Count and log a frame that was taken up and could not be answered."""
        self.health.counters.failed(time.monotonic(), reason)
        if self._node.context.ok():
            who = f'{self.name}: ' if self._prefix else ''
            self._node.get_logger().error(
                f'{who}frame {frame.stamp_ns / NS_PER_S:.3f} failed: {reason}',
                throttle_duration_sec=LOG_PERIOD_S)

    def _depth_m(self, frame: Frame, size_wh: tuple[int, int]):
        """The frame's depth picture, m; None where there is none that can be used."""
        if not self._settings.use_depth:
            return None
        depth_m, problem = None, None
        if frame.depth is not None:
            try:
                depth_m = checked_depth(decode_depth(frame.depth), size_wh)
            except (EncodingError, InvalidInputError) as error:
                problem = str(error)
        self.health.counters.depth(time.monotonic(), depth_m is not None, problem)
        return depth_m

    def _age_s(self, frame: Frame) -> float | None:
        """Now minus the stamp, s; None where one of them tells nothing."""
        now_ns = self._now_ns()
        if not self._capture_clock.is_stamped or now_ns == 0:
            return None
        return (now_ns - frame.stamp_ns) / NS_PER_S

    # between two frames, on the worker's thread

    def begin_anew(self) -> None:
        """Forget what was seen; the pipeline's part is the caller's."""
        self._num_skipped = self._num_uncertain = 0
        self._outputs.reset()
        self._space.restart(Space.before_pictures(self._settings))

    def clear_markers(self) -> None:
        """Take away the skeletons that are shown."""
        self._outputs.clear_markers(self._header_now())

    def take_settings(self, settings: PoseNodeSettings) -> None:
        """Work with these from now on."""
        if known_scale(settings) != known_scale(self._settings):
            self._space.restart(replace(self._space.now, scale=known_scale(settings)))
        self._settings = settings
        self.health.update_settings(settings)
        if self._worker is not None:
            self.publish_skeleton_info()

    def take_description(self, description: dict[str, Any]) -> None:
        """What the pipeline says of itself has changed, or not."""
        moved = description['device'] != self._description['device']
        self._description = description
        if moved and self._worker is not None:
            self.publish_skeleton_info()

    def tell_space(self) -> None:
        """Say so if the space has become another one, but not at every frame."""
        if self._space.is_news(time.monotonic()):
            self.publish_skeleton_info()

    def publish_skeleton_info(self) -> None:
        """What the numbers mean."""
        self._outputs.publish_skeleton_info(skeleton_info(
            self._settings, self._description, self._space.now))

    # what it tells of itself

    def faults(self, now_s: float) -> list[Fault]:
        """What is wrong with a camera that is to be worked on."""
        since_image_s = self.health.counters.snapshot(now_s).since_image_s
        if since_image_s is not None and since_image_s > OVERDUE_S:
            self.health.counters.lost(now_s, self._transport_watch.saw_none())
        found = list(output_faults(self._outputs.unheard()))
        if self._num_skipped:
            found.append(Fault(
                Severity.ERROR, 'frame_skipped',
                f'{self._num_skipped} images were left out though deterministic is set, as more '
                f'than {self._in_hand.limit_bytes / 1e6:.0f} MB waited: play the bag slower '
                '(--rate), then begin anew'))
        if self._num_uncertain:
            found.append(Fault(
                Severity.WARN, 'no_exact_camera_info',
                f'{self._num_uncertain} images came without a CameraInfo of exactly their stamp '
                'and were placed by the latest one, so poses may not repeat: let the driver '
                'stamp both alike'))
        depth = self._depth
        return found + self.health.faults(
            now_s,
            input_status(self._node, self._input, self._settings.image_transport, self._camera,
                         self._outputs.listeners() & self._input.listeners()),
            None if depth is None else DepthStatus(depth.topic, len(depth.offered())))

    def state(self, phase: str) -> str:
        """The node's phase, or 'disabled'."""
        return 'disabled' if phase == 'active' and not self.is_enabled else phase

    def report(self, now_s: float, phase: str) -> tuple[str, dict[str, str]]:
        """A summary and the values for /diagnostics."""
        statistics = self.health.counters.snapshot(now_s)
        state = summary = self.state(phase)
        if state == 'active':
            summary = (f'infants in view: {statistics.num_infants}, '
                       f'{statistics.output_hz:.1f} answers a second')
        values = {'state': state, **frame_values(statistics), **self.health.values(now_s)}
        if self._input is not None:
            values.update(pipeline_values(
                self._description, self._input, self._space.now, self._camera))
        return summary, values

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def _header_now(self) -> Header:
        """For markers that belong to no picture: now, in the last picture's frame."""
        return Header(stamp=self._node.get_clock().now().to_msg(),
                      frame_id=self._last_header.frame_id)
