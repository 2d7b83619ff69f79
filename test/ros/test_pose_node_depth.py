"""pose_node with a depth picture beside each colour picture, over DDS."""

import array
import json

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String

from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.structures import Camera

MODULE = 'infant_pose_ros.nodes.pose_node'
PARAMS = {'keypoint_score_min': 0.05, 'track_score_min': 0.0, 'detection_score_min': 0.3,
          'detect_async': False, 'detect_every': 1, 'max_age_ms': 0.0, 'use_depth': True,
          'depth_wait_ms': 1000.0, 'adult_policy': 'off'}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL,
                     reliability=ReliabilityPolicy.RELIABLE)
_noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


def depth_message(header, size_wh=(160, 120), encoding='16UC1', distance_mm=1000):
    data = array.array('B')
    data.frombytes(np.full(size_wh[::-1], distance_mm, '<u2').tobytes())
    return Image(header=header, height=size_wh[1], width=size_wh[0], encoding=encoding,
                 step=2 * size_wh[0], data=data)


class Rig:
    """Publishes colour, depth and CameraInfo, and listens."""

    def __init__(self, probe):
        self.probe = probe
        self.answers = probe.subscribe(PointCloud2, '/pose_node/keypoints')
        self.diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        self.colour = probe.publisher(Image, '/image', subscribers=1)
        self.depth = probe.publisher(Image, '/depth', subscribers=1)
        self.cameras = probe.publisher(CameraInfo, '/camera_info', subscribers=1)
        probe.until_answered(self.send, self.answers)

    def send(self, depth_header=None, depth_first=False, **kwargs):
        """Send a picture, and a depth picture with a header of the caller's; its stamp."""
        header = self.probe.header()
        depth = depth_message(depth_header or header, **kwargs)
        messages = [(self.depth, depth), (self.colour, encode_image(_noise, header))]
        for publisher, message in messages if depth_first else messages[::-1]:
            publisher.publish(message)
        return header.stamp

    def ask(self, *args, **kwargs):
        """The same, answered."""
        stamp = self.send(*args, **kwargs)
        return self.answers.wait_for(lambda m: m.header.stamp == stamp)

    def counts(self, at_least=0):
        """Frames with and without depth, once they are so many, and the summary."""
        def told(message):
            status = message.status[0]
            values = {entry.key: entry.value for entry in status.values}
            return (int(values.get('frames_with_depth', 0)),
                    int(values.get('frames_without_depth', 0)), status.message)

        del self.diagnostics[:]
        return told(self.diagnostics.wait_for(lambda m: sum(told(m)[:2]) >= at_least))

    def counts_after(self, **kwargs):
        """By how much one picture more makes them grow, and the summary."""
        before = self.counts()
        self.ask(**kwargs)
        after = self.counts(sum(before[:2]) + 1)
        return after[0] - before[0], after[1] - before[1], after[2]


@pytest.fixture(scope='module')
def rig(ros_domain, node_process, probe, weights):
    with node_process(MODULE, params={**weights, **PARAMS}, env=ros_domain) as process:
        process.wait_for_log('active: /image')
        rig = Rig(probe)
        for _ in range(10):     # until it has found the depth pictures' publisher, too
            if rig.counts_after()[0]:
                break
        yield rig


def test_the_same_stamp_is_used_whichever_comes_first(rig):
    for depth_first in (False, True, False):
        for _ in range(5):      # a machine may stall for longer than a frame waits
            grown = rig.counts_after(depth_first=depth_first)[:2]
            if grown == (1, 0):
                break
        assert grown == (1, 0)


def test_another_stamp_is_not_used_but_counted(rig):
    # some other moment, however close
    *grown, message = rig.counts_after(depth_header=rig.probe.header())
    assert grown == [0, 1]
    assert 'no depth picture' in message and 'none of exactly their stamp' in message


@pytest.mark.parametrize('wrong, why', [
    ({'size_wh': (80, 60)}, '80x60 but the picture is 160x120'),
    ({'encoding': 'rgb8'}, "unknown encoding 'rgb8'"),
])
def test_a_depth_picture_that_fits_nothing_is_told_and_the_frame_is_answered(rig, wrong, why):
    *grown, message = rig.counts_after(depth_first=True, **wrong)
    assert grown == [0, 1]
    assert why in message


def test_skeleton_info_tells_the_placement(rig):
    info = rig.probe.subscribe(String, '/pose_node/skeleton_info', LATCHED)
    first = json.loads(info.wait_for(1)[0].data)['space']
    assert first['placement'] == 'none' and first['scale_origin'] == 'assumed'
    for _ in range(20):
        rig.cameras.publish(encode_camera_info(
            Camera(200.0, 200.0, 79.5, 59.5, 160, 120), rig.probe.header()))
        rig.ask()
        spaces = [json.loads(message.data)['space'] for message in info]
        if spaces[-1]['placement'] != 'none':
            break
    assert spaces[-1]['placement'] in ('depth', 'reprojection')
    assert spaces[-1]['is_absolute'] is True


def test_what_was_known_of_the_space_is_not_told_again_after_a_restart(rig):
    info = rig.probe.subscribe(String, '/pose_node/skeleton_info', LATCHED)
    assert json.loads(info.wait_for(1)[0].data)['space']['is_absolute'] is True
    assert rig.probe.change_state('/pose_node', Transition.TRANSITION_DEACTIVATE)
    del info[:]
    assert rig.probe.change_state('/pose_node', Transition.TRANSITION_ACTIVATE)
    space = json.loads(info.wait_for(1)[0].data)['space']
    assert space['placement'] == 'none' and space['scale_origin'] == 'assumed'
