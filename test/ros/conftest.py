"""Real nodes in real processes: a DDS domain of their own, processes, and a node that watches."""

from __future__ import annotations

import atexit
import fcntl
import itertools
import json
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
from waiting import wait_until

from infant_pose_ros.ros.processes import local_dds_environment
from infant_pose_ros.skeleton import NUM_KEYPOINTS, TrackState
from infant_pose_ros.structures import FrameResult, Pose2D, Pose3D, TrackedInfant

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
#: A request is made again after so long, s.
AGAIN_S = 5.0
#: Where less shared memory is free, in a container say, each node gets 2 MB of it, not 32; bytes.
ENOUGH_SHM = 2 ** 30


def _fitting(profile: str) -> str:
    """A Fast DDS profile, or one like it that asks for as much memory as there is."""
    shm = Path('/dev/shm')
    if not shm.is_dir() or shutil.disk_usage(shm).free > ENOUGH_SHM:
        return profile
    text = re.sub(r'(?<=<segment_size>)\d+', str(2 ** 21), Path(profile).read_text('utf-8'))
    smaller = Path(tempfile.mkdtemp(prefix='infant_pose_ros_')) / 'fastdds.xml'
    smaller.write_text(text, encoding='utf-8')
    atexit.register(shutil.rmtree, smaller.parent)
    return str(smaller)


# For all nodes, and before the first: without the profile, pictures overflow Fast DDS's shared
# memory, and small messages get lost beside them.
for _name, _value in local_dds_environment(os.environ).items():
    if _name.endswith('PROFILES_FILE'):
        os.environ.setdefault(_name, _fitting(_value))


class NodeProcess:
    """One node in its own process, started on entry and stopped on exit.

    Args:
        module_or_script: what to run: `python -m module`, or the path of a `.py` file.
        args: arguments before `--ros-args`.
        params, remaps: given as `-p name:=value` and `-r from:=to`.
        env: variables on top of this process's own, the domain's say.
    """

    def __init__(self, module_or_script, args=(), params=None, remaps=None, env=None):
        script = str(module_or_script)
        self.command = [sys.executable, *([script] if script.endswith('.py') else ['-m', script]),
                        *map(str, args), '--ros-args']
        for name, value in (params or {}).items():
            text = json.dumps(str(value) if isinstance(value, Path) else value)
            self.command += ['-p', f'{name}:={text}']
        for source, target in (remaps or {}).items():
            self.command += ['-r', f'{source}:={target}']
        self.env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1',
                    'RCUTILS_LOGGING_BUFFERED_STREAM': '0', **(env or {})}
        self.env['PYTHONPATH'] = os.pathsep.join(
            [str(ROOT), *filter(None, [self.env.get('PYTHONPATH')])])
        self.process: subprocess.Popen | None = None
        self._lines: list[str] = []
        self._news = threading.Condition()

    def __enter__(self) -> NodeProcess:
        self.process = subprocess.Popen(
            self.command, env=self.env, cwd=ROOT, text=True, errors='replace',
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5.0)

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def output(self) -> str:
        """Everything that the process printed so far, both streams."""
        with self._news:
            return ''.join(self._lines)

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self.process.poll()

    def wait_for_log(self, pattern: str, timeout_s: float = START_TIMEOUT_S) -> re.Match:
        """Wait until the output matches `pattern`; fail with the output if it never does."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, self.output)
            if found:
                return found
            if time.monotonic() > deadline or (
                    self.process.poll() is not None and not self._reader.is_alive()):
                found = re.search(pattern, self.output)
                if found:
                    return found
                raise AssertionError(
                    f'{pattern!r} did not come; exit code {self.returncode}; output:\n'
                    f'{self.output[-4000:]}')
            with self._news:
                self._news.wait(0.1)

    def interrupt(self):
        """Send SIGINT, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def terminate(self):
        """Send SIGTERM."""
        self.process.terminate()

    def wait(self, timeout_s: float = 20.0) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(timeout_s)
        self._reader.join(5.0)
        return code


class Inbox(list):
    """Messages of one subscription, in order of arrival."""

    def __init__(self):
        super().__init__()
        self.news = threading.Condition()

    def put(self, message):
        with self.news:
            self.append(message)
            self.news.notify_all()

    def wait_for(self, wanted=1, timeout_s: float = 20.0):
        """Wait for a number of messages, or for one that `wanted(message)` accepts: that one."""
        deadline = time.monotonic() + timeout_s
        seen = 0
        with self.news:
            while True:
                if callable(wanted):
                    for message in self[seen:]:
                        if wanted(message):
                            return message
                    seen = len(self)
                elif len(self) >= wanted:
                    return list(self)
                left = deadline - time.monotonic()
                if left <= 0.0:
                    raise AssertionError(
                        f'waited {timeout_s} s; {len(self)} messages came, not what was wanted; '
                        f'last: {str(self[-1])[:2000] if self else None}')
                self.news.wait(left)

    def grows_to(self, count: int, timeout_s: float) -> bool:
        """Whether there are so many messages within this time."""
        with self.news:
            return self.news.wait_for(lambda: len(self) >= count, timeout_s)


class Probe:
    """A node of the test process that subscribes, publishes and calls services."""

    def __init__(self, domain_id: int):
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id,
                   signal_handler_options=rclpy.SignalHandlerOptions.NO)
        self.node = rclpy.create_node('probe', context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._unique_ns = itertools.count()
        self._clients = {}
        self._spinner = threading.Thread(target=self._spin, daemon=True)
        self._spinner.start()

    def _spin(self):
        from rclpy.executors import ExternalShutdownException
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def subscribe(self, message_type, topic: str, qos=10) -> Inbox:
        inbox = Inbox()
        self.node.create_subscription(message_type, topic, inbox.put, qos)
        return inbox

    def publisher(self, message_type, topic: str, qos=10, subscribers: int = 0):
        """A publisher; returns when it has as many subscribers as asked for."""
        publisher = self.node.create_publisher(message_type, topic, qos)
        self.wait_for_subscribers(publisher, subscribers)
        return publisher

    @staticmethod
    def wait_for_subscribers(publisher, count: int = 1):
        wait_until(lambda: publisher.get_subscription_count() >= count,
                   f'{publisher.topic_name}: no subscriber came')

    @staticmethod
    def until_answered(send, inbox: Inbox, timeout_s: float = 60.0, any_will_do: bool = False):
        """Send until something comes, and the answer to what was sent last: that one.

        Answers are not kept for those who listen late, and the node that answers may find its
        listener only after its own subscriber was found. None but the last is on its way then.

        Args:
            send: sends a picture, say; its stamp.
            any_will_do: don't wait for the last one, which best effort may have lost.
        """
        deadline, count = time.monotonic() + timeout_s, len(inbox) + 1
        stamp = send()
        while not inbox.grows_to(count, 0.5):
            assert time.monotonic() < deadline, f'no answer in {timeout_s} s'
            stamp = send()
        if any_will_do:
            return inbox[-1]
        return inbox.wait_for(lambda answer: answer.header.stamp == stamp)

    def call(self, service_type, name: str, request=None, timeout_s: float = 60.0,
             is_asked_once: bool = False):
        """The service's response.

        An answer may get lost where the node has not found the client yet: it is asked again,
        unless it makes a difference how often. The answer to the last request is waited for, so
        that none is on its way afterwards.
        """
        key = service_type, name
        if key not in self._clients:
            self._clients[key] = self.node.create_client(*key)
        client, deadline = self._clients[key], time.monotonic() + timeout_s
        wait_until(client.service_is_ready, f'{name}: no such service', timeout_s)
        while time.monotonic() < deadline:
            done = threading.Event()
            future = client.call_async(request or service_type.Request())
            future.add_done_callback(lambda _, done=done: done.set())
            if done.wait(timeout_s if is_asked_once else AGAIN_S):
                return future.result()
            client.remove_pending_request(future)
        raise AssertionError(f'{name}: no answer')

    def header(self, stamp_ns: int | None = None):
        """A header of 'cot_optical', stamped now or as told; no two are stamped alike."""
        from std_msgs.msg import Header
        if stamp_ns is None:
            stamp_ns = self.node.get_clock().now().nanoseconds + next(self._unique_ns)
        header = Header(frame_id='cot_optical')
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 10 ** 9)
        return header

    def state_of(self, node: str) -> str:
        """Lifecycle state of a node."""
        from lifecycle_msgs.srv import GetState
        return self.call(GetState, f'{node}/get_state').current_state.label

    def change_state(self, node: str, transition_id: int) -> bool:
        """Ask a node for a lifecycle transition; whether it succeeded."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState
        request = ChangeState.Request(transition=Transition(id=transition_id))
        return self.call(
            ChangeState, f'{node}/change_state', request, is_asked_once=True).success

    def close(self):
        self._executor.shutdown()
        self._spinner.join(5.0)
        self.node.destroy_node()
        self.context.try_shutdown()


def _claim_domain():
    """A domain id that no other test run on this machine holds, and the lock that holds it."""
    for domain_id in range(11, 101):
        lock = open(Path(tempfile.gettempdir()) / f'infant_pose_ros_domain_{domain_id}.lock', 'a')
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        return domain_id, lock
    raise AssertionError('every DDS domain from 11 to 100 is taken by another test run')


@pytest.fixture(scope='module')
def ros_domain():
    """Environment of one DDS domain that nobody else uses, set in this process as well."""
    domain_id, lock = _claim_domain()
    env = {'ROS_DOMAIN_ID': str(domain_id), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    with lock, pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        yield env


@pytest.fixture(scope='session')
def node_process():
    """The class `NodeProcess`."""
    return NodeProcess


@pytest.fixture(scope='module')
def probe(ros_domain):
    """A `Probe` in the module's domain."""
    watcher = Probe(int(ros_domain['ROS_DOMAIN_ID']))
    yield watcher
    watcher.close()


@pytest.fixture(scope='session')
def weights(tiny_checkpoints):
    """Parameters that give pose_node the tiny checkpoints."""
    return {f'{task}_weights': path for task, path in tiny_checkpoints.items()}


@pytest.fixture(scope='session')
def make_infant():
    """Builds a `TrackedInfant` 1 m before the camera: `(track=, lost=, predicted=, ...)`."""
    return _infant


@pytest.fixture(scope='session')
def make_result():
    """Builds a `FrameResult` of infants."""
    def build(infants, stamp_s=1.0, was_reset=False, main_track=None):
        return FrameResult(
            stamp_s, tuple(infants), None, {'total': 1.0}, 0.6, was_reset, main_track)
    return build


def _infant(track=1, lost=(), predicted=(), shift_m=0.0, raw_shift_px=0.0, with_raw=True,
            keypoints_m=None):
    lost = list(lost)
    if keypoints_m is None:
        column = np.arange(NUM_KEYPOINTS)
        keypoints_m = np.stack([0.05 * (column % 4), 0.04 * column, 1.0 + 0.01 * column], axis=1)
    points_m = keypoints_m + (shift_m, 0.0, 0.0)
    points_px = 100.0 + 10.0 * np.arange(2.0 * NUM_KEYPOINTS).reshape(NUM_KEYPOINTS, 2)
    raw_2d = Pose2D(points_px + (raw_shift_px, 0.0), np.full(16, 0.8),
                    np.tile(np.eye(2), (16, 1, 1)))
    covariance_m2 = np.tile(np.diag([1e-4, 4e-4, 9e-4]), (NUM_KEYPOINTS, 1, 1))
    raw_3d = Pose3D(points_m, covariance_m2, True)
    smooth_px, smooth_m, smooth_cov = points_px.copy(), points_m.copy(), covariance_m2.copy()
    smooth_px[lost], smooth_m[lost], smooth_cov[lost] = np.nan, np.nan, np.nan
    state = np.full(NUM_KEYPOINTS, TrackState.MEASURED, np.uint8)
    state[list(predicted)], state[lost] = TrackState.PREDICTED, TrackState.LOST
    return TrackedInfant(
        track, [100, 100, 420, 420], [[0, 0], [1, 0], [1, 1], [0, 1]],
        raw_2d if with_raw else None, raw_3d if with_raw else None,
        Pose2D(smooth_px, raw_2d.score, raw_2d.covariance_px2),
        Pose3D(smooth_m, smooth_cov, True), state, np.where(state, 0.8, 0.0))
