"""Runs a node until it is told to stop: SIGINT and SIGTERM end it with exit code 0."""

from __future__ import annotations

from collections.abc import Callable
import signal
import sys

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from infant_pose_ros.errors import InfantPoseError


def run_node(make_node: Callable[[], Node], args: list[str] | None = None) -> int:
    """Make a node, spin it until a signal or a shutdown, destroy it.

    Both signals shut the context down, which ends the spinning in an orderly way; Python's own
    KeyboardInterrupt, which could strike anywhere and twice, is switched off.

    Args:
        make_node: called once ROS is up. If the node has a `close()`, it is called before the
            node is destroyed.
        args: command line; None takes the process's.

    Returns:
        the exit code: 0, or 1 where the node could not be made, with one clear line.
    """
    signal.signal(signal.SIGINT, lambda *_: None)
    rclpy.init(args=args)
    try:
        node = make_node()
    except InfantPoseError as error:
        print(f'can not start: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    finally:
        getattr(node, 'close', lambda: None)()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
