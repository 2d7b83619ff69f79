"""pose_node: images of one camera in, poses of infants out. Wiring only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
import threading
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from infant_pose_ros.codecs.depth_messages import decode_depth
from infant_pose_ros.config import PoseNodeSettings
from infant_pose_ros.errors import EncodingError, InfantPoseError, InvalidInputError
from infant_pose_ros.filtering.scale import known_scale
from infant_pose_ros.geometry.depth import checked_depth
from infant_pose_ros.ros.camera_health import CameraHealth
from infant_pose_ros.ros.camera_memory import CameraMemory
from infant_pose_ros.ros.cameras import TransportWatch
from infant_pose_ros.ros.depth_input import DepthInput
from infant_pose_ros.ros.diagnostics import encode_diagnostics, frame_values
from infant_pose_ros.ros.fault_log import FaultLog
from infant_pose_ros.ros.faults import (
    configure_fault,
    DepthStatus,
    fallback_faults,
    Fault,
    transition_fault,
    unknown_parameter_faults,
    worker_ended,
)
from infant_pose_ros.ros.image_input import ImageInput
from infant_pose_ros.ros.images import decode_compressed, decode_image
from infant_pose_ros.ros.outputs import PoseOutputs
from infant_pose_ros.ros.parameters import declare_settings, follow_settings, unknown_parameters
from infant_pose_ros.ros.qos import diagnostics_qos
from infant_pose_ros.ros.running import interruptible, run_node
from infant_pose_ros.ros.self_report import input_status, memory_values, pipeline_values
from infant_pose_ros.ros.skeleton_info import skeleton_info, Space
from infant_pose_ros.ros.timing import CaptureClock, NS_PER_S, stamp_to_ns
from infant_pose_ros.ros.worker import NewestFrameWorker
from infant_pose_ros.structures import Camera, FrameResult

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
#: What may go wrong with one frame, or while loading; the node goes on.
FRAME_ERRORS = (InfantPoseError, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
                ArithmeticError, cv2.error)
LOAD_ERRORS = (InfantPoseError, RuntimeError, ValueError, OSError, ImportError)
LOG_PERIOD_S = 5.0


@dataclass(frozen=True)
class Frame:
    """An image message, when it came, the latest camera then, and its depth picture."""

    message: Image | CompressedImage
    arrival_ns: int
    camera: Camera | None
    depth: Image | None = None


class PoseNode(LifecycleNode):
    """Loads models in configure, subscribes while active, frees them in cleanup."""

    def __init__(self):
        super().__init__('pose_node')
        self._settings = declare_settings(self, PoseNodeSettings)
        self._phase = 'unconfigured'
        self._enabled = True
        self._problem: Fault | None = None
        self._description: dict[str, Any] = {}
        self._pipeline = self._outputs = self._input = self._depth_input = self._worker = None
        self._tracks_lock = threading.Lock()    # held while a frame is answered, or all is reset
        self._health, self._capture_clock = CameraHealth(self._settings), CaptureClock()
        self._counters, self._fault_log = self._health.counters, FaultLog(self.get_logger())
        self._transport_watch = TransportWatch()
        self._camera = CameraMemory()
        self._space, self._last_header = Space.before_pictures(self._settings), Header()
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', diagnostics_qos())
        self.create_timer(1.0, self._publish_diagnostics, clock=self._steady)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self.create_service(Trigger, '~/reset', self._on_reset)
        follow_settings(self, lambda: self._settings, self._apply_settings)
        known = [spec.name for spec, _ in PoseNodeSettings.specs()]
        self._unknown = list(unknown_parameter_faults(unknown_parameters(self), known))
        if self._settings.autostart:
            self._autostart_timer = self.create_timer(0.01, self._autostart, clock=self._steady)

    # lifecycle

    def _autostart(self) -> None:
        self._autostart_timer.cancel()
        if self._phase == 'unconfigured' and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models and try them out; make the publishers."""
        self._problem = None
        try:
            with interruptible():
                self._load_pipeline()
            self._outputs = PoseOutputs(self, self._settings.camera_name)
            self._input = ImageInput(
                self, self._settings.image_transport, self._settings.reliability,
                self._on_image, self._on_camera_info, self._transport_watch.restart)
            if self._settings.use_depth:
                self._depth_input = DepthInput(
                    self, self._settings.reliability, self._on_frame)
        except LOAD_ERRORS as error:
            self._problem = configure_fault(error)
            if self.context.ok():
                self.get_logger().error(self._problem.text)
            self._release()
            return FAILURE
        self._phase = 'inactive'
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe."""
        super().on_activate(state)
        self._enabled = True
        self._reset_tracks()
        self._outputs.clear_markers(self._header_now(), everything=True)
        self._publish_skeleton_info()
        self._worker = NewestFrameWorker(self._process, lambda _: self._counters.dropped())
        self._worker.start()
        self._begin_input()
        self._phase = 'active'
        self.get_logger().info(
            f'active: {self._input.topic} ({self._input.reliability.name.lower()})')
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker; take the skeletons away."""
        self._stop_working()
        self._outputs.clear_markers(self._header_now(), everything=True)
        self._phase = 'inactive'
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models and the publishers."""
        self._release()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End from any state."""
        self._stop_working()
        self._release()
        self._phase = 'finalized'
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition raised: back to unconfigured, so that it can be tried again."""
        self._problem = transition_fault(state.label)
        self._stop_working()
        self._release()
        return SUCCESS

    def close(self) -> None:
        """Stop and free everything; the node is about to be destroyed."""
        self._stop_working()
        self._release()

    def _load_pipeline(self) -> None:
        # Imported here: the node answers at once, and needs no memory before it is configured.
        self.get_logger().info('loading models')
        from infant_pose_ros.pipeline import PosePipeline
        started_s = time.monotonic()
        self._pipeline = PosePipeline.from_settings(self._settings)
        self._pipeline.warm_up()
        self._description = self._pipeline.describe()
        names = ', '.join(model['name'] for model in self._description['models'].values())
        self.get_logger().info(f'models ready on {self._description["device"]} after '
                               f'{time.monotonic() - started_s:.1f} s: {names}')

    def _begin_input(self) -> None:
        self._health.restart(time.monotonic())
        self._transport_watch.restart()
        if self._depth_input is not None:
            self._depth_input.open()
        self._input.open()

    def _end_input(self) -> None:
        if self._input is not None:
            self._input.close()
        if self._depth_input is not None:
            for _ in self._depth_input.close():
                self._counters.dropped()

    def _stop_working(self) -> None:
        self._end_input()
        if self._worker is not None:
            self._worker.stop()
        self._worker = None

    def _release(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline = self._outputs = self._input = self._depth_input = None
        self._phase = 'unconfigured'

    # input

    def _on_image(self, message: Image | CompressedImage) -> None:
        now_s, stamp_ns = time.monotonic(), stamp_to_ns(message.header.stamp)
        self._counters.arrived(now_s)
        self._health.message_came(stamp_ns, self._now_ns(), now_s)
        self._counters.lost(now_s, self._transport_watch.saw_image(stamp_ns))
        frame = Frame(message, self._now_ns(), self._camera.camera)
        if self._depth_input is None:
            self._worker.offer(frame)
        else:
            self._depth_input.add_frame(
                frame, stamp_ns, self._settings.depth_wait_ms / 1000.0)

    def _on_frame(self, frame: Frame, depth: Image | None) -> None:
        self._worker.offer(replace(frame, depth=depth))

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._counters.lost(time.monotonic(), self._transport_watch.saw_camera_info(
            stamp_to_ns(message.header.stamp)))
        self._camera.take(message)

    # one frame, on the worker's thread

    def _process(self, frame: Frame) -> None:
        self._counters.begun()
        header = frame.message.header
        stamp_ns = stamp_to_ns(header.stamp)
        stamp_s = self._capture_clock.seconds(stamp_ns, frame.arrival_ns)
        settings, age_s = self._settings, self._age_s(stamp_ns)
        if settings.max_age_ms and age_s is not None and age_s * 1000.0 > settings.max_age_ms:
            self._counters.stale(time.monotonic(), age_s)
            return
        try:
            with self._tracks_lock:
                result, stage_ms = self._answer(frame, stamp_s)
        except FRAME_ERRORS as error:
            reason = f'{type(error).__name__}: {error}'
            self._counters.failed(time.monotonic(), reason)
            if self.context.ok():
                self.get_logger().error(
                    f'frame {stamp_s:.3f} failed: {reason}', throttle_duration_sec=LOG_PERIOD_S)
            return
        age_s = self._age_s(stamp_ns)
        self._health.answered(result, time.monotonic())
        self._counters.answered(time.monotonic(), None if age_s is None else age_s * 1000.0,
                                stage_ms, len(result.infants), result.num_refused)

    def _answer(self, frame: Frame, stamp_s: float) -> tuple[FrameResult, dict[str, float]]:
        begun_s = time.perf_counter()
        decode = (decode_compressed if self._settings.image_transport == 'compressed'
                  else decode_image)
        image_rgb = decode(frame.message)
        self._health.picture_decoded(image_rgb, time.monotonic())
        size_wh = image_rgb.shape[1::-1]
        camera, depth_m = self._camera.fitted(frame.camera, size_wh), self._depth(frame, size_wh)
        decoded_s = time.perf_counter()
        result = self._pipeline.process(
            image_rgb, stamp_s, camera=camera, camera_name=self._settings.camera_name,
            depth_m=depth_m)
        computed_s = time.perf_counter()
        space = Space.of(result, camera is not None)
        if space.differs(self._space):
            self._space = space
            self._publish_skeleton_info()
        self._last_header = frame.message.header
        self._outputs.publish(result, frame.message.header)
        stage_ms = {**result.stage_ms, 'decode': (decoded_s - begun_s) * 1000.0,
                    'publish': (time.perf_counter() - computed_s) * 1000.0}
        return result, stage_ms

    def _depth(self, frame: Frame, size_wh: tuple[int, int]) -> np.ndarray | None:
        """The frame's depth picture, m; None where there is none that can be used."""
        if not self._settings.use_depth:
            return None
        depth_m, problem = None, None
        if frame.depth is not None:
            try:
                depth_m = checked_depth(decode_depth(frame.depth), size_wh)
            except (EncodingError, InvalidInputError) as error:
                problem = str(error)
        self._counters.depth(time.monotonic(), depth_m is not None, problem)
        return depth_m

    def _age_s(self, stamp_ns: int) -> float | None:
        """Now minus the stamp, s; None where one of them tells nothing."""
        now_ns = self._now_ns()
        if not self._capture_clock.is_stamped or now_ns == 0:
            return None
        return (now_ns - stamp_ns) / NS_PER_S

    # services and parameters

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response):
        if self._phase != 'active':
            response.message = f'the node is {self._phase}: activate it first'
            return response
        if request.data and not self._enabled:
            self._reset_tracks()
            self._begin_input()
        elif not request.data and self._enabled:
            self._end_input()
            if not self._worker.drain():
                self.get_logger().warning('a frame is still being worked on')
            self._outputs.clear_markers(self._header_now())
        self._enabled = request.data
        response.success, response.message = True, 'enabled' if request.data else 'disabled'
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response):
        if self._pipeline is None:
            response.message = 'the node is unconfigured: there is nothing to reset'
            return response
        self._reset_tracks()
        response.success, response.message = True, 'all tracks begin anew'
        return response

    def _reset_tracks(self) -> None:
        """Begin anew, between two frames: the worker's thread uses the same state."""
        with self._tracks_lock:
            self._pipeline.reset(self._settings.camera_name)
            self._outputs.reset()
            self._space = Space.before_pictures(self._settings)

    def _apply_settings(self, settings: PoseNodeSettings) -> None:
        if self._pipeline is not None:
            self._pipeline.update_settings(settings)
        if known_scale(settings) != known_scale(self._settings):
            self._space = replace(self._space, scale=known_scale(settings))
        self._settings = settings
        self._health.update_settings(settings)
        if self._phase == 'active':
            self._publish_skeleton_info()

    # what it tells of itself

    def _publish_skeleton_info(self) -> None:
        self._outputs.publish_skeleton_info(skeleton_info(
            self._settings, self._description, self._space))

    def _publish_diagnostics(self) -> None:
        now_s = time.monotonic()
        statistics = self._counters.snapshot(now_s)
        state = 'disabled' if self._phase == 'active' and not self._enabled else self._phase
        summary = state
        if state == 'active':
            summary = (f'infants in view: {statistics.num_infants}, '
                       f'{statistics.output_hz:.1f} answers a second')
        faults = list(self._faults(now_s, state))
        self._fault_log.tell('', faults, now_s)
        self._diagnostics.publish(encode_diagnostics(
            self.get_clock().now().to_msg(), f'{self.get_fully_qualified_name()[1:]}: poses',
            self._settings.camera_name, faults, summary,
            {'state': state, **frame_values(statistics), **self._health.values(now_s),
             **memory_values(), **(
                pipeline_values(self._description, self._input, self._space, self._camera)
                if self._pipeline is not None else {})}))

    def _faults(self, now_s: float, state: str) -> Iterator[Fault]:
        if self._problem:
            yield self._problem
        yield from self._unknown
        if state != 'active':
            return
        yield from fallback_faults(self._pipeline.describe().get('fallback', ''))
        if not self._worker.is_alive:
            yield worker_ended()
        depth = self._depth_input
        yield from self._health.faults(
            now_s, input_status(self, self._input, self._settings.image_transport, self._camera),
            None if depth is None else DepthStatus(depth.topic, depth.num_publishers))

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _header_now(self) -> Header:
        """For markers that belong to no picture: now, in the last picture's frame."""
        return Header(stamp=self.get_clock().now().to_msg(), frame_id=self._last_header.frame_id)


def main(args: list[str] | None = None) -> int:
    """Console script `pose_node`."""
    return run_node(PoseNode, args)


if __name__ == '__main__':
    raise SystemExit(main())
