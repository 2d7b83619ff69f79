"""SIGINT and SIGTERM at chosen moments: every command ends with its code and no traceback."""

import signal
import time

import cv2
import numpy as np
import pytest

from infant_pose_ros.ros.processes import NodeProcesses

#: Ends a wait for a process: far more than the 2 s that it may take, as the machine may be busy.
END_TIMEOUT_S = 30.0
#: Stands in for a module whose import takes long.
SLOW_MODULE = "import time\nprint('importing', flush=True)\ntime.sleep(600.0)\n"
#: pose_node, whose frames take for ever.
SLOW_FRAMES = """
import sys
import time

from infant_pose_ros.entry import finish
from infant_pose_ros.nodes.pose_node import main
from infant_pose_ros.ros.outputs import PoseOutputs


def publish_never(self, *_):
    print('a frame is in work', flush=True)
    time.sleep(600.0)


PoseOutputs.publish = publish_never
finish(main())
"""
#: A reliable subscriber that the test stops with SIGSTOP.
READER = """
import rclpy
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node('reader')
node.create_subscription(Image, '/image', lambda _: print('reading', flush=True), 10)
rclpy.spin(node)
"""


def ends_well(process, code=0):
    assert process.wait(END_TIMEOUT_S) == code, process.output
    assert 'Traceback' not in process.output
    assert 'Error' not in process.output


@pytest.fixture
def slow_import(tmp_path, ros_domain):
    """Environment in which importing rclpy, or numpy, does not come to an end."""
    for name in ('rclpy', 'numpy'):
        (tmp_path / f'{name}.py').write_text(SLOW_MODULE, encoding='utf-8')
    return {**ros_domain, 'PYTHONPATH': str(tmp_path)}


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(3):
        assert cv2.imwrite(str(folder / f'{index}.png'), np.full((120, 160, 3), 60, np.uint8))
    return folder


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('node', ['pose_node', 'camera_node', 'overlay_node'])
def test_while_a_node_is_imported(node_process, slow_import, node, number):
    with node_process(f'infant_pose_ros.nodes.{node}', env=slow_import) as process:
        process.wait_for_log('importing')
        process.process.send_signal(number)
        ends_well(process)


@pytest.mark.parametrize(('command', 'code', 'line'), [
    ('pose_node', 0, ''), ('camera_node', 0, ''), ('overlay_node', 0, ''),
    ('infant_pose_demo', 130, 'infant_pose_demo: interrupted\n'),
    ('infant_pose', 130, 'infant-pose: interrupted\n')])
def test_while_a_console_script_imports(
        node_process, slow_import, tmp_path, command, code, line):
    script = tmp_path / 'script.py'
    script.write_text('import sys\nfrom infant_pose_ros import entry\n'
                      f"sys.argv[1:] = ['info']\nsys.exit(entry.{command}())", encoding='utf-8')
    with node_process(script, env=slow_import) as process:
        process.wait_for_log('importing')
        process.interrupt()
        ends_well(process, code)
        assert process.output == f'importing\n{line}'


def test_a_child_that_has_only_just_begun(tmp_path, slow_import):
    """Its parent blocks signals until it has an answer to them: no moment is too early."""
    with NodeProcesses(tmp_path / 'logs', slow_import) as nodes:
        for number in range(4):
            nodes.start(f'camera{number}', [], node='camera_node')
            time.sleep(0.02 * number)
            nodes.interrupt(f'camera{number}')
            assert nodes.child(f'camera{number}').wait(END_TIMEOUT_S) == 0
        assert ''.join(nodes.log_lines('camera0')) in ('', 'importing')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_while_the_models_load_and_once_more(node_process, ros_domain, weights, number):
    with node_process('infant_pose_ros.nodes.pose_node', params=weights,
                      env=ros_domain) as process:
        process.wait_for_log('loading models')
        process.process.send_signal(number)
        process.interrupt()
        ends_well(process)


def test_a_frame_that_does_not_end_is_not_waited_for(
        node_process, ros_domain, weights, pictures, tmp_path):
    script = tmp_path / 'slow_frames.py'
    script.write_text(SLOW_FRAMES, encoding='utf-8')
    with node_process(script, params=weights, env=ros_domain) as process, \
            node_process('infant_pose_ros.nodes.camera_node', env=ros_domain,
                         params={'source': str(pictures)}) as camera:
        process.wait_for_log('a frame is in work')
        process.terminate()
        ends_well(process)
        assert 'still b' in process.output      # busy, or being worked on
        camera.terminate()
        ends_well(camera)


def test_a_camera_whose_subscriber_stopped_reading(node_process, ros_domain, pictures, tmp_path):
    script = tmp_path / 'reader.py'
    script.write_text(READER, encoding='utf-8')
    with node_process(script, env=ros_domain) as reader, \
            node_process('infant_pose_ros.nodes.camera_node', env=ros_domain,
                         params={'source': str(pictures), 'rate_hz': 20.0}) as camera:
        reader.wait_for_log('reading')
        reader.process.send_signal(signal.SIGSTOP)
        camera.terminate()
        ends_well(camera)
        reader.process.kill()
