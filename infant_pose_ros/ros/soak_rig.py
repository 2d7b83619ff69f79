"""The nodes of a soak as processes, and what its faults do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
import random
import signal
import subprocess
import threading
import time

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter

from infant_pose_ros.errors import InfantPoseError
from infant_pose_ros.ros.processes import NodeProcesses, ros_arguments
from infant_pose_ros.ros.soak_ledger import EpochAccount
from infant_pose_ros.ros.soak_pictures import FIND_TIMEOUT_S, PicturePublisher
from infant_pose_ros.ros.soak_props import Props
from infant_pose_ros.ros.soak_watch import (
    answers_of,
    camera_node_of,
    namespaces,
    POSE_NODE,
    Watch,
)

POLL_S = 0.05
#: How long a service may take to answer, s; loading models counts among them.
SERVICE_TIMEOUT_S = 60.0
#: How long a process may take to end after a signal, s.
END_TIMEOUT_S = 15.0
#: All is quiet once nothing has come for so long; the counters must have come then, s.
QUIET_S = 0.5
SETTLE_TIMEOUT_S = 20.0


class SoakStoppedError(InfantPoseError):
    """The user asked to end."""


class SoakProblemError(InfantPoseError):
    """A node did not do what a fault asked of it."""


class Rig:
    """Starts the nodes, and gives faults what they need.

    Args:
        processes: runs the nodes. node: publishes and calls services.
        watch: hears what they say. names: of the cameras. rate_hz: of each.
        props: pictures for cameras of the soak's own.
        pose_arguments: more `-p name:=value` for pose_node.
        generator: for all that is random.

    Attributes:
        victim: the camera that the fault in work is about.
        accounts: of each camera, one for each time between two settlements.
    """

    def __init__(self, processes: NodeProcesses, node: Node, watch: Watch, rate_hz: float,
                 props: Props, pose_arguments: Sequence[str], generator: random.Random):
        self.processes, self.node, self.watch = processes, node, watch
        self.names, self.rate_hz = list(watch.cameras), rate_hz
        self.props, self.random = props, generator
        self.victim = self.names[0]
        self.accounts: dict[str, list[EpochAccount]] = {name: [] for name in self.names}
        self._pose_arguments = list(pose_arguments)
        self._stop = threading.Event()
        self._before: dict[str, Mapping[str, int]] = {name: {} for name in self.names}

    # the nodes

    def start_pose_node(self) -> None:
        """Start pose_node; its counters begin at zero."""
        parameters, remaps = {}, {}
        if len(self.names) == 1:
            remaps = {'image': '/camera/image', 'camera_info': '/camera/camera_info'}
        else:
            parameters['cameras'] = ','.join(self.names)
        self.processes.start(
            'pose_node', ros_arguments(parameters, remaps) + self._pose_arguments)
        self._before = {name: {} for name in self.names}

    def start_overlay_node(self) -> None:
        """Start overlay_node, on the first camera."""
        first, count = self.names[0], len(self.names)
        self.processes.start('overlay_node', ros_arguments({}, {
            'image': f'{namespaces(count)[first]}/image',
            'keypoints': answers_of(first, count)}))

    def start_camera(self, name: str, source: str = '', rate_hz: float = 0.0) -> None:
        """Start a camera_node, by default on the bundled clip at the run's rate."""
        self.processes.start(f'{name}_node' if len(self.names) == 1 else name, ros_arguments(
            {'source': source, 'rate_hz': float(rate_hz or self.rate_hz)},
            {'__ns': namespaces(len(self.names))[name]}), node='camera_node')

    def process_of(self, camera: str) -> str:
        """Name of the camera's process."""
        return f'{camera}_node' if len(self.names) == 1 else camera

    def in_use_mb(self, process: str) -> float:
        """What a process last told to have in use; NaN: nothing."""
        nodes = {self.process_of(name): camera_node_of(name, len(self.names))
                 for name in self.names}
        return self.watch.in_use_mb.get(nodes.get(process, process), float('nan'))

    def child_names(self) -> list[str]:
        """All processes of the run."""
        return ['pose_node', 'overlay_node', *map(self.process_of, self.names)]

    def process_ids(self) -> dict[str, int]:
        """Those that run now."""
        children = {name: self.processes.find(name) for name in self.child_names()}
        return {name: child.pid for name, child in children.items()
                if child is not None and child.poll() is None}

    def send_signal(self, name: str, number: int) -> None:
        """Send a signal to a process."""
        self.processes.child(name).send_signal(number)

    def end(self, name: str, number: int = signal.SIGTERM) -> tuple[int, float]:
        """End a process by a signal: its exit code, and how long it took, s.

        Raises:
            SoakProblemError: it did not end.
        """
        begun_s = time.monotonic()
        self.send_signal(name, number)
        try:
            code = self.processes.child(name).wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self.processes.child(name).kill()
            self.processes.child(name).wait()
            raise SoakProblemError(
                f'{name} did not end within {END_TIMEOUT_S:g} s of a signal') from error
        return code, time.monotonic() - begun_s

    def let_go(self) -> None:
        """Let processes that were stopped go on: else they could not end."""
        for name in self.process_ids():
            self.send_signal(name, signal.SIGCONT)

    # waiting

    def ask_to_stop(self, *_signal) -> None:
        """End the run soon."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Sleep.

        Raises:
            SoakStoppedError: the user asked to end.
        """
        if self._stop.wait(seconds):
            raise SoakStoppedError('interrupted')

    def wait_until(self, is_so: Callable[[], bool], limit_s: float) -> float | None:
        """Wait for a condition; how long it took, or None."""
        begun_s = time.monotonic()
        while not is_so():
            if time.monotonic() - begun_s > limit_s:
                return None
            self.wait(POLL_S)
        return time.monotonic() - begun_s

    def hold(self, names: Sequence[str], min_s: float, max_s: float) -> None:
        """Let a fault last: until /diagnostics shows one of the names, within these times."""
        self.wait(min_s)
        if names:
            self.wait_until(lambda: self.shown(names), max_s - min_s)

    def shown(self, names: Sequence[str]) -> bool:
        """Whether /diagnostics showed one of these names of the victim since the fault began."""
        return bool(self.watch.cameras[self.victim].seen & set(names))

    # accounts

    def deaf(self) -> None:
        """From now on pictures need no answer."""
        for camera in self.watch.cameras.values():
            camera.ledger.deaf_from(time.monotonic())

    def hears(self) -> None:
        """From now on they do again."""
        for camera in self.watch.cameras.values():
            camera.ledger.hears_from(time.monotonic())

    def close_accounts(self) -> str:
        """Settle, and keep the accounts: what went wrong with that, or ''."""
        accounts, problem = self.settle()
        for name, account in accounts.items():
            self.accounts[name].append(account)
        return problem

    def settle(self) -> tuple[dict[str, EpochAccount], str]:
        """Pause the cameras until all is quiet and counted: the accounts, and what went wrong."""
        for name in self.names:
            self.send_signal(self.process_of(name), signal.SIGSTOP)
        try:
            settled = self.wait_until(self._is_settled, SETTLE_TIMEOUT_S) is not None
            accounts = {}
            for name, camera in self.watch.cameras.items():
                after = dict(camera.status.counters)
                accounts[name] = camera.ledger.close(
                    self._before[name], after, time.monotonic())
                self._before[name] = after
        finally:
            for name in self.names:
                self.send_signal(self.process_of(name), signal.SIGCONT)
        return accounts, '' if settled else (
            f'pose_node did not tell its counters within {SETTLE_TIMEOUT_S:g} s of the last '
            'picture')

    def _is_settled(self) -> bool:
        quiet_s = self.watch.last_news_s() + QUIET_S
        return time.monotonic() > quiet_s and all(
            camera.status.received_s > quiet_s and not camera.status.in_flight
            for camera in self.watch.cameras.values())

    # what faults use

    def call(self, service_type: type, name: str, request=None):
        """A service's response.

        Raises:
            SoakProblemError: there is no such service, or it doesn't answer.
        """
        client = self.node.create_client(service_type, name)
        try:
            if not client.wait_for_service(SERVICE_TIMEOUT_S):
                raise SoakProblemError(f'there is no service {name}')
            future = client.call_async(request or service_type.Request())
            if self.wait_until(future.done, SERVICE_TIMEOUT_S) is None:
                raise SoakProblemError(f'{name} did not answer within {SERVICE_TIMEOUT_S:g} s')
            return future.result()
        finally:
            self.node.destroy_client(client)

    def set_parameters(self, values: Mapping[str, object], node: str = POSE_NODE) -> list:
        """Set parameters of a node: the results, in order."""
        request = SetParameters.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()])
        return self.call(SetParameters, f'{node}/set_parameters', request).results

    def change_state(self, transition_id: int) -> None:
        """Ask pose_node for a lifecycle transition.

        Raises:
            SoakProblemError: it did not succeed.
        """
        request = ChangeState.Request()
        request.transition.id = transition_id
        if not self.call(ChangeState, f'{POSE_NODE}/change_state', request).success:
            raise SoakProblemError(f'pose_node refused the transition {transition_id}')

    @contextmanager
    def other_camera(self, reliable: bool = True) -> Iterator[PicturePublisher]:
        """A publisher in place of the victim's camera_node, which is stopped meanwhile.

        Raises:
            SoakProblemError: nobody found it.
        """
        process = self.process_of(self.victim)
        publisher = PicturePublisher(
            self.node, namespaces(len(self.names))[self.victim],
            self.watch.cameras[self.victim].ledger, self.props.camera, reliable)
        heard_by = 2 if self.victim == self.names[0] else 1     # overlay_node sees one camera
        if self.wait_until(lambda: publisher.is_heard(heard_by), FIND_TIMEOUT_S) is None:
            publisher.close()
            raise SoakProblemError(f'no subscriber found a new publisher in {FIND_TIMEOUT_S:g} s')
        self.send_signal(process, signal.SIGSTOP)
        try:
            yield publisher
            publisher.wait_for_acknowledgement(Duration(seconds=5))
        finally:
            publisher.close()
            self.send_signal(process, signal.SIGCONT)
