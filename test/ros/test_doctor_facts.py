import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from infant_pose_ros.ros.doctor_facts import (
    CAMERA_INFO,
    camera_info_beside,
    COMPRESSED,
    GraphFacts,
    IMAGE,
    read_serialised,
    Stream,
    TopicFacts,
)
from infant_pose_ros.ros.doctor_watch import kind_of_node


@pytest.mark.parametrize('frame_id', ['', 'a', 'abc', 'abcd', 'camera_optical_frame', 'Käfig'])
@pytest.mark.parametrize(('type_name', 'message', 'size_wh', 'encoding'), [
    (IMAGE, Image(width=640, height=480, encoding='mono8'), (640, 480), 'mono8'),
    (CAMERA_INFO, CameraInfo(width=320, height=240), (320, 240), ''),
    (COMPRESSED, CompressedImage(format='jpeg'), None, '')])
def test_headers_are_read_from_the_bytes(frame_id, type_name, message, size_wh, encoding):
    message.header = Header(frame_id=frame_id)
    message.header.stamp.sec, message.header.stamp.nanosec = 7, 11
    found = read_serialised(serialize_message(message), type_name)
    assert (found.stamp_ns, found.frame_id) == (7_000_000_011, frame_id)
    assert (found.size_wh, found.encoding) == (size_wh, encoding)


@pytest.mark.parametrize('type_name', [IMAGE, CAMERA_INFO, COMPRESSED])
def test_bytes_that_end_too_soon_are_nothing(type_name):
    data = serialize_message(Image(header=Header(frame_id='abc')))
    assert all(read_serialised(data[:count], type_name) is None for count in range(16))
    assert read_serialised(b'\x00\x01\x00\x00' + b'\xff' * 40, IMAGE) is None


def test_rates_of_a_stream():
    stream = Stream(sizes=[100, 300], arrivals_ns=[0, 500_000_000], stamps_ns=[1, 2])
    assert stream.rate_hz == 2.0
    assert stream.megabytes_a_second == pytest.approx(2.0 * 200 / 1e6)
    assert Stream().rate_hz is None and Stream(arrivals_ns=[3]).megabytes_a_second is None


@pytest.mark.parametrize(('topic', 'type_name', 'expected'), [
    ('/a/image_raw', IMAGE, '/a/camera_info'), ('/image', IMAGE, '/camera_info'),
    ('/a/image/compressed', COMPRESSED, '/a/camera_info'),
    ('/a/image', COMPRESSED, '/a/camera_info')])
def test_where_the_camera_info_lies(topic, type_name, expected):
    assert camera_info_beside(topic, type_name) == expected


def test_only_topics_with_publishers_carry_images():
    graph = GraphFacts(0, 1.0, topics={'/a': TopicFacts('/a', (IMAGE,))})
    assert graph.image_topics() == []


@pytest.mark.parametrize(('services', 'published', 'subscribed', 'kind'), [
    ({'/n/enable': ('std_srvs/srv/SetBool',), '/n/reset': ('std_srvs/srv/Trigger',),
      '/n/get_state': ('lifecycle_msgs/srv/GetState',)}, {}, {}, 'pose_node'),
    ({'/n/enable': ('std_srvs/srv/SetBool',)}, {}, {}, ''),
    ({}, {'/n/image': (IMAGE,)},
     {'/i': (IMAGE,), '/k': ('sensor_msgs/msg/PointCloud2',)}, 'overlay_node'),
    ({}, {'/image': (IMAGE,)}, {'/i': (IMAGE,)}, '')])
def test_nodes_are_known_by_what_they_offer(services, published, subscribed, kind):
    assert kind_of_node('/n', services, published, subscribed) == kind
