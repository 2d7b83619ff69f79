from functools import partial
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

import numpy as np
import pytest
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from waiting import wait_until

from infant_pose_ros.cli.doctor import graph_command
from infant_pose_ros.findings import Finding, Level
from infant_pose_ros.nodes.doctor_node import look, NAME, why_no_node
from infant_pose_ros.ros.doctor import graph_findings
from infant_pose_ros.ros.doctor_facts import (
    CAMERA_INFO,
    CLOUD,
    COMPRESSED,
    Diagnosis,
    Endpoint,
    GraphFacts,
    IMAGE,
    Mismatch,
    NodeFacts,
    TopicFacts,
)
from infant_pose_ros.ros.doctor_watch import GraphWatch
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.qos import image_qos

NODES = 'infant_pose_ros.nodes'
CAMERA = (Endpoint('/camera', 'reliable'),)


def told(graph, about):
    """[(level, text)] of one subject."""
    return [(finding.level, finding.text) for finding in graph_findings(graph)
            if finding.about == about]


def topics(**types):
    """Published topics by name; `__` stands for the slash."""
    names = {f'/{name.replace("__", "/")}': kind for name, kind in types.items()}
    return {name: TopicFacts(name, (kind,), CAMERA) for name, kind in names.items()}


def pose_node(state='active', subscribed=None, **parameters):
    return NodeFacts('/pose_node', 'pose_node', subscribed or {}, state, parameters)


@pytest.mark.parametrize(('state', 'level'), [
    ('active', Level.OK), ('inactive', Level.WARN), ('unconfigured', Level.ERROR),
    ('activating', Level.WARN), (None, Level.ERROR)])
def test_lifecycle_states(state, level):
    graph = GraphFacts(0, 1.0, (pose_node(state),),
                       diagnoses=(Diagnosis('pose_node: poses', 0, 'well'),))
    assert [entry[0] for entry in told(graph, '/pose_node')] == [level, Level.OK]


@pytest.mark.parametrize(('level', 'reason'), [
    (0, 'nobody asked for it'), (2, 'configuring failed: mend what it says below')])
def test_why_a_node_is_unconfigured(level, reason):
    graph = GraphFacts(0, 1.0, (pose_node('unconfigured'),),
                       diagnoses=(Diagnosis('pose_node: poses', level, 'why'),))
    told_first = told(graph, '/pose_node')[0][1]
    assert f': {reason}: ros2 lifecycle set /pose_node configure' in told_first


def test_an_empty_graph_names_other_domains():
    ((level, text),) = told(GraphFacts(7, 1.0, other_domains=(3, 42)), 'nodes')
    assert level is Level.WARN and 'domain 7' in text and '3, 42' in text
    assert 'ROS_DOMAIN_ID' in told(GraphFacts(7, 1.0), 'nodes')[0][1]


def test_names_that_stand_twice_and_no_pose_node():
    graph = GraphFacts(0, 1.0, (NodeFacts('/a'), NodeFacts('/a')))
    assert '2 nodes have this name' in told(graph, '/a')[0][1]
    assert told(graph, 'pose_node')[0][0] is Level.WARN


@pytest.mark.parametrize(('topic', 'types', 'level', 'words'), [
    ('/cam/image', IMAGE, Level.ERROR, 'remap image to one that carries pictures: '
     '/c/image (with image_transport:=compressed), /cam/image_raw, /other/picture'),
    ('/c/image', IMAGE, Level.ERROR, 'set image_transport to compressed'),
    ('/cam/image_raw', COMPRESSED, Level.ERROR, 'set image_transport to raw'),
    ('/cam/image_raw', IMAGE, Level.OK, 'published by /camera'),
    ('/cam/info', CAMERA_INFO, Level.WARN, 'there is /cam/camera_info'),
    ('/keypoint', CLOUD, Level.ERROR, 'there is /keypoints')])
def test_what_a_node_listens_to(topic, types, level, words):
    graph = GraphFacts(0, 1.0, (pose_node(subscribed={topic: (types,)}),), topics(
        cam__image_raw=IMAGE, other__picture=IMAGE, c__image=COMPRESSED, keypoints=CLOUD,
        cam__camera_info=CAMERA_INFO))
    assert any(entry[0] is level and words in entry[1] for entry in told(graph, '/pose_node'))


def test_no_topic_carries_pictures():
    graph = GraphFacts(0, 1.0, (pose_node(subscribed={'/image': (IMAGE,)}),))
    assert 'no other topic carries any: start the camera' in told(graph, '/pose_node')[1][1]


@pytest.mark.parametrize(('ticks', 'level'), [(None, Level.ERROR), (0, Level.WARN),
                                              (50, Level.OK)])
def test_simulated_time(ticks, level):
    graph = GraphFacts(0, 1.0, (pose_node(use_sim_time=True),), clock_ticks=ticks)
    assert [entry[0] for entry in told(graph, '/clock')] == [level]
    assert told(GraphFacts(0, 1.0, (pose_node(),), clock_ticks=ticks), '/clock') == []


def test_mismatches_and_topics_of_two_types():
    mismatch = Mismatch(Endpoint('/cam', 'best_effort'), Endpoint('/n', 'reliable'), 'why')
    latched = Mismatch(Endpoint('/cam', 'reliable'),
                       Endpoint('/n', 'reliable', 'transient_local'), 'why')
    graph = GraphFacts(0, 1.0, topics={
        '/a': TopicFacts('/a', ('x/msg/A', 'x/msg/B'), CAMERA, (), (mismatch, latched))})
    two_types, reliability, durability = told(graph, '/a')
    assert two_types[0] is Level.WARN and 'several types' in two_types[1]
    assert reliability[0] is Level.ERROR and 'let /n ask for best_effort' in reliability[1]
    assert 'let /n ask for volatile' in durability[1]


def test_diagnostics_of_our_nodes_only():
    nodes = (NodeFacts('/ward/pose_node', 'pose_node', {}, 'active'), NodeFacts('/other'))
    graph = GraphFacts(0, 1.0, nodes, diagnoses=(
        Diagnosis('ward/pose_node: poses of left', 2, 'broken', ('no_image', 'too_dark')),
        Diagnosis('ward/pose_node: node', 1, 'odd'), Diagnosis('other: x', 2, 'no')))
    assert told(graph, '/ward/pose_node')[-2:] == [
        (Level.ERROR, 'says poses of left [no_image, too_dark]: broken'),
        (Level.WARN, 'says node: odd')]
    assert told(graph, '/other') == []
    silent = GraphFacts(0, 1.0, nodes)
    assert 'no diagnostics' in told(silent, '/ward/pose_node')[-1][1]


def test_faults_of_whoever_publishes_pictures_are_told():
    graph = GraphFacts(0, 1.0, (NodeFacts('/camera'),), topics(c__image=IMAGE), diagnoses=(
        Diagnosis('camera: source', 2, 'the source ended'), Diagnosis('camera: rate', 0, 'fine')))
    assert told(graph, '/camera') == [(Level.ERROR, 'says source: the source ended')]


# real nodes

@pytest.mark.parametrize(('reason', 'mend'), [
    ("This Fast DDS version doesn't have the security libraries\nPlease", 'unset'),
    ('SECURITY ERROR: directory', 'ROS_SECURITY_ENCLAVE_OVERRIDE'), ('else', 'by hand')])
def test_why_no_node_can_be_started(reason, mend):
    assert mend in why_no_node(reason) and '\n' not in why_no_node(reason)


def test_a_look_that_is_refused_is_told(ros_domain, monkeypatch):
    def refused(*_):
        raise RuntimeError('create_subscription() could\nnot create subscription')
    monkeypatch.setattr(GraphWatch, 'look', refused)
    last = look(0.1)[-1]
    assert last.level is Level.ERROR and 'could not create subscription: where SROS 2' in last.text


def test_what_is_found_at_the_very_end_is_listened_to(ros_domain, probe, monkeypatch):
    late = probe.publisher(Image, '/late/image', 1)
    message = encode_image(np.zeros((4, 4, 3), np.uint8), probe.header())
    timer = probe.node.create_timer(0.1, lambda: late.publish(message))
    topics, looks = GraphWatch._topics, []

    def topics_bit_by_bit(watch):
        looks.append(watch)
        found = topics(watch)
        return found if len(looks) > 1 else {}

    monkeypatch.setattr(GraphWatch, '_topics', topics_bit_by_bit)
    (text,) = [finding.text for finding in look(0.1)
               if finding.about == '/late/image' and 'raw pictures of' in finding.text]
    probe.node.destroy_timer(timer)
    assert '4x4 rgb8' in text


def test_the_profile_is_named():
    """Without it, Fast DDS loses small messages, too, beside large pictures."""
    assert any(name.endswith('PROFILES_FILE') for name in os.environ)


def run_doctor():
    """Findings of a long look: on a busy machine DDS takes seconds to find what is there."""
    done = subprocess.run(
        [sys.executable, '-m', f'{NODES}.doctor_node', '--seconds', '8'],
        capture_output=True, text=True, timeout=90.0, check=False)
    assert done.returncode == 0, done.stderr
    return [Finding.from_dict(values) for values in json.loads(done.stdout)]


def wait_for_doctor(probe, process_id):
    """The doctor's name, once it listens."""
    def listeners():
        return {end.node_name
                for end in probe.node.get_subscriptions_info_by_topic('/diagnostics')}

    name = f'{NAME}_{process_id}'
    wait_until(lambda: name in listeners(), f'{name} does not take part')
    return name


def test_a_signal_ends_the_look_in_one_line(ros_domain, probe):
    with subprocess.Popen([*graph_command(), '--seconds', '600'], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        name = wait_for_doctor(probe, process.pid)
        # As the SROS 2 policy has it: what the doctor offered would need a right for each name.
        assert probe.node.get_service_names_and_types_by_node(name, '/') == []
        assert {topic for topic, _ in probe.node.get_publisher_names_and_types_by_node(
            name, '/')} <= {'/parameter_events'}
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=30.0)
    assert (process.returncode, output, errors) == (130, '', 'doctor_node: interrupted\n')
    wait_until(lambda: name not in probe.node.get_node_names(), 'it is still in the graph', 10.0)


def test_no_look_outlives_the_command(ros_domain, probe):
    parent = subprocess.Popen([sys.executable, '-c', 'from infant_pose_ros.cli.doctor import '
                               'look_at_ros; look_at_ros(600.0)'])
    children = Path(f'/proc/{parent.pid}/task/{parent.pid}/children')
    (child,) = wait_until(lambda: children.read_text().split())
    wait_for_doctor(probe, child)
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_running(child), 'it still looks', 30.0)


def is_running(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def texts(findings, about, level):
    return [finding.text for finding in findings
            if (finding.about, finding.level) == (about, level)]


@pytest.fixture(scope='module')
def findings(ros_domain, node_process, probe, weights):
    """Of a camera and a pose_node that belong together, and of two nodes that are misled."""
    lab = probe.publisher(Image, '/lab/image', image_qos(ReliabilityPolicy.BEST_EFFORT))
    message = encode_image(np.zeros((4, 4, 3), np.uint8), probe.header(0))
    timer = probe.node.create_timer(0.1, lambda: lab.publish(message))
    overlay, ward = f'{NODES}.overlay_node', {'__ns': '/ward'}
    with node_process(f'{NODES}.camera_node', params={'rate_hz': 10.0}, remaps=ward) as camera, \
        node_process(f'{NODES}.pose_node', params=weights, remaps=ward) as pose, \
        node_process(overlay, remaps={
            '__ns': '/typo', 'image': '/ward/imge', 'keypoints': '/ward/pose_node/keypoint'}), \
        node_process(overlay, params={'reliability': 'reliable'}, remaps={
            '__ns': '/strict', 'image': '/lab/image', 'keypoints': '/ward/pose_node/keypoints'}):
        pose.wait_for_log('active: /ward/image')
        camera.wait_for_log('10 Hz')
        for topic in ('/ward/imge', '/lab/image'):
            wait_until(partial(probe.node.count_subscribers, topic), f'{topic}: nobody listens')
        found = run_doctor()
    probe.node.destroy_timer(timer)
    return found


def test_a_healthy_graph(findings):
    about_ward = [finding for finding in findings if finding.about.startswith('/ward')]
    assert not [finding for finding in about_ward if finding.level is Level.ERROR], about_ward
    assert '/ward/camera_node' in texts(findings, 'nodes', Level.OK)[0]
    assert 'active' in texts(findings, '/ward/pose_node', Level.OK)
    (picture,) = texts(findings, '/ward/image', Level.OK)
    assert 'raw pictures of /ward/camera_node, reliable; 640x480 rgb8' in picture
    (info,) = texts(findings, '/ward/camera_info', Level.OK)
    assert info.startswith('CameraInfo of /ward/image, 640x480')
    assert 'listens to /ward/image (published by /ward/camera_node)' in texts(
        findings, '/ward/pose_node', Level.OK)
    assert any(finding.about == '/ward/pose_node' and finding.text.startswith('says poses: ')
               for finding in findings)


def test_wrong_topics_and_qos_that_keeps_apart(findings):
    image, keypoints = sorted(text for text in texts(findings, '/typo/overlay_node', Level.ERROR)
                              if text.startswith('listens to'))
    assert image.startswith('listens to /ward/imge, which nobody publishes: remap image to one '
                            'that carries pictures: /ward/image')
    assert 'there is /ward/pose_node/keypoints' in keypoints
    (mismatch,) = texts(findings, '/lab/image', Level.ERROR)
    assert '/strict/overlay_node never gets a message' in mismatch
    assert 'let /strict/overlay_node ask for best_effort' in mismatch
    warnings = ' '.join(texts(findings, '/lab/image', Level.WARN))
    assert 'stamps are zero' in warnings and 'no CameraInfo' in warnings
