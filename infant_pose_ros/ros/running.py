"""Runs a node until it is told to stop: SIGINT and SIGTERM end it with exit code 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import signal
import sys

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from infant_pose_ros.errors import InfantPoseError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Interruption:
    """Whether a signal may raise KeyboardInterrupt just now, on the main thread."""

    allowed = False

    @classmethod
    def on_signal(cls, *_) -> None:
        if cls.allowed:
            cls.allowed = False
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """For long work in a callback, loading models say: a signal breaks it off."""
    _Interruption.allowed = True
    try:
        yield
    finally:
        _Interruption.allowed = False


def run_node(make_node: Callable[[], Node], args: list[str] | None = None) -> int:
    """Make a node, spin it until a signal or a shutdown, destroy it.

    rclpy answers both signals by shutting the context down, which ends the spinning in an
    orderly way. Python's own KeyboardInterrupt, which could strike anywhere and twice, is only
    let through inside of `interruptible`.

    Args:
        make_node: called once ROS is up. If the node has a `close()`, it is called before the
            node is destroyed.
        args: command line; None takes the process's.

    Returns:
        the exit code: 0, or 1 where the node could not be made, with one clear line.
    """
    for number in _SIGNALS:
        signal.signal(number, _Interruption.on_signal)
    rclpy.init(args=args)
    try:
        return _make_and_spin(make_node)
    finally:
        rclpy.try_shutdown()
        for number in _SIGNALS:     # launch and a terminal both send one; the end is near
            signal.signal(number, signal.SIG_IGN)


def _make_and_spin(make_node: Callable[[], Node]) -> int:
    # The executor first: once a signal has shut the context down, none can be made.
    try:
        executor = SingleThreadedExecutor()
        node = make_node()
    except InfantPoseError as error:
        print(f'can not start: {error}', file=sys.stderr)
        return 1
    except RuntimeError:
        if rclpy.ok():
            raise
        return 0        # told to stop before it was made
    try:
        executor.add_node(node)
        executor.spin()
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    except RuntimeError:    # rcl refuses to wait where the context is shut down just before
        if rclpy.ok():
            raise
    finally:
        getattr(node, 'close', lambda: None)()
        executor.shutdown()
        node.destroy_node()
    return 0
