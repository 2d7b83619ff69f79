"""Runs a node until it is told to stop: SIGINT and SIGTERM end it with exit code 0."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import os
import re
import signal
import socket
import sys
import threading

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from infant_pose_ros.allocator import level_memory
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
    return run_nodes([make_node], args)


def run_nodes(makers: Sequence[Callable[[], Node]], args: list[str] | None = None) -> int:
    """The same with several nodes in one process; they end together.

    Each has an executor of its own. The first one's runs on the main thread: loading models there
    is broken off by a signal.

    Args:
        makers: make the nodes, one or more. args: as `run_node`.

    Returns:
        the exit code, as `run_node`.
    """
    ending = _Current.ending = _Ending()
    try:
        try:
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        except RuntimeError as error:       # rcl's: a bad parameter file or argument, no logs
            reason = ' '.join(re.sub(r', at /\S+:\d+', '', str(error)).split())
            mend = ('set ROS_LOG_DIR to a folder that can be written'
                    if 'initialize logging' in reason else 'correct what stands after --ros-args')
            print(f'can not start: {reason}; {mend}', file=sys.stderr)
            return 1
        with level_memory():
            return _make_and_spin(makers, ending.asked)
    finally:
        rclpy.try_shutdown()
        _Current.ending = None
        ending.over()


def _make_and_spin(makers: Sequence[Callable[[], Node]], asked: Future) -> int:
    executors: list[SingleThreadedExecutor] = []
    nodes: list[Node] = []
    try:
        for make_node in makers:
            # The executor first: once the context is shut down, none can be made.
            executors.append(SingleThreadedExecutor())
            nodes.append(make_node())
            executors[-1].add_node(nodes[-1])
        _spin_all(executors, asked)
    except InfantPoseError as error:
        print(f'can not start: {error}', file=sys.stderr)
        return 1
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    except RuntimeError:    # told to stop before all were made, or just before rcl would wait
        if rclpy.ok():
            raise
    finally:
        for node in nodes:
            getattr(node, 'close', lambda: None)()
        for executor in executors:
            executor.shutdown()
        for node in nodes:
            node.destroy_node()
    return 0


def _spin(executor: SingleThreadedExecutor, asked: Future) -> None:
    """Spin until the future is done, which wakes the executor.

    rclpy's own `spin_until_future_complete` notices that with the next message only (Humble), or
    keeps 250 bytes for every callback as long as the future is not done (Jazzy before 7.1.8).
    """
    asked.add_done_callback(lambda _: executor.create_task(lambda: None))
    while executor.context.ok() and not asked.done():
        executor.spin_once()


def _spin_all(executors: Sequence[SingleThreadedExecutor], asked: Future) -> None:
    """Spin the first executor here and each other one on a thread, until they are to end."""
    def end(_=None) -> None:
        if not asked.done():
            asked.set_result(None)

    with ThreadPoolExecutor(len(executors), 'node') as pool:
        spinning = [pool.submit(_spin, executor, asked) for executor in executors[1:]]
        for one in spinning:
            one.add_done_callback(end)      # what ends one node, ends all
        try:
            _spin(executors[0], asked)
        finally:
            end()
    for one in spinning:
        one.result()
