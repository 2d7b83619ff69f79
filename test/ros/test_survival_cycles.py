"""pose_node through clocks that stop, lifecycles without end and places that can't be written."""

import os
from pathlib import Path
import re

from lifecycle_msgs.msg import Transition
import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, PointCloud2

from infant_pose_ros.ros.images import encode_image

POSE_NODE = 'infant_pose_ros.nodes.pose_node'
CYCLE = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE,
         Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
#: A hundred take minutes (INFANT_POSE_CYCLES=100); what stays behind shows in a few, as it is
#: there every time.
NUM_CYCLES = int(os.environ.get('INFANT_POSE_CYCLES', '6'))
#: After so many, everything that is only made once is there.
NUM_WARM_UP = 2
#: Networks that stay would add 90 MB with every cycle: 360 MB.
GROWTH_MAX_MB = 120.0
_noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)


class SimulatedTime:
    """Publishes /clock, and pictures that are stamped with it."""

    def __init__(self, probe):
        self._probe, self.now_ns = probe, 10 ** 12
        self._clock = probe.publisher(Clock, '/clock', 10, subscribers=1)
        self._images = probe.publisher(Image, '/image', 10, subscribers=1)
        self.answers = probe.subscribe(PointCloud2, '/pose_node/keypoints')
        probe.until_answered(self.run_and_send, self.answers)

    def run(self, period_ns=33_000_000):
        """The clock goes on by a picture's time."""
        self.now_ns += period_ns
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(self.now_ns, 10 ** 9)
        self._clock.publish(message)

    def send(self, age_ns=1_000_000):
        """A picture taken a moment ago; its stamp."""
        header = self._probe.header(self.now_ns - age_ns)
        self._images.publish(encode_image(_noise, header))
        return header.stamp

    def run_and_send(self):
        self.run()
        return self.send()

    def ask(self, *args, **kwargs):
        """The same, answered."""
        del self.answers[:]
        stamp = self.send(*args, **kwargs)
        self.answers.wait_for(lambda answer: answer.header.stamp == stamp, 30.0)


def test_simulated_time_stops_goes_on_and_jumps_back(ros_domain, node_process, probe, weights):
    with node_process(POSE_NODE, params={**weights, 'use_sim_time': True, 'max_age_ms': 0.0},
                      env=ros_domain) as process:
        process.wait_for_log('active: /image')
        simulated = SimulatedTime(probe)
        for _ in range(5):
            simulated.run()
            simulated.ask()
        for index in range(5):      # the clock stands still, the camera does not
            simulated.ask(age_ns=-index)
        for _ in range(5):
            simulated.run()
            simulated.ask()
        simulated.now_ns -= 5 * 10 ** 11
        for _ in range(5):
            simulated.run()
            simulated.ask()
        assert probe.state_of('/pose_node') == 'active'
        process.interrupt()
        assert process.wait() == 0
        assert 'Traceback' not in process.output


def test_lifecycles_leave_nothing_behind(ros_domain, node_process, probe, weights):
    with node_process(POSE_NODE, params={**weights, 'adult_policy': 'off'},
                      env=ros_domain) as process:
        process.wait_for_log('active: /image')
        for transition in CYCLE[2:]:
            assert probe.change_state('/pose_node', transition), process.output[-3000:]
        for index in range(NUM_CYCLES):
            for transition in CYCLE:
                assert probe.change_state('/pose_node', transition), process.output[-3000:]
                if index in (0, NUM_CYCLES - 1) and transition == Transition.TRANSITION_ACTIVATE:
                    _answers_a_picture(probe)
            if index == NUM_WARM_UP - 1:
                before = _size(process)
        after = _size(process)
        print(f'{NUM_CYCLES} cycles, (threads, files, MB): {before} > {after}')
        assert after[0] <= before[0], 'threads'
        assert after[1] <= before[1] + 2, 'open files'
        assert after[2] <= before[2] + GROWTH_MAX_MB, 'memory'
        process.interrupt()
        assert process.wait() == 0
        assert 'Traceback' not in process.output


def _answers_a_picture(probe):
    answers = probe.subscribe(PointCloud2, '/pose_node/keypoints')
    images = probe.publisher(Image, '/image', 10, subscribers=1)

    def send():
        message = encode_image(_noise, probe.header())
        images.publish(message)
        return message.header.stamp

    probe.until_answered(send, answers)
    probe.node.destroy_publisher(images)


def _size(process):
    """Number of threads and of open files, and resident memory, MB."""
    place = Path(f'/proc/{process.process.pid}')
    status = (place / 'status').read_text(encoding='utf-8')
    return (len(list((place / 'task').iterdir())), len(list((place / 'fd').iterdir())),
            int(re.search(r'VmRSS:\s+(\d+)', status).group(1)) / 1024.0)


@pytest.mark.parametrize('node', ['camera_node', 'overlay_node'])
def test_logs_that_can_not_be_written(ros_domain, node_process, node):
    """/proc takes no folders, from nobody: not from root either, as a full disk would not."""
    env = {**ros_domain, 'ROS_LOG_DIR': '/proc/no_logs', 'HOME': '/proc/no_home'}
    with node_process(f'infant_pose_ros.nodes.{node}', env=env) as process:
        assert process.wait(60.0) == 1
        lines = process.output.strip().splitlines()
        assert 'Traceback' not in process.output
        assert 'ROS_LOG_DIR' in lines[-1] and '/proc/no_logs' in process.output
