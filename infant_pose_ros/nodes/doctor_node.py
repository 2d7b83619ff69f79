"""doctor_node: the part of `infant-pose doctor` that needs ROS; it prints JSON and ends."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import json
import os
import signal
import threading

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from infant_pose_ros.entry import EXIT_INTERRUPTED, finish, say, SIGNALS
from infant_pose_ros.findings import error, Finding, has_errors
from infant_pose_ros.ros.doctor import graph_findings
from infant_pose_ros.ros.doctor_environment import environment_findings
from infant_pose_ros.ros.doctor_watch import GraphWatch, LookEndedError
from infant_pose_ros.ros.processes import config_file
from infant_pose_ros.ros.running import GRACE_S

NAME = 'infant_pose_doctor'
#: What stands in the reason for which no node can be made -> the mend.
MENDS = {
    'security libraries': 'this build of Fast DDS can not encrypt (the wheels of PyPI can not): '
                          'unset ROS_SECURITY_ENABLE, or use a ROS installation that can',
    'SECURITY ERROR': 'the doctor needs keys as well: export ROS_SECURITY_ENCLAVE_OVERRIDE='
                      '/infant_pose/doctor for it alone (docs/security.md)',
    'ROS_DOMAIN_ID': 'set ROS_DOMAIN_ID to a number from 0 to 101',
}


class Interruption:
    """Told by the first signal that the look is to end; cuts off what goes on regardless."""

    def __init__(self):
        self.came = False
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, *_) -> None:
        if not self.came:       # launch and a terminal both send one
            self.came = True
            cut_off = threading.Timer(GRACE_S, self._cut_off)
            cut_off.daemon = True
            cut_off.start()

    @staticmethod
    def _cut_off() -> None:
        say('doctor_node: interrupted')
        os._exit(EXIT_INTERRUPTED)


def look(seconds: float, is_over: Callable[[], bool] = lambda: False) -> list[Finding]:
    """Look at the environment, and at the graph where the environment lets a node start.

    Args:
        seconds: how long to listen.
        is_over: asked all the while; True breaks the look off.

    Raises:
        LookEndedError: it was broken off.
    """
    rmw = rclpy.get_rmw_implementation_identifier()
    found = list(environment_findings(os.environ, rmw, config_file('fastdds.xml')))
    context = rclpy.Context()
    try:
        rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
        # Its name is its own: two doctors at once don't take each other for themselves. It offers
        # no service and no log, which SROS 2 would have to allow for each name.
        node = rclpy.create_node(
            f'{NAME}_{os.getpid()}', context=context, enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[Parameter('start_type_description_service', value=False)])
    except RuntimeError as problem:
        if has_errors(found):       # which tell more
            return found
        return [*found, error('ROS', why_no_node(str(problem)))]
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        facts = GraphWatch(node, executor, is_over).look(seconds, context.get_domain_id())
        return [*found, *graph_findings(facts)]
    except RuntimeError as problem:     # rcl's: a topic that its keys do not allow, say
        return [*found, error('ROS', why_no_look(str(problem)))]
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def why_no_node(reason: str) -> str:
    """The reason for which no node can be made, in one line, with its mend."""
    mend = next((mend for sign, mend in MENDS.items() if sign in reason),
                'start one node by hand and read its output')
    return f'no node can be started: {" ".join(reason.split())}: {mend}'


def why_no_look(reason: str) -> str:
    """The reason for which a node can not look at the graph, in one line, with its mend."""
    return (f'the look at the graph failed: {" ".join(reason.split())}: where SROS 2 is on, the '
            'enclave of the doctor must allow every topic of pictures, CameraInfo and '
            'diagnostics (docs/security.md); else try once more')


def main(args: Sequence[str] | None = None) -> int:
    """Print the findings as JSON; 130 where it was interrupted."""
    parser = argparse.ArgumentParser(prog='doctor_node')
    parser.add_argument('--seconds', type=float, default=5.0, help='how long to listen')
    seconds = parser.parse_args(args).seconds
    interruption = Interruption()
    try:
        found = look(seconds, lambda: interruption.came)
    except LookEndedError:
        say('doctor_node: interrupted')
        return EXIT_INTERRUPTED
    print(json.dumps([finding.to_dict() for finding in found]))
    return 0


if __name__ == '__main__':
    finish(main())
