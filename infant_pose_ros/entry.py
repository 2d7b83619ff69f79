"""Where every command begins: signals are answered before anything slow is imported.

Importing a node takes a second or more, during which Python would answer SIGINT with a traceback
and SIGTERM with an exit code that tells of a failure. Only a little of the standard library is
imported here, and the commands' own modules by their names, once signals have an answer.

Run as a module, it is a child: `python -m infant_pose_ros.entry PARENT NODE ...`, with SIGINT and
SIGTERM blocked by the parent until they have an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import importlib
import os
import signal
import sys

#: What ends a command in an orderly way.
SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_INTERRUPTED = 130
INTERRUPTED_LINE = 'infant-pose: interrupted'
_PR_SET_PDEATHSIG = 1


def end_at_once(code: int = 0, line: str = '') -> None:
    """Let the first signal end the process, until the command answers signals itself.

    Args:
        code: the exit code.
        line: what to say on stderr.
    """
    def end(*_signal) -> None:
        say(line)
        os._exit(code)      # nothing is made yet that would have to be put in order

    for number in SIGNALS:
        signal.signal(number, end)


@contextmanager
def raising_interrupt(line: str) -> Iterator[None]:
    """Let the first signal raise KeyboardInterrupt, and only the second end the process.

    What a command has open is closed on the way out, so what it has written is kept. To be used
    in the main thread.

    Args:
        line: what to say on stderr at the second signal.

    Raises:
        KeyboardInterrupt: from anywhere within.
    """
    def interrupt(*_signal) -> None:
        end_at_once(EXIT_INTERRUPTED, line)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line: str) -> None:
    """Write a line to stderr, also from a signal's handler, where `print` must not be used."""
    with suppress(OSError):
        os.write(2, f'{line}\n'.encode() if line else b'')


def runs_as_module() -> bool:
    """Whether `python -m` is still on its way to the module, importing the packages around it."""
    return sys.argv[:1] == ['-m']


def finish(code: int) -> None:
    """End the process with this exit code, without the interpreter's teardown.

    With the networks' libraries loaded, that takes more than a second, and threads of theirs may
    be in the midst of something. Whatever has to be put in order must be so already.
    """
    import ctypes
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)      # what rcutils may still hold back
    os._exit(code)


def pose_node() -> None:
    """Console script `pose_node`."""
    _run('pose_node')


def camera_node() -> None:
    """Console script `camera_node`."""
    _run('camera_node')


def overlay_node() -> None:
    """Console script `overlay_node`."""
    _run('overlay_node')


def infant_pose_nodes() -> None:
    """Console script `infant_pose_nodes`."""
    _run('composed_node')


def infant_pose_soak() -> None:
    """Console script `infant_pose_soak`."""
    end_at_once(EXIT_INTERRUPTED, 'infant_pose_soak: interrupted')
    finish(_module('nodes.soak_node').main())


def infant_pose_demo() -> None:
    """Console script `infant_pose_demo`."""
    end_at_once(EXIT_INTERRUPTED, 'infant_pose_demo: interrupted')
    finish(_module('nodes.demo_node').main())


def infant_pose() -> None:
    """Console script `infant-pose`."""
    end_at_once(EXIT_INTERRUPTED, INTERRUPTED_LINE)
    finish(_module('cli.main').main())


def _run(node: str) -> None:
    end_at_once()
    finish(_module(f'nodes.{node}').main())


def _module(name: str):
    return importlib.import_module(f'infant_pose_ros.{name}')


def _end_with_parent(parent_id: int) -> None:
    """Ask Linux to send this process SIGTERM when its parent ends; elsewhere, do nothing."""
    if sys.platform == 'linux':
        import ctypes
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent_id:
            raise SystemExit('the parent process has ended')


def main() -> None:
    """Be the child: run the node as if it had been started itself."""
    end_at_once()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    parent_id, node = int(sys.argv[1]), sys.argv[2]
    _end_with_parent(parent_id)
    sys.argv[1:] = sys.argv[3:]
    _run(node)


if __name__ == '__main__':
    main()
