"""Recorded and played back: the same poses each time, and those of `infant-pose predict`."""

from __future__ import annotations

import csv
from itertools import count, islice
import time

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
import yaml

from infant_pose_ros.cli.main import main as infant_pose
from infant_pose_ros.media.bags import Bag
from infant_pose_ros.media.sources import bundled_clip, open_source
from infant_pose_ros.ros.bag import BagWriter
from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.keypoints import decode_keypoints
from infant_pose_ros.ros.timing import NS_PER_S, stamp_to_ns
from infant_pose_ros.structures import Camera

NUM_FRAMES = 24
FIRST_NS = 1_700_000_000 * NS_PER_S
TYPES = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CameraInfo': CameraInfo}
NODES = ('/wall', '/sim')


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """What a recorder would have written of the bundled clip's first pictures."""
    folder = tmp_path_factory.mktemp('recorded') / 'bag'
    with open_source(bundled_clip()) as source, BagWriter(folder) as writer:
        camera = Camera.from_camera_info_yaml(source.camera_info_path)
        for frame in islice(source, NUM_FRAMES):
            stamp_ns = FIRST_NS + round(frame.index * NS_PER_S / source.rate_hz)
            header = Header(frame_id='camera_optical_frame')
            header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
            for topic, message in (('/camera/camera_info', encode_camera_info(camera, header)),
                                   ('/camera/image', encode_image(frame.image_rgb, header))):
                writer.write(topic, type(message), stamp_ns + 5_000_000,
                             serialize_message(message))
    return folder


class Player:
    """Publishes a bag's messages as they were recorded, with /clock, faster or slower."""

    def __init__(self, probe, folder):
        self._probe, self._folder = probe, folder
        self._clock = probe.publisher(Clock, '/clock', 10)
        self._earlier_ns = count(FIRST_NS - 1000 * NS_PER_S, NS_PER_S)
        with Bag(folder) as opened:
            self._publishers = {topic: probe.publisher(TYPES[kind], topic, 100)
                                for topic, kind in opened.topics.items()}

    def wait_for_subscribers(self, count):
        for publisher in self._publishers.values():
            self._probe.wait_for_subscribers(publisher, count)

    def send(self):
        """A picture with its CameraInfo that is not of the bag; its stamp."""
        header = self._probe.header(next(self._earlier_ns))
        infos, images = (self._publishers[f'/camera/{name}'] for name in ('camera_info', 'image'))
        infos.publish(encode_camera_info(Camera(60.0, 60.0, 31.5, 23.5, 64, 48), header))
        images.publish(encode_image(np.zeros((48, 64, 3), np.uint8), header))
        return header.stamp

    def play(self, pause_s):
        with Bag(self._folder) as opened:
            for connection, recorded_ns, data in opened.stored():
                clock = Clock()
                clock.clock.sec, clock.clock.nanosec = divmod(recorded_ns, NS_PER_S)
                self._clock.publish(clock)
                self._publishers[connection.topic].publish(data)
                time.sleep(pause_s)


@pytest.fixture(scope='module')
def played(ros_domain, node_process, probe, bag):
    """Answers of both nodes to the bag, played twice: fast, and at about the rate of its stamps.

    One node goes by the wall clock, the other by /clock; each has a namespace of its own.
    """
    def begin_anew():
        for name in NODES:
            assert probe.call(Trigger, f'{name}/pose_node/reset').success

    def start(namespace):
        return node_process(
            'infant_pose_ros.nodes.pose_node', env=ros_domain,
            params={'deterministic': True, 'num_threads': 1, 'use_sim_time': namespace == '/sim'},
            remaps={'__ns': namespace, 'image': '/camera/image',
                    'camera_info': '/camera/camera_info'})

    with start('/wall') as wall, start('/sim') as sim:
        player = Player(probe, bag)
        for process in (wall, sim):
            process.wait_for_log('active: ')
        player.wait_for_subscribers(2)
        answers = {name: probe.subscribe(PointCloud2, f'{name}/pose_node/keypoints', 100)
                   for name in NODES}
        for inbox in answers.values():
            last = probe.until_answered(player.send, inbox).header
        for inbox in answers.values():      # both have been sent what the second one needed
            inbox.wait_for(lambda answer: answer.header == last)
            del inbox[:]
        begin_anew()
        for num_answers, pause_s in ((NUM_FRAMES, 0.002), (2 * NUM_FRAMES, 0.015)):
            player.play(pause_s)
            for inbox in answers.values():
                inbox.wait_for(num_answers, 60.0)
            begin_anew()
        yield {name: (inbox[:NUM_FRAMES], inbox[NUM_FRAMES:]) for name, inbox in answers.items()}


def test_the_bag_is_one_of_rosbag2s(bag):
    content = yaml.safe_load((bag / 'metadata.yaml').read_text(encoding='utf-8'))
    information = content['rosbag2_bagfile_information']
    assert information['storage_identifier'] == 'mcap'
    assert information['message_count'] == 2 * NUM_FRAMES
    topics = {entry['topic_metadata']['name']: entry for entry in
              information['topics_with_message_count']}
    assert set(topics) == {'/camera/image', '/camera/camera_info'}
    for entry in topics.values():
        assert entry['message_count'] == NUM_FRAMES
        assert entry['topic_metadata']['serialization_format'] == 'cdr'
        (qos,) = yaml.safe_load(entry['topic_metadata']['offered_qos_profiles'])
        assert (qos['history'], qos['reliability'], qos['durability']) == (1, 1, 2)
    (path,) = information['relative_file_paths']
    assert (bag / path).read_bytes()[:5] == b'\x89MCAP'


def test_every_picture_is_answered_in_order(played):
    for runs in played.values():
        for answers in runs:
            stamps_ns = [stamp_to_ns(message.header.stamp) for message in answers]
            assert len(stamps_ns) == NUM_FRAMES and stamps_ns == sorted(set(stamps_ns))
            assert stamps_ns[0] == FIRST_NS


def test_infants_are_found(played):
    found = [len(decode_keypoints(message)) for message in played['/wall'][0]]
    assert sum(found) >= NUM_FRAMES - 3


def test_played_again_it_is_the_same_bit_for_bit(played):
    first = [bytes(message.data) for message in played['/wall'][0]]
    for name in NODES:
        for answers in played[name]:
            assert [bytes(message.data) for message in answers] == first


def test_predict_gives_the_same_poses(played, bag, tmp_path):
    """To the digits of its table: 1/1000 px, 1/100 mm."""
    table = tmp_path / 'poses.csv'
    assert infant_pose(['predict', str(bag), '--csv', str(table), '--quiet',
                        '--num-threads', '1']) == 0
    rows = {}
    with table.open(encoding='utf-8', newline='') as stream:
        for row in csv.DictReader(stream):
            if row['joint']:
                rows.setdefault(int(row['frame']), []).append(row)
    assert rows
    for index, message in enumerate(played['/sim'][1]):
        points = decode_keypoints(message).reshape(-1)
        expected = rows.get(index, [])
        assert [row['track'] for row in expected] == [str(track) for track in points['track']]
        for column, field, digits in (('u_px', 'u', 3), ('v_px', 'v', 3), ('x_m', 'x', 5),
                                      ('y_m', 'y', 5), ('z_m', 'z', 5)):
            told = np.array([float(row[column] or 'nan') for row in expected])
            np.testing.assert_allclose(points[field], told, rtol=0, atol=2 * 10.0 ** -digits)
