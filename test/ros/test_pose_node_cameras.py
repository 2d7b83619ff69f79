"""One pose_node with several cameras in its own process: one fast, one broken, one silent."""

from functools import partial
import json
import threading

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from waiting import wait_until

from infant_pose_ros.ros.images import encode_image

MODULE = 'infant_pose_ros.nodes.pose_node'
CAMERAS = ('left', 'right', 'top', 'quiet')
PARAMS = {'cameras': ','.join(CAMERAS), 'max_age_ms': 0.0, 'adult_policy': 'off',
          'keypoint_score_min': 0.05, 'track_score_min': 0.0, 'detection_score_min': 0.3,
          'top.body_length_m': 0.5, 'top.max_infants': 2}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL,
                     reliability=ReliabilityPolicy.RELIABLE)
FATES = ('answered', 'dropped', 'stale', 'failed', 'in_flight')
_noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


def values_of(status):
    return {entry.key: entry.value for entry in status.values}


def faults_of(status):
    return values_of(status)['faults'].split(',')


def set_parameter(probe, name, value):
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    return probe.call(SetParameters, '/pose_node/set_parameters', request).results[0]


class Rig:
    """Publishes pictures of several cameras, and listens to the answers to each."""

    def __init__(self, probe):
        self.probe = probe
        self.answers = {name: probe.subscribe(PointCloud2, f'/pose_node/{name}/keypoints')
                        for name in CAMERAS}
        self.diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        self.images = {name: probe.publisher(Image, f'/{name}/image', subscribers=1)
                       for name in CAMERAS[:3]}
        for name in self.images:
            self.until_answered(name)

    def until_answered(self, name):
        return self.probe.until_answered(partial(self.send, name), self.answers[name])

    def send(self, name, is_cut=False):
        message = encode_image(_noise, self.probe.header())
        if is_cut:
            message.data = message.data[:1000]
        self.images[name].publish(message)
        return message.header.stamp

    def ask(self, name):
        stamp = self.send(name)
        return self.answers[name].wait_for(lambda m: m.header.stamp == stamp)

    def status(self, name, wanted=lambda status: True):
        """The next status of a camera, or of the 'node', that `wanted` accepts."""
        full_name = 'pose_node: node' if name == 'node' else f'pose_node: poses of {name}'

        def found(message):
            return next((s for s in message.status if s.name == full_name and wanted(s)), None)

        del self.diagnostics[:]
        return found(self.diagnostics.wait_for(found))

    def counts(self):
        """Frames by fate of each camera, once none is on its way."""
        def found(message):
            counts = {status.hardware_id: {
                key.removeprefix('frames_'): int(value) for key, value in values_of(status).items()
                if key.startswith('frames_')} for status in message.status}
            return counts if not any(counts[name]['in_flight'] for name in CAMERAS) else None

        del self.diagnostics[:]
        return found(self.diagnostics.wait_for(found))


class Flood:
    """Sends a camera's pictures far faster than they can be answered, while the block runs."""

    def __init__(self, rig, name, **kwargs):
        self._rig, self._name, self._kwargs = rig, name, kwargs
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.num_sent = 0

    def _run(self):
        while not self._over.wait(0.005):
            self._rig.send(self._name, **self._kwargs)
            self.num_sent += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


@pytest.fixture(scope='module')
def rig(ros_domain, node_process, probe, weights):
    with node_process(MODULE, params={**weights, **PARAMS}, env=ros_domain) as process:
        process.wait_for_log('active: /left/image .*, /right/image .*, /top/image ')
        yield Rig(probe)


def test_each_camera_has_topics_and_services_under_its_name(rig):
    def names_of(list_names):
        return {name for name, _ in list_names()}

    node = rig.probe.node
    list_topics, list_services = node.get_topic_names_and_types, node.get_service_names_and_types
    topics = {f'/pose_node/{name}/{topic}' for name in CAMERAS for topic in (
        'keypoints', 'keypoints_raw', 'poses', 'joint_states', 'markers', 'skeleton_info')}
    topics |= {f'/{name}/{topic}' for name in CAMERAS for topic in ('image', 'camera_info')}
    services = {f'/pose_node/{place}{service}' for service in ('enable', 'reset')
                for place in ('', *(f'{name}/' for name in CAMERAS))}
    wait_until(lambda: topics <= names_of(list_topics),
               lambda: f'not there: {topics - names_of(list_topics)}', 20.0)
    wait_until(lambda: services <= names_of(list_services),
               lambda: f'not there: {services - names_of(list_services)}', 20.0)
    assert not {'/pose_node/keypoints', '/image'} & names_of(list_topics)


def test_each_camera_is_answered_on_its_own_topic(rig):
    for name in ('left', 'right', 'top'):
        before = {other: len(inbox) for other, inbox in rig.answers.items()}
        assert rig.ask(name).header.frame_id == 'cot_optical'
        grown = [other for other, inbox in rig.answers.items() if len(inbox) > before[other]]
        assert grown == [name]


def test_a_status_for_each_camera_and_one_for_the_node(rig):
    names = [status.name for status in rig.diagnostics.wait_for(1)[-1].status]
    assert names == [f'pose_node: poses of {name}' for name in CAMERAS] + ['pose_node: node']
    left, node = rig.status('left'), rig.status('node')
    assert left.hardware_id == 'left'
    assert values_of(left)['image_topic'] == '/left/image'
    values = values_of(node)
    assert values['cameras'] == ','.join(CAMERAS) and values['state'] == 'active'
    assert float(values['memory_mb']) > 0.0 and node.level == DiagnosticStatus.OK


def test_a_silent_camera_is_told_of_and_no_other(rig):
    status = rig.status('quiet', lambda s: 'no_publisher' in faults_of(s))
    assert '/quiet/image' in status.message
    rig.ask('top')
    assert 'no_publisher' not in faults_of(rig.status('top'))


def test_neither_a_fast_nor_a_broken_camera_starves_another(rig):
    before = rig.counts()
    with Flood(rig, 'left') as fast, Flood(rig, 'right', is_cut=True) as broken:
        for _ in range(15):
            rig.ask('top')
        status = rig.status('right', lambda s: s.level == DiagnosticStatus.ERROR)
    assert 'frame_failed' in faults_of(status) and 'truncated' in status.message
    after = rig.counts()
    grown = {name: {fate: count - before[name].get(fate, 0)
                    for fate, count in after[name].items()} for name in CAMERAS}
    for name in CAMERAS:
        assert after[name]['in'] == sum(after[name][fate] for fate in FATES)
    assert grown['top']['answered'] == grown['top']['in'] == 15
    assert grown['left']['answered'] > 0 and grown['left']['failed'] == 0
    assert 0 < grown['left']['in'] <= fast.num_sent
    assert grown['right']['failed'] > 0 and grown['right']['answered'] == 0
    assert 0 < grown['right']['in'] <= broken.num_sent
    assert grown['quiet']['in'] == 0
    rig.ask('right')                # it is well again


def test_falling_behind_is_told_at_the_camera_that_does(rig):
    with Flood(rig, 'left'):
        rig.status('left', lambda s: 'falling_behind' in faults_of(s))
        assert 'falling_behind' not in faults_of(rig.status('top'))


def test_settings_of_its_own_and_of_all(rig):
    probe = rig.probe
    info = {name: probe.subscribe(String, f'/pose_node/{name}/skeleton_info', LATCHED)
            for name in ('left', 'top')}

    def wait(name, **wanted):
        info[name].wait_for(lambda m: wanted.items() <= json.loads(m.data)['settings'].items())

    wait('top', body_length_m=0.5, max_infants=2, camera_name='top')    # as given at the start
    wait('left', body_length_m=0.0, max_infants=1, camera_name='left')
    assert set_parameter(probe, 'body_length_m', 0.7).successful
    wait('left', body_length_m=0.7)
    assert set_parameter(probe, 'top.roi', '0.1,0.1,0.9,0.9').successful
    wait('top', body_length_m=0.5, roi='0.1,0.1,0.9,0.9')
    assert set_parameter(probe, 'left.body_length_m', 0.55).successful
    wait('left', body_length_m=0.55, roi='')
    result = set_parameter(probe, 'left.body_length_m', 5.0)
    assert not result.successful and 'left.body_length_m' in result.reason
    assert not set_parameter(probe, 'left.roi', 'all of it').successful
    assert not set_parameter(probe, 'left.gate_sigma', 5.0).successful      # of all only
    rig.ask('left')
    rig.ask('top')


def test_a_small_batch_answers_all_as_well(rig):
    assert set_parameter(rig.probe, 'max_batch', 1).successful
    try:
        for _ in range(3):
            stamps = {name: rig.send(name) for name in rig.images}
            for name, stamp in stamps.items():
                rig.answers[name].wait_for(lambda m, stamp=stamp: m.header.stamp == stamp)
    finally:
        assert set_parameter(rig.probe, 'max_batch', 0).successful


def test_one_camera_is_switched_off_and_reset_alone(rig):
    probe = rig.probe
    assert probe.call(Trigger, '/pose_node/left/reset').success
    assert probe.call(SetBool, '/pose_node/left/enable', SetBool.Request(data=False)).success
    assert values_of(rig.status('left'))['state'] == 'disabled'
    assert values_of(rig.status('right'))['state'] == 'active'
    assert rig.probe.node.count_subscribers('/right/image') == 1
    before = len(rig.answers['left'])
    rig.send('left')
    for _ in range(3):
        rig.ask('right')
    assert len(rig.answers['left']) == before
    assert probe.call(SetBool, '/pose_node/enable', SetBool.Request(data=True)).success
    assert values_of(rig.status('left'))['state'] == 'active'
    rig.until_answered('left')
