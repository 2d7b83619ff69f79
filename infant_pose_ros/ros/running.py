"""Runs a node until it is told to stop: SIGINT and SIGTERM end it with exit code 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import signal
import socket
import sys
import threading

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from infant_pose_ros.entry import say, SIGNALS
from infant_pose_ros.errors import InfantPoseError

#: How long a node may take to end after a signal, s: after that it is cut off.
GRACE_S = 1.5


class _Ending:
    """Told by the first signal that the process is to end; sees to it that it does.

    rclpy's own handlers take the ROS context away under whatever runs just then, and Python's
    KeyboardInterrupt strikes anywhere and twice. Here a thread is told, which wakes the executor:
    the callback in work ends as if nothing had happened, and the node is taken down while ROS
    still works. The thread also ends the process where that takes too long.
    """

    def __init__(self):
        self.asked: Future = Future()
        self.may_raise = False
        self._over = threading.Event()
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        threading.Thread(target=self._watch, name='ending', daemon=True).start()
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def over(self) -> None:
        """All is put in order: what comes now, launch and a terminal both send one, is late."""
        self._over.set()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        self._writer.close()

    def interrupt_here(self) -> None:
        """Let signals raise KeyboardInterrupt on the main thread; one that came does so now."""
        self.may_raise = True
        if self.asked.done():
            self._on_signal()

    def _on_signal(self, *_) -> None:
        if self.may_raise:
            self.may_raise = False
            raise KeyboardInterrupt

    def _watch(self) -> None:
        if not self._reader.recv(1):
            return
        self.asked.set_result(None)
        if not self._over.wait(GRACE_S):
            say(f'still busy {GRACE_S:g} s after the signal to end: cut off')
            os._exit(0)


class _Current:
    """How the node of this process ends; None while none runs."""

    ending: _Ending | None = None


@contextmanager
def interruptible() -> Iterator[None]:
    """For long work in a callback, loading models say: a signal breaks it off."""
    ending = _Current.ending
    if ending is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        ending.interrupt_here()
        yield
    finally:
        ending.may_raise = False


def run_node(make_node: Callable[[], Node], args: list[str] | None = None) -> int:
    """Make a node, spin it until a signal or a shutdown, destroy it.

    Args:
        make_node: called once ROS is up. If the node has a `close()`, it is called before the
            node is destroyed. Once a signal has come, all this may take `GRACE_S` more.
        args: command line; None takes the process's.

    Returns:
        the exit code: 0, or 1 where the node could not be made, with one clear line.
    """
    ending = _Current.ending = _Ending()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        return _make_and_spin(make_node, ending.asked)
    finally:
        rclpy.try_shutdown()
        _Current.ending = None
        ending.over()


def _make_and_spin(make_node: Callable[[], Node], asked: Future) -> int:
    # The executor first: once the context is shut down, none can be made.
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
        executor.spin_until_future_complete(asked)
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
