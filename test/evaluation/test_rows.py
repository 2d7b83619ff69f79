from pathlib import Path

import pytest

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.evaluation.published import PUBLISHED
from infant_pose_ros.evaluation.rows import (
    checked_rows,
    read_rows,
    Row,
    rows_of_words,
    with_body_length,
)

ROOT = Path(__file__).resolve().parents[2]


def test_the_kind_follows_from_the_networks():
    assert Row('a').kind == 'boxes'
    assert Row('a', pose=('x',)).kind == Row(
        'a', adult_network='mediapipe', weights='w').kind == '2d'
    assert Row('a', lifter=('x',), keypoints='truth').kind == '3d'


def test_files_are_those_that_are_needed():
    assert Row('a', detector='d').files == ('d',)
    assert Row('a', detector='d', pose=('p', 'bundled')).files == ('d', 'p')
    assert Row('a', detector='d', pose=('p',), crop='whole').files == ('p',)
    assert Row('a', adult_network='movenet_lightning', weights='w').files == ('w',)
    assert Row('a', detector='d', lifter=('l', 'm'), keypoints='truth').files == ('l', 'm')


@pytest.mark.parametrize(('changes', 'words'), [
    ({'name': ''}, 'needs a name'),
    ({'pose': ('p',), 'adult_network': 'mediapipe'}, 'two rows'),
    ({'adult_network': 'openpose'}, "'openpose' is not one of movenet_lightning"),
    ({'adult_network': 'mediapipe'}, 'mediapipe needs weights'),
    ({'lifter': ('l',), 'pose': ('p',), 'keypoints': 'truth'}, 'a lifter and a 2D network'),
    ({'lifter': ('l',)}, 'needs lifter and keypoints'),
    ({'keypoints': 'truth'}, 'needs lifter and keypoints'),
    ({'weights': 'w', 'pose': ('p',)}, 'weights are those of an adult_network'),
    ({'crop': 'half'}, "crop: 'half' is not one of detector, whole, truth, upright"),
    ({'rotations': 2}, 'rotations: 2 is not one of 1, 4'),
    ({'body_length': 'long'}, "body_length: 'long' is not one of given, age, assumed"),
    ({'published': 'zedo'}, "published: 'zedo' is not one of this_method"),
    ({'pose': ('p',), 'published': 'zedo'}, 'this_method, no_adults, no_common_keypoints')])
def test_bad_rows_are_refused(changes, words):
    with pytest.raises(SettingsError, match=words):
        Row(**{'name': 'row', **changes})


def test_rows_of_a_file(tmp_path):
    path = tmp_path / 'rows.yaml'
    path.write_text("""
detector: d.safetensors
rows:
  - {name: ours, published: this_method, pose: p.safetensors}
  - {name: other, detector: bundled, pose: [a, b], crop: whole, rotations: 1}
  - {name: deep, lifter: [l, m], keypoints: ours, body_length: age}
""")
    ours, other, deep = read_rows(path)
    assert (ours.detector, ours.pose, ours.published) == (
        'd.safetensors', ('p.safetensors',), 'this_method')
    assert (other.detector, other.pose, other.rotations) == ('bundled', ('a', 'b'), 1)
    assert (deep.lifter, deep.keypoints, deep.body_length) == (('l', 'm'), 'ours', 'age')


@pytest.mark.parametrize(('text', 'words'), [
    ('[1, 2', 'can not be read'), ('name: 3', 'expected a list `rows:`'), ('', 'expected a list'),
    ('rows: []\nlines: 3', 'unknown lines; known: rows, detector'),
    ('rows: [ours]', '"name: ..." lines'),
    ('rows: [{pose: p}]', 'needs a name'),
    ('rows: [{name: a, poses: p}]', "row 'a': unknown poses; known: name, published"),
    ('rows: [{name: a, pose: [1]}]', 'pose: expected str, got'),
    ('rows: [{name: a, rotations: true}]', 'rotations: expected int'),
    ('rows: [{name: a, pose: p, published: table_1}]', "'table_1' is not one of")])
def test_bad_files_are_named(tmp_path, text, words):
    path = tmp_path / 'rows.yaml'
    path.write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        read_rows(path)
    assert 'rows.yaml' in str(caught.value)
    with pytest.raises(SettingsError, match='none.yaml'):
        read_rows(tmp_path / 'none.yaml')


def test_rows_must_fit_together():
    ours, seeds = Row('ours', pose=('p',)), Row('seeds', pose=('p', 'q'))
    adult = Row('adult', adult_network='mediapipe', weights='w')

    def deep(keypoints, *lifters):
        return Row('deep', lifter=lifters or ('l',), keypoints=keypoints)
    assert len(checked_rows([ours, seeds, deep('ours', 'l', 'm')])) == 3
    assert len(checked_rows([seeds, deep('seeds', 'l', 'm')])) == 2
    assert len(checked_rows([seeds, deep('seeds', 'l')])) == 2
    assert len(checked_rows([deep('truth')])) == 1
    for rows, words in (
            ([], 'none'), ([ours, ours], 'two are named ours'),
            ([ours, deep('theirs')], "'theirs' is not one of truth, ours"),
            ([ours, adult, deep('adult')], "'adult' is not one of truth, ours"),
            ([seeds, deep('seeds', 'l', 'm', 'n')], '3 lifters for 2 pose networks')):
        with pytest.raises(SettingsError, match=words):
            checked_rows(rows)


def test_without_words_the_bundled_networks_are_measured():
    rows = checked_rows(rows_of_words('bundled', [], [], [], True))
    assert [(row.kind, row.published, row.body_length) for row in rows] == [
        ('boxes', 'this_method', 'given'), ('2d', 'this_method', 'given'),
        ('3d', 'estimated_2d', 'given'), ('3d', '', 'assumed'), ('3d', 'true_2d', 'given')]
    assert all(row.files == () for row in rows)
    rows = rows_of_words('bundled', [], [], [], False)
    assert [(row.published, row.body_length) for row in rows[2:]] == [
        ('estimated_2d', 'assumed'), ('true_2d', 'assumed')]


def test_one_body_length_for_all():
    rows = with_body_length(rows_of_words('bundled', [], [], [], True), 'age')
    assert [(row.published, row.body_length) for row in rows] == [
        ('this_method', 'given'), ('this_method', 'given'), ('estimated_2d', 'age'),
        ('true_2d', 'age')]


def test_words_name_rows_and_seeds():
    rows = checked_rows(rows_of_words(
        'd', ['this_method=p', 'no_crop=q', 'mine=r'], ['this_method=l', 'estimated_2d=m',
                                                        'no_adults=n'],
        ['movenet_lightning=folder'], False))
    by_name = {row.name: row for row in rows}
    assert by_name['this method'].crop == 'detector'
    assert by_name['without the crop'].crop == 'whole'
    assert by_name['mine'].published == '' and by_name['mine'].pose == ('r',)
    assert by_name['this method, from estimated 2D'].lifter == ('l', 'm')
    assert by_name['from true 2D'].keypoints == 'truth'
    assert by_name['without adult pre-training'].keypoints == 'this method'
    upright, turned = (by_name[f'movenet_lightning, {how}'] for how in (
        'upright crop', 'best of four rotations'))
    assert (upright.rotations, turned.rotations, turned.weights) == (1, 4, 'folder')
    for words in (['p'], ['=p'], ['name=']):
        with pytest.raises(SettingsError, match='--pose: expected NAME=CHECKPOINT'):
            rows_of_words('d', words, [], [], True)


def test_a_lifter_for_true_2d_stands_in_its_own_row_alone():
    rows = checked_rows(rows_of_words('d', [], ['estimated_2d=l', 'true_2d=m'], [], False))
    assert [(row.published, row.lifter, row.keypoints) for row in rows if row.kind == '3d'] == [
        ('estimated_2d', ('l',), 'this method'), ('true_2d', ('m',), 'truth')]


def test_the_two_tables_have_a_row_for_every_published_one():
    rows = [row for name in ('evaluation.yaml', 'ablations.yaml')
            for row in checked_rows(read_rows(ROOT / 'config' / name))]
    for kind, left_out in (('boxes', set()), ('2d', set()), ('3d', {'random_ferns', 'zedo'})):
        assert {row.published for row in rows if row.kind == kind} - {''} == set(
            PUBLISHED[kind]) - left_out
