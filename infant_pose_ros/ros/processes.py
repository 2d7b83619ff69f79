"""Nodes as child processes, and the DDS environment that they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from infant_pose_ros.entry import SIGNALS
from infant_pose_ros.errors import InfantPoseError

#: Domains that every platform's ports allow.
NUM_DOMAINS = 101
#: How long a node may take to end after SIGINT, s.
END_TIMEOUT_S = 10.0
PACKAGE = 'infant_pose_ros'


class NodeDiedError(InfantPoseError):
    """A node's process ended before it should have; the message has its last lines."""


def config_file(name: str) -> Path | None:
    """A file of the package's `config/`: in a checkout, or where it was installed."""
    places = [Path(__file__).resolve().parents[2] / 'config']
    places += [Path(prefix) / 'share' / PACKAGE / 'config' for prefix in (
        *os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix) if prefix]
    return next((place / name for place in places if (place / name).is_file()), None)


def local_dds_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Variables that keep a run on this machine and bring raw pictures through.

    A domain of its own (unless one is given), discovery on this machine only, and the package's
    Fast DDS profile. What is in `given` already wins.
    """
    wanted = {'ROS_DOMAIN_ID': str(1 + os.getpid() % NUM_DOMAINS)}
    if given.get('ROS_DISTRO') == 'humble':
        wanted['ROS_LOCALHOST_ONLY'] = '1'
    else:
        wanted['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    profile = config_file('fastdds.xml')
    if profile is not None:
        # Fast DDS 3 (Kilted and newer) renamed the variable, and warns of the old name.
        old = given.get('ROS_DISTRO') in ('humble', 'jazzy')
        wanted['FASTRTPS_DEFAULT_PROFILES_FILE' if old else
               'FASTDDS_DEFAULT_PROFILES_FILE'] = str(profile)
    return {name: value for name, value in wanted.items() if name not in given}


def ros_arguments(parameters: Mapping[str, object], remaps: Mapping[str, str]) -> list[str]:
    """`--ros-args -p name:=value -r from:=to`; strings are quoted, so that '0' stays one."""
    arguments = ['--ros-args']
    for name, value in parameters.items():
        if isinstance(value, bool):
            text = str(value).lower()
        elif isinstance(value, str):
            escaped = value.replace('\\', '\\\\').replace('"', '\\"')
            text = f'"{escaped}"'
        else:
            text = repr(value)
        arguments += ['-p', f'{name}:={text}']
    for source, target in remaps.items():
        arguments += ['-r', f'{source}:={target}']
    return arguments


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """A child started in here gets signals only once it lets them in, with an answer ready."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class NodeProcesses:
    """Children that all end when the `with` block does, whatever happens in it.

    Args:
        log_folder: each child's output goes to `<name>.log` there.
        environment: variables on top of this process's.
    """

    def __init__(self, log_folder: Path, environment: Mapping[str, str]):
        self._log_folder = log_folder
        self._environment = {**os.environ, **environment, 'PYTHONUNBUFFERED': '1'}
        self._children: dict[str, subprocess.Popen] = {}

    def start(self, name: str, arguments: Sequence[str], node: str = '') -> None:
        """Start `infant_pose_ros.nodes.<name>` with the Python that runs now.

        It gets a session of its own: Ctrl-C reaches the parent only, which then ends all in
        order. On Linux it also ends when the parent is killed.

        Args:
            name: of the child and its log; a child that has ended may be started again, and its
                log goes on.
            node: the node's module, where several children run the same one.
        """
        self._log_folder.mkdir(parents=True, exist_ok=True)
        mode = 'ab' if name in self._children else 'wb'
        with open(self.log_path(name), mode) as log, _blocked_signals():
            self._children[name] = subprocess.Popen(
                [sys.executable, '-m', f'{PACKAGE}.entry', str(os.getpid()), node or name,
                 *arguments],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)

    def child(self, name: str) -> subprocess.Popen:
        """The process of that name, the last one that was started."""
        return self._children[name]

    def find(self, name: str) -> subprocess.Popen | None:
        """The same; None where none was started yet."""
        return self._children.get(name)

    def log_path(self, name: str) -> Path:
        """Where a child's output goes."""
        return self._log_folder / f'{name}.log'

    def log_lines(self, name: str) -> list[str]:
        """What a child has written so far."""
        return self.log_path(name).read_text(encoding='utf-8', errors='replace').splitlines()

    def is_running(self, name: str) -> bool:
        """Whether it has not ended yet."""
        return self._children[name].poll() is None

    def check(self, may_end: Sequence[str] = ()) -> None:
        """Raise if a child has failed, or has ended and is not among `may_end`.

        Raises:
            NodeDiedError: names the node, how it ended, and its last lines.
        """
        for name, child in self._children.items():
            code = child.poll()
            if code is None or (code == 0 and name in may_end):
                continue
            how = f'exit code {code}' if code >= 0 else f'signal {-code}'
            lines = [line for line in self.log_lines(name) if line.strip()][-5:]
            raise NodeDiedError('\n  '.join(
                [f'{name} ended with {how}; its last lines ({self.log_path(name)}):', *lines]))

    def interrupt(self, name: str) -> None:
        """Ask a child to end, as Ctrl-C does."""
        if self.is_running(name):
            self._children[name].send_signal(signal.SIGINT)

    def stop(self) -> None:
        """End all children: SIGINT, then, for those that don't listen, SIGKILL."""
        for name in self._children:
            self.interrupt(name)
        deadline_s = time.monotonic() + END_TIMEOUT_S
        for child in self._children.values():
            try:
                child.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def __enter__(self) -> NodeProcesses:
        return self

    def __exit__(self, *_exc_info) -> None:
        self.stop()
