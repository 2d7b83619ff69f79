"""`infant-pose evaluate` over a tiny set with tiny networks."""

import sys

import cv2
import numpy as np
import pytest
import scipy.io

from infant_pose_ros.cli import main as cli
from infant_pose_ros.evaluation import temporal_methods


def words_of(checkpoints, folder, out, *more):
    return ['evaluate', str(folder), '--out', str(out), '--quiet', '--every', '3', '--device',
            'cpu', '--replicates', '20', '--detector', str(checkpoints['detector']),
            '--pose', f'this_method={checkpoints["pose"]}',
            '--lifter', f'this_method={checkpoints["lifter"]}', *more]


def test_table_and_report_end_to_end(tiny_checkpoints, cot_folder, tmp_path, capsys):
    out = tmp_path / 'out'
    assert cli.main(words_of(tiny_checkpoints, cot_folder, out)) == 0
    shown = capsys.readouterr()
    assert '# SynthCot-12 (version 1), test: videos 11, 12\n\n4 frames' in shown.out
    assert '*93.77*' in shown.out and '| from true 2D |' in shown.out
    assert shown.out.strip() == (out / 'table.md').read_text().strip()
    assert shown.err == f'report: {out / "report.md"}\n'
    stored = {path: path.stat().st_mtime_ns for path in (out / 'predictions').iterdir()}
    assert len(stored) == 5
    assert cli.main(words_of(tiny_checkpoints, cot_folder, out)) == 0
    assert {path: path.stat().st_mtime_ns
            for path in (out / 'predictions').iterdir()} == stored


def test_one_body_length_for_every_row(tiny_checkpoints, cot_folder, tmp_path, capsys):
    out = tmp_path / 'out'
    assert cli.main(words_of(tiny_checkpoints, cot_folder, out, '--body-length', 'age')) == 0
    report = (out / 'report.md').read_text()
    assert report.count('body length age') == 2 and 'length assumed' not in report


def test_rows_of_a_file(tiny_checkpoints, cot_folder, tmp_path, capsys):
    rows = tmp_path / 'rows.yaml'
    rows.write_text(f'rows:\n- {{name: ours, pose: {tiny_checkpoints["pose"]}, crop: truth}}\n'
                    '- {name: later, pose: later.safetensors, crop: truth}\n')
    words = ['evaluate', str(cot_folder), '--rows', str(rows), '--out', str(tmp_path / 'out'),
             '--quiet', '--every', '3']
    assert cli.main(words) == 2
    assert 'later.safetensors: no such pose weights' in capsys.readouterr().err
    assert cli.main([*words, '--skip-missing']) == 0
    assert '- later: later.safetensors is not there' in (
        tmp_path / 'out' / 'report.md').read_text()
    assert cli.main([*words, '--pose', 'a=b']) == 2
    assert '--rows: names all rows' in capsys.readouterr().err


def test_photographs(tiny_checkpoints, tmp_path, capsys):
    folder = tmp_path / 'lspet'
    (folder / 'images').mkdir(parents=True)
    index = np.arange(14.0)
    joints = np.stack([10 + 10 * index, 30 + 7 * (index % 5), np.ones(14)], 1)
    scipy.io.savemat(folder / 'joints.mat', {'joints': np.repeat(joints[:, :, None], 503, 2)})
    for number in range(4, 504):
        cv2.imwrite(str(folder / 'images' / f'im{number:05d}.jpg'),
                    np.full((80, 160, 3), 90, np.uint8))
    out = tmp_path / 'out'
    words = words_of(tiny_checkpoints, folder, out, '--photos', '--every', '100')
    assert cli.main(words) == 0
    text = capsys.readouterr().out
    assert '# LSPet, photographs of adults: 5 of the last 500' in text
    assert 'PCK 0.2 %' in text and '## 3D' not in text and '## Boxes' not in text
    assert 'trunk upright' in (out / 'report.md').read_text()


@pytest.mark.parametrize(('more', 'words'), [
    (['--replicates', '0'], '--replicates: must be 1 or more'),
    (['--every', '0'], '--every: must be 1'),
    (['--pose', 'nameless'], '--pose: expected NAME=CHECKPOINT'),
    (['--device', 'tpu'], "device: 'tpu' is not"),
    (['--split', 'train'], '01'),
    (['--rows', 'none.yaml'], '--rows: names all rows')])
def test_errors_are_one_line(tiny_checkpoints, cot_folder, tmp_path, capsys, more, words):
    assert cli.main(words_of(tiny_checkpoints, cot_folder, tmp_path / 'out', *more)) == 2
    error = capsys.readouterr().err
    assert words in error and error.count('\n') == 1


@pytest.fixture
def temporal_words(tiny_checkpoints, cot_folder, tmp_path):
    settings = tmp_path / 'settings.yaml'
    settings.write_text(''.join(f'{task}_weights: {path}\n'
                                for task, path in tiny_checkpoints.items()))
    return ['evaluate', str(cot_folder), '--temporal', '--quiet', '--device', 'cpu',
            '--settings', str(settings), '--out', str(tmp_path / 'out')]


def test_smoothing(temporal_words, tmp_path, capsys, monkeypatch):
    """Networks that know nothing follow nobody: a report all the same."""
    monkeypatch.setattr(temporal_methods, 'KALMAN_FACTORS', ((1.0, 1.0),))
    monkeypatch.setattr(temporal_methods, 'RTS_FACTORS', (1.0,))
    monkeypatch.setattr(temporal_methods, 'MIN_CUTOFFS_HZ', (1.0,))
    assert cli.main(temporal_words) == 0
    shown = capsys.readouterr()
    assert shown.out == (tmp_path / 'out' / 'temporal.md').read_text()
    assert 'SynthCot-12 (version 1): video 11 (6 frames at 30 Hz), video 12' in shown.out
    assert 'tiny pose' in shown.out
    assert 'differs from the pipeline itself by at most 0 px' in shown.out
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out/readings').iterdir()}
    assert len(stored) == 2
    assert cli.main([*temporal_words, '--quick', temporal_words[1]]) == 0
    assert 'Wandering rate: from video 11' in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns
            for path in (tmp_path / 'out/readings').iterdir()} == stored


def test_the_device_is_the_settings_unless_given(temporal_words, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr('infant_pose_ros.evaluation.temporal_run.evaluate_temporal',
                        lambda *words: given.append(words[3].device) or '')
    with (tmp_path / 'settings.yaml').open('a') as file:
        file.write('device: cuda:1\n')
    assert cli.main(temporal_words) == 0
    at = temporal_words.index('--device')
    assert cli.main([*temporal_words[:at], *temporal_words[at + 2:]]) == 0
    assert given == ['cpu', 'cuda:1']


def test_what_is_missing_shows_before_the_networks_run(temporal_words, tmp_path, capsys,
                                                       monkeypatch):
    for name in ('OneEuroFilter', 'matplotlib'):
        with monkeypatch.context() as missing:
            missing.setitem(sys.modules, name, None)
            assert cli.main(temporal_words) == 2
        assert 'pip install' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
    (tmp_path / 'out').write_text('in the way')
    assert cli.main(temporal_words) == 2
    assert '--out' in capsys.readouterr().err


def test_smoothing_takes_whole_videos(temporal_words, capsys):
    for more in (['--every', '2'], ['--photos'], ['--pose', 'a=b'], ['--body-length', 'age'],
                 ['--detector', 'd.safetensors']):
        assert cli.main([*temporal_words, *more]) == 2
        assert '--temporal: takes every frame' in capsys.readouterr().err
    assert cli.main([*temporal_words[:2], '--quick', 'elsewhere']) == 2
    assert '--quick and --settings are of --temporal' in capsys.readouterr().err
