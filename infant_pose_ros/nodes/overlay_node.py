"""overlay_node: draws each answer over the very picture that it belongs to. Wiring only."""

from __future__ import annotations

import time
from typing import Any

import cv2
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from infant_pose_ros.config import OverlayNodeSettings
from infant_pose_ros.entry import finish
from infant_pose_ros.errors import InfantPoseError
from infant_pose_ros.media.overlay import OverlayPainter
from infant_pose_ros.ros.faults import InputStatus
from infant_pose_ros.ros.image_input import ImageInput
from infant_pose_ros.ros.image_output import ImagePublisher
from infant_pose_ros.ros.images import decode_compressed, decode_image, encode_image
from infant_pose_ros.ros.keypoints import decode_keypoints
from infant_pose_ros.ros.overlay import RateMeter, StampMatcher
from infant_pose_ros.ros.overlay_watch import OverlayWatch
from infant_pose_ros.ros.parameters import declare_settings, follow_settings
from infant_pose_ros.ros.qos import result_qos
from infant_pose_ros.ros.running import run_node
from infant_pose_ros.ros.self_report import other_type
from infant_pose_ros.ros.status_publisher import StatusPublisher
from infant_pose_ros.ros.timing import NS_PER_S, stamp_to_ns

LOG_PERIOD_S = 5.0
#: What a message may be wrong in; the node goes on with the next one.
MESSAGE_ERRORS = (InfantPoseError, RuntimeError, ValueError, LookupError, TypeError,
                  AttributeError, ArithmeticError, MemoryError, cv2.error)
#: Pictures kept while one is drawn: unlike the pose node's, each of them has its answer.
IMAGE_DEPTH = 10


class OverlayNode(Node):
    """Subscribes to `image`, `keypoints` and, to draw them, `keypoints_raw`.

    A picture is published once its answer has come, with its own stamp. One that is never
    answered (the pose node took a newer one) is left out: a skeleton of another moment would
    be wrong, and a picture without one would flicker.
    """

    def __init__(self):
        super().__init__('overlay_node')
        self._settings = declare_settings(self, OverlayNodeSettings)
        self._painter = OverlayPainter(self._settings)
        self._rate, self._watch = RateMeter(), OverlayWatch(time.monotonic())
        self._raw_subscription = self._matcher = None
        self._publisher = ImagePublisher(self, '~/image')
        self._follow_raw()
        self.create_subscription(
            PointCloud2, 'keypoints', lambda message: self._add('keypoints', message),
            result_qos())
        self._input = ImageInput(
            self, self._settings.image_transport, self._settings.reliability,
            lambda message: self._add('image', message), depth=IMAGE_DEPTH)
        self._input.open()
        self._status = StatusPublisher(self, 'overlay', self._input.topic, self._report)
        follow_settings(self, lambda: self._settings, self._apply_settings)

    def _apply_settings(self, settings: OverlayNodeSettings) -> None:
        before, self._settings = self._painter, settings
        self._painter = OverlayPainter(settings)
        if self._painter.needs_raw != before.needs_raw:
            self._follow_raw()

    def _follow_raw(self) -> None:
        """Subscribe to the keypoints before smoothing only while they are drawn."""
        topics = ['image', 'keypoints']
        if self._painter.needs_raw:
            topics.append('keypoints_raw')
            self._raw_subscription = self.create_subscription(
                PointCloud2, 'keypoints_raw',
                lambda message: self._add('keypoints_raw', message), result_qos())
        elif self._raw_subscription is not None:
            self.destroy_subscription(self._raw_subscription)
            self._raw_subscription = None
        if self._matcher is not None:
            self._matcher.give_up()
        self._matcher = StampMatcher(topics, self._settings.max_wait_frames, self._given_up)

    def _given_up(self, parts: dict[str, Any]) -> None:
        if 'image' in parts:
            self._watch.given_up(time.monotonic())

    def _add(self, topic: str, message: Image | CompressedImage | PointCloud2) -> None:
        now_s, stamp_ns = time.monotonic(), stamp_to_ns(message.header.stamp)
        if topic == 'image':
            self._watch.picture_came(now_s, is_stamped=stamp_ns != 0)
        elif topic == 'keypoints':
            self._watch.keypoints_came(now_s)
        if stamp_ns == 0:
            return      # whose answer it is can not be told
        parts = self._matcher.add(topic, stamp_ns, message)
        if parts is None:
            return
        rate_hz = self._rate.tick(stamp_ns)
        try:
            if self._publisher.get_subscription_count():
                self._publisher.publish(self._draw(parts, rate_hz))
            self._watch.drawn(now_s)
        except MESSAGE_ERRORS as error:
            if not self.context.ok():
                return      # ROS was shut down meanwhile
            self._watch.failed(now_s, f'{type(error).__name__}: {error}')
            self.get_logger().error(f'a picture was left out: {error}',
                                    throttle_duration_sec=LOG_PERIOD_S)

    def _report(self, now_s: float):
        images, topic = self._input, self.resolve_topic_name('keypoints')
        offered, transport = images.offered(), self._settings.image_transport
        inputs = InputStatus(
            topic=images.topic, transport=transport, num_publishers=len(offered),
            num_incompatible=images.num_incompatible(offered),
            other_topics=tuple(other for other in images.image_topics()
                               if other[0] != self._publisher.topic_name),
            other_type=other_type(self, images.topic, transport), has_camera_info=True)
        return self._watch.report(
            now_s, inputs, topic, self.count_publishers(topic), self._settings.privacy)

    def _draw(self, parts: dict[str, Image | CompressedImage | PointCloud2],
              rate_hz: float | None) -> Image:
        decode = (decode_compressed if self._settings.image_transport == 'compressed'
                  else decode_image)
        raw = parts.get('keypoints_raw')
        header = parts['image'].header
        picture_rgb = self._painter.draw(
            decode(parts['image']), stamp_to_ns(header.stamp) / NS_PER_S,
            decode_keypoints(parts['keypoints']), None if raw is None else decode_keypoints(raw),
            rate_hz)
        return encode_image(picture_rgb, header)


def main(args: list[str] | None = None) -> int:
    """Console script `overlay_node`."""
    return run_node(OverlayNode, args)


if __name__ == '__main__':
    finish(main())
