"""How the nodes fit into a graph: namespaces, remapping, QoS overrides, one process for all."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import SetBool, Trigger
from waiting import wait_until

from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.timing import stamp_to_ns

POSE = 'infant_pose_ros.nodes.pose_node'
NODES = 'infant_pose_ros.nodes.composed_node'
OUTPUTS = ('keypoints', 'keypoints_raw', 'poses', 'markers', 'joint_states', 'skeleton_info')


@pytest.fixture(scope='module')
def moved(ros_domain, node_process, weights):
    """A pose_node with another name, in a namespace, all topics remapped, some QoS overridden."""
    remaps = {'__ns': '/ward/cot_3', '__node': 'poses', 'image': '/hall/picture',
              'camera_info': '/hall/calibration', '/diagnostics': '/ward/health',
              **{f'~/{name}': f'out/{name}' for name in OUTPUTS},
              '~/enable': '/ward/on', '~/reset': '/ward/anew'}
    overrides = {
        'qos_overrides./hall/picture.subscription.reliability': 'best_effort',
        'qos_overrides./hall/picture.subscription.depth': 7,
        'qos_overrides./hall/picture.subscription.history': 'keep_last',
        'qos_overrides./hall/calibration.subscription.depth': 3,
        'qos_overrides./ward/cot_3/out/keypoints.publisher.reliability': 'best_effort',
        'qos_overrides./ward/cot_3/out/poses.publisher.depth': 42}
    with node_process(POSE, params={**weights, **overrides}, remaps=remaps,
                      env=ros_domain) as process:
        process.wait_for_log('active: /hall/picture \\(best_effort\\)')
        yield process


def test_every_topic_and_service_can_be_moved(moved, probe):
    answers = probe.subscribe(PointCloud2, '/ward/cot_3/out/keypoints', QoSProfile(
        depth=10, reliability=ReliabilityPolicy.BEST_EFFORT))
    health = probe.subscribe(DiagnosticArray, '/ward/health')
    images = probe.publisher(Image, '/hall/picture', 10, subscribers=1)

    def send():
        images.publish(encode_image(np.full((96, 128, 3), 99, np.uint8), probe.header()))

    # A reader of best effort: what it misses is sent again.
    answer = probe.until_answered(send, answers, any_will_do=True)
    assert answer.header.frame_id == 'cot_optical'
    assert health.wait_for(lambda m: m.status[0].name == 'ward/cot_3/poses: poses')
    assert probe.call(Trigger, '/ward/anew').success
    assert probe.call(SetBool, '/ward/on', SetBool.Request(data=True)).success
    there = dict(probe.node.get_publisher_names_and_types_by_node('poses', '/ward/cot_3'))
    assert {f'/ward/cot_3/out/{name}' for name in OUTPUTS} <= set(there)
    assert not any(topic.startswith('/ward/cot_3/poses/') and 'transition' not in topic
                   for topic in there)


def test_qos_overrides_take_effect(moved, probe):
    graph = probe.node
    (pictures,) = [info.qos_profile for info in graph.get_subscriptions_info_by_topic(
        '/hall/picture') if info.node_name == 'poses']
    (keypoints,) = [info.qos_profile for info in graph.get_publishers_info_by_topic(
        '/ward/cot_3/out/keypoints')]
    (poses,) = [info.qos_profile for info in graph.get_publishers_info_by_topic(
        '/ward/cot_3/out/poses')]
    assert pictures.reliability == ReliabilityPolicy.BEST_EFFORT
    assert keypoints.reliability == ReliabilityPolicy.BEST_EFFORT
    assert poses.reliability == ReliabilityPolicy.RELIABLE
    # The depth is not told over the graph; the node's own parameters say what it took.
    told = {name: value for name, value in _parameters(
        probe, '/ward/cot_3/poses', 'qos_overrides./hall/picture.subscription.depth',
        'qos_overrides./hall/calibration.subscription.depth',
        'qos_overrides./ward/cot_3/out/poses.publisher.depth')}
    assert list(told.values()) == [7, 3, 42]


def _parameters(probe, node, *names):
    from rcl_interfaces.srv import GetParameters
    values = probe.call(GetParameters, f'{node}/get_parameters',
                        GetParameters.Request(names=names)).values
    return [(name, value.integer_value) for name, value in zip(names, values, strict=True)]


@pytest.mark.parametrize('override', [
    {'qos_overrides./image.subscription.reliability': 'sometimes'},
    {'qos_overrides./pose_node/keypoints.publisher.reliability': 'sometimes'},
], ids=['input', 'output'])
def test_a_bad_override_is_refused_with_one_line(
        ros_domain, node_process, probe, weights, override):
    ((name, value),) = override.items()
    with node_process(POSE, params={**weights, **override}, env=ros_domain) as process:
        line = process.wait_for_log('.*configure failed.*').group()
        topic, _, policy = name.rpartition('.')
        assert topic in line and policy in line and value in line
        assert 'Traceback' not in process.output
        process.interrupt()
        assert process.wait() == 0


def test_all_nodes_in_one_process(ros_domain, node_process, probe, weights):
    arguments = {'camera_node:__ns': '/camera', 'camera_node:image': 'picture',
                 'pose_node:image': '/camera/picture', 'overlay_node:image': '/camera/picture',
                 'pose_node:camera_info': '/camera/camera_info',
                 'overlay_node:keypoints': '/pose_node/keypoints'}
    params = {'camera_node:rate_hz': 10.0,
              **{f'pose_node:{name}': path for name, path in weights.items()}}
    overlays = probe.subscribe(Image, '/overlay_node/image')
    infos = probe.subscribe(CameraInfo, '/camera/camera_info', 100)

    def stamp_ns(message):
        return stamp_to_ns(message.header.stamp)

    def drawn():
        """Pictures that are not older than the first CameraInfo that came."""
        return [image for image in list(overlays) if stamp_ns(image) >= stamp_ns(infos[0])]

    def is_of(image):
        return lambda info: info.header.stamp == image.header.stamp

    with node_process(NODES, args=('camera_node', 'overlay_node', 'pose_node'), params=params,
                      remaps=arguments, env=ros_domain) as process:
        infos.wait_for(1, 60.0)
        wait_until(lambda: len(drawn()) >= 3, 'no pictures are drawn')
        for image in drawn():
            infos.wait_for(is_of(image))
        process.terminate()
        assert process.wait() == 0
        assert 'Traceback' not in process.output


def test_one_that_can_not_start_ends_all(ros_domain, node_process):
    with node_process(NODES, args=('camera_node', 'overlay_node'),
                      params={'camera_node:source': '/nowhere/clip.mp4'},
                      env=ros_domain) as process:
        assert process.wait(60.0) == 1
        assert '/nowhere/clip.mp4' in process.output and 'Traceback' not in process.output


def test_an_unknown_node_is_refused(capsys):
    from infant_pose_ros.nodes.composed_node import main
    with pytest.raises(SystemExit) as ended:
        main(['camera_node', 'kitchen_node'])
    assert ended.value.code == 2 and 'kitchen_node' in capsys.readouterr().err
