"""pose_node in its own process, with frames that fail or take long as their frame_id asks."""

import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import Marker, MarkerArray

from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.keypoints import decode_keypoints

#: What is run in place of the node's module: the node, with an output that obeys the frame_id, and
#: waits for a file beside the script where that is 'slow'. With another file there, it can't be
#: activated.
SCRIPT = """
import builtins
from pathlib import Path
import sys
import time

from infant_pose_ros.nodes.pose_node import main
from infant_pose_ros.ros.outputs import PoseOutputs
from infant_pose_ros.ros.pose_engine import PoseEngine

publish, gate = PoseOutputs.publish, Path(__file__).with_name('gate')


def publish_as_asked(self, result, header):
    if header.frame_id == 'slow':
        deadline_s = time.monotonic() + 60.0
        while not gate.exists() and time.monotonic() < deadline_s:
            time.sleep(0.01)
    elif header.frame_id:
        raise getattr(builtins, header.frame_id)('made to fail')
    publish(self, result, header)


answer = PoseEngine._answer


def answer_as_asked(self, frames):
    if any(frame.message.header.frame_id == 'end' for frame in frames):
        raise RuntimeError('the thread is made to end')
    answer(self, frames)


start = PoseEngine.start


def start_unless_told(self):
    if Path(__file__).with_name('no_start').exists():
        raise RuntimeError('the start is made to fail')
    return start(self)


PoseEngine.start = start_unless_told
PoseOutputs.publish = publish_as_asked
PoseEngine._answer = answer_as_asked
sys.exit(main())
"""
_noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


class Asker:
    """Sends pictures whose frame_id says what is to happen to them."""

    def __init__(self, probe, process, folder):
        self._probe, self.process = probe, process
        self.no_start, self.gate = folder / 'no_start', folder / 'gate'
        self.num_failed = 0
        self.answers = probe.subscribe(PointCloud2, '/pose_node/keypoints')
        self.diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        self.images = probe.publisher(Image, '/image', 10, subscribers=1)
        self.until_answered()

    def until_answered(self):
        self._probe.until_answered(self.send, self.answers)

    def send(self, frame_id=''):
        message = encode_image(_noise, self._probe.header())
        message.header.frame_id = frame_id
        self.images.publish(message)
        return message.header.stamp

    def answered(self, stamp, timeout_s=20.0):
        return self.answers.wait_for(lambda answer: answer.header.stamp == stamp, timeout_s)

    def has_answer(self, stamp):
        return stamp in [answer.header.stamp for answer in self.answers]

    def diagnosed(self, wanted):
        del self.diagnostics[:]
        return self.diagnostics.wait_for(lambda m: wanted(m.status[0])).status[0]


def number(status, name):
    return int({entry.key: entry.value for entry in status.values}[name])


@pytest.fixture(scope='module')
def asker(ros_domain, node_process, probe, weights, tmp_path_factory):
    script = tmp_path_factory.mktemp('faulty') / 'faulty_pose_node.py'
    script.write_text(SCRIPT, encoding='utf-8')
    params = {**weights, 'keypoint_score_min': 0.05, 'track_score_min': 0.0,
              'detection_score_min': 0.3, 'detect_async': False, 'adult_policy': 'off',
              'max_age_ms': 0.0}
    with node_process(script, params=params, env=ros_domain) as process:
        process.wait_for_log('active: /image')
        yield Asker(probe, process, script.parent)


@pytest.mark.parametrize('name', ['KeyError', 'IndexError', 'TypeError', 'AttributeError',
                                  'ZeroDivisionError', 'MemoryError', 'OSError',
                                  'StopIteration', 'SystemExit'])
def test_an_error_of_any_kind_costs_its_frame_only(asker, name):
    asker.num_failed += 1
    asker.send(name)
    status = asker.diagnosed(lambda s: f'a frame failed: {name}:' in s.message)
    assert status.level == DiagnosticStatus.ERROR
    assert number(status, 'frames_failed') == asker.num_failed
    asker.answered(asker.send())


def test_failed_frames_are_logged_with_their_type(asker):
    asker.process.wait_for_log(r"frame [0-9.]+ failed: KeyError: 'made to fail'")
    assert 'Traceback' not in asker.process.output


def test_a_worker_that_ends_is_told_of_and_started_again(asker):
    asker.send('end')
    status = asker.diagnosed(lambda s: 'worker thread ended' in s.message)
    assert status.level == DiagnosticStatus.ERROR
    assert 'worker_ended' in {entry.key: entry.value for entry in status.values}['faults']
    asker.answered(asker.send())
    asker.process.wait_for_log('the thread is made to end')


def test_reset_and_parameters_do_not_wait_for_the_frame_in_work(asker, probe):
    asker.answered(asker.send())
    stamp = asker.send('slow')
    asker.diagnosed(lambda status: number(status, 'frames_in_flight') == 1)
    assert probe.call(Trigger, '/pose_node/reset').success
    request = SetParameters.Request(
        parameters=[Parameter('gate_sigma', value=9.0).to_parameter_msg()])
    assert probe.call(SetParameters, '/pose_node/set_parameters', request).results[0].successful
    assert not asker.has_answer(stamp)
    asker.gate.touch()
    asker.answered(stamp)
    asker.answered(asker.send())
    asker.gate.unlink()


def test_disabled_nothing_comes_after_the_markers_are_taken_away(asker, probe):
    markers = probe.subscribe(MarkerArray, '/pose_node/markers')
    for _ in range(200):
        answer = asker.answered(asker.send())
        if len(decode_keypoints(answer)) and markers:
            break
    stamps = [asker.send('slow')]
    asker.diagnosed(lambda status: number(status, 'frames_in_flight') == 1)
    stamps.append(asker.send('slow'))
    time.sleep(0.3)     # the second one is in the slot
    assert probe.call(SetBool, '/pose_node/enable', SetBool.Request(data=False)).success
    assert not asker.has_answer(stamps[0])
    asker.gate.touch()
    asker.answered(stamps[0])
    markers.wait_for(lambda array: {marker.action for marker in array.markers} == {Marker.DELETE})
    assert probe.call(SetBool, '/pose_node/enable', SetBool.Request(data=True)).success
    asker.until_answered()
    assert not asker.has_answer(stamps[1])      # nor will it be: they come in order
    asker.gate.unlink()


def test_a_transition_that_raises_is_told_and_can_be_tried_again(asker, probe):
    asker.no_start.touch()
    assert probe.change_state('/pose_node', Transition.TRANSITION_DEACTIVATE)
    assert not probe.change_state('/pose_node', Transition.TRANSITION_ACTIVATE)
    assert probe.state_of('/pose_node') == 'unconfigured'
    asker.process.wait_for_log('on_activate: RuntimeError: the start is made to fail')
    status = asker.diagnosed(lambda s: 'a transition out of' in s.message)
    assert status.level == DiagnosticStatus.ERROR and 'configure the node again' in status.message
    assert {entry.key: entry.value for entry in status.values}['faults'] == 'transition_failed'
    asker.no_start.unlink()
    assert probe.change_state('/pose_node', Transition.TRANSITION_CONFIGURE)
    assert probe.change_state('/pose_node', Transition.TRANSITION_ACTIVATE)
    asker.until_answered()
    asker.diagnosed(lambda s: 'a transition out of' not in s.message)
