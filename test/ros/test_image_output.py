"""A publisher that gives back what it kept for larger pictures."""

import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import Image

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros import image_output
from infant_pose_ros.ros.image_output import ImagePublisher, ShrinkWatch, SMALL_FOR_S
from infant_pose_ros.ros.images import encode_image


def test_small_messages_for_long_enough_have_shrunk_once():
    watch = ShrinkWatch()
    assert not watch.has_shrunk(1000, 0.0)
    assert not watch.has_shrunk(499, 1.0)
    assert not watch.has_shrunk(499, 0.9 + SMALL_FOR_S)
    assert watch.has_shrunk(499, 1.0 + SMALL_FOR_S)
    assert not watch.has_shrunk(499, 1.0 + 3 * SMALL_FOR_S)     # now they are the largest


def test_a_large_one_in_between_begins_the_wait_anew():
    watch = ShrinkWatch()
    watch.has_shrunk(1000, 0.0)
    watch.has_shrunk(10, 1.0)
    assert not watch.has_shrunk(500, 1.0 + SMALL_FOR_S)
    assert not watch.has_shrunk(10, 2.0 + SMALL_FOR_S)
    assert watch.has_shrunk(10, 2.0 + 2 * SMALL_FOR_S)


@pytest.fixture
def node(ros_domain):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(ros_domain['ROS_DOMAIN_ID']))
    made = rclpy.create_node('shrinking', context=context)
    yield made
    made.destroy_node()
    context.try_shutdown()


def test_subscribers_go_on_when_pictures_have_become_small(node, probe, monkeypatch):
    monkeypatch.setattr(image_output, 'SMALL_FOR_S', 0.0)
    inbox = probe.subscribe(Image, '/shrinking/image')
    publisher = ImagePublisher(node, '~/image')
    assert publisher.topic_name == '/shrinking/image'
    probe.wait_for_subscribers(publisher)
    sizes = [(480, 640), (60, 80), (60, 80), (60, 80)]
    for height, width in sizes:
        publisher.publish(encode_image(np.zeros((height, width, 3), np.uint8), probe.header()))
        probe.wait_for_subscribers(publisher)
    assert publisher.get_subscription_count() == 1
    last = probe.header()
    publisher.publish(encode_image(np.zeros((60, 80, 3), np.uint8), last))
    inbox.wait_for(lambda message: message.header == last)
    assert [info.node_name for info in node.get_publishers_info_by_topic('/shrinking/image')
            ] == ['shrinking']


def test_a_bad_qos_override_is_named_with_its_topic(ros_domain):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(ros_domain['ROS_DOMAIN_ID']), args=[
        '--ros-args', '-p', 'qos_overrides./pictures.publisher.reliability:=often'])
    node = rclpy.create_node('picky', context=context)
    try:
        with pytest.raises(SettingsError, match=r'qos_overrides\./pictures\.publisher'):
            ImagePublisher(node, '/pictures')
    finally:
        node.destroy_node()
        context.try_shutdown()
