import csv
import dataclasses
import io

import numpy as np
import pytest

from infant_pose_ros.evaluation.predictions import Predictions
from infant_pose_ros.evaluation.rows import Row
from infant_pose_ros.evaluation.scores import Scorer
from infant_pose_ros.evaluation.table import measure, Table


def shifted(pictures, shift_px, missing=()):
    made = Predictions.empty(len(pictures))
    made.keypoints_px[:] = pictures.stills.keypoints_px + [shift_px, 0]
    truth = pictures.stills.keypoints_m
    made.keypoints_m[:] = (truth - truth[:, 6:7]) * (1 + shift_px / 100)
    made.box_xyxy[:], made.box_score[:] = pictures.stills.box_xyxy, 0.9
    for name in ('keypoints_px', 'keypoints_m', 'box_xyxy', 'box_score'):
        getattr(made, name)[list(missing)] = np.nan
    return made


@pytest.fixture
def many(pictures):
    """The set with every frame in a block of its own, so that there are intervals."""
    return dataclasses.replace(pictures, frame=np.arange(12) * 50)


def table_of(pictures, rows):
    scorer = Scorer(pictures, 200)
    return Table(pictures, [measure(row, seeds, scorer) for row, seeds in rows], scorer)


def rows_of(pictures):
    adult = shifted(pictures, 20)
    adult.keypoints_px[:, [8, 9]] = np.nan
    return [
        (Row('boxes', 'this_method'), [shifted(pictures, 0, [0, 1, 2])]),
        (Row('ours', 'this_method', pose=('p', 'q')),
         [shifted(pictures, 0), shifted(pictures, 6)]),
        (Row('bad', 'no_adults', pose=('r',)), [shifted(pictures, 12)]),
        (Row('movenet', 'adult_network', adult_network='movenet_lightning', weights='w'), [adult]),
        (Row('deep', 'estimated_2d', lifter=('l',), keypoints='ours'), [shifted(pictures, 0)])]


def lines_of(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_rows_stand_beside_published_ones(many):
    text = table_of(many, rows_of(many)).markdown()
    line, = lines_of(text, '| boxes | ')
    assert line.startswith('| boxes | 75.0 (') and line.endswith('| *87.7* |')
    # Seeds that are 0 and 6 px off: 3 px, spread 6 / sqrt(2).
    ours = lines_of(text, '| ours, 2 seeds |')[0]
    assert '| 100.0 ± 0.0 (100.0 to 100.0) | 100.0 ± 0.0' in ours
    assert '| 3.00 ± 4.24 (3.00 to 3.00) |' in ours
    assert ours.endswith('| *93.77* | *96.05* | *8.17* |')
    bad = lines_of(text, '| bad |')[0]
    assert bad.startswith('| bad | 0.0 (0.0 to 0.0) | 100.0')
    assert bad.endswith('| *82.98* | - | *10.96* |')
    assert lines_of(text, '| movenet (14 keypoints) |')[0].endswith('| *86.54* | *91.64* | - |')
    # Published rows with none of ours beside them, and none of those with one.
    assert len(lines_of(text, '| *without the crop* (Ellershaw et al. 2020) | - |')) == 1
    assert len(lines_of(text, '| *ZeDO-i* (2023) | - |')) == 1
    assert not lines_of(text, '| *adapted OpenPose*')
    assert '93.8 % of the keypoints are visible' in text


def test_adult_networks_are_compared_on_their_own_keypoints(many):
    text = table_of(many, rows_of(many)).markdown()
    part = text.split('## 2D keypoints that adult networks have')[1].split('\n## ')[0]
    assert len(lines_of(part, '| ours, 2 seeds | 100.0')) == 1
    assert len(lines_of(part, '| movenet | 0.0 (0.0 to 0.0) | 0.0 ')) == 1
    lines = lines_of(text.split('## Differences')[1], '| 2d |')
    assert lines[0].startswith('| 2d | bad | ours |  | - | -100.0 (-100.0 to -100.0) real |')
    assert '| +9.00 (+9.00 to +9.00) real |' in lines[0]
    assert lines[1].startswith('| 2d | movenet | ours | 14 keypoints |')
    assert '| +17.00 (+17.00 to +17.00) real |' in lines[1]


def test_too_few_blocks_give_no_verdict(pictures):
    text = table_of(pictures, rows_of(pictures)).markdown()
    assert '| -100.0 unknown | +9.00 unknown |' in text
    assert '| 75.0 | 75.0 | 75.0 | *87.7* |' in text


def test_csv_has_every_figure(many):
    table = table_of(many, rows_of(many))
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    ours = {(line['keypoints'], line['figure']): line for line in lines if line['row'] == 'ours'}
    assert ours['all', 'ajpe']['value'] == '3.0000' and ours['all', 'ajpe']['seeds'] == '2'
    assert ours['all', 'pckh1']['published_on_mini_rgbd'] == '93.77'
    assert ours['visible', 'pckh1']['published_on_mini_rgbd'] == ''
    assert ('adult_joints', 'ajpe') in ours and ('all', 'found') in ours
    deep = {line['figure'] for line in lines if line['row'] == 'deep'}
    assert deep == {'pckh1', 'pckh2', 'pckh1_no_root', 'pckh2_no_root', 'found', 'ajpe',
                    'ajpe_charged', 'ajpe_no_root'}
    joints = list(csv.DictReader(io.StringIO(table.per_joint_csv())))
    wrist = [line for line in joints if (line['row'], line['keypoint'], line['figure']) == (
        'bad', 'l_wrist', 'ajpe')]
    assert len(wrist) == 1 and wrist[0]['value'] == '12.0000' and wrist[0]['count'] == '12'
    assert not [line for line in joints
                if line['row'] == 'movenet' and line['keypoint'] == 'head_top']
    apart = list(csv.DictReader(io.StringIO(table.differences_csv())))
    assert {line['row'] for line in apart} == {'bad', 'movenet'}
    assert {line['verdict'] for line in apart if line['figure'] == 'ajpe'} == {'real'}
    assert {line['verdict'] for line in apart if line['figure'] == 'found'} == {'not shown'}


def test_the_pelvis_flatters_3d(many):
    # Grown by a tenth about the pelvis: the same error but for the pelvis, which has none.
    row = Row('deep', 'true_2d', lifter=('l',), keypoints='truth')
    scorer = Scorer(many, 20)
    figures = measure(row, [shifted(many, 10)], scorer).figures
    assert figures['ajpe'].value == pytest.approx(figures['ajpe_no_root'].value * 15 / 16)


def test_photographs_show_the_trunk_and_nothing_published(many):
    photos = dataclasses.replace(many, is_photos=True)
    text = table_of(photos, rows_of(photos)[1:4]).markdown()
    assert '| row | PCK 0.2 % | PCKh 1.0 % |' in text and 'published' not in text
    assert '*without' not in text
