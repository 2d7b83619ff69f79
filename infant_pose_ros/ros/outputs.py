"""The publishers of pose_node and what goes out on each for one frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from geometry_msgs.msg import PoseArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Header, String
from visualization_msgs.msg import MarkerArray

from infant_pose_ros.ros.graph import publishers_of, subscriptions_of
from infant_pose_ros.ros.keypoints import encode_keypoints
from infant_pose_ros.ros.markers import MarkerEncoder
from infant_pose_ros.ros.poses import encode_poses, JointStateEncoder
from infant_pose_ros.ros.qos import checked_overrides, latched_qos, marker_qos, result_qos
from infant_pose_ros.ros.skeleton_info import encode_skeleton_info
from infant_pose_ros.structures import FrameResult


class PoseOutputs:
    """Lifecycle publishers of one camera's poses.

    Messages that nobody listens to are not built, except keypoints and skeleton_info.

    Args:
        node: the node that publishes. camera_name: it stands in the markers' namespaces.
        prefix: what the topics' names begin with, 'left/' say, inside of the node's own.

    Raises:
        SettingsError: a QoS override is none that exists.
    """

    def __init__(self, node: LifecycleNode, camera_name: str, prefix: str = ''):
        self._node, self._prefix = node, prefix
        self._markers_encoder = MarkerEncoder(camera_name)
        self._joint_encoder = JointStateEncoder()
        self._all: list[Any] = []
        try:
            self._make_publishers()
        except BaseException:
            self.destroy()      # those that were made already
            raise

    def _make_publishers(self) -> None:
        self._keypoints = self._publisher(PointCloud2, 'keypoints', result_qos())
        self._keypoints_raw = self._publisher(PointCloud2, 'keypoints_raw', result_qos())
        self._poses = self._publisher(PoseArray, 'poses', result_qos())
        self._joint_states = self._publisher(JointState, 'joint_states', result_qos())
        self._markers = self._publisher(MarkerArray, 'markers', marker_qos())
        self._skeleton_info = self._publisher(String, 'skeleton_info', latched_qos())

    def _publisher(self, message_type: type, name: str, qos: QoSProfile):
        topic = f'~/{self._prefix}{name}'
        with checked_overrides(self._node.resolve_topic_name(topic), 'publisher'):
            publisher = self._node.create_lifecycle_publisher(
                message_type, topic, qos,
                qos_overriding_options=QoSOverridingOptions.with_default_policies())
        self._all.append(publisher)
        return publisher

    def publish(self, result: FrameResult, header: Header) -> None:
        """The answer for one frame; keypoints go first, as others wait for them."""
        self._keypoints.publish(encode_keypoints(result, header))
        if self._keypoints_raw.get_subscription_count():
            self._keypoints_raw.publish(encode_keypoints(result, header, raw=True))
        if self._poses.get_subscription_count():
            self._poses.publish(encode_poses(result, header))
        joint_states = self._joint_encoder.encode(result, header)
        if self._joint_states.get_subscription_count():
            self._joint_states.publish(joint_states)
        if self._markers.get_subscription_count():
            self._publish_markers(self._markers_encoder.encode(result, header))

    def clear_markers(self, header: Header, everything: bool = False) -> None:
        """Take away the skeletons that are shown; `everything` for (de)activation only."""
        encoder = self._markers_encoder
        self._publish_markers(
            encoder.clear_everything(header) if everything else encoder.clear(header))

    def publish_skeleton_info(self, content: dict[str, Any]) -> None:
        """What the numbers mean; late subscribers get it too."""
        self._skeleton_info.publish(encode_skeleton_info(content))

    def unheard(self) -> Iterator[tuple[str, str, str]]:
        """Subscribers whose QoS can't be met: the topic, their node, and what doesn't fit."""
        for publisher in self._all:
            topic, ours = publisher.topic_name, self._offered(publisher.topic_name)
            for info in subscriptions_of(self._node, topic) if ours else ():
                fit, reason = qos_check_compatible(ours, info.qos_profile)
                if fit == QoSCompatibility.ERROR:
                    yield topic, info.node_name, _in_short(reason)

    def listeners(self) -> set[tuple[str, str]]:
        """Namespace and name of the nodes that subscribe to the keypoints."""
        return {(info.node_namespace, info.node_name) for info in
                subscriptions_of(self._node, self._keypoints.topic_name)}

    def _offered(self, topic: str) -> QoSProfile | None:
        """What this node offers, as the graph has it: there, no deadline is an endless one, and
        not 0 s as in a publisher's own profile; None while the graph has nothing.
        """
        own = (self._node.get_name(), self._node.get_namespace())
        return next((info.qos_profile for info in publishers_of(self._node, topic)
                     if (info.node_name, info.node_namespace) == own), None)

    def reset(self) -> None:
        """Forget the frame before: no velocity spans the reset."""
        self._joint_encoder.reset()

    def destroy(self) -> None:
        """Take the publishers down."""
        for publisher in self._all:
            self._node.destroy_lifecycle_publisher(publisher)

    def _publish_markers(self, message: MarkerArray) -> None:
        if message.markers:
            self._markers.publish(message)


def _in_short(reason: str) -> str:
    """What rclpy says of QoS that don't fit: 'ERROR: one;ERROR: two;' becomes 'one, two'."""
    parts = (part.strip().removeprefix('ERROR: ') for part in reason.split(';'))
    return ', '.join(part.lower() for part in parts if part)
