import pytest

from infant_pose_ros.cli import main as cli


@pytest.mark.parametrize('words, message', [
    (['nowhere.mat', '--poses', '0'], '--poses'), (['nowhere.mat'], 'nowhere.mat')])
def test_errors_are_one_line(words, message, tmp_path, capsys):
    assert cli.main(['coverage', *words, '--out', str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
