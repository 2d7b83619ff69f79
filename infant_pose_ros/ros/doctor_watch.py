"""Gathers the facts of a running graph: asks, listens for some seconds, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    qos_check_compatible,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from infant_pose_ros.errors import InfantPoseError
from infant_pose_ros.ros.doctor_environment import domains_in_use
from infant_pose_ros.ros.doctor_facts import (
    CAMERA_INFO,
    CLOCK,
    COMPRESSED,
    Diagnosis,
    Endpoint,
    GraphFacts,
    IMAGE,
    Mismatch,
    NodeFacts,
    NS_PER_S,
    read_serialised,
    Stream,
    TopicFacts,
)
from infant_pose_ros.ros.graph import publishers_of, subscriptions_of
from infant_pose_ros.ros.qos import agreed_reliability, diagnostics_qos, image_qos

#: How long DDS gets to find the others before the graph is read, s.
DISCOVERY_S = 1.5
#: A topic that is found late is listened to for so long, and one on which nothing has come yet for
#: so long, s: Fast DDS asks anew for what got lost of discovery and of pictures only every 3 s.
LATE_S, SILENT_S = 2.0, 7.0
#: How much longer than asked for a look may take, s.
OVERTIME_S = 20.0
#: How often new topics are looked for, and within a look that takes longer; and how long the
#: executor waits for messages, s.
LOOK_PERIOD_S, SHORT_S, SPIN_S = 1.0, 0.25, 0.05
#: How long a node may take to answer a question, s.
ANSWER_TIMEOUT_S = 3.0
#: Messages kept of each topic while another one is read.
DEPTH = 10
#: Parameters that pose_nodes and overlay_nodes are asked for.
ASKED = ('use_sim_time',)
_LISTENED = {IMAGE: Image, COMPRESSED: CompressedImage, CAMERA_INFO: CameraInfo}
_PARAMETER_BOOL = 1


class LookEndedError(InfantPoseError):
    """The look at a graph was broken off."""


class GraphWatch:
    """Looks at the graph that a node is part of.

    Pictures are subscribed to with the reliability that they are offered with and are not
    decoded; the node keeps few of them, so that no publisher waits for it.

    Args:
        node: of this process; it is left out of what is told.
        executor: spins it.
        is_over: asked all the while; True breaks the look off.
    """

    def __init__(self, node: Node, executor: SingleThreadedExecutor,
                 is_over: Callable[[], bool] = lambda: False):
        self._node, self._executor, self._is_over = node, executor, is_over
        self._streams: dict[str, Stream] = {}
        self._diagnoses: dict[str, Diagnosis] = {}
        self._begun_s: dict[str, float] = {}        # since when each topic is listened to
        self._subscriptions: list[Any] = []
        self._clock_ns: int | None = None
        self._clock_ticks: int | None = None

    def look(self, seconds: float, domain: int) -> GraphFacts:
        """The facts, after listening for so many seconds, and for up to `OVERTIME_S` more where a
        topic was found late or nothing came on it.

        Raises:
            LookEndedError: it was broken off.
        """
        other_domains = tuple(number for number in domains_in_use() if number != domain)
        self._node.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, diagnostics_qos())
        self._spin(DISCOVERY_S)
        start_s = time.monotonic()
        end_s = start_s + seconds
        while True:
            topics, now_s = self._topics(), time.monotonic()
            for topic in topics.values():       # also those that come meanwhile
                self._listen(topic)
            if now_s > end_s and (now_s > end_s + OVERTIME_S
                                  or not self._is_early(topics, now_s, start_s)):
                break       # so all that is told of was listened to
            self._spin(min(max(end_s - now_s, SHORT_S), LOOK_PERIOD_S))
        listened_s = max(round(now_s - start_s, 1), 0.1)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        nodes = tuple(self._nodes())
        return GraphFacts(
            domain, listened_s, nodes, topics, self._streams,
            tuple(sorted(self._diagnoses.values(), key=lambda diagnosis: diagnosis.name)),
            self._clock_ticks, other_domains)

    def _is_early(self, topics: Mapping[str, TopicFacts], now_s: float, start_s: float) -> bool:
        """Whether it is too early to judge some topic: one that nobody publishes may have a
        publisher that was not found yet.
        """
        return any(
            now_s - self._begun_s[topic] < (LATE_S if stream.count else SILENT_S)
            for topic, stream in self._streams.items()) or (
                now_s - start_s < SILENT_S and any(
                    set(topic.types) & set(_LISTENED) and not topic.publishers
                    for topic in topics.values()))

    def _spin(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._spin_once()

    def _spin_once(self) -> None:
        # The same timeout each time: with another one, rclpy's executor begins its round of the
        # subscriptions anew, and a busy topic starves those behind it.
        self._executor.spin_once(timeout_sec=SPIN_S)
        if self._is_over():
            raise LookEndedError('the look at the graph was broken off')

    # listening

    def _listen(self, topic: TopicFacts) -> None:
        if not topic.publishers or topic.name in self._begun_s:
            return
        if CLOCK in topic.types and topic.name == '/clock':
            self._begun_s[topic.name] = time.monotonic()
            self._clock_ticks = 0
            self._subscriptions.append(self._node.create_subscription(
                Clock, topic.name, self._on_clock,
                QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)))
            return
        type_name = next((name for name in topic.types if name in _LISTENED), None)
        if type_name is None:
            return
        self._begun_s[topic.name] = time.monotonic()
        stream = self._streams[topic.name] = Stream()
        offered = [ReliabilityPolicy.BEST_EFFORT if end.reliability == 'best_effort'
                   else ReliabilityPolicy.RELIABLE for end in topic.publishers]
        self._subscriptions.append(self._node.create_subscription(
            _LISTENED[type_name], topic.name,
            lambda data: self._on_serialised(stream, type_name, data),
            image_qos(agreed_reliability('auto', offered), DEPTH), raw=True))

    def _on_serialised(self, stream: Stream, type_name: str, data: bytes) -> None:
        header = read_serialised(data, type_name)
        if header is None:
            return
        now_ns = time.time_ns()
        stream.arrivals_ns.append(now_ns)
        stream.sizes.append(len(data))
        stream.stamps_ns.append(header.stamp_ns)
        stream.frame_ids.add(header.frame_id)
        if header.size_wh is not None:
            stream.pictures_wh.add(header.size_wh)
        if header.encoding:
            stream.encodings.add(header.encoding)
        clock_ns = now_ns if self._clock_ticks is None else self._clock_ns
        if header.stamp_ns and clock_ns is not None:
            stream.ages_ns.append(clock_ns - header.stamp_ns)

    def _on_clock(self, message: Clock) -> None:
        clock_ns = message.clock.sec * NS_PER_S + message.clock.nanosec
        self._clock_ticks += clock_ns != self._clock_ns
        self._clock_ns = clock_ns

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            faults = next((pair.value for pair in status.values if pair.key == 'faults'), '')
            self._diagnoses[status.name] = Diagnosis(
                status.name, level, status.message, tuple(filter(None, faults.split(','))))

    # the graph

    def _topics(self) -> dict[str, TopicFacts]:
        return {name: self._topic(name, types)
                for name, types in self._node.get_topic_names_and_types()}

    def _topic(self, name: str, types: Iterable[str]) -> TopicFacts:
        publishers = self._others(publishers_of(self._node, name))
        subscriptions = self._others(subscriptions_of(self._node, name))
        mismatches = []
        for publisher in publishers:
            for subscription in subscriptions:
                compatibility, reason = qos_check_compatible(
                    publisher.qos_profile, subscription.qos_profile)
                if compatibility == QoSCompatibility.ERROR:
                    mismatches.append(Mismatch(_endpoint(publisher), _endpoint(subscription),
                                               _reason(reason)))
        return TopicFacts(name, tuple(sorted(types)), tuple(map(_endpoint, publishers)),
                          tuple(map(_endpoint, subscriptions)), tuple(mismatches))

    def _others(self, ends: Iterable[Any]) -> list[Any]:
        own = (self._node.get_name(), self._node.get_namespace())
        return [end for end in ends if (end.node_name, end.node_namespace) != own]

    def _nodes(self) -> Iterable[NodeFacts]:
        own = (self._node.get_name(), self._node.get_namespace())
        for name, namespace in sorted(self._node.get_node_names_and_namespaces()):
            if (name, namespace) != own and not name.startswith('_'):
                yield self._node_facts(name, namespace)

    def _node_facts(self, name: str, namespace: str) -> NodeFacts:
        full = _full_name(name, namespace)
        services, published, subscribed = (self._asked(ask, name, namespace) for ask in (
            self._node.get_service_names_and_types_by_node,
            self._node.get_publisher_names_and_types_by_node,
            self._node.get_subscriber_names_and_types_by_node))
        kind = kind_of_node(full, services, published, subscribed)
        if not kind:
            return NodeFacts(full)
        return NodeFacts(full, kind, subscribed,
                         self._state(full) if kind == 'pose_node' else None,
                         self._parameters(full))

    @staticmethod
    def _asked(ask: Callable, name: str, namespace: str) -> dict[str, tuple[str, ...]]:
        try:
            return {topic: tuple(types) for topic, types in ask(name, namespace)}
        except (RuntimeError, ValueError):      # it has gone meanwhile
            return {}

    def _state(self, full: str) -> str | None:
        answer = self._call(GetState, f'{full}/get_state', GetState.Request())
        return None if answer is None else answer.current_state.label

    def _parameters(self, full: str) -> dict[str, object]:
        answer = self._call(GetParameters, f'{full}/get_parameters',
                            GetParameters.Request(names=list(ASKED)))
        if answer is None:
            return {}
        return {name: value.bool_value for name, value in zip(ASKED, answer.values)
                if value.type == _PARAMETER_BOOL}

    def _call(self, service_type: type, name: str, request: Any) -> Any | None:
        """The answer; None where none came in time."""
        client = self._node.create_client(service_type, name)
        try:
            future, asked = None, False
            end_s = time.monotonic() + ANSWER_TIMEOUT_S
            while time.monotonic() < end_s:
                if not asked and client.service_is_ready():
                    future, asked = client.call_async(request), True
                self._spin_once()
                if future is not None and future.done():
                    return future.result()
            return None
        finally:
            self._node.destroy_client(client)


def kind_of_node(full: str, services: dict[str, tuple[str, ...]],
                 published: dict[str, tuple[str, ...]],
                 subscribed: dict[str, tuple[str, ...]]) -> str:
    """Which of this package's nodes it is, told by what it offers, whatever its name; else ''."""
    if ('std_srvs/srv/SetBool' in services.get(f'{full}/enable', ())
            and 'std_srvs/srv/Trigger' in services.get(f'{full}/reset', ())
            and f'{full}/get_state' in services):
        return 'pose_node'
    types = {name for kinds in subscribed.values() for name in kinds}
    if (IMAGE in published.get(f'{full}/image', ()) and types & {IMAGE, COMPRESSED}
            and 'sensor_msgs/msg/PointCloud2' in types):
        return 'overlay_node'
    return ''


def _full_name(name: str, namespace: str) -> str:
    return f'{namespace.rstrip("/")}/{name}'


def _endpoint(end: Any) -> Endpoint:
    return Endpoint(_full_name(end.node_name, end.node_namespace),
                    _word(end.qos_profile.reliability), _word(end.qos_profile.durability))


def _word(policy: ReliabilityPolicy | DurabilityPolicy | HistoryPolicy) -> str:
    return policy.name.lower()


def _reason(text: str) -> str:
    """The reason of rclpy without its 'ERROR: ' and its last semicolon."""
    return text.replace('ERROR: ', '').strip().rstrip(';').lower()
