import json

import pytest

from infant_pose_ros.cli import main as cli


@pytest.fixture
def weights(tiny_checkpoints):
    return [word for task, path in tiny_checkpoints.items()
            for word in (f'--{task}-weights', str(path))]


def test_json_holds_everything(weights, capsys):
    assert cli.main(['info', '--json', '--device', 'cpu', '--detect-every', '9', *weights]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info['settings']['detect_every'] == 9
    assert info['device']['device'] == 'cpu'
    assert info['checkpoints']['lifter']['name'] == 'tiny lifter'
    assert len(info['checkpoints']['pose']['sha256']) == 64
    assert info['packages']['torch']


def test_text_is_for_people(weights, capsys):
    assert cli.main(['info', '--device', 'cpu', *weights]) == 0
    text = capsys.readouterr().out
    assert 'tiny pose, simple_baseline' in text
    assert '  taken: cpu, fp32' in text
    assert '  detect_every: 60' in text


def test_a_missing_checkpoint_is_shown_beside_the_others(weights, tmp_path, capsys):
    assert cli.main(['info', '--device', 'cpu', *weights,
                     '--lifter-weights', str(tmp_path / 'gone.safetensors')]) == 1
    text = capsys.readouterr().out
    assert 'tiny pose' in text
    assert 'not usable' in text and 'gone.safetensors' in text


def test_a_device_that_can_not_be_had(weights, capsys):
    assert cli.main(['info', '--json', '--device', 'cuda:99', *weights]) == 1
    assert 'GPU' in json.loads(capsys.readouterr().out)['device']['problem']


def test_a_bad_setting_is_an_error(capsys):
    assert cli.main(['info', '--detect-every', '0']) == 2
    assert 'detect_every: 0 is outside' in capsys.readouterr().err
