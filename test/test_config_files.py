from pathlib import Path
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from infant_pose_ros.config import CameraNodeSettings, OverlayNodeSettings, PoseNodeSettings

ROOT = Path(__file__).resolve().parents[1]
NODES = {'pose_node': PoseNodeSettings, 'camera_node': CameraNodeSettings,
         'overlay_node': OverlayNodeSettings}


@pytest.fixture(scope='module')
def parameters():
    return yaml.safe_load((ROOT / 'config/infant_pose.yaml').read_text(encoding='utf-8'))


def test_every_node_is_there_in_any_namespace(parameters):
    assert set(parameters) == {f'/**/{node}' for node in NODES}


@pytest.mark.parametrize('node', sorted(NODES))
def test_values_are_the_declared_defaults(parameters, node):
    given = parameters[f'/**/{node}']['ros__parameters']
    settings = NODES[node]()
    declared = {spec.name: getattr(settings, spec.name) for spec, _ in settings.specs()}
    assert given == declared
    # ROS refuses an integer for a float: 3.0 must not be written as 3.
    assert {name: type(value) for name, value in given.items()} == \
        {name: type(value) for name, value in declared.items()}


def test_rviz_shows_camera_overlay_skeleton_and_keypoints():
    content = yaml.safe_load((ROOT / 'config/infant_pose.rviz').read_text(encoding='utf-8'))
    manager = content['Visualization Manager']
    assert manager['Global Options']['Fixed Frame'] == CameraNodeSettings().frame_id
    topics = {(display['Class'].split('/')[-1], display['Topic']['Value'])
              for display in manager['Displays'] if 'Topic' in display}
    assert topics == {('Image', '/camera/image'), ('Image', '/overlay_node/image'),
                      ('MarkerArray', '/pose_node/markers'),
                      ('PointCloud2', '/pose_node/keypoints')}
    # Best effort hears drivers of either kind.
    assert {display['Topic']['Reliability Policy'] for display in manager['Displays']
            if display['Class'].endswith('/Image')} == {'Best Effort'}


def test_fastdds_profile_holds_raw_pictures():
    space = '{http://www.eprosima.com}'
    root = ElementTree.parse(ROOT / 'config/fastdds.xml').getroot()
    kinds = {item.findtext(f'{space}type'): item
             for item in root.iter(f'{space}transport_descriptor')}
    assert set(kinds) == {'SHM', 'UDPv4'}
    # A dozen pictures of 1280x720 in RGB.
    assert int(kinds['SHM'].findtext(f'{space}segment_size')) > 12 * 1280 * 720 * 3
    assert root.find(f'.//{space}participant').get('is_default_profile') == 'true'
