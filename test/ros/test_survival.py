"""pose_node in its own process lives through what other processes do to it: each for real."""

from contextlib import contextmanager
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import cameras
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import SetBool, Trigger

from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.timing import stamp_to_ns

#: Reliable subscribers of what pose_node publishes.
READER = """
import rclpy
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

rclpy.init()
node = rclpy.create_node('reader')
seen = lambda _: print('reading', flush=True)
node.create_subscription(PointCloud2, '/pose_node/keypoints', seen, 10)
node.create_subscription(MarkerArray, '/pose_node/markers', lambda _: None, 10)
rclpy.spin(node)
"""
TUNING = {'keypoint_score_min': 0.05, 'track_score_min': 0.0, 'detection_score_min': 0.3,
          'adult_policy': 'off', 'max_age_ms': 0.0}
#: Ways for a frame to go that are told on /diagnostics.
FATES = ('frames_answered', 'frames_dropped', 'frames_stale', 'frames_failed', 'frames_in_flight')
#: How often a picture is sent before the want of an answer is a failure.
ASKED_MOST = 3
_noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


class Ward:
    """The node under test, with all that a test sends it and hears from it."""

    def __init__(self, probe, process, env):
        self.probe, self.process, self.env = probe, process, {**os.environ, **env}
        self.answers = probe.subscribe(PointCloud2, '/pose_node/keypoints')
        self.diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        self.images = probe.publisher(Image, '/image', 10, subscribers=1)

    def send(self, image_rgb=_noise, stamp_ns=None):
        """A picture that must be answered; its stamp."""
        message = encode_image(image_rgb, self.probe.header(stamp_ns))
        self.images.publish(message)
        return message.header.stamp

    def answered(self, stamp, timeout_s=30.0):
        return self.answers.wait_for(lambda answer: answer.header.stamp == stamp, timeout_s)

    def ask(self, **kwargs):
        """Send a picture and wait for its answer.

        A killed camera leaves the graph 20 s late; the node may subscribe anew just then, and
        miss the picture: it is sent again.
        """
        del self.answers[:]
        for _ in range(ASKED_MOST):
            stamp = self.send(**kwargs)
            deadline_s = time.monotonic() + 10.0
            while time.monotonic() < deadline_s:
                if any(answer.header.stamp == stamp for answer in list(self.answers)):
                    return
                time.sleep(0.002)
        raise AssertionError(f'no answer; output:\n{self.process.output[-3000:]}')

    def values(self, wanted=lambda values: True, timeout_s=30.0):
        """The next diagnostics that are as wanted."""
        del self.diagnostics[:]
        texts = self.diagnostics.wait_for(lambda m: wanted(_values(m)), timeout_s)
        return _values(texts)

    def values_with(self, name, text):
        """The next diagnostics in which one value is as wanted."""
        return self.values(lambda values: values.get(name) == text)

    def is_well(self):
        """It answers, has counted every frame, and nothing was raised."""
        self.ask()
        values = self.values_with('frames_in_flight', '0')
        assert int(values['frames_in']) == sum(int(values[fate]) for fate in FATES)
        assert values['frames_failed'] == '0'
        assert self.process.returncode is None
        assert 'Traceback' not in self.process.output
        return values

    @contextmanager
    def camera(self, *words):
        """A camera's process, killed at the end."""
        process = subprocess.Popen(
            [sys.executable, cameras.__file__, *map(str, words)], env=self.env)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def answer_from(self, frame_id):
        """Wait for an answer that a camera has just caused."""
        del self.answers[:]
        return self.answers.wait_for(lambda answer: answer.header.frame_id == frame_id, 60.0)

    def size(self):
        """Number of threads and of open files, and resident memory, MB."""
        place = Path(f'/proc/{self.process.process.pid}')
        status = place.joinpath('status').read_text(encoding='utf-8')
        resident_kb = int(re.search(r'VmRSS:\s+(\d+)', status).group(1))
        return (len(list(place.joinpath('task').iterdir())),
                len(list(place.joinpath('fd').iterdir())), resident_kb / 1024.0)


def _values(message):
    return {entry.key: entry.value for entry in message.status[0].values}


@pytest.fixture(scope='module')
def ward(ros_domain, node_process, probe, weights):
    with node_process('infant_pose_ros.nodes.pose_node', params={**weights, **TUNING},
                      env=ros_domain) as process:
        process.wait_for_log('active: /image')
        yield Ward(probe, process, ros_domain)


def test_a_camera_is_killed_and_another_one_takes_its_place(ward):
    """Another resolution, encoding, rate, reliability and CameraInfo."""
    for words in ((320, 240, 'rgb8', 20, 'reliable'), (160, 120, 'mono8', 60, 'best_effort'),
                  (640, 360, 'bgr8', 10, 'reliable')):
        with ward.camera(*words) as camera:
            answer = ward.answer_from(f'camera_{words[0]}')
            assert answer.width == 16
            ward.values_with('camera_info', f'{words[0]}x{words[1]}')
            camera.kill()
    ward.is_well()


def test_a_camera_that_hangs_and_goes_on(ward):
    with ward.camera(160, 120, 'rgb8', 30, 'reliable') as camera:
        ward.answer_from('camera_160')
        camera.send_signal(signal.SIGSTOP)
        counts = ['', ward.values()['frames_in']]
        while counts[-2] != counts[-1]:
            counts.append(ward.values()['frames_in'])
        camera.send_signal(signal.SIGCONT)
        ward.answer_from('camera_160')
    ward.is_well()


def test_a_bag_that_loops_is_answered_again(ward):
    begin_ns = ward.probe.node.get_clock().now().nanoseconds - 10 ** 10
    for _ in range(3):
        for index in range(10):
            ward.ask(stamp_ns=begin_ns + index * 33_000_000)
    assert ward.is_well()['frames_failed'] == '0'


def test_bursts_of_200_frames_a_second(ward):
    ward.ask()
    before = ward.values(lambda v: v['frames_in_flight'] == '0')
    threads, _, _ = ward.size()
    due_s = time.monotonic()
    for _ in range(400):
        ward.send()
        due_s += 0.005
        time.sleep(max(0.0, due_s - time.monotonic()))
    ward.ask()
    after = ward.values(lambda v: v['frames_in_flight'] == '0')
    grown = {name: int(after[name]) - int(before[name]) for name in ('frames_in', *FATES)}
    assert 0 < grown['frames_answered'] <= grown['frames_in'] <= 400 + ASKED_MOST
    assert grown['frames_in'] == grown['frames_answered'] + grown['frames_dropped']
    assert ward.size()[0] <= threads + 1
    ward.is_well()


def test_pictures_of_a_4k_camera(ward):
    """They come through with the package's Fast DDS profile, which all nodes of the tests have."""
    with ward.camera(3840, 2160, 'bgr8', 2, 'reliable'):
        for _ in range(3):
            ward.answer_from('camera_3840')
    ward.is_well()


def test_a_subscriber_that_stops_reading_holds_nobody_up(ward, node_process, tmp_path):
    script = tmp_path / 'reader.py'
    script.write_text(READER, encoding='utf-8')
    with node_process(script, env=ward.env) as reader:
        deadline_s = time.monotonic() + 30.0
        while 'reading' not in reader.output:
            ward.ask()
            assert time.monotonic() < deadline_s, reader.output
        reader.process.send_signal(signal.SIGSTOP)
        for _ in range(60):
            ward.ask()
        reader.process.kill()
        for _ in range(60):
            ward.ask()
    ward.is_well()


def test_parameters_change_200_times_while_frames_run(ward):
    changes = [('smoothing', 1.0), ('detect_every', 5), ('keypoint_score_min', 0.1),
               ('max_infants', 1), ('keypoint_score_min', 7.0), ('body_length_m', -3.0),
               ('detect_every', 'often'), ('no_such_parameter', 1)]
    client = ward.probe.node.create_client(SetParameters, '/pose_node/set_parameters')
    accepted = {}
    try:
        assert client.wait_for_service(20.0)
        for index in range(200):
            name, value = changes[index % len(changes)]
            ward.send()
            future = client.call_async(SetParameters.Request(parameters=[_parameter(name, value)]))
            ward_deadline_s = time.monotonic() + 30.0
            while not future.done():
                assert time.monotonic() < ward_deadline_s
                time.sleep(0.001)
            accepted.setdefault((name, value), set()).add(future.result().results[0].successful)
    finally:
        ward.probe.node.destroy_client(client)
    ward.ask()
    valid = [('detect_every', 5), ('keypoint_score_min', 0.1), ('max_infants', 1)]
    for change in valid:
        assert accepted[change] == {True}
    for change in changes[4:]:
        assert accepted[change] == {False}
    assert _set(ward, 'keypoint_score_min', TUNING['keypoint_score_min'])
    ward.is_well()


def _parameter(name, value):
    kind = {bool: 'bool', int: 'integer', float: 'double', str: 'string'}[type(value)]
    return Parameter(name=name, value=ParameterValue(
        type=getattr(ParameterType, f'PARAMETER_{kind.upper()}'), **{f'{kind}_value': value}))


def _set(ward, name, value):
    return ward.probe.call(SetParameters, '/pose_node/set_parameters', SetParameters.Request(
        parameters=[_parameter(name, value)])).results[0].successful


def test_enable_and_reset_in_quick_turns(ward):
    for _ in range(10):
        for data in (False, True):
            ward.send()
            assert ward.probe.call(
                SetBool, '/pose_node/enable', SetBool.Request(data=data)).success
            assert ward.probe.call(Trigger, '/pose_node/reset').success
    ward.probe.wait_for_subscribers(ward.images)
    ward.is_well()


def test_stamps_of_the_answers_are_those_of_the_pictures(ward):
    """After all of the above, in order and none twice."""
    del ward.answers[:]
    sent = []
    for _ in range(5):
        sent.append(ward.send())
        ward.answered(sent[-1])
    assert [stamp_to_ns(answer.header.stamp) for answer in ward.answers] == [
        stamp_to_ns(stamp) for stamp in sent]
