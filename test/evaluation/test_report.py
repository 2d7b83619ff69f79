import dataclasses

import cv2
import numpy as np
import pytest

from infant_pose_ros.errors import (
    CheckpointError,
    DatasetError,
    InvalidInputError,
    SettingsError,
)
from infant_pose_ros.evaluation.report import evaluate, rows_for
from infant_pose_ros.evaluation.rows import Row

ROWS = [
    Row('boxes', 'this_method', detector='blind'),
    Row('ours', 'this_method', detector='blind', pose=('shift4',)),
    Row('without crop', 'no_crop', pose=('shift12',), crop='whole'),
    Row('movenet', 'adult_network', detector='blind', adult_network='movenet_lightning',
        weights='w'),
    Row('deep', 'estimated_2d', lifter=('grow1.1', 'grow1.2'), keypoints='ours'),
    Row('true', 'true_2d', lifter=('grow1',), keypoints='truth')]


def test_everything_is_written_and_the_same_again(pictures, networks, tmp_path):
    out = tmp_path / 'deep' / 'out'
    text = evaluate(pictures, ROWS, out, networks, replicates=50)
    files = {path.relative_to(out).as_posix() for path in out.rglob('*') if path.is_file()}
    assert files - {name for name in files if name.startswith('predictions/')} == {
        'table.md', 'table.csv', 'per_joint.csv', 'differences.csv', 'report.md',
        'error_by_joint_2d.png', 'pckh_curve_2d.png', 'error_by_joint_3d.png',
        'pckh_curve_3d.png', 'worst/sheet.jpg', 'worst/01_video11_frame00003.jpg',
        'worst/02_video12_frame00000.jpg'}
    assert len([name for name in files if name.startswith('predictions/')]) == 7
    assert text == (out / 'table.md').read_text()
    assert text.startswith('# SynthCot-12 (version 1), test: videos 11, 12\n\n12 frames,')
    assert '**other data** (MINI-RGBD videos 11 and 12)' in text
    assert 'No intervals: 2 blocks of up to 50 neighbouring frames are too few' in text
    # Two of twelve frames without a box: 10 of 12 found.
    assert '| ours | 83.3 | 83.3 | 4.00 | 83.3 |' in text
    first = {path: path.read_bytes() for path in out.rglob('*') if path.is_file()}
    networks.calls.clear()
    assert evaluate(pictures, ROWS, out, networks, replicates=50) == text
    assert networks.calls == []
    assert {path: path.read_bytes() for path in out.rglob('*') if path.is_file()} == first


def test_the_report_says_what_was_measured(pictures, networks, tmp_path):
    text = evaluate(pictures, ROWS, tmp_path, networks, replicates=50)
    report = (tmp_path / 'report.md').read_text()
    assert report.startswith(text)
    for line in (
            '![The worst frames of the first 2D row, at most one of each block: estimate thick, '
            'truth thin, white lines from one to the other](worst/sheet.jpg)',
            '| ours | pose network shift4; best box of detector blind; 4 rotations |',
            '| without crop | pose network shift12; whole picture in a square |',
            '| movenet | movenet_lightning w; best box of detector blind; 4 rotations |',
            "| deep | lifter grow1.1, grow1.2; 2D of 'ours'; body length given |",
            '| true | lifter grow1; true 2D keypoints; body length given |',
            '| pose shift4 | `pose:shift4` |',
            f'Pictures and labels: sha256 `{pictures.digest[:16]}`.'):
        assert line in report.splitlines(), line
    assert 'Left out' not in report


def test_worst_frames_show_truth_and_estimate(pictures, networks, tmp_path):
    evaluate(pictures, ROWS[:2], tmp_path, networks, replicates=5)
    sheet = cv2.imread(str(tmp_path / 'worst' / 'sheet.jpg'))
    assert sheet.shape == (360, 4 * 480, 3)
    assert (sheet[:, 2 * 480:] < 20).all()      # two frames only
    worst = cv2.imread(str(tmp_path / 'worst' / '02_video12_frame00000.jpg')).astype(int)
    changed = np.abs(worst - 90).max(axis=2) > 40
    assert changed[145:215, 185:420].mean() > 0.1   # skeletons and boxes
    assert not changed[250:440, 300:].any()


def test_missing_weights_stop_it_or_are_left_out(pictures, networks, tmp_path):
    gone = [Row('gone', pose=('gone.safetensors',), crop='whole'),
            Row('hangs on it', lifter=('bundled',), keypoints='gone')]
    with pytest.raises(CheckpointError, match='gone.safetensors'):
        evaluate(pictures, gone, tmp_path / 'a', networks)
    assert not (tmp_path / 'a').exists()
    kept, left_out = rows_for(pictures, [Row('boxes'), *gone], skip_missing=True)
    assert [row.name for row in kept] == ['boxes']
    assert left_out == ['gone: gone.safetensors is not there',
                        'hangs on it: its 2D row gone was left out']
    with pytest.raises(SettingsError, match='none can be run: gone: gone.safetensors'):
        rows_for(pictures, gone, skip_missing=True)
    path = tmp_path / 'shift0'
    path.write_text('')
    there = Row('there', pose=(str(path),), crop='whole')
    assert rows_for(pictures, [there], skip_missing=True) == ([there], [])


def test_photographs_take_2d_rows_around_the_labels(pictures, networks, tmp_path):
    photos = dataclasses.replace(pictures, name='photos', is_photos=True)
    kept, left_out = rows_for(photos, ROWS)
    assert [(row.name, row.crop) for row in kept] == [
        ('ours', 'upright'), ('without crop', 'whole'), ('movenet', 'upright')]
    assert left_out == [f'{name}: photographs have labels in 2D only'
                        for name in ('boxes', 'deep', 'true')]
    text = evaluate(photos, ROWS[:3], tmp_path, networks, replicates=50)
    assert 'draws of 12 pictures' in text and 'published' not in text
    assert '| ours | 100.0 (100.0 to 100.0) |' in text
    assert '- boxes: photographs have labels in 2D only' in (tmp_path / 'report.md').read_text()
    with pytest.raises(SettingsError, match='none can be run'):
        rows_for(photos, ROWS[:1])
    # The detector plays no part, so it need not be there.
    assert [row.name for row in rows_for(photos, [dataclasses.replace(
        ROWS[1], detector='gone.safetensors', pose=('bundled',))], skip_missing=True)[0]] == [
            'ours']


def test_a_folder_that_can_not_be_written_is_named(pictures, networks, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InvalidInputError, match='--out .*file.*can not be written'):
        evaluate(pictures, ROWS[:1], tmp_path / 'file', networks)


def test_a_set_without_lengths_needs_them_assumed(pictures, networks, tmp_path):
    stills = dataclasses.replace(pictures.stills, body_length_m=np.full(12, np.nan))
    unknown = dataclasses.replace(pictures, stills=stills)
    with pytest.raises(DatasetError, match='take --body-length assumed'):
        evaluate(unknown, ROWS[-1:], tmp_path, networks)
