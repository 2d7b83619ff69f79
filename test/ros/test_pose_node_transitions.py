"""pose_node asked for transitions that can not be: none such, or a frame in work never ends."""

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, PointCloud2

from infant_pose_ros.ros.images import encode_image

#: What is run in place of the node's module: the node on rclpy as it is in Humble and Jazzy, with
#: frames that do not end as long as a file lies beside the script.
SCRIPT = """
from pathlib import Path
import time

from rclpy.lifecycle.node import LifecycleNodeMixin

from infant_pose_ros.entry import finish
from infant_pose_ros.nodes.pose_node import main
from infant_pose_ros.pipeline import PosePipeline

process_batch = PosePipeline.process_batch
change_state = LifecycleNodeMixin._LifecycleNodeMixin__change_state
stuck = Path(__file__).with_name('stuck')


def process_in_time(self, frames):
    with self._lock:
        while stuck.exists():
            time.sleep(0.05)
    return process_batch(self, frames)


def change_state_or_raise(self, transition_id):
    if transition_id not in {entry[0] for entry in self._state_machine.available_transitions}:
        raise RuntimeError('Transition is not registered')
    return change_state(self, transition_id)


PosePipeline.process_batch = process_in_time
LifecycleNodeMixin._LifecycleNodeMixin__change_state = change_state_or_raise
finish(main())
"""
_noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


class Rig:
    """The node, pictures for it, and what it says."""

    def __init__(self, probe, process, stuck):
        self._probe, self.process, self.stuck = probe, process, stuck
        self.answers = probe.subscribe(PointCloud2, '/pose_node/keypoints')
        self.diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics')
        self.images = probe.publisher(Image, '/image', 10, subscribers=1)

    def send(self):
        message = encode_image(_noise, self._probe.header())
        self.images.publish(message)
        return message.header.stamp

    def diagnosed(self, wanted):
        """The values of the first status from now on that is as wanted."""
        del self.diagnostics[:]
        found = self.diagnostics.wait_for(lambda m: wanted(values_of(m.status[0])), 60.0)
        return values_of(found.status[0])

    def change(self, transition):
        return self._probe.change_state('/pose_node', transition)


def values_of(status):
    return {entry.key: entry.value for entry in status.values}


@pytest.fixture(scope='module')
def rig(ros_domain, node_process, probe, weights, tmp_path_factory):
    script = tmp_path_factory.mktemp('stuck') / 'stuck_pose_node.py'
    script.write_text(SCRIPT, encoding='utf-8')
    with node_process(script, params={**weights, 'max_age_ms': 0.0}, env=ros_domain) as process:
        process.wait_for_log('active: /image')
        rig = Rig(probe, process, script.with_name('stuck'))
        probe.until_answered(rig.send, rig.answers)
        yield rig


@pytest.mark.parametrize('transition', [
    Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_CLEANUP, 99])
def test_what_the_state_does_not_have_is_refused(rig, probe, transition):
    assert not rig.change(transition)
    assert probe.state_of('/pose_node') == 'active'
    rig.process.wait_for_log('no such transition now: RuntimeError: Transition is not registered')


def test_a_frame_that_does_not_end_does_not_take_the_node_with_it(rig, probe):
    rig.stuck.touch()
    rig.send()
    values = rig.diagnosed(lambda values: 'worker_stuck' in values['faults'])
    assert values['frames_in_flight'] == '1'
    assert rig.change(Transition.TRANSITION_DEACTIVATE)
    rig.process.wait_for_log('a frame is still being worked on')
    for transition in (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CLEANUP):
        assert not rig.change(transition)
        assert probe.state_of('/pose_node') == 'inactive'
    assert rig.diagnosed(lambda values: True)['state'] == 'inactive'
    request = SetParameters.Request(
        parameters=[Parameter('gate_sigma', value=9.0).to_parameter_msg()])
    assert probe.call(SetParameters, '/pose_node/set_parameters', request).results[0].successful
    rig.stuck.unlink()
    rig.process.wait_for_log('the node was deactivated while the frame was being worked on')
    for transition in (Transition.TRANSITION_CLEANUP, Transition.TRANSITION_CONFIGURE,
                       Transition.TRANSITION_ACTIVATE):
        assert rig.change(transition)
    probe.wait_for_subscribers(rig.images)
    probe.until_answered(rig.send, rig.answers)
    rig.diagnosed(lambda values: values['state'] == 'active'
                  and 'worker_stuck' not in values['faults'])


def test_the_end_comes_also_while_a_frame_does_not_end(rig):
    rig.stuck.touch()
    rig.send()
    rig.diagnosed(lambda values: values['frames_in_flight'] == '1')
    rig.process.terminate()
    assert rig.process.wait(30.0) == 0
    assert 'Traceback' not in rig.process.output
