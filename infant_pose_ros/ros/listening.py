"""A node that hands on messages as they came, unread: cheap enough to record everything."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from infant_pose_ros.ros.recording import Topic

DEPTH = 100


class RawSubscriptions:
    """Subscribes to all topics, on a thread of its own, while the `with` block runs.

    Args:
        node_name: name of the node.
        topics: by role.
        put: called with the role, the time of arrival (ns) and the serialised message.

    Attributes:
        node: while the block runs; it may publish and call services as well.
    """

    def __init__(self, node_name: str, topics: dict[str, Topic],
                 put: Callable[[str, int, bytes], None]):
        self._node_name, self._topics, self._put = node_name, topics, put

    def __enter__(self) -> RawSubscriptions:
        # The caller deals with signals; the context is this object's own.
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context,
                   signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(self._node_name, context=self._context)
        for role, topic in self._topics.items():
            self._subscribe(role, topic)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name='subscriptions', daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc_info) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        self._context.try_shutdown()

    def _subscribe(self, role: str, topic: Topic) -> None:
        durability = (DurabilityPolicy.TRANSIENT_LOCAL if topic.latched
                      else DurabilityPolicy.VOLATILE)
        self.node.create_subscription(
            topic.message_type, topic.name,
            lambda data: self._put(role, time.time_ns(), data),
            QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE,
                       durability=durability), raw=True)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
