"""pose_node: images of one camera or several in, poses of infants out. Wiring only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import functools
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool, Trigger

from infant_pose_ros.entry import finish
from infant_pose_ros.ros.attempt import Attempt, surviving
from infant_pose_ros.ros.camera_settings import (
    CameraSettings,
    declare_camera_settings,
    declare_deleted,
)
from infant_pose_ros.ros.camera_stream import CameraStream
from infant_pose_ros.ros.diagnostics import encode_status
from infant_pose_ros.ros.fault_log import FaultLog
from infant_pose_ros.ros.faults import (
    configure_fault,
    fallback_faults,
    Fault,
    transition_fault,
    unknown_parameter_faults,
    worker_ended,
)
from infant_pose_ros.ros.parameters import follow_settings, unknown_parameters
from infant_pose_ros.ros.pose_engine import PoseEngine
from infant_pose_ros.ros.qos import diagnostics_qos
from infant_pose_ros.ros.running import interruptible, run_node
from infant_pose_ros.ros.self_report import memory_values

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
#: How long the frames in work may take to end when the process ends, s.
CLOSE_S = 1.0
#: That the worker's thread ended is told for so long, s.
ENDED_SHOWN_S = 60.0


def _logged(transition: Callable) -> Callable:
    """Log why a transition raised, which rclpy would keep to itself."""
    @functools.wraps(transition)
    def logged(node: PoseNode, state: LifecycleState) -> TransitionCallbackReturn:
        with Attempt() as attempt:
            return transition(node, state)
        node.get_logger().error(f'{transition.__name__}: {attempt.reason}')
        return TransitionCallbackReturn.ERROR
    return logged


class PoseNode(LifecycleNode):
    """Loads models in configure, subscribes while active, frees them in cleanup."""

    def __init__(self):
        super().__init__('pose_node')
        self._refuse_impossible_transitions()
        self._settings = settings = declare_camera_settings(self)
        self._phase, self._problem = 'unconfigured', None
        self._num_restarts, self._restarted_s = 0, -float('inf')
        self._engine = PoseEngine(self, settings)
        self._fault_log = FaultLog(self.get_logger())
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', diagnostics_qos())
        self.create_timer(1.0, surviving(self._on_tick, lambda reason: self.get_logger().error(
            f'diagnostics: {reason}', throttle_duration_sec=60.0)), clock=self._steady)
        self._make_services('~', list(self._engine.streams.values()))
        for name, stream in self._engine.streams.items() if settings.has_several else ():
            self._make_services(f'~/{name}', [stream])
        follow_settings(self, lambda: self._settings, self._apply_settings, settings.names)
        self._look_for_unknown(has_topics=False)
        if settings.shared.autostart:
            self._autostart_timer = self.create_timer(0.01, self._autostart, clock=self._steady)

    # lifecycle

    def _autostart(self) -> None:
        self._autostart_timer.cancel()
        if self._phase == 'unconfigured' and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models and try them out; make the publishers."""
        self._problem = None
        with Attempt() as attempt, interruptible():
            self._engine.load()
        if attempt.error is not None:
            self._problem = configure_fault(attempt.error)
            if self.context.ok():
                self.get_logger().error(self._problem.text)
            self._engine.release()
            return FAILURE
        self._phase = 'inactive'
        return super().on_configure(state)

    @_logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        if self._engine.is_stuck:
            return self._refused('activated')
        super().on_activate(state)
        inputs = self._engine.start()
        self._look_for_unknown(has_topics=True)
        self._phase = 'active'
        self.get_logger().info(f'active: {", ".join(inputs)}')
        return SUCCESS

    @_logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop the worker; take the skeletons away."""
        self._engine.stop()
        for stream in self._engine.streams.values():
            stream.deactivate()
        self._phase = 'inactive'
        return super().on_deactivate(state)

    @_logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the models and the publishers."""
        if self._engine.is_stuck:
            return self._refused('cleaned up')
        self._engine.release()
        self._phase = 'unconfigured'
        return SUCCESS

    @_logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End from any state."""
        self._engine.stop()
        self._engine.release()
        self._phase = 'finalized'
        return SUCCESS

    @_logged
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition raised: back to unconfigured, so that it can be tried again."""
        self._problem = transition_fault(state.label)
        self._engine.stop()
        self._engine.release()
        self._phase = 'unconfigured'
        return SUCCESS

    def _look_for_unknown(self, has_topics: bool) -> None:
        self._unknown = list(unknown_parameter_faults(
            unknown_parameters(self, has_topics),
            [*self._settings.names, *self.get_parameters_by_prefix('')]))

    def _refused(self, what: str) -> TransitionCallbackReturn:
        self.get_logger().error(f'can not be {what} while a frame is still being worked on: try '
                                'again once it ended, or start the node again')
        return FAILURE

    def _refuse_impossible_transitions(self) -> None:
        """Answer no where the state has no such transition.

        In Humble and Jazzy rclpy raises in the service's callback, which would end the node.
        """
        change_state = self._service_change_state.callback

        def answered(request: ChangeState.Request, response: ChangeState.Response
                     ) -> ChangeState.Response:
            with Attempt() as attempt:
                return change_state(request, response)
            self.get_logger().error(f'no such transition now: {attempt.reason}')
            response.success = False
            return response

        self._service_change_state.callback = answered

    def close(self) -> None:
        """Stop and free everything; the node is about to be destroyed."""
        self._engine.close(CLOSE_S)

    # services and parameters

    def _make_services(self, start: str, streams: list[CameraStream]) -> None:
        self.create_service(SetBool, f'{start}/enable', lambda request, response: (
            self._on_enable(streams, request, response)))
        self.create_service(Trigger, f'{start}/reset', lambda request, response: (
            self._on_reset(streams, response)))

    def _on_enable(self, streams: list[CameraStream], request: SetBool.Request,
                   response: SetBool.Response) -> SetBool.Response:
        if self._phase != 'active':
            response.message = f'the node is {self._phase}: activate it first'
            return response
        work = self._engine.enable if request.data else self._engine.disable
        return self._served(
            response, lambda: work(streams), 'enabled' if request.data else 'disabled')

    def _on_reset(self, streams: list[CameraStream], response: Trigger.Response
                  ) -> Trigger.Response:
        if not self._engine.is_loaded:
            response.message = 'the node is unconfigured: there is nothing to reset'
            return response
        return self._served(
            response, lambda: self._engine.begin_anew(streams), 'all tracks begin anew')

    def _served(self, response: SetBool.Response | Trigger.Response, work: Callable[[], None],
                message: str) -> SetBool.Response | Trigger.Response:
        """Do what a service asks for; the response says how it went."""
        with Attempt() as attempt:
            work()
        response.success = attempt.error is None
        response.message = message if response.success else attempt.reason
        return response

    def _apply_settings(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._engine.take_settings(settings)

    # what it tells of itself

    def _on_tick(self) -> None:
        now_s = time.monotonic()
        declare_deleted(self, self._settings)
        if self._phase == 'active':
            self._engine.look_after()
        several, of_node = self._settings.has_several, list(self._faults(now_s))
        message = DiagnosticArray(status=[
            self._status(stream, now_s, [] if several else of_node)
            for stream in self._engine.streams.values()])
        message.header.stamp = self.get_clock().now().to_msg()
        if several:
            self._fault_log.tell('', of_node, now_s)
            message.status.append(self._node_status(of_node))
        self._diagnostics.publish(message)

    def _status(self, stream: CameraStream, now_s: float, of_node: list[Fault]
                ) -> DiagnosticStatus:
        """Of one camera; of the node, too, where that has no status of its own."""
        several = self._settings.has_several
        faults = of_node + (
            stream.faults(now_s) if stream.state(self._phase) == 'active' else [])
        self._fault_log.tell(stream.name if several else '', faults, now_s)
        summary, values = stream.report(now_s, self._phase)
        return encode_status(
            f'{self._full_name}: poses' + (f' of {stream.name}' if several else ''),
            stream.name, faults, summary, values if several else {**values, **memory_values()})

    def _node_status(self, faults: list[Fault]) -> DiagnosticStatus:
        told = self._engine.description if self._engine.is_loaded else {}
        return encode_status(
            f'{self._full_name}: node', self._full_name, faults, self._phase,
            {'state': self._phase, 'cameras': ','.join(self._engine.streams), **memory_values(),
             **{name: str(told[name]) for name in ('device', 'precision') if name in told}})

    def _faults(self, now_s: float) -> Iterator[Fault]:
        """What is wrong with the node, rather than with a camera."""
        if self._problem:
            yield self._problem
        yield from self._unknown
        if self._phase != 'active':
            return
        yield from fallback_faults(self._engine.description.get('fallback', ''))
        if self._num_restarts != self._engine.num_restarts:
            self._num_restarts, self._restarted_s = self._engine.num_restarts, now_s
        if now_s - self._restarted_s < ENDED_SHOWN_S:
            yield worker_ended()

    @property
    def _full_name(self) -> str:
        return self.get_fully_qualified_name()[1:]


def main(args: list[str] | None = None) -> int:
    """Console script `pose_node`."""
    return run_node(PoseNode, args)


if __name__ == '__main__':
    finish(main())
