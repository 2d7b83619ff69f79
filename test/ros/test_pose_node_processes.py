"""How pose_node starts and ends: each test runs a process of its own."""

import itertools

import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
import numpy as np
from sensor_msgs.msg import CompressedImage, PointCloud2

from infant_pose_ros.ros.images import encode_compressed

MODULE = 'infant_pose_ros.nodes.pose_node'


def test_compressed_under_a_simulated_clock_until_sigterm(
        ros_domain, node_process, probe, weights):
    """Diagnostics go on although the clock stands still."""
    params = {**weights, 'image_transport': 'compressed',
              'use_sim_time': True}
    remaps = {'__node': 'zipped', 'image/compressed': '/zip/image/compressed'}
    with node_process(MODULE, params=params, remaps=remaps, env=ros_domain) as process:
        process.wait_for_log('active: /zip/image/compressed')
        answers = probe.subscribe(PointCloud2, '/zipped/keypoints')
        diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        images = probe.publisher(CompressedImage, '/zip/image/compressed', 10, subscribers=1)
        noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        stamps_ns = itertools.count(5_000_000_000, 100_000_000)

        def send():
            header = probe.header(next(stamps_ns))
            images.publish(encode_compressed(cv2.resize(noise, (320, 240)), header))
            return header.stamp

        answer = probe.until_answered(send, answers)
        assert answer.header.frame_id == 'cot_optical'
        images.publish(CompressedImage(header=probe.header(), format='jpeg', data=[1, 2, 3]))
        status = diagnostics.wait_for(lambda m: '3 bytes' in m.status[0].message).status[0]
        assert (status.name, status.level) == ('zipped: poses', DiagnosticStatus.ERROR)
        seen = len(diagnostics)
        diagnostics.wait_for(seen + 2)
        process.terminate()
        assert process.wait() == 0
        assert 'Traceback' not in process.output


def test_missing_weights_fail_configure_with_the_path(
        ros_domain, node_process, probe, weights, tmp_path):
    params = {**weights, 'pose_weights': tmp_path / 'gone.safetensors'}
    with node_process(MODULE, params=params, remaps={'__node': 'unlucky'},
                      env=ros_domain) as process:
        process.wait_for_log('configure failed.*gone.safetensors')
        assert probe.state_of('/unlucky') == 'unconfigured'
        diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        status = diagnostics.wait_for(
            lambda m: m.status[0].name.startswith('unlucky')).status[0]
        assert status.level == DiagnosticStatus.ERROR
        assert str(tmp_path / 'gone.safetensors') in status.message
        assert not probe.change_state('/unlucky', Transition.TRANSITION_CONFIGURE)
        assert probe.state_of('/unlucky') == 'unconfigured'
        process.interrupt()
        assert process.wait() == 0


def test_a_bad_value_at_the_start_ends_with_one_line(ros_domain, node_process):
    with node_process(MODULE, params={'detect_every': 0}, env=ros_domain) as process:
        assert process.wait(60.0) == 1
        assert 'detect_every' in process.output and '100000' in process.output
        assert 'Traceback' not in process.output


def test_without_autostart_it_waits(ros_domain, node_process, probe):
    params = {'autostart': False, 'detect_evry': 3, 'max_age_ms': 500.0}
    with node_process(MODULE, params=params, remaps={'__node': 'patient'},
                      env=ros_domain) as process:
        assert probe.state_of('/patient') == 'unconfigured'
        process.wait_for_log('detect_evry is not known')
        process.terminate()
        assert process.wait() == 0
