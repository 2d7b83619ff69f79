"""A publisher of pictures whose memory follows their size."""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image

from infant_pose_ros.ros.qos import checked_overrides

#: Pictures that wait for a slow subscriber.
DEPTH = 5
#: Pictures of less than this share of the largest one, for so long, s, let the rest be given back.
SMALL_SHARE, SMALL_FOR_S = 0.5, 3.0


class ShrinkWatch:
    """Tells when messages have become much smaller than they were. Knows no ROS."""

    def __init__(self):
        self._largest = 0
        self._small_since_s: float | None = None

    def has_shrunk(self, num_bytes: int, now_s: float) -> bool:
        """Whether, with this message, all have been small for long; then it begins anew."""
        if num_bytes >= SMALL_SHARE * self._largest:
            self._largest, self._small_since_s = max(self._largest, num_bytes), None
        elif self._small_since_s is None:
            self._small_since_s = now_s
        elif now_s - self._small_since_s >= SMALL_FOR_S:
            self._largest, self._small_since_s = num_bytes, None
            return True
        return False


class ImagePublisher:
    """Publishes an Image topic, reliably.

    Fast DDS keeps, for each place in a publisher's history, as much memory as the largest message
    took that was ever there: 25 MB for a picture of 3840x2160. When the pictures have become
    much smaller, the publisher is made anew, which gives that back.

    Args:
        node: the node that publishes. topic: a name as `create_publisher` takes it.

    Raises:
        SettingsError: a QoS override is none that exists.
    """

    def __init__(self, node: Node, topic: str):
        self._node, self._topic, self._shrink = node, topic, ShrinkWatch()
        self._publisher = self._made()

    @property
    def topic_name(self) -> str:
        """The topic's full name."""
        return self._publisher.topic_name

    def get_subscription_count(self) -> int:
        """How many listen."""
        return self._publisher.get_subscription_count()

    def publish(self, message: Image) -> None:
        """Send a picture."""
        if self._shrink.has_shrunk(len(message.data), time.monotonic()):
            # In this order: publishers of one topic share that memory as long as one is left.
            self._node.destroy_publisher(self._publisher)
            self._publisher = self._made()
        self._publisher.publish(message)

    def _made(self):
        with checked_overrides(self._node.resolve_topic_name(self._topic), 'publisher'):
            return self._node.create_publisher(
                Image, self._topic,
                QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE),
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
