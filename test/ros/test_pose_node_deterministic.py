"""pose_node in deterministic mode: the same messages give the same poses, whenever they come."""

import itertools
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger

from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.keypoints import decode_keypoints
from infant_pose_ros.ros.timing import stamp_to_ns
from infant_pose_ros.skeleton import TrackState
from infant_pose_ros.structures import Camera

NUM_FRAMES = 40
#: `detect_async` and `max_age_ms` are left as they are: the mode sees to both.
PARAMS = {'deterministic': True, 'detect_every': 5, 'adult_policy': 'off',
          'keypoint_score_min': 0.05, 'track_score_min': 0.0, 'detection_score_min': 0.3}
FIRST_NS, STEP_NS = 10 ** 18, 33_333_333
_generator = np.random.default_rng(0)
_noise = _generator.integers(0, 255, (120, 160, 3), dtype=np.uint8)
PICTURES = [np.clip(_noise + _generator.normal(0.0, 6.0, _noise.shape), 0, 255).astype(np.uint8)
            for _ in range(NUM_FRAMES)]


class Player:
    """Publishes one recording, and gathers the answers to it."""

    def __init__(self, probe):
        qos = QoSProfile(depth=200)
        self.probe = probe
        self.answers = probe.subscribe(PointCloud2, '/pose_node/keypoints', qos)
        self.diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        self.images = probe.publisher(Image, '/image', qos, subscribers=1)
        self.infos = probe.publisher(CameraInfo, '/camera_info', qos, subscribers=1)
        for publisher in (self.images, self.infos):
            assert publisher.get_subscription_count() == 1
        self._earlier_ns = itertools.count(FIRST_NS - 10 ** 12, STEP_NS)
        probe.until_answered(lambda: self.send(next(self._earlier_ns)), self.answers)
        self.begin_anew()

    def send(self, stamp_ns):
        """A picture with its CameraInfo that is not of the recording; its stamp."""
        header = self.probe.header(stamp_ns)
        self.infos.publish(encode_camera_info(
            Camera(150.0, 150.0, 79.5, 59.5, 160, 120), header))
        self.images.publish(encode_image(PICTURES[0], header))
        return header.stamp

    def begin_anew(self):
        assert self.probe.call(Trigger, '/pose_node/reset').success

    def play(self, order, pauses_s):
        """Send the recording; `order` has indices of pictures, and of CameraInfos + NUM_FRAMES."""
        del self.answers[:]
        pause_s = itertools.cycle(pauses_s)
        for index in order:
            is_info, frame = divmod(index, NUM_FRAMES)
            header = self.probe.header(FIRST_NS + frame * STEP_NS)
            if is_info:         # each another one
                self.infos.publish(encode_camera_info(
                    Camera(150.0 + frame, 150.0 + frame, 79.5, 59.5, 160, 120), header))
            else:
                self.images.publish(encode_image(PICTURES[frame], header))
            time.sleep(next(pause_s))
        return self.answers.wait_for(NUM_FRAMES, timeout_s=60.0)

    def values(self):
        """The next diagnostics while nothing is in work."""
        def told(message):
            return {entry.key: entry.value for entry in message.status[0].values}

        del self.diagnostics[:]
        return told(self.diagnostics.wait_for(lambda m: told(m)['frames_in_flight'] == '0'))

    def faults(self):
        return self.values()['faults'].split(',')


@pytest.fixture(scope='module')
def player(ros_domain, node_process, probe, weights):
    with node_process('infant_pose_ros.nodes.pose_node', params={**weights, **PARAMS},
                      env=ros_domain) as process:
        process.wait_for_log('active: /image')
        yield Player(probe)


def test_the_same_messages_give_the_same_poses_to_the_bit(player):
    pairs = [index for frame in range(NUM_FRAMES) for index in (NUM_FRAMES + frame, frame)]
    late = [index for frame in range(NUM_FRAMES) for index in (frame, NUM_FRAMES + frame)]
    burst = list(range(NUM_FRAMES)) + list(range(NUM_FRAMES, 2 * NUM_FRAMES))
    runs, before = [], player.values()
    for order, pauses_s in ((pairs, (0.02,)), (late, (0.0, 0.001, 0.08)), (burst, (0.0,))):
        runs.append([(stamp_to_ns(answer.header.stamp), bytes(answer.data))
                     for answer in player.play(order, pauses_s)])
        player.begin_anew()
    stamps = [FIRST_NS + frame * STEP_NS for frame in range(NUM_FRAMES)]
    assert [stamp for stamp, _ in runs[0]] == stamps        # every frame, in order
    assert runs[1] == runs[0] and runs[2] == runs[0]
    assert len({data for _, data in runs[0] if data}) > 10      # something is seen, and moves
    rows = [decode_keypoints(answer) for answer in player.answers]
    measured = np.concatenate([row[row['state'] == TrackState.MEASURED] for row in rows])
    depths_m = measured['z'][np.isfinite(measured['z'])]
    assert depths_m.size and (depths_m > 0.0).all()         # placed by the CameraInfo
    after = player.values()
    for name in ('frames_answered', 'frames_in'):
        assert int(after[name]) - int(before[name]) == 3 * NUM_FRAMES, name
    assert 'no_exact_camera_info' not in after['faults'].split(',')


def test_a_picture_without_its_camera_info_is_answered_in_its_turn_and_told_of(player):
    order = [index for frame in range(NUM_FRAMES)
             for index in (NUM_FRAMES + frame, frame) if index != NUM_FRAMES + 7]
    answers = player.play(order, (0.0,))
    assert [stamp_to_ns(answer.header.stamp) for answer in answers] == [
        FIRST_NS + frame * STEP_NS for frame in range(NUM_FRAMES)]
    assert 'no_exact_camera_info' in player.faults()
    player.begin_anew()
    assert 'no_exact_camera_info' not in player.faults()
