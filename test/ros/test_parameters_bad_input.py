from array import array

from bad_input import bad_input
from hypothesis import given
from hypothesis import strategies as st
import pytest
import rclpy
from rclpy.parameter import Parameter

from infant_pose_ros.config import OverlayNodeSettings, PoseNodeSettings
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros.parameters import declare_settings, follow_settings

NAMES = sorted(spec.name for spec, _ in PoseNodeSettings.specs())
INT64 = st.integers(-2 ** 63, 2 ** 63 - 1)
#: Everything that a ROS parameter can hold.
VALUES = st.one_of(
    st.booleans(), INT64, st.floats(), st.text(max_size=30), st.lists(INT64, max_size=3),
    st.lists(st.floats(), max_size=3), st.lists(st.booleans(), max_size=3),
    st.lists(st.text(max_size=4), max_size=3), st.binary(max_size=3).map(
        lambda data: [bytes([byte]) for byte in data]),
    st.sampled_from(['nan', '1', 'x' * 5000, '0,0,1,1', 'a,a', array('d', [1.0]), None]))


@pytest.fixture(scope='module')
def node(probe):
    """A node with pose_node's parameters, and the settings in force in `node.current`."""
    made = rclpy.create_node('followed', context=probe.context)
    made.current = declare_settings(made, PoseNodeSettings)

    def apply(settings):
        made.current = settings
    follow_settings(made, lambda: made.current, apply)
    yield made
    made.destroy_node()


@given(st.sampled_from(NAMES) | st.text(max_size=5), VALUES)
@bad_input(300)
def test_any_value_is_taken_or_refused_with_its_reason(node, name, value):
    before = node.current
    (result,) = node.set_parameters([Parameter(name, value=value)]) if node.has_parameter(
        name) else [None]
    if result is None:
        return
    if result.successful:
        assert type(getattr(node.current, name)) is type(getattr(before, name))
        assert getattr(node.current, name) == value
    else:
        assert result.reason and len(result.reason) < 10_000
        assert node.current == before


@given(st.dictionaries(st.sampled_from([spec.name for spec, _ in OverlayNodeSettings.specs()]),
                       VALUES, min_size=1, max_size=3))
@bad_input(60)
def test_any_value_at_the_start_is_taken_or_refused(probe, overrides):
    node = rclpy.create_node('begun', context=probe.context, parameter_overrides=[
        Parameter(name, value=value) for name, value in overrides.items()])
    try:
        settings = declare_settings(node, OverlayNodeSettings)
    except SettingsError as error:
        assert any(name in str(error) for name in overrides) and len(str(error)) < 10_000
    else:
        assert all(getattr(settings, name) == value for name, value in overrides.items())
    finally:
        node.destroy_node()


@pytest.mark.parametrize('text, reason', [
    ('overlay_node: {ros__parameters: {score_min: [1.0]}}', r'score_min: expected float, got \['),
    ('overlay_node: {ros__parameters: {score_min: .nan}}', 'score_min: .*nan'),
    ('overlay_node: [', "Couldn't parse params file: .*params.yaml"),
    (None, "Couldn't parse params file: .*params.yaml")])
def test_a_bad_parameter_file_ends_a_node_with_one_clear_line(
        text, reason, ros_domain, node_process, tmp_path):
    path = tmp_path / 'params.yaml'
    if text is not None:
        path.write_text(text, encoding='utf-8')
    process = node_process('infant_pose_ros.nodes.overlay_node', env=ros_domain)
    process.command += ['--params-file', str(path)]
    with process:
        assert process.wait(60.0) == 1
        process.wait_for_log(f'can not start: .*{reason}')
        assert 'Traceback' not in process.output
