"""Each fault brought about on a running pose_node, seen on /diagnostics, and gone afterwards."""

import shutil
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.structures import Camera

TIMEOUT_S = 40.0
NS = 10 ** 9
FITS = Camera(150.0, 150.0, 79.5, 59.5, 160, 120)
SCALED = Camera(600.0, 600.0, 319.5, 239.5, 640, 480)
WIDE = Camera(150.0, 150.0, 99.5, 39.5, 200, 80)
_random = np.random.default_rng(0)
#: pose_node whose pipeline tells of a fallback while the file given by the environment exists.
FALLBACK = """
import os
import sys

from infant_pose_ros.nodes.pose_node import main
from infant_pose_ros.pipeline import PosePipeline

describe = PosePipeline.describe


def describe_fallback(self):
    told = describe(self)
    if os.path.exists(os.environ['FALLBACK']):
        told['fallback'] = 'cuda:0 ran out of memory: the networks run on the CPU: free memory'
    return told


PosePipeline.describe = describe_fallback
sys.exit(main())
"""


def noise():
    return _random.integers(0, 255, (120, 160, 3), dtype=np.uint8)


def black():
    return np.zeros((120, 160, 3), np.uint8)


def blurred():
    ramp = 60 + _random.integers(0, 9) + 2 * np.abs(np.arange(160) % 80 - 40)
    return np.broadcast_to(ramp.astype(np.uint8)[None, :, None], (120, 160, 3)).copy()


class Camcorder:
    """A camera whose every message can be made as one likes, and what the node says of it."""

    def __init__(self, probe):
        self.probe = probe
        self.diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        self._infos = probe.publisher(CameraInfo, '/camera_info')
        self.images = None
        self.well()

    def connect(self, reliability=ReliabilityPolicy.RELIABLE):
        self.disconnect()
        self.images = self.probe.publisher(
            Image, '/image', QoSProfile(depth=5, reliability=reliability))

    def disconnect(self):
        if self.images is not None:
            self.probe.node.destroy_publisher(self.images)
        self.images = None

    def well(self):
        """Pictures as they should be."""
        self.picture, self.camera, self.period_s = noise, FITS, 0.1
        self.stamp = lambda now_ns, index: now_ns
        self.change, self.sends_image = (lambda message: None), (lambda index: True)
        self._index = 0

    def send(self):
        self._index += 1
        now_ns = self.probe.node.get_clock().now().nanoseconds
        header = self.probe.header(self.stamp(now_ns, self._index))
        if self.camera is not None:
            self._infos.publish(
                CameraInfo(header=header, width=160, height=120) if self.camera == 'uncalibrated'
                else encode_camera_info(self.camera, header))
        if self.images is not None and self.sends_image(self._index):
            message = encode_image(self.picture(), header)
            self.change(message)
            self.images.publish(message)

    def until(self, wanted, is_sending=True):
        """Go on until a status is as wanted: `wanted(status, names)`; that status."""
        del self.diagnostics[:]
        deadline, seen = time.monotonic() + TIMEOUT_S, 0
        while time.monotonic() < deadline:
            if is_sending:
                self.send()
            time.sleep(self.period_s)
            for message in self.diagnostics[seen:]:
                seen += 1
                status = message.status[0]
                if wanted(status, values_of(status)['faults'].split(',')):
                    return status
        raise AssertionError(f'not told in {TIMEOUT_S} s; last: {self.diagnostics[-1:]}')

    def until_told(self, *names, says='', level=None, is_sending=True):
        return self.until(lambda status, told: set(names) <= set(told)
                          and says in status.message and level in (None, status.level), is_sending)

    def until_gone(self, *names):
        return self.until(lambda status, told: not set(names) & set(told))


def values_of(status):
    return {entry.key: entry.value for entry in status.values}


def set_parameter(probe, name, value):
    kind = {bool: ('BOOL', 'bool_value'), float: ('DOUBLE', 'double_value')}[type(value)]
    parameter = Parameter(name=name, value=ParameterValue(
        type=getattr(ParameterType, f'PARAMETER_{kind[0]}'), **{kind[1]: value}))
    answer = probe.call(SetParameters, '/pose_node/set_parameters',
                        SetParameters.Request(parameters=[parameter]))
    assert answer.results[0].successful, answer


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Where the node looks for its pose model, and for the file that makes it tell of a GPU."""
    return tmp_path_factory.mktemp('node')


@pytest.fixture(scope='module')
def node(ros_domain, node_process, probe, weights, folder):
    script, pose = folder / 'fallback_node.py', folder / 'pose.safetensors'
    script.write_text(FALLBACK, encoding='utf-8')
    params = {**weights, 'pose_weights': pose, 'keypoint_score_min': 0.05, 'track_score_min': 0.0,
              'detection_score_min': 0.3, 'adult_policy': 'off', 'detect_every': 1,
              'detect_async': False, 'reliability': 'reliable', 'no_image_warn_s': 1.0,
              'no_infant_warn_s': 1.0, 'frozen_warn_s': 1.0, 'drop_warn_share': 0.2,
              'detect_evry': 3}
    with node_process(script, params=params, remaps={'__node': 'pose_node'},
                      env={**ros_domain, 'FALLBACK': str(folder / 'full')}) as process:
        yield process


@pytest.fixture(scope='module')
def camera(probe, node):
    return Camcorder(probe)


@pytest.fixture(autouse=True)
def well_again(request):
    if 'camera' in request.fixturenames:
        request.getfixturevalue('camera').well()


ERROR, WARN = DiagnosticStatus.ERROR, DiagnosticStatus.WARN


def test_models_missing_damaged_and_well_again_and_a_full_gpu(
        camera, node, probe, weights, folder):
    pose, full = folder / 'pose.safetensors', folder / 'full'
    camera.until_told('model_missing', says=str(pose), level=ERROR, is_sending=False)
    shutil.copy(weights['pose_weights'].with_suffix('.json'), pose.with_suffix('.json'))
    pose.write_bytes(b'not what it was')
    assert not probe.change_state('/pose_node', Transition.TRANSITION_CONFIGURE)
    camera.until_told('model_damaged', says=str(pose), level=ERROR, is_sending=False)
    shutil.copy(weights['pose_weights'], pose)
    full.write_text('')
    assert probe.change_state('/pose_node', Transition.TRANSITION_CONFIGURE)
    assert probe.change_state('/pose_node', Transition.TRANSITION_ACTIVATE)
    status = camera.until_told('gpu_out_of_memory', says='the networks run on the CPU',
                               is_sending=False)
    assert 'model' not in values_of(status)['faults']
    full.unlink()
    camera.until(lambda status, told: 'gpu_out_of_memory' not in told, is_sending=False)


def test_nobody_publishes_and_a_misspelt_parameter(camera, probe):
    elsewhere = probe.publisher(Image, '/elsewhere/image_raw')
    status = camera.until_told('no_publisher', 'unknown_parameter', level=ERROR, is_sending=False,
                               says='one that carries images: /elsewhere/image_raw')
    assert 'did you mean detect_every?' in status.message
    probe.node.destroy_publisher(elsewhere)
    overlay = [probe.node.create_subscription(kind, topic, lambda _: None, 1)   # who draws ...
               for kind, topic in ((Image, '/image'), (PointCloud2, '/pose_node/keypoints'))]
    drawn = probe.publisher(Image, '/overlay/image')                    # ... sends no pictures
    status = camera.until_told('no_publisher', says='no other topic carries', is_sending=False)
    assert 'output_qos' not in values_of(status)['faults']
    probe.node.destroy_publisher(drawn)
    for subscription in overlay:
        probe.node.destroy_subscription(subscription)


def test_a_publisher_that_the_subscription_does_not_match(camera, node):
    camera.connect(ReliabilityPolicy.BEST_EFFORT)
    camera.until_told('incompatible_qos', says='set the parameter reliability to auto',
                      level=ERROR)
    camera.connect()
    camera.until_gone('incompatible_qos', 'no_publisher')
    node.wait_for_log(r'over after \d+ s \[incompatible_qos\]')


def test_a_subscriber_that_asks_for_more_than_is_offered(camera, probe):
    subscription = probe.node.create_subscription(
        PointCloud2, '/pose_node/keypoints', lambda _: None,
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    camera.until_told('output_qos', says='probe on /pose_node/keypoints (volatile')
    probe.node.destroy_subscription(subscription)
    probe.subscribe(PointCloud2, '/pose_node/keypoints')       # which is well met
    camera.until_gone('output_qos')


def test_what_can_be_wrong_with_camera_info(camera):
    camera.camera = 'uncalibrated'
    camera.until_told('camera_info_unusable', says='3D is relative to the pelvis', level=WARN)
    camera.camera = WIDE
    camera.until_told('camera_info_misfit', says='200x80', level=WARN)
    camera.camera = SCALED
    status = camera.until(lambda status, told: 'scaled' in values_of(status).get('notes', '')
                          and not {'camera_info_unusable', 'camera_info_misfit'} & set(told))
    assert '640x480 is scaled to the picture, 160x120' in values_of(status)['notes']
    camera.camera = FITS
    camera.until(lambda status, told: 'notes' not in values_of(status))


def test_a_black_and_frozen_picture_with_nobody_and_stamps_of_the_future(camera):
    camera.picture = black
    camera.stamp = lambda now_ns, _: now_ns + 2 * NS
    status = camera.until_told('too_dark', 'frozen_picture', 'no_infant', 'stamps_in_future')
    assert status.level == WARN
    for mend in ('light the room', 'restart the camera', 'detection_score_min', 'synchronise'):
        assert mend in status.message
    camera.well()
    camera.until_gone('too_dark', 'frozen_picture', 'no_infant')


def test_blurred_pictures_and_one_stamp_for_all(camera):
    camera.picture = blurred
    stamp_ns = camera.probe.node.get_clock().now().nanoseconds
    set_parameter(camera.probe, 'max_age_ms', 0.0)
    camera.stamp = lambda *_: stamp_ns
    camera.until_told('too_blurred', 'stamps_stand_still', says='focus and clean the lens')
    set_parameter(camera.probe, 'max_age_ms', 500.0)
    camera.well()
    camera.until_gone('too_blurred', 'stamps_stand_still')


def test_stamps_that_are_zero_run_backwards_or_are_old(camera):
    camera.stamp = lambda *_: 0
    camera.until_told('no_stamps', says='let the driver stamp them')
    camera.stamp = lambda now_ns, index: now_ns - (index % 2) * NS // 4
    camera.until_told('stamps_run_backwards', says='one publisher')
    camera.stamp = lambda now_ns, index: now_ns - 3 * NS
    camera.until_told('stale_frames', says='raise max_age_ms')


def test_frames_that_fail_come_too_fast_or_get_lost(camera):
    camera.change = lambda message: setattr(message, 'encoding', 'rgb9')
    camera.until_told('unknown_encoding', says="'rgb9'", level=ERROR)
    camera.change = lambda message: setattr(message, 'data', message.data[:1000])
    camera.until_told('frame_failed', says='got 1000', level=ERROR)
    camera.well()
    camera.sends_image, camera.period_s = (lambda index: index % 3), 0.3
    camera.until(lambda status, told: 'camera_info_more_often' in told
                 and 'lost_in_transport' not in told)       # none got lost in DDS
    camera.well()
    still = noise()
    camera.picture, camera.period_s = (lambda: still), 0.0
    camera.until_told('falling_behind', says='lower the rate of the camera')
    camera.well()
    camera.period_s = 0.3       # which any machine keeps up with
    camera.until(lambda status, told: told == ['unknown_parameter'])     # all else is gone


def test_the_clock_of_a_paused_bag(camera, probe):
    set_parameter(probe, 'use_sim_time', True)
    camera.until_told('clock_stands_still', says='nobody publishes /clock')
    set_parameter(probe, 'use_sim_time', False)
    camera.until_gone('clock_stands_still')


def test_a_camera_that_falls_silent(camera, node):
    camera.until_told('no_image', says='is the camera running?', level=ERROR, is_sending=False)
    camera.until_gone('no_image')
    camera.camera = None
    camera.disconnect()
    camera.until_told('no_publisher', says='start the camera', level=ERROR)
    for name in ('no_publisher', 'too_dark', 'frozen_picture', 'stamps_in_future',
                 'unknown_encoding', 'falling_behind', 'clock_stands_still'):
        assert f'[{name}]' in node.output
    assert node.output.count('light the room') == 1     # told once, and not every second
    node.interrupt()
    assert node.wait() == 0
    assert 'Traceback' not in node.output
