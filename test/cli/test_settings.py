"""Options made from settings and read back."""

import argparse

import pytest

from infant_pose_ros.cli.settings import add_settings_arguments, settings_from_arguments
from infant_pose_ros.config import CameraNodeSettings, PipelineSettings
from infant_pose_ros.errors import SettingsError


def parsed(*words, settings=PipelineSettings, leave_out=()):
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser, settings, leave_out)
    return parser.parse_args(words)


def test_no_options_give_the_defaults():
    assert settings_from_arguments(parsed()) == PipelineSettings()


def test_each_kind_of_option():
    arguments = parsed('--detect-every', '7', '--gate-sigma', '4', '--no-smoothing',
                       '--body-length', '0.55', '--precision', 'bf16')
    assert settings_from_arguments(arguments) == PipelineSettings(
        detect_every=7, gate_sigma=4.0, smoothing=False, body_length_m=0.55, precision='bf16')


def test_every_setting_has_an_option():
    for spec, wanted in PipelineSettings.specs():
        flag = '--' + spec.name.replace('_', '-')
        words = [flag] if wanted is bool else [flag, str(spec.default)]
        arguments = parsed(*words if spec.default != '' else [flag, ''])
        assert hasattr(arguments, spec.name)


def test_options_win_over_the_file_and_the_command_over_both(tmp_path):
    path = tmp_path / 'settings.yaml'
    path.write_text('detect_every: 5\nmax_infants: 3\ndetect_async: true\n')
    arguments = parsed('--settings', str(path), '--detect-every', '9',
                       leave_out=('detect_async',))
    assert settings_from_arguments(arguments, detect_async=False) == PipelineSettings(
        detect_every=9, max_infants=3, detect_async=False)


def test_left_out_settings_have_no_option():
    with pytest.raises(SystemExit):
        parsed('--no-detect-async', leave_out=('detect_async',))


def test_a_value_out_of_range_is_a_settings_error():
    with pytest.raises(SettingsError, match='max_infants: 9 is outside 1 .. 8'):
        settings_from_arguments(parsed('--max-infants', '9'))


def test_a_value_of_another_type_ends_the_parsing(capsys):
    with pytest.raises(SystemExit):
        parsed('--max-infants', 'many')
    assert '--max-infants' in capsys.readouterr().err


def test_other_settings_classes():
    arguments = parsed('--rate-hz', '12.5', '--no-loop', settings=CameraNodeSettings)
    assert settings_from_arguments(arguments, CameraNodeSettings) == CameraNodeSettings(
        rate_hz=12.5, loop=False)
