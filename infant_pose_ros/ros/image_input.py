"""The camera's subscriptions: image and CameraInfo, with a reliability that follows the graph."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros.qos import agreed_reliability, camera_info_qos, image_qos

#: How often the publishers' reliability is looked at, s.
CHECK_PERIOD_S = 0.25
RELIABILITIES = ('auto', 'reliable', 'best_effort')
_TRANSPORTS = {'sensor_msgs/msg/Image': 'raw', 'sensor_msgs/msg/CompressedImage': 'compressed'}


class ImageInput:
    """Subscribes to `image` (or `image/compressed`) and, if asked to, to `camera_info`.

    With reliability 'auto' the image subscription is made anew whenever what all publishers
    offer has changed. QoS overriding parameters of the image topic win over the setting.

    Args:
        node: the node that subscribes.
        transport: 'raw' or 'compressed'. reliability: 'auto', 'reliable' or 'best_effort'.
        on_image: called with each Image or CompressedImage.
        on_camera_info: called with each CameraInfo; None doesn't subscribe to it.
        on_reopened: called after the image subscription was made anew.
        depth: pictures kept while the node is busy; 1 keeps the newest.

    Raises:
        SettingsError: the QoS override of the reliability is none of `RELIABILITIES`.
    """

    def __init__(self, node: Node, transport: str, reliability: str,
                 on_image: Callable[[Image | CompressedImage], None],
                 on_camera_info: Callable[[CameraInfo], None] | None = None,
                 on_reopened: Callable[[], None] = lambda: None, depth: int = 1):
        self._node = node
        self._transport = transport
        self._name = 'image' if transport == 'raw' else 'image/compressed'
        self._on_image, self._on_camera_info = on_image, on_camera_info
        self._on_reopened, self._depth = on_reopened, depth
        self.topic = node.resolve_topic_name(self._name)
        self.camera_info_topic = node.resolve_topic_name('camera_info')
        self._setting = self._overridden(reliability)
        self.reliability = agreed_reliability(self._setting, [])
        self._image_subscription = self._info_subscription = self._timer = None

    def _overridden(self, reliability: str) -> str:
        name = f'qos_overrides.{self.topic}.subscription.reliability'
        if not self._node.has_parameter(name):
            self._node.declare_parameter(name, reliability)
        value = str(self._node.get_parameter(name).value)
        if value not in RELIABILITIES:
            raise SettingsError(
                f'{name}: {value!r} is not one of {", ".join(map(repr, RELIABILITIES))}')
        return value

    def open(self) -> None:
        """Subscribe, and begin to follow the publishers' reliability."""
        self.reliability = agreed_reliability(self._setting, self.offered())
        self._subscribe()
        if self._on_camera_info is not None:
            self._info_subscription = self._node.create_subscription(
                CameraInfo, 'camera_info', self._on_camera_info, camera_info_qos(),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
        self._timer = self._node.create_timer(
            CHECK_PERIOD_S, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Unsubscribe."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        for subscription in (self._image_subscription, self._info_subscription):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self._image_subscription = self._info_subscription = self._timer = None

    def offered(self) -> list[ReliabilityPolicy]:
        """Reliability of each of the image's publishers."""
        return [info.qos_profile.reliability
                for info in self._node.get_publishers_info_by_topic(self.topic)]

    def num_incompatible(self, offered: list[ReliabilityPolicy]) -> int:
        """How many of these publishers offer less than the subscription asks for."""
        return (self.reliability == ReliabilityPolicy.RELIABLE) * offered.count(
            ReliabilityPolicy.BEST_EFFORT)

    def image_topics(self) -> list[tuple[str, str]]:
        """Topics with publishers that carry images, with their transport."""
        found = []
        for topic, types in self._node.get_topic_names_and_types():
            transports = [_TRANSPORTS[name] for name in types if name in _TRANSPORTS]
            if transports and self._node.count_publishers(topic):
                found.append((topic, transports[0]))
        return found

    def _subscribe(self) -> None:
        self._image_subscription = self._node.create_subscription(
            Image if self._transport == 'raw' else CompressedImage, self._name, self._on_image,
            image_qos(self.reliability, self._depth), qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)))

    def _check(self) -> None:
        wanted = agreed_reliability(self._setting, self.offered())
        if wanted == self.reliability:
            return
        self.reliability = wanted
        self._node.destroy_subscription(self._image_subscription)
        self._subscribe()
        self._node.get_logger().info(
            f'{self.topic}: subscribed anew as {wanted.name.lower()}, to match its publishers')
        self._on_reopened()
