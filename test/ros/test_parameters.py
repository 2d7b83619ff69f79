from dataclasses import dataclass

import pytest
from rclpy.parameter import Parameter
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image

from infant_pose_ros.config import CameraNodeSettings, PoseNodeSettings, setting, Settings
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros.parameters import (
    declare_settings,
    descriptor_for,
    follow_settings,
    unknown_parameters,
)


@dataclass(frozen=True)
class FewSettings(Settings):
    rate_hz: float = setting(10.0, 'Rate.', low=1.0, high=100.0)
    count: int = setting(3, 'Count.', low=0, high=9)
    mode: str = setting('fast', 'Mode.', choices=('fast', 'slow'))
    name: str = setting('cot', 'Name.', read_only=True)


@pytest.fixture
def make_node(probe):
    import rclpy
    nodes = []

    def make(**overrides):
        nodes.append(rclpy.create_node(
            f'few_{len(nodes)}', context=probe.context, parameter_overrides=[
                Parameter(name, value=value) for name, value in overrides.items()]))
        return nodes[-1]
    yield make
    for node in nodes:
        node.destroy_node()


def test_every_pose_node_setting_can_be_described():
    for spec, wanted in PoseNodeSettings.specs():
        descriptor = descriptor_for(spec, wanted)
        assert descriptor.description == spec.metadata['description'] != ''
        assert descriptor.read_only == spec.metadata['read_only']


def test_camera_node_follows_no_parameter_at_run_time_and_takes_no_change():
    assert all(spec.metadata['read_only'] for spec, _ in CameraNodeSettings.specs())


def test_defaults_and_overrides_are_read(make_node):
    settings = declare_settings(make_node(rate_hz=25, mode='slow'), FewSettings)
    assert settings == FewSettings(rate_hz=25.0, mode='slow')
    assert isinstance(settings.rate_hz, float)


@pytest.mark.parametrize('name, value, reason', [
    ('rate_hz', 0.5, 'rate_hz'), ('rate_hz', 'often', 'rate_hz: expected float'),
    ('count', 10, 'count'), ('count', 2.5, 'count: expected int'),
    ('mode', 'slwo', "'fast', 'slow'"), ('name', True, 'name: expected str')])
def test_a_bad_value_at_the_start_is_refused_with_the_reason(make_node, name, value, reason):
    with pytest.raises(SettingsError, match=reason):
        declare_settings(make_node(**{name: value}), FewSettings)


def test_a_misspelt_name_is_found(make_node):
    node = make_node(rate=5.0, use_sim_time=False)
    declare_settings(node, FewSettings)
    assert unknown_parameters(node) == ['rate']


def test_names_that_only_begin_like_known_ones_are_misspelt(make_node):
    node = make_node(use_sim_timer=True, start_type_description_services=False)
    assert unknown_parameters(node) == ['start_type_description_services', 'use_sim_timer']


def test_qos_overrides_of_no_topic_are_found_once_all_is_made(make_node):
    start = 'qos_overrides./few'
    given = {f'{start}/image.publisher.depth': 3, f'{start}/imag.publisher.depth': 3}
    node = make_node(**given)
    assert unknown_parameters(node) == []
    node.create_publisher(Image, '/few/image', 1, qos_overriding_options=(
        QoSOverridingOptions.with_default_policies()))
    assert unknown_parameters(node) == []
    assert unknown_parameters(node, has_topics=True) == [f'{start}/imag.publisher.depth']


def test_changes_are_applied_or_rejected_with_the_reason(make_node):
    node = make_node()
    applied = [declare_settings(node, FewSettings)]

    def apply(settings):
        if settings.count == 7:
            raise SettingsError('count: 7 is unlucky')
        applied.append(settings)

    follow_settings(node, lambda: applied[-1], apply)
    results = [node.set_parameters([Parameter(name, value=value)])[0] for name, value in (
        ('rate_hz', 20.0), ('mode', 'slwo'), ('count', 7), ('count', 10), ('name', 'crib'))]
    assert [result.successful for result in results] == [True, False, False, False, False]
    assert "'slwo' is not one of" in results[1].reason
    assert results[2].reason == 'count: 7 is unlucky'
    assert 'count' in results[3].reason and '9' in results[3].reason
    assert 'read-only' in results[4].reason
    assert applied[1:] == [FewSettings(rate_hz=20.0)]
    assert node.get_parameter('count').value == 3
