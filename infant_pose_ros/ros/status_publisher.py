"""What a node tells of itself on /diagnostics, once a second, and its faults in the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from infant_pose_ros.ros.diagnostics import encode_diagnostics
from infant_pose_ros.ros.fault_log import FaultLog
from infant_pose_ros.ros.faults import Fault, unknown_parameter_faults
from infant_pose_ros.ros.parameters import unknown_parameters
from infant_pose_ros.ros.qos import diagnostics_qos
from infant_pose_ros.ros.self_report import memory_values

PERIOD_S = 1.0


class StatusPublisher:
    """Publishes one status, on a steady clock: also while simulated time stands still.

    Args:
        node: whose status it is; its parameters are declared, its publishers and subscriptions
            made. A parameter that was given and that none of them declared is told as well.
        title: what it is about, behind the node's name: 'camera', say.
        hardware_id: the source or camera.
        report: tells what is wrong, a summary where nothing is, and the values, all at a time of
            the steady clock, s; memory is added to these.
    """

    def __init__(self, node: Node, title: str, hardware_id: str,
                 report: Callable[[float], tuple[Sequence[Fault], str, Mapping[str, str]]]):
        self._node, self._report = node, report
        self._name = f'{node.get_fully_qualified_name()[1:]}: {title}'
        self._hardware_id = hardware_id
        self._lock = threading.Lock()
        self._log = FaultLog(node.get_logger())
        self._unknown = list(unknown_parameter_faults(
            unknown_parameters(node, True), node.get_parameters_by_prefix('')))
        self._publisher = node.create_publisher(
            DiagnosticArray, '/diagnostics', diagnostics_qos())
        node.create_timer(PERIOD_S, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        """Tell how it is now, from any thread; nothing once ROS is shut down."""
        with self._lock:
            if self._node.context.ok():
                self._publish(time.monotonic())

    def _publish(self, now_s: float) -> None:
        faults, summary, values = self._report(now_s)
        faults = [*faults, *self._unknown]
        self._log.tell('', faults, now_s)
        self._publisher.publish(encode_diagnostics(
            self._node.get_clock().now().to_msg(), self._name, self._hardware_id, faults,
            summary, {**values, **memory_values()}))
