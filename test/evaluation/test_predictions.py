import contextlib

import numpy as np
import pytest

from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation import predictions as module
from infant_pose_ros.evaluation.predictions import key_of, Predictions, PredictionStore


class Bar:
    def __init__(self):
        self.done = []

    def update(self, count):
        self.done.append(count)


def store_of(folder, count=5):
    bar = Bar()
    return PredictionStore(folder, count, lambda label, total: contextlib.nullcontext(bar)), bar


def fill(index, into):
    into.keypoints_px[index] = index
    into.box_score[index] = 0.5


def test_nothing_is_nan_and_scores_are_zero():
    empty = Predictions.empty(3)
    assert len(empty) == 3 and empty.keypoints_m.shape == (3, 16, 3)
    assert np.isnan(empty.keypoints_px).all() and (empty.score == 0).all()
    assert np.isnan(empty.box_xyxy).all() and np.isnan(empty.box_score).all()


def test_save_and_load_round_trip(tmp_path):
    made = Predictions.empty(2)
    fill(1, made)
    made.save(tmp_path / 'a' / 'row.npz', done=1)
    again, done = Predictions.load(tmp_path / 'a' / 'row.npz')
    assert done == 1 and [path.name for path in (tmp_path / 'a').iterdir()] == ['row.npz']
    assert np.array_equal(again.keypoints_px, made.keypoints_px, equal_nan=True)
    assert again.box_score[1] == 0.5


def test_arrays_must_fit_together():
    empty = Predictions.empty(3)
    with pytest.raises(DatasetError, match=r'score of shape \(3, 16\), got \(2, 16\)'):
        Predictions(empty.keypoints_px, empty.score[:2], empty.box_xyxy, empty.box_score,
                    empty.keypoints_m)


def test_a_row_is_made_once(tmp_path):
    store, bar = store_of(tmp_path)
    made = store.fetch('This method (a/b)', 'k' * 64, lambda: fill)
    assert made.keypoints_px[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ['this_method_a_b-kkkkkkkkkkkk.npz']
    assert sum(bar.done) == 5

    def refuse():
        raise AssertionError('made again')
    again = store.fetch('This method (a/b)', 'k' * 64, refuse)
    assert np.array_equal(again.keypoints_px, made.keypoints_px)


def test_a_stopped_row_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'STORE_EVERY', 2)
    store, _ = store_of(tmp_path)
    seen = []

    def stop(index, into):
        if index == 3:
            raise KeyboardInterrupt
        fill(index, into)
    with pytest.raises(KeyboardInterrupt):
        store.fetch('row', 'key', lambda: stop)

    def note(index, into):
        seen.append(index)
        fill(index, into)
    made = store.fetch('row', 'key', lambda: note)
    assert seen == [2, 3, 4]
    assert made.keypoints_px[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_bad_files_are_named(tmp_path):
    store, _ = store_of(tmp_path)
    path = store.path('row', 'key')
    path.write_bytes(b'no archive')
    with pytest.raises(DatasetError, match='row-key.npz: no predictions'):
        store.fetch('row', 'key', lambda: fill)
    Predictions.empty(4).save(path)
    with pytest.raises(DatasetError, match='holds 4 frames, expected 5; delete the file'):
        store.fetch('row', 'key', lambda: fill)
    np.savez(path, done=1)
    with pytest.raises(DatasetError, match='keypoints_px'):
        Predictions.load(path)


def test_keys_hang_on_every_value():
    assert key_of(a=1, b=None) == key_of(b=None, a=1)
    assert len({key_of(a=1), key_of(a=2), key_of(b=1)}) == 3
