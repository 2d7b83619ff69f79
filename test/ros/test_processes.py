import os
import time

import cv2
import numpy as np
import pytest
import yaml

from infant_pose_ros.ros.processes import (
    config_file,
    local_dds_environment,
    NodeDiedError,
    NodeProcesses,
    ros_arguments,
)


def test_config_files_are_found():
    assert config_file('fastdds.xml').is_file()
    assert config_file('no_such_file.xml') is None


def test_environment_keeps_what_is_given():
    ours = local_dds_environment({})
    assert set(ours) == {'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE',
                         'FASTDDS_DEFAULT_PROFILES_FILE'}
    assert 1 <= int(ours['ROS_DOMAIN_ID']) <= 101
    given = {'ROS_DOMAIN_ID': '7', 'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'}
    assert set(local_dds_environment(given)) == {'ROS_AUTOMATIC_DISCOVERY_RANGE'}


@pytest.mark.parametrize('distro, names', [
    ('humble', {'ROS_LOCALHOST_ONLY', 'FASTRTPS_DEFAULT_PROFILES_FILE'}),
    ('jazzy', {'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTRTPS_DEFAULT_PROFILES_FILE'}),
    ('kilted', {'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTDDS_DEFAULT_PROFILES_FILE'})])
def test_environment_uses_the_names_that_the_distribution_knows(distro, names):
    assert set(local_dds_environment({'ROS_DISTRO': distro})) == names | {'ROS_DOMAIN_ID'}


def test_ros_arguments_keep_the_types_of_values(tmp_path):
    values = {'source': '0', 'path': 'C:\\a "b"', 'loop': False, 'rate_hz': 2.0, 'depth': 10,
              'empty': ''}
    arguments = ros_arguments(values, {'image': '/camera/image'})
    assert arguments[0] == '--ros-args'
    assert arguments[-2:] == ['-r', 'image:=/camera/image']
    assert arguments[1:-2:2] == ['-p'] * len(values)
    # rcl reads the value as YAML: as a parameter file would hold it.
    parsed = {name: yaml.safe_load(text) for name, text in (
        argument.split(':=', 1) for argument in arguments[2:-2:2])}
    assert parsed == values
    assert {name: type(value) for name, value in parsed.items()} == \
        {name: type(value) for name, value in values.items()}


def test_a_child_that_fails_is_named_with_its_last_lines(tmp_path):
    with NodeProcesses(tmp_path / 'logs', {}) as nodes:
        nodes.start('camera_node', ros_arguments({'source': str(tmp_path / 'none.mp4')}, {}))
        nodes._children['camera_node'].wait(60)
        assert not nodes.is_running('camera_node')
        with pytest.raises(NodeDiedError, match='camera_node ended with exit code 1') as caught:
            nodes.check(may_end=['camera_node'])
        assert 'none.mp4: no such file' in str(caught.value)
        assert 'none.mp4' in '\n'.join(nodes.log_lines('camera_node'))


def test_children_end_with_the_block_whatever_happens(tmp_path, ros_domain):
    with pytest.raises(KeyError):
        with NodeProcesses(tmp_path, {}) as nodes:
            nodes.start('overlay_node', ros_arguments({}, {}))
            process_id = nodes._children['overlay_node'].pid
            nodes.check()
            raise KeyError('anything')
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


def test_an_interrupted_child_ends_well_and_may_or_may_not(tmp_path, ros_domain):
    assert cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((24, 32, 3), np.uint8))
    parameters = {'wait_for_subscribers': 1, 'source': str(tmp_path)}
    with NodeProcesses(tmp_path, {}) as nodes:
        nodes.start('camera_node', ros_arguments(parameters, {}))
        deadline_s = time.monotonic() + 60.0
        while not any('waiting for 1' in line for line in nodes.log_lines('camera_node')):
            nodes.check()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        nodes.interrupt('camera_node')
        nodes._children['camera_node'].wait(60)
        nodes.check(may_end=['camera_node'])
        with pytest.raises(NodeDiedError, match='camera_node ended with exit code 0'):
            nodes.check()
