import pytest

from infant_pose_ros.cli import main as cli


@pytest.mark.parametrize('words, reason', [
    (['{}'], 'expected folders of sequences'),
    (['{}#nights'], 'unknown split'),
    (['{}', '--measure-only', '--test', '{}'], 'leave --test out'),
])
def test_faults_end_with_one_line(words, reason, tmp_path, capsys):
    assert cli.main(['calibrate', *(word.format(tmp_path) for word in words)]) == cli.EXIT_ERROR
    error = capsys.readouterr().err
    assert reason in error and error.count('\n') == 1


def test_a_set_is_needed(capsys):
    with pytest.raises(SystemExit):
        cli.main(['calibrate'])
    assert 'SET' in capsys.readouterr().err
