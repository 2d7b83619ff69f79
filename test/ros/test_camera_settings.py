import itertools

import pytest
from rclpy.parameter import Parameter

from infant_pose_ros.config import PoseNodeSettings
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros.camera_settings import (
    CameraSettings,
    declare_camera_settings,
    declare_deleted,
    OWN_SETTINGS,
)
from infant_pose_ros.ros.parameters import follow_settings, unknown_parameters

_numbers = itertools.count()


@pytest.fixture
def make_node(probe):
    import rclpy
    nodes = []

    def make(**overrides):
        nodes.append(rclpy.create_node(
            f'several_{next(_numbers)}', context=probe.context, parameter_overrides=[
                Parameter(name.replace('__', '.'), value=value)
                for name, value in overrides.items()]))
        return nodes[-1]
    yield make
    for node in nodes:
        node.destroy_node()


def test_one_camera_has_the_nodes_settings_and_none_of_its_own():
    settings = CameraSettings(PoseNodeSettings(camera_name='cot', body_length_m=0.5))
    assert settings.cameras == ('cot',) and not settings.has_several
    assert settings.own_names == []
    assert settings.of('cot') == settings.shared == settings.pipeline


def test_a_cameras_own_wins_and_the_rest_follows_the_node():
    settings = CameraSettings(PoseNodeSettings(cameras='left,right', body_length_m=0.5))
    settings = settings.replace(**{'left.body_length_m': 0.6, 'crop_scale': 1.5})
    assert settings.of('left').body_length_m == 0.6
    assert settings.of('right').body_length_m == 0.5
    assert settings.of('left').camera_name == 'left'
    assert settings.of('left').crop_scale == settings.of('right').crop_scale == 1.5
    settings = settings.replace(body_length_m=0.7)
    assert (settings.of('left').body_length_m, settings.of('right').body_length_m) == (0.6, 0.7)
    settings = settings.replace(**{'left.body_length_m': None})      # taken away
    assert settings.of('left').body_length_m == 0.7


def test_a_deleted_own_parameter_follows_the_node_and_can_be_set_again(make_node):
    node = make_node(cameras='left,right', left__body_length_m=0.5)
    settings = [declare_camera_settings(node)]
    follow_settings(node, lambda: settings[0], lambda new: settings.__setitem__(0, new),
                    settings[0].names)
    name, kind = 'left.body_length_m', Parameter.Type
    assert node.set_parameters([Parameter(name, kind.NOT_SET)])[0].successful
    assert settings[0].own == {} and not node.has_parameter(name)
    declare_deleted(node, settings[0])
    assert settings[0].own == {} and node.has_parameter(name)
    assert node.set_parameters([Parameter(name, kind.DOUBLE, 0.6)])[0].successful
    assert settings[0].own == {name: 0.6}


def test_names_of_one_camera_do_not_reach_another_that_begins_alike():
    settings = CameraSettings(PoseNodeSettings(cameras='cot,cot2'))
    settings = settings.replace(**{'cot.max_infants': 3})
    assert (settings.of('cot').max_infants, settings.of('cot2').max_infants) == (3, 1)


def test_a_bad_value_of_a_camera_is_refused_under_its_name():
    settings = CameraSettings(PoseNodeSettings(cameras='left,right'))
    with pytest.raises(SettingsError, match=r'left\.max_infants: 99'):
        settings.replace(**{'left.max_infants': 99})
    with pytest.raises(SettingsError, match=r'right\.roi'):
        settings.replace(**{'right.roi': '1,2'})


def test_deterministic_takes_away_what_hangs_on_timing():
    settings = CameraSettings(PoseNodeSettings(deterministic=True))
    own = settings.of('camera')
    assert own.detect_async is False and own.max_age_ms == 0.0
    assert settings.pipeline.detect_async is False
    assert settings.shared.max_age_ms == 500.0      # what the parameter says


def test_own_parameters_are_declared_without_a_value_and_read(make_node):
    node = make_node(cameras='left,right', left__age_months=3, right__colour='red')
    settings = declare_camera_settings(node)
    assert settings.of('left').age_months == 3.0 and settings.of('right').age_months == -1.0
    assert settings.own_names == [f'{camera}.{name}' for camera in ('left', 'right')
                                  for name in OWN_SETTINGS]
    for name in settings.own_names:
        assert node.has_parameter(name)
        assert node.describe_parameter(name).description.startswith("This camera's own: ")
    assert node.get_parameter_or('right.roi').value is None
    assert unknown_parameters(node) == ['right.colour']


def test_a_bad_value_at_the_start_is_named(make_node):
    with pytest.raises(SettingsError, match=r'left\.max_infants'):
        declare_camera_settings(make_node(cameras='left,right', left__max_infants=99))


def test_own_parameters_are_followed(make_node):
    node = make_node(cameras='left,right')
    applied = [declare_camera_settings(node)]
    follow_settings(node, lambda: applied[-1], applied.append, applied[0].names)
    results = [node.set_parameters([Parameter(name, value=value)])[0] for name, value in (
        ('left.body_length_m', 0.6), ('left.body_length_m', 9.0), ('body_length_m', 0.5))]
    assert [result.successful for result in results] == [True, False, True]
    assert 'left.body_length_m' in results[1].reason
    assert [applied[-1].of(name).body_length_m for name in ('left', 'right')] == [0.6, 0.5]
