import dataclasses
import os

from bad_input import bad_input
from hypothesis import given
from hypothesis import strategies as st
import pytest
import yaml

from infant_pose_ros.config import (
    CameraNodeSettings,
    OverlayNodeSettings,
    PipelineSettings,
    PoseNodeSettings,
)
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.structures import Camera

SETTINGS = (PoseNodeSettings, OverlayNodeSettings, CameraNodeSettings, PipelineSettings)
NAMES = sorted({spec.name for each in SETTINGS for spec, _ in each.specs()})

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.dates(),
    st.binary(max_size=8),
    st.sampled_from(['0.5', '1', 'true', 'nan', 'auto', 'cuda:-1', '0,0,1,1', 'nan,0,1,1', 'a,a',
                     'a,b', 10 ** 400, -10 ** 400, 2 ** 63, 'x' * 5000, 'a\0b', '\ud800',
                     int('9' * 4000)]))
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
    st.text(max_size=5) | st.integers(), inner, max_size=3), max_leaves=8)


def checked_error(error):
    assert '\n' not in str(error) and len(str(error)) < 10_000
    assert str(error).split(':')[0]


@given(st.sampled_from(SETTINGS),
       st.dictionaries(st.sampled_from(NAMES) | VALUES.filter(
           lambda value: isinstance(value, (str, int, float, type(None)))), VALUES, max_size=4))
@bad_input(100)
def test_any_mapping_is_settings_or_one_clear_error(settings_type, mapping):
    try:
        settings = settings_type.from_mapping(mapping)
    except SettingsError as error:
        checked_error(error)
        return
    for spec, wanted in settings_type.specs():
        value = getattr(settings, spec.name)
        assert type(value) is wanted and value == value
        if spec.name in mapping:
            assert value == mapping[spec.name]


@pytest.mark.parametrize('settings_type', SETTINGS)
def test_any_type_for_any_setting(settings_type):
    for spec, wanted in settings_type.specs():
        for value in (None, [], {}, [1, 2], 'x', '', '1', 10 ** 400, float('nan'), 1.5, 7, True,
                      b'x', object()):
            try:
                settings = settings_type.from_mapping({spec.name: value})
            except SettingsError as error:
                checked_error(error)
                assert str(error).startswith(f'{spec.name}: ')
            else:
                assert type(getattr(settings, spec.name)) is wanted


@given(VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
@bad_input(80)
def test_any_yaml_file_is_settings_or_one_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / 'any.yaml'
    try:
        path.write_text(yaml.safe_dump(content), encoding='utf-8')
    except (UnicodeEncodeError, ValueError):     # no YAML file can hold it
        return
    try:
        PoseNodeSettings.from_yaml(path)
    except SettingsError as error:
        checked_error(error)
        assert str(path) in str(error)


@pytest.mark.parametrize('text, reason', [
    ('max_infants: 2\nmax_infants: 3', "'max_infants' stands there twice"),
    ('roi: &a x\ndevice: *a', 'the alias'), ('- 1', 'expected "name: value"'),
    ('1: 2\na: 3\n~: 4', 'unknown settings 1, None, a'),
    ('gate_sigma: 1' + '0' * 400, 'gate_sigma: .* is too large'),
    ('max_infants: 0x' + 'f' * 9000, 'max_infants: a int too long to show is outside'),
    ('device: "a\\0b"', 'no text may have'), ('device: "\\ud800"', 'no text may have')])
def test_yaml_files_that_are_refused(tmp_path, text, reason):
    path = tmp_path / 'settings.yaml'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(SettingsError, match=f'settings file .*settings.yaml: .*{reason}'):
        PoseNodeSettings.from_yaml(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(SettingsError, match='is no file'):
        PipelineSettings.from_yaml(tmp_path / 'pipe')


CAMERA = Camera(600.0, 610.0, 319.5, 239.5, 640, 480, 'plumb_bob', [0.1, 0.0, 0.0, 0.0, 0.0])


@given(st.data())
@bad_input(100)
def test_any_camera_file_is_a_camera_or_one_clear_error(tmp_path_factory, data):
    content = yaml.safe_load(CAMERA.to_camera_info_yaml())
    place = data.draw(st.sampled_from([content, content['camera_matrix'],
                                       content['distortion_coefficients']]))
    key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(VALUES | st.lists(st.floats(), min_size=9, max_size=9))
    path = tmp_path_factory.getbasetemp() / 'camera.yaml'
    try:
        path.write_text(yaml.safe_dump(content), encoding='utf-8')
    except (UnicodeEncodeError, ValueError):
        return
    try:
        camera = Camera.from_camera_info_yaml(path)
    except ValueError as error:
        assert str(error).startswith(f'camera file {path}: ') and '\n' not in str(error)
        assert len(str(error)) < 700
    else:
        assert dataclasses.replace(camera).width > 0
