import pytest

from infant_pose_ros.cli import main
from infant_pose_ros.data.stills import Stills


@pytest.mark.slow
def test_stills_can_be_made_and_read(tmp_path, capsys):
    assert main.main(['synth', str(tmp_path / 'set'), '--frames', '4', '--size', '96', '72']) == 0
    assert '4 stills' in capsys.readouterr().out
    assert len(Stills.open(tmp_path / 'set')) == 4


@pytest.mark.parametrize('arguments', [
    ['--frames', '0'], ['--workers', '0'], ['--clip', '-1'], ['--size', '10', '10']])
def test_bad_numbers_end_with_one_line(tmp_path, capsys, arguments):
    assert main.main(['synth', str(tmp_path / 'set'), *arguments]) == 2
    assert '--frames' in capsys.readouterr().err
    assert not (tmp_path / 'set').exists()


@pytest.mark.parametrize('arguments, named', [
    (['--clip', '1', '--people', 'adults'], '--people'), (['--clip', '1', '--depth'], '--depth'),
    (['--clip', '1', '--negatives', '0.1'], '--clip'), (['--negatives', '1.1'], '--negatives'),
    (['--sequences', '11'], '--synthcot12'), (['--write-checksums'], '--synthcot12')])
def test_options_that_would_be_ignored_are_refused(tmp_path, capsys, arguments, named):
    assert main.main(['synth', str(tmp_path / 'set'), *arguments]) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / 'set').exists()
