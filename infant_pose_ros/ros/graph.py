"""Who publishes a topic, and who subscribes to it, by the topic's resolved name.

rclpy's own `get_publishers_info_by_topic` remaps the name that it is given, and so remaps one
that was resolved already a second time: to a topic that was not asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo


def publishers_of(node: Node, topic: str) -> list[TopicEndpointInfo]:
    """The publishers of a topic; `topic` is resolved, as '/cot/image'."""
    return _ends(node, topic, rclpy_implementation.rclpy_get_publishers_info_by_topic)


def subscriptions_of(node: Node, topic: str) -> list[TopicEndpointInfo]:
    """The subscriptions to a topic; `topic` is resolved."""
    return _ends(node, topic, rclpy_implementation.rclpy_get_subscriptions_info_by_topic)


def _ends(node: Node, topic: str, ask: Callable) -> list[TopicEndpointInfo]:
    with node.handle:
        return [TopicEndpointInfo(**end) for end in ask(node.handle, topic, False)]
