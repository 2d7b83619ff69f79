from pathlib import Path

import pytest

from infant_pose_ros.cli.doctor_parameters import look_at_parameters
from infant_pose_ros.findings import Level

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def found(tmp_path):
    """Findings of a file of this content: line -> (level, text)."""
    def look(content):
        path = tmp_path / 'own.yaml'
        path.write_text(content, encoding='utf-8')
        return {int(finding.about.rpartition(':')[2] or 0): (finding.level, finding.text)
                for finding in look_at_parameters(path) if ':' in finding.about}
    return look


def section(*lines, name='/**/pose_node'):
    return '\n'.join([f'{name}:', '  ros__parameters:', *(f'    {line}' for line in lines)])


def test_the_file_that_is_shipped_is_right():
    levels = {finding.level
              for finding in look_at_parameters(ROOT / 'config' / 'infant_pose.yaml')}
    assert levels == {Level.OK}


@pytest.mark.parametrize(('line', 'words'), [
    ('body_length_m: 60', 'outside 0.0 .. 2.2'),
    ("body_length_m: '0.6'", 'expected float'),
    ('detect_every: 2.5', 'expected int'),
    ('autostart: 1', 'expected bool'),
    ('adult_policy: never', "'never' is not one of"),
    ('roi: 3,4', 'expected'),
    ('detect_evry: 3', 'did you mean detect_every?'),
    ('whatever: 3', 'docs/parameters.md'),
    ('left.roi: ""', 'not known'),
    ('pose_weights: /is/not/there.safetensors', 'no file /is/not/there.safetensors')])
def test_what_is_wrong_is_named_with_its_line(found, line, words):
    (level, text) = found(section('max_infants: 2', line))[4]
    assert level is Level.ERROR and words in text


@pytest.mark.parametrize('lines', [
    ['body_length_m: 1'], ['acceleration_std_2d: 1e3'], ['use_sim_time: true'],
    ["cameras: 'left,right'", 'left.body_length_m: 0.6', 'right:', "  roi: '0,0,1,1'"],
    ['qos_overrides./image.subscription.reliability: best_effort'],
    ['qos_overrides:', '  /image:', '    subscription:', '      depth: 3']])
def test_what_is_right_is_told_once(found, lines):
    ((level, text),) = found(section(*lines)).values()
    assert level is Level.OK and 'pose_node' in text


def test_namespaces_may_be_nested(found):
    content = '/ward:\n  overlay_node:\n    ros__parameters:\n      privacy: mask\n'
    assert "'mask' is not one of" in found(content)[4][1]


def test_sections_for_every_node(found):
    told = found(section('use_sim_time: true', 'privacy: mask', 'not_known: 3', name='/**'))
    assert "'mask'" in told[4][1] and 'known to no node' in told[5][1]


@pytest.mark.parametrize(('content', 'line', 'level', 'words'), [
    ('device: cpu', 1, Level.ERROR, 'outside of ros__parameters'),
    ('pose_node:\n  device: cpu', 2, Level.ERROR, 'put it below "pose_node:"'),
    ('pose_node:\n  ros__parameters: {}\n  device: cpu', 3, Level.ERROR, 'has no effect'),
    ('pose_node:\n  ros__parameters:', 1, Level.WARN, 'empty'),
    (section('device: cpu', name='/pose_nod'), 1, Level.WARN, 'is called pose_node'),
    (section('anything: 3', name='/realsense'), 1, Level.OK, 'not a node of this package'),
    (section('max_infants: 2', 'max_infants: 3'), 4, Level.ERROR, 'twice, first in line 3')])
def test_sections_that_ros_would_not_read(found, content, line, level, words):
    told = found(content)[line]
    assert told[0] is level and words in told[1]


@pytest.mark.parametrize('content', ['', '- a', 'a: [', 'a: b: c', '\x00'])
def test_a_file_that_holds_no_parameters(tmp_path, content):
    (tmp_path / 'own.yaml').write_text(content, encoding='utf-8')
    (finding,) = look_at_parameters(tmp_path / 'own.yaml')
    assert finding.level is Level.ERROR and 'own.yaml' in finding.about


def test_a_file_that_is_not_there(tmp_path):
    (finding,) = look_at_parameters(tmp_path / 'gone.yaml')
    assert finding.level is Level.ERROR and 'can not be read' in finding.text
