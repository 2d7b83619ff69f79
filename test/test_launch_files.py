"""The launch files with stand-ins for launch and launch_ros, which a test machine may not have."""

from pathlib import Path
import runpy
import sys
import types

import pytest

from infant_pose_ros.config import CameraNodeSettings, OverlayNodeSettings, PoseNodeSettings

ROOT = Path(__file__).resolve().parents[1]
FILES = {'infant_pose': 'make_nodes', 'demo': 'make_camera'}
SETTINGS = {'POSE': PoseNodeSettings, 'OVERLAY': OverlayNodeSettings,
            'CAMERA': CameraNodeSettings}
#: Parameters that every ROS node has.
OF_EVERY_NODE = {'use_sim_time': bool}


class StandIn:
    """Any class of launch: remembers what it was made with."""

    def __init__(self, *arguments, **options):
        self.arguments, self.options = arguments, options


class LaunchModule(types.ModuleType):
    """Has every class that is asked of it."""

    __path__ = []

    def __getattr__(self, name):
        setattr(self, name, type(name, (StandIn,), {}))
        return getattr(self, name)


@pytest.fixture(params=FILES)
def launch_file(request, monkeypatch):
    """Name and globals of each launch file."""
    for name in ('launch', 'launch.actions', 'launch.conditions', 'launch.substitutions',
                 'launch.launch_description_sources', 'launch_ros', 'launch_ros.actions',
                 'launch_ros.parameter_descriptions', 'launch_ros.substitutions'):
        monkeypatch.setitem(sys.modules, name, LaunchModule(name))
    return request.param, runpy.run_path(str(ROOT / f'launch/{request.param}.launch.py'))


def all_nodes_of(launch_file, params_file, **arguments):
    """Every node, as it is made with these arguments."""
    name, file_globals = launch_file
    values = {argument: '' for argument, _, _ in file_globals['ARGUMENTS']}
    context = types.SimpleNamespace(
        launch_configurations={**values, 'params_file': str(params_file), **arguments})
    return file_globals[FILES[name]](context)


def nodes_of(launch_file, params_file, **arguments):
    """This package's nodes, by executable."""
    return {node.options['executable']: node
            for node in all_nodes_of(launch_file, params_file, **arguments)
            if node.options['package'] == 'infant_pose_ros'}


def given_to(node):
    """The parameters after params_file: name -> (launch argument, type), or the value itself."""
    first, *rest = node.options['parameters']
    assert isinstance(first, (str, StandIn))     # the file, or the argument that names it
    assert len(rest) <= 1 and all(rest), 'one mapping, which is not empty'
    return {name: (value.arguments[0].arguments[0], value.options['value_type'])
            if isinstance(value, StandIn) else value
            for mapping in rest for name, value in mapping.items()}


def test_arguments_that_set_parameters_name_real_ones(launch_file):
    _, file_globals = launch_file
    defaults = {name: default for name, default, _ in file_globals['ARGUMENTS']}
    groups = {name: value for name, value in file_globals.items()
              if name.endswith('_PARAMETERS')}
    assert groups
    for name, parameters in groups.items():
        settings = SETTINGS.get(name.removesuffix('_PARAMETERS'))
        types_of = {spec.name: wanted for spec, wanted in settings.specs()} if settings else {}
        for parameter, value_type in parameters:
            assert {**OF_EVERY_NODE, **types_of}[parameter] is value_type
            assert defaults[parameter] == ''     # an empty default leaves it to params_file


def test_every_argument_is_declared_and_described(launch_file):
    _, file_globals = launch_file
    description = file_globals['generate_launch_description']()
    declared = {action.arguments[0]: action.options['description']
                for action in description.arguments[0]
                if type(action).__name__ == 'DeclareLaunchArgument'}
    assert list(declared) == [name for name, _, _ in file_globals['ARGUMENTS']]
    assert all(declared.values())


def test_params_file_rules_where_nothing_is_given(launch_file, tmp_path):
    (tmp_path / 'own.yaml').touch()
    for executable, node in nodes_of(launch_file, tmp_path / 'own.yaml').items():
        expected = {'wait_for_subscribers': 2} if executable == 'camera_node' else {}
        assert given_to(node) == expected
        # launch_ros knows the full name only of a node with both.
        assert {'name', 'namespace'} <= set(node.options)


@pytest.mark.parametrize('overlay, subscribers', [('true', 2), ('false', 1)])
def test_the_camera_waits_for_all_who_look_on(launch_file, tmp_path, overlay, subscribers):
    (tmp_path / 'own.yaml').touch()
    nodes = nodes_of(launch_file, tmp_path / 'own.yaml', overlay=overlay)
    for node in (nodes[name] for name in nodes if name == 'camera_node'):
        assert given_to(node)['wait_for_subscribers'] == subscribers


def test_what_is_given_comes_after_params_file(launch_file, tmp_path):
    (tmp_path / 'own.yaml').touch()
    arguments = {'source': '0', 'loop': 'false', 'body_length_m': '0.6', 'camera_name': 'left',
                 'max_age_ms': '0', 'use_sim_time': 'true', 'image_transport': 'compressed'}
    expected = {
        'camera_node': {'source': str, 'loop': bool},       # a webcam's number stays a string
        'pose_node': {'image_transport': str, 'camera_name': str, 'use_sim_time': bool,
                      'body_length_m': float, 'max_age_ms': float},
        'overlay_node': {'image_transport': str, 'use_sim_time': bool}}
    nodes = nodes_of(launch_file, tmp_path / 'own.yaml', **arguments)
    assert nodes
    for executable, node in nodes.items():
        given = given_to(node)
        given.pop('wait_for_subscribers', None)
        assert given == {name: (name, value_type)
                         for name, value_type in expected[executable].items()}


def test_every_topic_of_the_camera_can_be_named(launch_file, tmp_path):
    (tmp_path / 'own.yaml').touch()
    node = nodes_of(launch_file, tmp_path / 'own.yaml', image='/cot/image_raw',
                    camera_info='/cot/info', depth='/cot/depth').get('pose_node')
    if node:                                 # which the other launch file includes
        assert dict(node.options['remappings']) == {
            'image': '/cot/image_raw', 'image/compressed': '/cot/image_raw/compressed',
            'camera_info': '/cot/info', 'depth': '/cot/depth'}


def test_one_camera_is_called_camera_in_the_default_topics(launch_file, tmp_path):
    (tmp_path / 'own.yaml').touch()
    defaults = {name: default for name, default, _ in launch_file[1]['ARGUMENTS']
                if name in ('image', 'camera_info', 'depth')}
    node = nodes_of(launch_file, tmp_path / 'own.yaml', **defaults).get('pose_node')
    if node:
        topics = dict(node.options['remappings'])
        assert [topics[name] for name in ('image', 'camera_info', 'depth')] == [
            '/camera/image', '/camera/camera_info', '/camera/depth']


@pytest.mark.parametrize('namespace, start', [('', ''), ('ward', '/ward'), ('/a/b/', '/a/b')])
def test_several_cameras_have_topics_and_an_overlay_each(
        launch_file, tmp_path, namespace, start):
    if launch_file[0] != 'infant_pose':
        return
    (tmp_path / 'own.yaml').touch()
    pose, *overlays, rviz = all_nodes_of(
        launch_file, tmp_path / 'own.yaml', cameras='left, right', image='/{camera}/image_raw',
        camera_info='{camera}/info', depth='/{camera}/depth', namespace=namespace)
    topics = dict(pose.options['remappings'])
    assert len(topics) == 8
    assert topics['right/image'] == '/right/image_raw'
    assert topics['left/image/compressed'] == '/left/image_raw/compressed'
    assert topics['left/camera_info'] == f'{start}/left/info'
    assert given_to(pose)['cameras'] == ('cameras', str)
    for camera, overlay in zip(('left', 'right'), overlays, strict=True):
        # By its name params_file finds it.
        assert overlay.options['name'] == 'overlay_node'
        assert overlay.options['namespace'] == f'{start}/{camera}'
        topics = dict(overlay.options['remappings'])
        assert topics['image'] == f'/{camera}/image_raw'
        assert topics['keypoints'] == f'{start}/pose_node/{camera}/keypoints'
    shown = dict(rviz.options['remappings'])
    assert shown['/pose_node/markers'] == 'pose_node/left/markers'
    assert shown['/overlay_node/image'] == 'left/overlay_node/image'


@pytest.mark.parametrize(('cameras', 'enclaves', 'expected'), [
    ('', '', [[], [], []]),
    ('', '/infant_pose', [['--enclave', f'/infant_pose/{name}']
                          for name in ('pose_node', 'overlay_node', 'viewer')]),
    ('left,right', 'ward/', [['--enclave', f'/ward/{name}'] for name in (
        'pose_node', 'left/overlay_node', 'right/overlay_node', 'viewer')])])
def test_each_node_takes_an_enclave_of_its_own(launch_file, tmp_path, cameras, enclaves, expected):
    if launch_file[0] == 'infant_pose':
        (tmp_path / 'own.yaml').touch()
        patterns = {name: f'/{{camera}}/{name}' for name in ('image', 'camera_info', 'depth')}
        nodes = all_nodes_of(launch_file, tmp_path / 'own.yaml', cameras=cameras,
                             enclaves=enclaves, **patterns)
        assert [node.options['ros_arguments'] for node in nodes] == expected


def test_the_policy_has_the_enclaves_of_the_launch_files(launch_file, tmp_path):
    (tmp_path / 'own.yaml').touch()
    policy = (ROOT / 'config' / 'sros2' / 'infant_pose.policy.xml').read_text()
    for node in all_nodes_of(launch_file, tmp_path / 'own.yaml', enclaves='/infant_pose'):
        option, path = node.options['ros_arguments']
        assert option == '--enclave' and f'<enclave path="{path}">' in policy


def test_one_topic_for_several_cameras_is_refused(launch_file, tmp_path):
    if launch_file[0] == 'infant_pose':
        (tmp_path / 'own.yaml').touch()
        with pytest.raises(ValueError, match=r"image: '/cot/image' .* write \{camera\}"):
            nodes_of(launch_file, tmp_path / 'own.yaml', cameras='left,right',
                     image='/cot/image')


def test_a_params_file_that_is_not_there_is_named(launch_file, tmp_path):
    if launch_file[0] == 'infant_pose':      # which the other one includes
        with pytest.raises(FileNotFoundError, match='none.yaml'):
            nodes_of(launch_file, tmp_path / 'none.yaml')
