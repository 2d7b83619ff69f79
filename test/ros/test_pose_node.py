"""pose_node in its own process, over DDS."""

import json

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseArray
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import Marker, MarkerArray

from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.keypoints import decode_keypoints
from infant_pose_ros.skeleton import Joint, JOINT_ANGLES, KEYPOINT_NAMES, TrackState
from infant_pose_ros.structures import Camera

MODULE = 'infant_pose_ros.nodes.pose_node'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL,
                     reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
#: Random weights see an infant in noise with these. Their crops run away from it within some ten
#: frames, and it is lost until the detector looks again: so it looks at every frame.
SEES_INFANTS = {'keypoint_score_min': 0.05, 'track_score_min': 0.0, 'detection_score_min': 0.3,
                'detect_async': False, 'detect_every': 1, 'adult_policy': 'off',
                'max_age_ms': 0.0}
_noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


def stamp_of(message):
    return message.header.stamp.sec, message.header.stamp.nanosec


def same_stamp(message):
    return lambda other: stamp_of(other) == stamp_of(message)


def values_of(diagnostics):
    return {entry.key: entry.value for entry in diagnostics.status[0].values}


def in_state(state):
    return lambda status: any(
        (entry.key, entry.value) == ('state', state) for entry in status.values)


def set_parameter(probe, name, value, node='/pose_node'):
    request = SetParameters.Request(
        parameters=[Parameter(name, value=value).to_parameter_msg()])
    return probe.call(SetParameters, f'{node}/set_parameters', request).results[0]


class Camcorder:
    """Publishes pictures one by one and waits for the answer to each."""

    def __init__(self, probe, qos=10):
        self.probe = probe
        self.answers = probe.subscribe(PointCloud2, '/pose_node/keypoints')
        self.diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        self.images = probe.publisher(Image, '/image', qos, subscribers=1)
        self.answers_again()

    def send(self, image_rgb=_noise, stamp_ns=None):
        message = encode_image(image_rgb, self.probe.header(stamp_ns))
        self.images.publish(message)
        return message

    def ask(self, image_rgb=_noise, stamp_ns=None):
        """Send a picture; its keypoints."""
        return decode_keypoints(
            self.answers.wait_for(same_stamp(self.send(image_rgb, stamp_ns))))

    def answers_again(self):
        """Send pictures, while subscriptions come and go, until one is answered."""
        self.probe.until_answered(lambda: self.send().header.stamp, self.answers)

    def asked_until(self, wanted):
        """Send pictures until a diagnostic status is as wanted; that one."""
        for _ in range(60):
            self.ask()
            status = self.diagnosed(lambda status: True).status[0]
            if wanted(status):
                return status
        raise AssertionError(f'not told; last: {status}')

    def diagnosed(self, wanted, timeout_s=20.0):
        """The next diagnostic status that `wanted` accepts."""
        del self.diagnostics[:]
        return self.diagnostics.wait_for(lambda m: wanted(m.status[0]), timeout_s)


def announce(camcorder, cameras, camera):
    """Publish a CameraInfo until the node has it: best effort loses the first ones at times."""
    size = f'{camera.width}x{camera.height}'
    for _ in range(20):
        cameras.publish(encode_camera_info(camera, camcorder.probe.header()))
        if values_of(camcorder.diagnosed(lambda status: True)).get('camera_info') == size:
            return
    raise AssertionError(f'20 CameraInfo messages of {size}, and the node has none')


@pytest.fixture(scope='module')
def pose_node(ros_domain, node_process, weights):
    params = {**weights, **SEES_INFANTS}
    with node_process(MODULE, params=params, env=ros_domain) as process:
        process.wait_for_log('active: /image')
        yield process


@pytest.fixture(scope='module')
def camcorder(pose_node, probe):
    return Camcorder(probe)


def test_starts_by_itself_and_says_what_the_numbers_mean(camcorder, probe):
    assert probe.state_of('/pose_node') == 'active'
    info = probe.subscribe(String, '/pose_node/skeleton_info', LATCHED)
    content = json.loads(info.wait_for(1)[0].data)
    assert content['keypoints'] == list(KEYPOINT_NAMES)
    assert content['space']['is_absolute'] is False
    assert len(content['models']['pose']['sha256']) == 64


def test_every_image_has_one_answer_with_its_stamp_and_frame(camcorder):
    before = len(camcorder.answers)
    sent = []
    for _ in range(10):
        sent.append(camcorder.send())
        camcorder.answers.wait_for(same_stamp(sent[-1]))
    answers = camcorder.answers[before:]
    assert [stamp_of(a) for a in answers] == [stamp_of(s) for s in sent]
    assert {a.header.frame_id for a in answers} == {'cot_optical'}
    rows = decode_keypoints(answers[-1])
    assert rows.shape == (1, 16)
    assert rows['track'][0, 0] >= 1
    assert (rows['state'] == TrackState.MEASURED).any()
    assert np.isfinite(rows['u'][rows['state'] == TrackState.MEASURED]).all()
    # no CameraInfo: relative to the pelvis
    pelvis = rows[0, Joint.PELVIS]
    assert (pelvis['x'], pelvis['y'], pelvis['z']) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)


def test_every_topic_answers_with_stamp_and_frame(camcorder, probe):
    inboxes = {topic: probe.subscribe(kind, f'/pose_node/{topic}') for topic, kind in (
        ('keypoints_raw', PointCloud2), ('poses', PoseArray), ('joint_states', JointState),
        ('markers', MarkerArray))}
    for _ in range(200):
        message = camcorder.send()
        camcorder.answers.wait_for(same_stamp(message))
        if all(inboxes.values()):
            break
    message = camcorder.send()      # every topic has its subscriber by now
    markers = inboxes.pop('markers')
    got = {topic: inbox.wait_for(same_stamp(message)) for topic, inbox in inboxes.items()}
    got['markers'] = markers.wait_for(
        lambda array: any(same_stamp(message)(marker) for marker in array.markers))
    assert decode_keypoints(got['keypoints_raw']).shape == (1, 16)
    assert len(got['poses'].poses) == 16
    assert list(got['joint_states'].name) == list(JOINT_ANGLES)
    parts = sorted(m.ns.split('/')[-1] for m in got['markers'].markers if m.ns)
    assert parts == ['bones', 'joints', 'text']
    headers = [got[topic].header for topic in ('keypoints_raw', 'poses', 'joint_states')]
    headers += [marker.header for marker in got['markers'].markers]
    assert {header.frame_id for header in headers} == {'cot_optical'}


def test_a_burst_leaves_no_frame_unaccounted(camcorder):
    before = int(values_of(camcorder.diagnosed(lambda status: True))['frames_in'])
    for _ in range(30):
        camcorder.send()
    camcorder.diagnosed(lambda status: int(next(
        entry.value for entry in status.values if entry.key == 'frames_in')) > before)
    for message in camcorder.diagnostics:
        count = {key: int(value) for key, value in values_of(message).items()
                 if key.startswith('frames_')}
        assert count['frames_in'] == sum(count[f'frames_{fate}'] for fate in (
            'answered', 'dropped', 'stale', 'failed', 'in_flight'))
        assert count['frames_in_flight'] in (0, 1)


def test_diagnostics_report_rate_age_stages_and_model(camcorder):
    def is_complete(status):
        values = {entry.key: entry.value for entry in status.values}
        return 'pose_ms' in values and values['age_ms_p50'] != 'unknown'

    values = {entry.key: entry.value for entry in camcorder.asked_until(is_complete).values}
    assert values['state'] == 'active'
    for key in ('input_rate_hz', 'output_rate_hz', 'age_ms_p50', 'age_ms_p95', 'pose_ms',
                'total_ms', 'decode_ms', 'memory_mb', 'memory_in_use_mb',
                'frames_lost_in_transport'):
        assert float(values[key]) >= 0.0, key
    assert values['device'] in ('cpu', 'cuda:0')
    assert values['pose_model'].startswith('tiny pose (')
    assert values['reliability'] == 'reliable'


def test_black_frame_and_empty_scene_are_empty_answers(camcorder, probe):
    assert probe.call(Trigger, '/pose_node/reset').success
    assert camcorder.ask(np.zeros_like(_noise)).shape == (0, 16)
    assert set_parameter(probe, 'detection_score_min', 1.0).successful
    try:
        assert probe.call(Trigger, '/pose_node/reset').success
        assert camcorder.ask().shape == (0, 16)
    finally:
        assert set_parameter(probe, 'detection_score_min', 0.3).successful
    assert camcorder.ask(np.full_like(_noise, 128)).shape == (0, 16)


def test_truncated_image_is_an_error_and_the_node_goes_on(camcorder):
    message = encode_image(_noise, camcorder.probe.header())
    message.data = message.data[:1000]
    camcorder.images.publish(message)
    status = camcorder.diagnosed(lambda s: 'truncated' in s.message).status[0]
    assert status.level == DiagnosticStatus.ERROR and '1000' in status.message
    camcorder.ask()
    camcorder.diagnosed(lambda s: 'frame failed' not in s.message)


def test_an_unknown_encoding_is_named(camcorder):
    message = encode_image(_noise, camcorder.probe.header())
    message.encoding = 'rgb9'
    camcorder.images.publish(message)
    status = camcorder.diagnosed(lambda s: 'rgb9' in s.message).status[0]
    assert status.level == DiagnosticStatus.ERROR
    camcorder.ask()


@pytest.mark.parametrize('name, value, reason', [
    ('detect_every', 0, 'detect_every'),
    ('gate_sigma', 500.0, '100'),
    ('max_age_ms', 'soon', "max_age_ms: expected float, got 'soon'"),
    ('max_age_ms', float('nan'), 'max_age_ms'),
    ('detect_every', 2.5, 'detect_every: expected int, got 2.5'),
    ('crop_turns', 1, 'crop_turns: expected bool, got 1'),
    ('camera_name', 'other', 'read-only'),
    ('no_such_parameter', 1, 'undeclared'),
])
def test_a_bad_parameter_is_rejected_with_the_reason(camcorder, probe, name, value, reason):
    result = set_parameter(probe, name, value)
    assert not result.successful
    assert reason in result.reason


def test_a_changed_parameter_takes_effect_at_once(camcorder, probe):
    info = probe.subscribe(String, '/pose_node/skeleton_info', LATCHED)
    assert set_parameter(probe, 'body_length_m', 0.55).successful
    message = info.wait_for(lambda m: json.loads(m.data)['settings']['body_length_m'] == 0.55)
    assert json.loads(message.data)['space']['scale_is_assumed'] is False
    assert set_parameter(probe, 'body_length_m', 0).successful      # a whole number is one too


def test_parameters_describe_themselves(camcorder, probe):
    request = DescribeParameters.Request(names=['crop_scale', 'device', 'precision'])
    crop_scale, device, precision = probe.call(
        DescribeParameters, '/pose_node/describe_parameters', request).descriptors
    allowed = crop_scale.floating_point_range[0]
    assert (allowed.from_value, allowed.to_value) == (1.0, 3.0)
    assert crop_scale.description and not crop_scale.read_only and device.read_only
    assert 'fp16' in precision.additional_constraints


def test_camera_info_makes_3d_absolute_and_another_aspect_is_refused(camcorder, probe):
    camcorder.asked_until(lambda s: 'no CameraInfo on /camera_info' in s.message)
    info = probe.subscribe(String, '/pose_node/skeleton_info', LATCHED)
    cameras = probe.publisher(CameraInfo, '/camera_info', 10, subscribers=1)
    # twice the picture's size: it is scaled
    announce(camcorder, cameras, Camera(400.0, 400.0, 159.5, 119.5, 320, 240))
    camcorder.diagnosed(lambda s: 'no CameraInfo' not in s.message)
    for _ in range(200):    # random weights don't see an infant in every frame
        rows = camcorder.ask()
        seen = (rows['state'] == TrackState.MEASURED) & np.isfinite(rows['z'])
        if seen.any():
            break
    info.wait_for(lambda m: json.loads(m.data)['space']['is_absolute'])
    assert seen.any() and (rows['z'][seen] > 0.0).all()
    announce(camcorder, cameras, Camera(400.0, 400.0, 159.5, 89.5, 320, 180))
    status = camcorder.asked_until(lambda s: 'relative' in s.message)
    assert '320x180 but the image is 160x120' in status.message


def test_images_lost_in_transport_are_counted(camcorder, probe):
    cameras = probe.publisher(CameraInfo, '/camera_info', 10, subscribers=1)
    announce(camcorder, cameras, Camera(200.0, 200.0, 79.5, 59.5, 160, 120))
    camcorder.ask()
    before = int(values_of(camcorder.diagnosed(lambda s: True))['frames_lost_in_transport'])
    for _ in range(4):      # CameraInfo without its image
        cameras.publish(encode_camera_info(
            Camera(200.0, 200.0, 80.5, 59.5, 162, 120), probe.header()))
    camcorder.diagnosed(lambda s: dict((v.key, v.value) for v in s.values).get(
        'camera_info') == '162x120')
    camcorder.ask()
    told = camcorder.diagnosed(lambda s: 'without their image' in s.message and int(
        {v.key: v.value for v in s.values}['frames_lost_in_transport']) >= before + 4)
    assert int(values_of(told)['frames_lost_in_transport']) == before + 4


def test_old_frames_are_stale_and_another_clock_is_named(camcorder, probe):
    before = int(values_of(camcorder.diagnosed(lambda s: True))['frames_stale'])
    assert set_parameter(probe, 'max_age_ms', 5000.0).successful
    try:
        for second in range(3):
            camcorder.send(stamp_ns=10 ** 18 + second)
        status = camcorder.diagnosed(lambda s: 'another clock' in s.message).status[0]
        assert 'use_sim_time' in status.message
        assert before < int({v.key: v.value for v in status.values}['frames_stale']) <= before + 3
    finally:
        assert set_parameter(probe, 'max_age_ms', 0.0).successful


def test_images_without_a_stamp_are_answered_and_named(camcorder):
    before = len(camcorder.answers)
    for count in (1, 2, 3):
        camcorder.send(stamp_ns=0)
        camcorder.answers.wait_for(before + count)
    assert stamp_of(camcorder.answers[-1]) == (0, 0)
    camcorder.diagnosed(lambda s: 'carry no stamp' in s.message)
    camcorder.ask()
    camcorder.diagnosed(lambda s: 'carry no stamp' not in s.message)


def test_disabled_it_sees_nothing_and_takes_its_markers_away_by_id(camcorder, probe):
    markers = probe.subscribe(MarkerArray, '/pose_node/markers')
    for _ in range(200):
        camcorder.ask()
        if any(m.ns for message in markers for m in message.markers):
            break
    assert probe.call(SetBool, '/pose_node/enable', SetBool.Request(data=False)).success
    gone = markers.wait_for(lambda m: m.markers[0].action == Marker.DELETE)
    assert {marker.ns.split('/')[0] for marker in gone.markers} == {'camera'}
    assert not [m for message in markers for m in message.markers if m.action == Marker.DELETEALL]
    camcorder.diagnosed(in_state('disabled'))
    assert probe.call(SetBool, '/pose_node/enable', SetBool.Request(data=True)).success
    camcorder.answers_again()


def test_it_follows_publishers_to_best_effort_and_back(camcorder, pose_node, probe):
    second = probe.node.create_publisher(Image, '/image', BEST_EFFORT)
    try:
        pose_node.wait_for_log('subscribed anew as best_effort')
        probe.wait_for_subscribers(second)

        def send():
            message = encode_image(_noise, probe.header())
            second.publish(message)
            return message.header.stamp

        probe.until_answered(send, camcorder.answers, any_will_do=True)     # or one gets lost
    finally:
        probe.node.destroy_publisher(second)
    pose_node.wait_for_log('subscribed anew as reliable')
    camcorder.answers_again()


def test_a_silent_topic_is_diagnosed_with_those_that_carry_images(camcorder, probe):
    elsewhere = probe.node.create_publisher(Image, '/elsewhere/image_raw', 10)
    message = camcorder.diagnosed(lambda s: 'no image on /image' in s.message).status[0].message
    assert 'its publisher is there but sends nothing' in message
    probe.node.destroy_publisher(camcorder.images)
    camcorder.diagnosed(
        lambda s: 'remap image to one that carries images: /elsewhere/image_raw' in s.message)
    probe.node.destroy_publisher(elsewhere)
    camcorder.diagnosed(lambda s: 'no other topic carries images' in s.message)
    camcorder.images = probe.publisher(Image, '/image', 10, subscribers=1)


def test_lifecycle_by_services(camcorder, pose_node, probe):
    markers = probe.subscribe(MarkerArray, '/pose_node/markers')
    camcorder.answers_again()
    for _ in range(200):
        if markers:
            break
        camcorder.ask()
    assert not probe.change_state('/pose_node', Transition.TRANSITION_CONFIGURE)
    assert probe.change_state('/pose_node', Transition.TRANSITION_DEACTIVATE)
    markers.wait_for(lambda array: any(m.action == Marker.DELETEALL for m in array.markers))
    assert probe.state_of('/pose_node') == 'inactive'
    assert not probe.call(SetBool, '/pose_node/enable', SetBool.Request(data=True)).success
    assert probe.change_state('/pose_node', Transition.TRANSITION_CLEANUP)
    assert probe.state_of('/pose_node') == 'unconfigured'
    assert not probe.call(Trigger, '/pose_node/reset').success
    camcorder.diagnosed(in_state('unconfigured'))
    assert probe.change_state('/pose_node', Transition.TRANSITION_CONFIGURE)
    assert probe.change_state('/pose_node', Transition.TRANSITION_ACTIVATE)
    assert probe.state_of('/pose_node') == 'active'
    camcorder.answers_again()


def test_sigint_in_the_middle_of_work_ends_with_0(camcorder, pose_node):
    for _ in range(20):
        camcorder.send()
    pose_node.interrupt()
    assert pose_node.wait() == 0
    assert 'Traceback' not in pose_node.output
