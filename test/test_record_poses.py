"""What launch/record_poses.launch.py records, with stand-ins for launch."""

from pathlib import Path
import runpy
import sys
import types

import pytest

ROOT = Path(__file__).resolve().parents[1]
POSES = ['/pose_node/keypoints', '/pose_node/keypoints_raw', '/pose_node/poses',
         '/pose_node/joint_states', '/pose_node/skeleton_info']
REST = ['/camera/camera_info', '/diagnostics', '/tf', '/tf_static']


class StandIn:
    """Any class of launch: remembers what it was made with."""

    def __init__(self, *arguments, **options):
        self.arguments, self.options = arguments, options


class LaunchModule(types.ModuleType):
    """Has every class that is asked of it."""

    def __getattr__(self, name):
        return type(name, (StandIn,), {})


@pytest.fixture
def launch_file(monkeypatch):
    for name in ('launch', 'launch.actions'):
        monkeypatch.setitem(sys.modules, name, LaunchModule(name))
    return runpy.run_path(str(ROOT / 'launch' / 'record_poses.launch.py'))


@pytest.fixture
def command(launch_file):
    """The command that is run with these arguments."""
    def make(**given):
        defaults = {name: default for name, default, _ in launch_file['ARGUMENTS']}
        assert given.keys() <= defaults.keys()
        context = types.SimpleNamespace(launch_configurations={**defaults, **given})
        (recorder,) = launch_file['make_recorder'](context)
        return recorder.options['cmd']
    return make


def test_poses_and_no_pictures(command):
    assert command() == ['ros2', 'bag', 'record', *POSES, *REST]


def test_options_come_before_the_topics(command):
    words = command(output='night_1', use_sim_time='true')
    assert words == ['ros2', 'bag', 'record', '--output', 'night_1', '--use-sim-time', *POSES,
                     *REST, '/clock']


def test_namespaces_and_several_cameras(command):
    words = command(pose_node='ward/pose_node', cameras='left, right',
                    camera_info='/left/camera_info,/right/camera_info')
    recorded = words[3:]
    assert recorded[:2] == ['/ward/pose_node/left/keypoints', '/ward/pose_node/left/keypoints_raw']
    assert '/ward/pose_node/right/skeleton_info' in recorded
    assert {'/left/camera_info', '/right/camera_info'} <= set(recorded)
    assert len(set(recorded)) == len(recorded) == 2 * 5 + 2 + 3


def test_no_camera_info(command):
    assert not any('camera_info' in word for word in command(camera_info=''))


@pytest.mark.parametrize('given', [{}, {'cameras': 'left,right'}])
def test_nothing_is_recorded_by_a_pattern(command, given):
    words = command(**given)
    assert not {'-a', '--all', '-e', '--regex', '--all-topics'} & set(words)
    assert not any('image' in word or '*' in word for word in words)


def test_what_it_records_is_what_pose_node_publishes(launch_file):
    source = (ROOT / 'infant_pose_ros' / 'ros' / 'outputs.py').read_text(encoding='utf-8')
    assert all(name in source for name in launch_file['OUTPUTS'])


def test_every_argument_is_described(launch_file):
    description = launch_file['generate_launch_description']()
    declared = [action for action in description.arguments[0]
                if type(action).__name__ == 'DeclareLaunchArgument']
    assert len(declared) == len(launch_file['ARGUMENTS'])
    assert all(action.options['description'] for action in declared)
