from dataclasses import replace
import shutil

import numpy as np
import pytest

from infant_pose_ros.cli import main as cli
from infant_pose_ros.evaluation import calibrating
from infant_pose_ros.evaluation.calibrating import Readings
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.geometry.cameras import project
from infant_pose_ros.media.writer import VideoWriter
from infant_pose_ros.models.checkpoints import bundled_checkpoint, read_manifest
from infant_pose_ros.structures import Camera

FRAMES = 30
OWN_CAMERA = Camera(200.0, 200.0, 79.5, 59.5, 160, 120)


@pytest.fixture
def clips(tmp_path):
    """A folder with one clip of a body at rest."""
    folder = tmp_path / 'clips'
    folder.mkdir()
    with VideoWriter(folder / 'cot.mp4', 15.0, (160, 120)) as video:
        for _ in range(FRAMES):
            video.write(np.zeros((120, 160, 3), np.uint8))
    body = np.random.default_rng(2).uniform(-0.2, 0.2, (16, 3)) + (0.0, 0.0, 1.1)
    truth_m = np.tile(body, (FRAMES, 1, 1))
    ClipTruth(np.arange(FRAMES) / 15.0, project(OWN_CAMERA, truth_m), truth_m,
              np.ones((FRAMES, 16), bool), np.zeros((FRAMES, 4)), 0.6).save(
                  folder / 'cot_truth.npz')
    (folder / 'cot_camera_info.yaml').write_text(OWN_CAMERA.to_camera_info_yaml())
    return folder


@pytest.fixture
def checkpoints(tiny_checkpoints, tmp_path, monkeypatch):
    """Copies of a tiny 2D network and the bundled lifter, both without a calibration, and a
    reader that sees what is there, with 2 px of error.
    """
    def read(sequence, models, settings, progress):
        rng = np.random.default_rng(0)
        truth = [(frame.keypoints_px, frame.keypoints_m) for frame in sequence.frames()]
        truth_px, truth_m = (np.stack(column) for column in zip(*truth))
        assert settings.pose_weights == str(paths['pose'])
        return Readings(
            sequence.name, sequence.stamps_s, sequence.body_length_m,
            truth_px + 2.0 * rng.normal(size=truth_px.shape), np.ones((FRAMES, 16)),
            np.tile(30.0 * np.eye(2), (FRAMES, 16, 1, 1)), np.full(FRAMES, 100.0),
            models.pose.input_size, truth_px, truth_m, sequence.camera)

    paths = {}
    for task, source in (('pose', tiny_checkpoints['pose']),
                         ('lifter', bundled_checkpoint('lifter'))):
        paths[task] = tmp_path / f'{task}.safetensors'
        shutil.copy(source, paths[task])
        paths[task].with_suffix('.json').write_text(
            replace(read_manifest(source, task), uncertainty={}).to_json())
    monkeypatch.setattr(calibrating, 'read_sequence', read)
    return paths


def calibrate(clips, checkpoints, out, *words):
    return cli.main(['calibrate', str(clips), '--pose', str(checkpoints['pose']), '--lifter',
                     str(checkpoints['lifter']), '--out', str(out), '--quiet', *words])


def test_the_fit_goes_into_the_manifests_and_nothing_else_does(
        clips, checkpoints, tmp_path, capsys):
    weights = {task: path.read_bytes() for task, path in checkpoints.items()}
    assert calibrate(clips, checkpoints, tmp_path / 'out', '--dry-run') == 0
    assert not any(read_manifest(path, task).uncertainty for task, path in checkpoints.items())
    assert calibrate(clips, checkpoints, tmp_path / 'out') == 0
    for task, path in checkpoints.items():
        assert path.read_bytes() == weights[task]
        assert read_manifest(path, task).uncertainty['error']
    assert '| 2D, raw | 480 |' in capsys.readouterr().out
    report = (tmp_path / 'out/calibration.md').read_text()
    assert f'on {clips} (fitted on the same: too good; give --test).' in report


def test_what_was_fitted_is_measured_later(clips, checkpoints, tmp_path, capsys):
    assert calibrate(clips, checkpoints, tmp_path / 'out') == 0
    fitted = capsys.readouterr().out
    assert calibrate(clips, checkpoints, tmp_path / 'out', '--measure-only') == 0
    assert capsys.readouterr().out == fitted
    assert calibrate(clips, checkpoints, tmp_path / 'out', '--dry-run', '--test',
                     str(clips / 'cot.mp4')) == 0
    assert f'on {clips / "cot.mp4"}; fitted on {clips}.' in (
        tmp_path / 'out/calibration.md').read_text()


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


def test_what_can_not_be_written_is_told_before_the_work(
        clips, checkpoints, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('os.access', lambda path, mode: path.name != 'lifter.json')
    (tmp_path / 'file').write_text('')
    assert calibrate(clips, checkpoints, tmp_path / 'file', '--dry-run') == cli.EXIT_ERROR
    assert f'--out {tmp_path / "file"}: can not be written' in capsys.readouterr().err
    assert calibrate(clips, checkpoints, tmp_path / 'out') == cli.EXIT_ERROR
    assert 'lifter.json: can not be written' in capsys.readouterr().err
    assert not read_manifest(checkpoints['pose'], 'pose').uncertainty
    assert calibrate(clips, checkpoints, tmp_path / 'out', '--dry-run') == 0
