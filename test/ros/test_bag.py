import sys

from geometry_msgs.msg import PoseArray
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray
import yaml

from infant_pose_ros.errors import DatasetError, InvalidInputError, MissingDependencyError
from infant_pose_ros.ros.bag import BagWriter, message_type_name, read_back


def test_type_names():
    assert message_type_name(PointCloud2) == 'sensor_msgs/msg/PointCloud2'
    assert message_type_name(String) == 'std_msgs/msg/String'


def test_round_trip_of_many_types(tmp_path):
    types = (PoseArray, CameraInfo, CompressedImage, Image, PointCloud2, MarkerArray)
    with BagWriter(tmp_path / 'bag') as bag:
        for index, message_type in enumerate(types):
            bag.write(f'/topic_{index}', message_type, 1000 + index,
                      serialize_message(message_type()))
        bag.write('/info', String, 2000, serialize_message(String(data='one')), latched=True)
        bag.write('/info', String, 3000, serialize_message(String(data='two')), latched=True)
    expected = {f'/topic_{index}': 1 for index in range(len(types))} | {'/info': 2}
    assert dict(bag.counts) == expected
    assert dict(read_back(tmp_path / 'bag')) == expected


def test_metadata_is_what_rosbag2_expects(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/info', String, 2_000_000_000, serialize_message(String(data='x')), True)
        bag.write('/other', String, 5_000_000_000, serialize_message(String(data='y')))
    content = yaml.safe_load((tmp_path / 'bag/metadata.yaml').read_text())
    information = content['rosbag2_bagfile_information']
    assert information['storage_identifier'] == 'mcap'
    assert information['duration']['nanoseconds'] == 3_000_000_000
    topics = {entry['topic_metadata']['name']: entry['topic_metadata']
              for entry in information['topics_with_message_count']}
    durability = {name: yaml.safe_load(topic['offered_qos_profiles'])[0]['durability']
                  for name, topic in topics.items()}
    assert durability == {'/info': 1, '/other': 2}  # transient local, volatile


def test_messages_keep_their_content_and_time(tmp_path):
    from rosbags.highlevel import AnyReader
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/info', String, 1234, serialize_message(String(data='grüße')))
    with AnyReader([tmp_path / 'bag']) as reader:
        ((connection, stamp_ns, data),) = reader.messages()
        assert stamp_ns == 1234
        assert reader.deserialize(data, connection.msgtype).data == 'grüße'


def test_an_older_bag_is_replaced_but_nothing_else(tmp_path):
    for text in ('first', 'second'):
        with BagWriter(tmp_path / 'bag') as bag:
            bag.write('/info', String, 1, serialize_message(String(data=text)))
    assert dict(read_back(tmp_path / 'bag')) == {'/info': 1}
    other = tmp_path / 'other'
    other.mkdir()
    (other / 'thesis.tex').write_text('precious')
    with pytest.raises(InvalidInputError, match='no bag'):
        BagWriter(other)
    assert (other / 'thesis.tex').read_text() == 'precious'


def test_an_empty_bag_can_be_closed_and_read(tmp_path):
    with BagWriter(tmp_path / 'bag'):
        pass
    assert dict(read_back(tmp_path / 'bag')) == {}


def test_damage_is_found(tmp_path):
    with pytest.raises(DatasetError, match='can not be read back'):
        read_back(tmp_path / 'none')
    with BagWriter(tmp_path / 'cut') as bag:
        bag.write('/info', String, 1, b'\x00\x01\x00\x00\xff\x00\x00\x00short')
    with pytest.raises(DatasetError, match='can not be read back'):
        read_back(tmp_path / 'cut')


def test_without_rosbags_the_mend_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rosbags', None)
    with pytest.raises(MissingDependencyError, match='pip install rosbags'):
        BagWriter(tmp_path / 'bag')
