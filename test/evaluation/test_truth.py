import numpy as np
import pytest

from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.evaluation.truth import ClipTruth


def make_truth(frames=4, **changes):
    rng = np.random.default_rng(3)
    values = {
        'stamps_s': np.arange(frames) / 30.0,
        'keypoints_px': rng.uniform(0, 640, (frames, 16, 2)),
        'keypoints_m': rng.uniform(-0.3, 0.9, (frames, 16, 3)),
        'visible': rng.random((frames, 16)) > 0.3,
        'box_xyxy': np.tile([10.0, 20.0, 300.0, 400.0], (frames, 1)),
        'body_length_m': 0.62}
    return ClipTruth(**{**values, **changes})


def test_save_and_load_round_trip(tmp_path):
    truth = make_truth()
    path = tmp_path / 'cot_truth.npz'
    truth.save(path)
    again = ClipTruth.load(path)
    assert np.array_equal(again.stamps_s, truth.stamps_s)
    assert np.allclose(again.keypoints_px, truth.keypoints_px, atol=1e-4)
    assert np.allclose(again.keypoints_m, truth.keypoints_m, atol=1e-6)
    assert again.visible.dtype == bool
    assert np.array_equal(again.visible, truth.visible)
    assert np.array_equal(again.box_xyxy, truth.box_xyxy)
    assert again.body_length_m == pytest.approx(0.62)


def test_save_writes_exactly_the_path_given(tmp_path):
    path = tmp_path / 'truth.bin'
    make_truth().save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ['truth.bin']
    assert ClipTruth.load(path).body_length_m == pytest.approx(0.62)


def test_missing_points_survive(tmp_path):
    points = np.full((4, 16, 2), np.nan)
    make_truth(keypoints_px=points).save(tmp_path / 't.npz')
    assert np.isnan(ClipTruth.load(tmp_path / 't.npz').keypoints_px).all()


@pytest.mark.parametrize('stamp_s, index', [
    (0.0, 0), (1 / 30 + 1e-9, 1), (0.1, 3), (0.034, 1), (0.116, 3), (0.12, None), (-0.02, None),
    (float('nan'), None), (1.7e9, None)])
def test_for_stamp(stamp_s, index):
    assert make_truth().for_stamp(stamp_s) == index


def test_for_stamp_of_a_single_frame():
    truth = make_truth(frames=1, stamps_s=[5.0])
    assert truth.for_stamp(5.0005) == 0
    assert truth.for_stamp(5.1) is None


@pytest.mark.parametrize('changes, word', [
    ({'stamps_s': [0.0, 0.1, 0.1, 0.2]}, 'stamps_s'),
    ({'stamps_s': [0.0, 0.1, np.nan, 0.2]}, 'stamps_s'),
    ({'keypoints_px': np.zeros((3, 16, 2))}, 'keypoints_px'),
    ({'keypoints_m': np.zeros((4, 17, 3))}, 'keypoints_m'),
    ({'visible': np.ones(16)}, 'visible'),
    ({'box_xyxy': np.zeros((4, 5))}, 'box_xyxy'),
    ({'body_length_m': 0.0}, 'body_length_m'),
    ({'body_length_m': 620}, 'body_length_m')])
def test_bad_values_are_named(changes, word):
    with pytest.raises(InvalidInputError, match=word):
        make_truth(**changes)


def test_no_frames_is_no_truth():
    with pytest.raises(InvalidInputError, match='at least one'):
        ClipTruth([], np.zeros((0, 16, 2)), np.zeros((0, 16, 3)), np.zeros((0, 16)),
                  np.zeros((0, 4)), 0.6)


def test_bad_files_name_path_and_reason(tmp_path):
    missing = tmp_path / 'none.npz'
    with pytest.raises(DatasetError, match='none.npz'):
        ClipTruth.load(missing)
    text = tmp_path / 'text.npz'
    text.write_text('no archive')
    with pytest.raises(DatasetError, match='text.npz'):
        ClipTruth.load(text)
    single = tmp_path / 'single.npz'
    with open(single, 'wb') as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DatasetError, match='single.npz'):
        ClipTruth.load(single)
    partial = tmp_path / 'partial.npz'
    np.savez(partial, stamps_s=[0.0])
    with pytest.raises(DatasetError, match='keypoints_px'):
        ClipTruth.load(partial)
    cut = tmp_path / 'cut.npz'
    make_truth().save(cut)
    cut.write_bytes(cut.read_bytes()[:200])
    with pytest.raises(DatasetError, match='cut.npz'):
        ClipTruth.load(cut)


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / 'evil.npz'
    np.savez(path, stamps_s=np.array([{'a': 1}], dtype=object))
    with pytest.raises(DatasetError, match='evil.npz'):
        ClipTruth.load(path)


def test_damage_in_the_middle_is_told(tmp_path):
    path = tmp_path / 'hurt.npz'
    make_truth(frames=50).save(path)
    content = bytearray(path.read_bytes())
    content[800:1600] = b'\xff' * 800
    path.write_bytes(content)
    with pytest.raises(DatasetError, match='hurt.npz'):
        ClipTruth.load(path)
