"""Imports go down only, and ROS stays where it belongs: a walk over the whole import graph."""

import ast
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'infant_pose_ros'

#: From the ground up; a part imports parts of its own layer and of those before it.
LAYERS = (
    ('errors', 'skeleton', 'findings', 'entry', 'text_files', 'allocator'),
    ('structures', 'config'),
    ('geometry', 'codecs', 'filtering', 'media'),
    ('models', 'data'),
    ('lifting', 'placing', 'inference', 'looking', 'networks', 'reading', 'camera_state',
     'confirming', 'following', 'stepping', 'pipeline', 'training', 'evaluation', 'synthetic'),
    ('cli', 'ros'),
    ('nodes',),
)
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}
#: Besides the layers: part -> parts that it may not import.
NEVER = {
    'nodes': {'data', 'training', 'synthetic'},
    'ros': {'cli', 'data', 'training', 'synthetic'},
    'cli': {'ros'},
}
MAY_IMPORT_ROS = {'ros', 'nodes'}
ROS_MODULE = re.compile(
    r'rclpy|rcl_\w+|.*_(msgs|srvs|interfaces)|launch(_\w+)?|ament_\w+|cv_bridge|tf2_\w+|rosidl_\w+'
    r'|rpyutils|ros2\w+')


def imported_modules(source):
    """Dotted names that the source imports, at any depth of nesting."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'relative imports: write the full name'
            if node.module == PACKAGE:
                yield from (f'{PACKAGE}.{alias.name}' for alias in node.names)
            else:
                yield node.module


def part_of(module):
    """`geometry` of `infant_pose_ros.geometry.boxes`; None for other packages."""
    names = module.split('.')
    return names[1] if names[0] == PACKAGE and len(names) > 1 else None


def breaches(part, source):
    """What the source of a module of `part` may not import."""
    found = []
    for module in imported_modules(source):
        other = part_of(module)
        if other in HEIGHT:
            if HEIGHT[other] > HEIGHT[part] or other in NEVER.get(part, ()):
                found.append(module)
        elif ROS_MODULE.fullmatch(module.split('.')[0]) and part not in MAY_IMPORT_ROS:
            found.append(module)
    return found


def package_files():
    return sorted((ROOT / PACKAGE).rglob('*.py'))


def part_of_file(path):
    relative = path.relative_to(ROOT / PACKAGE)
    return relative.parts[0].removesuffix('.py')


FILES = [path for path in package_files() if part_of_file(path) != '__init__']


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    part = part_of_file(path)
    assert part in HEIGHT, f'{part} has no layer: give it one in LAYERS'
    assert breaches(part, path.read_text(encoding='utf-8')) == []


def test_the_package_itself_imports_nothing():
    assert list(imported_modules((ROOT / PACKAGE / '__init__.py').read_text())) == []


def test_all_parts_are_seen():
    assert {'errors', 'skeleton', 'structures', 'config', 'geometry', 'cli'} <= {
        part_of_file(path) for path in FILES}


def test_parts_do_not_import_each_other_in_a_circle():
    below = {part: set() for part in HEIGHT}
    for path in FILES:
        modules = imported_modules(path.read_text(encoding='utf-8'))
        below[part_of_file(path)] |= {part_of(module) for module in modules} & set(HEIGHT)
    for part in below:
        below[part].discard(part)
    while below:
        free = [part for part, others in below.items() if not others & set(below)]
        assert free, f'these import each other: {below}'
        for part in free:
            del below[part]


@pytest.mark.parametrize(('part', 'source', 'expected'), [
    ('geometry', 'from infant_pose_ros.pipeline import PosePipeline',
     ['infant_pose_ros.pipeline']),
    ('geometry', 'def f():\n    import infant_pose_ros.models.pose',
     ['infant_pose_ros.models.pose']),
    ('skeleton', 'from infant_pose_ros import config', ['infant_pose_ros.config']),
    ('pipeline', 'import rclpy.node', ['rclpy.node']),
    ('cli', 'from std_srvs.srv import Trigger', ['std_srvs.srv']),
    ('cli', 'from infant_pose_ros.ros.images import decode', ['infant_pose_ros.ros.images']),
    ('nodes', 'from infant_pose_ros.training import runs', ['infant_pose_ros.training']),
    ('ros', 'import infant_pose_ros.nodes.pose_node', ['infant_pose_ros.nodes.pose_node']),
    ('ros', 'from sensor_msgs.msg import Image\nimport rclpy', []),
    ('pipeline', 'from infant_pose_ros.inference import Detector\nimport numpy', []),
    ('geometry', 'from infant_pose_ros.structures import Camera\nimport rosbags', []),
])
def test_breaches_are_found(part, source, expected):
    assert breaches(part, source) == expected


def test_relative_imports_are_refused():
    with pytest.raises(AssertionError, match='full name'):
        list(imported_modules('from . import errors'))
