import pytest

from infant_pose_ros.cli import main
from infant_pose_ros.data import checksums
from infant_pose_ros.synthetic import synthcot_writer


@pytest.fixture
def calls(monkeypatch):
    """Instead of rendering."""
    made = []

    def write(folder, numbers, frames, workers, progress, rate_hz):
        made.append((numbers, frames, workers, rate_hz))
        for number in numbers:
            for part in checksums.PARTS:
                path = folder / f'{number:02d}' / part
                (path if '.' not in part else path.parent).mkdir(parents=True, exist_ok=True)
                (path if '.' in part else path / 'a').write_text(f'{number}')
        progress(frames * len(numbers))

    monkeypatch.setattr(synthcot_writer, 'write_synthcot12', write)
    return made


def test_the_whole_set_is_the_default(tmp_path, capsys, calls):
    assert main.main(['synth', str(tmp_path), '--synthcot12']) == 0
    assert calls == [(list(range(1, 13)), 1000, 1, 30.0)]
    assert capsys.readouterr().out == f'12 sequences of 1000 frames in {tmp_path}\n'


def test_some_sequences_and_a_trial(tmp_path, calls):
    arguments = ['--synthcot12', '--sequences', '12', '11', '--workers', '2', '--frames', '5']
    assert main.main(['synth', str(tmp_path), *arguments]) == 0
    assert calls == [([11, 12], 5, 2, 30.0)]


def test_another_rate_lasts_as_long(tmp_path, calls):
    assert main.main(['synth', str(tmp_path), '--synthcot12', '--rate', '60', '--sequences',
                      '11']) == 0
    assert main.main(['synth', str(tmp_path), '--synthcot12', '--rate', '15', '--sequences',
                      '11']) == 0
    assert calls == [([11], 1999, 1, 60.0), ([11], 500, 1, 15.0)]    # 33.3 s, the first at 0


@pytest.mark.parametrize('arguments', [
    ['--sequences', '13'], ['--frames', '1001'], ['--frames', '0'], ['--workers', '0'],
    ['--rate', '0'], ['--rate', 'nan'], ['--rate', '60', '--frames', '2000'],
    ['--write-checksums', '--rate', '60'],
    ['--write-checksums', '--frames', '5'], ['--write-checksums', '--sequences', '11']])
def test_bad_numbers_end_with_one_line(tmp_path, capsys, calls, arguments):
    assert main.main(['synth', str(tmp_path), '--synthcot12', *arguments]) == 2
    assert 'synth --synthcot12: --' in capsys.readouterr().err
    assert calls == []


def test_the_list_of_checksums_can_be_written(tmp_path, monkeypatch, capsys, calls):
    path = tmp_path / 'list.sha256'
    monkeypatch.setattr(checksums, 'synthcot_list', lambda: path)
    assert main.main(['synth', str(tmp_path / 'set'), '--synthcot12', '--write-checksums']) == 0
    listed = checksums.read_list(path)
    assert len(listed) == 12 * len(checksums.PARTS)
    assert listed[11, 'rgb'] == checksums.part_checksum(tmp_path / 'set' / '11', 'rgb')
    assert path.read_text().startswith('# SynthCot-12, version 1\n')
