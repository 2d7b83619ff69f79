"""The camera's subscriptions: image and CameraInfo, with a reliability that follows the graph."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros.attempt import surviving
from infant_pose_ros.ros.graph import publishers_of, subscriptions_of
from infant_pose_ros.ros.qos import agreed_reliability, checked_overrides, image_qos

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:     # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

#: How often the publishers' reliability is looked at, s.
CHECK_PERIOD_S = 0.25
#: A check that goes wrong is logged this often at most, s.
LOG_PERIOD_S = 5.0
#: CameraInfo messages kept while the node is busy: they are the witnesses of lost pictures.
INFO_DEPTH = 200
RELIABILITIES = ('auto', 'reliable', 'best_effort')
_TRANSPORTS = {'sensor_msgs/msg/Image': 'raw', 'sensor_msgs/msg/CompressedImage': 'compressed'}


class FollowingSubscription:
    """A subscription to pictures whose reliability follows their publishers.

    With reliability 'auto' the subscription is made anew whenever what all publishers offer has
    changed. QoS overriding parameters of the topic win over the setting.

    Args:
        node: the node that subscribes.
        message_type, name: what to subscribe to, a relative name.
        reliability: 'auto', 'reliable' or 'best_effort'.
        on_message: called with each message.
        on_reopened: called after the subscription was made anew.
        depth: messages kept while the node is busy; 1 keeps the newest.
        on_lost: called with how many messages the middleware tells to be lost; None: not asked.

    Attributes:
        tells_lost: whether the middleware does tell.

    Raises:
        SettingsError: the QoS override of the reliability is none of `RELIABILITIES`.
    """

    def __init__(self, node: Node, message_type: type, name: str, reliability: str,
                 on_message: Callable[[Any], None],
                 on_reopened: Callable[[], None] = lambda: None, depth: int = 1,
                 on_lost: Callable[[int], None] | None = None):
        self._node, self._message_type, self._name = node, message_type, name
        self._on_lost, self.tells_lost = on_lost, on_lost is not None
        self._on_message, self._on_reopened, self._depth = on_message, on_reopened, depth
        self.topic = node.resolve_topic_name(name)
        self._setting = self._overridden(reliability)
        self.reliability = agreed_reliability(self._setting, [])
        self._subscription = self._timer = None

    def _overridden(self, reliability: str) -> str:
        name = f'qos_overrides.{self.topic}.subscription.reliability'
        if not self._node.has_parameter(name):
            self._node.declare_parameter(name, reliability, ParameterDescriptor(
                description=f'Reliability of the subscription to {self.topic}.', read_only=True,
                additional_constraints=f'one of: {", ".join(RELIABILITIES)}'))
        value = str(self._node.get_parameter(name).value)
        if value not in RELIABILITIES:
            raise SettingsError(
                f'{name}: {value!r} is not one of {", ".join(map(repr, RELIABILITIES))}')
        return value

    def open(self) -> None:
        """Subscribe, and begin to follow the publishers' reliability."""
        self.reliability = agreed_reliability(self._setting, self.offered())
        self._subscribe()
        self._timer = self._node.create_timer(
            CHECK_PERIOD_S, surviving(self._check, self._check_failed),
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Unsubscribe."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = self._timer = None

    def offered(self) -> list[ReliabilityPolicy]:
        """Reliability of each publisher."""
        return [info.qos_profile.reliability
                for info in publishers_of(self._node, self.topic)]

    def _subscribe(self) -> None:
        with checked_overrides(self.topic, 'subscription'):
            try:
                self._subscription = self._made()
            except UnsupportedEventTypeError:       # this middleware doesn't tell
                self.tells_lost = False
                self._subscription = self._made()

    def _made(self) -> Any:
        events = None
        if self.tells_lost:
            events = SubscriptionEventCallbacks(
                message_lost=lambda event: self._on_lost(event.total_count_change))
        return self._node.create_subscription(
            self._message_type, self._name, self._on_message,
            image_qos(self.reliability, self._depth), event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)))

    def _check(self) -> None:
        wanted = agreed_reliability(self._setting, self.offered())
        if wanted == self.reliability and self._subscription is not None:
            return
        self.reliability = wanted
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            self._node.destroy_subscription(subscription)
        self._subscribe()       # where it raises, it is tried again at the next check
        self._node.get_logger().info(
            f'{self.topic}: subscribed anew as {wanted.name.lower()}, to match its publishers')
        self._on_reopened()

    def _check_failed(self, reason: str) -> None:
        if self._node.context.ok():     # or ROS was shut down meanwhile
            self._node.get_logger().error(
                f'{self.topic}: its publishers could not be looked at: {reason}',
                throttle_duration_sec=LOG_PERIOD_S)


class ImageInput:
    """Subscribes to `image` (or `image/compressed`) and, if asked to, to `camera_info`.

    Args:
        node: the node that subscribes.
        transport: 'raw' or 'compressed'. reliability: 'auto', 'reliable' or 'best_effort'.
        on_image: called with each Image or CompressedImage.
        on_camera_info: called with each CameraInfo; None doesn't subscribe to it.
        on_reopened: called after the image subscription was made anew.
        depth: pictures kept while the node is busy; 1 keeps the newest.
        prefix: what the names begin with, 'left/' say.
        every_info: whether each CameraInfo counts: then they are asked for as the pictures are.
        on_lost: as `FollowingSubscription` has it, of pictures.

    Raises:
        SettingsError: the QoS override of the reliability is none of `RELIABILITIES`.
    """

    def __init__(self, node: Node, transport: str, reliability: str,
                 on_image: Callable[[Image | CompressedImage], None],
                 on_camera_info: Callable[[CameraInfo], None] | None = None,
                 on_reopened: Callable[[], None] = lambda: None, depth: int = 1,
                 prefix: str = '', every_info: bool = False,
                 on_lost: Callable[[int], None] | None = None):
        self._node = node
        self._images = FollowingSubscription(
            node, *((Image, f'{prefix}image') if transport == 'raw' else
                    (CompressedImage, f'{prefix}image/compressed')),
            reliability, on_image, on_reopened, depth, on_lost)
        self.topic = self._images.topic
        self._info_name = f'{prefix}camera_info'
        self.camera_info_topic = node.resolve_topic_name(self._info_name)
        self._infos = None if on_camera_info is None else FollowingSubscription(
            node, CameraInfo, self._info_name, reliability if every_info else 'auto',
            on_camera_info, depth=depth if every_info else INFO_DEPTH)

    @property
    def reliability(self) -> ReliabilityPolicy:
        """What the image subscription asks for at present."""
        return self._images.reliability

    @property
    def tells_lost(self) -> bool:
        """Whether the middleware tells of pictures that got lost."""
        return self._images.tells_lost

    def open(self) -> None:
        """Subscribe, and begin to follow the publishers' reliability."""
        self._images.open()
        if self._infos is not None:
            self._infos.open()

    def close(self) -> None:
        """Unsubscribe."""
        self._images.close()
        if self._infos is not None:
            self._infos.close()

    def offered(self) -> list[ReliabilityPolicy]:
        """Reliability of each of the image's publishers."""
        return self._images.offered()

    def listeners(self) -> set[tuple[str, str]]:
        """Namespace and name of the nodes that subscribe to the images, this one too."""
        return {(info.node_namespace, info.node_name)
                for info in subscriptions_of(self._node, self.topic)}

    def num_incompatible(self, offered: list[ReliabilityPolicy]) -> int:
        """How many of these publishers offer less than the subscription asks for."""
        return (self.reliability == ReliabilityPolicy.RELIABLE) * offered.count(
            ReliabilityPolicy.BEST_EFFORT)

    def image_topics(self, left_out: Set[tuple[str, str]] = frozenset()
                     ) -> list[tuple[str, str]]:
        """Topics with publishers that carry images, with their transport.

        Args:
            left_out: namespace and name of the nodes whose images don't count.
        """
        found = []
        for topic, types in self._node.get_topic_names_and_types():
            transports = [_TRANSPORTS[name] for name in types if name in _TRANSPORTS]
            if transports and any(
                    (info.node_namespace, info.node_name) not in left_out
                    for info in publishers_of(self._node, topic)):
                found.append((topic, transports[0]))
        return found
