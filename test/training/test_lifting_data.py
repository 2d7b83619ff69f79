import numpy as np
import pytest
from scipy.io import savemat

from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.training.lifting_data import (
    estimate_key,
    lengths_from_bones,
    LiftingPairs,
    PairsCache,
    recorded_pairs,
    sequence_pairs,
    split_stills,
)


def poses(count: int) -> LiftingPairs:
    rng = np.random.default_rng(0)
    return LiftingPairs.exact(
        rng.normal(0, 0.1, (count, 16, 3)) + [0, 0, 1], np.full(count, 0.6))


def test_pairs_are_disturbed_by_the_noise_asked_for_and_mirrored_by_half():
    pairs = poses(400)
    same = pairs.disturbed(np.random.default_rng(0), 0.0, 0.0)
    kept = np.isclose(same.keypoints_m, pairs.keypoints_m).all((1, 2))
    assert 0.4 < kept.mean() < 0.6
    assert np.allclose(same.rays, same.keypoints_m[..., :2] / same.keypoints_m[..., 2:])
    noisy = pairs.disturbed(np.random.default_rng(0), 0.05, 0.0)
    off = np.linalg.norm(noisy.rays - same.rays, axis=-1).mean()
    spread = np.sqrt(((pairs.rays - pairs.rays.mean(1, keepdims=True)) ** 2).sum(-1).mean())
    # E|n| of a half normal times the mean length of a 2D normal: 0.798 * 1.253
    assert off == pytest.approx(0.05 * spread * 0.798 * 1.253, rel=0.15)


def test_a_length_from_bones_by_hand():
    body = np.zeros((1, 16, 3))
    body[0, Joint.THORAX], body[0, Joint.UPPER_NECK] = (0, -0.2, 0), (0, -0.25, 0)
    body[0, Joint.HEAD_TOP] = (0, -0.4, 0)
    for hip, knee, ankle, side in ((Joint.L_HIP, Joint.L_KNEE, Joint.L_ANKLE, 1),
                                   (Joint.R_HIP, Joint.R_KNEE, Joint.R_ANKLE, -1)):
        body[0, hip], body[0, knee] = (0.05 * side, 0, 0), (0.05 * side, 0, 0.1)
        body[0, ankle] = (0.05 * side, 0.1, 0.1)
    assert lengths_from_bones(body) == pytest.approx([1.02 * (0.4 + 0.1 + 0.1)])


def test_poses_of_a_set_with_3d_are_taken_with_its_lengths(stills_folder, tmp_path):
    labels = dict(np.load(stills_folder / '0000' / 'labels.npz'))
    labels['keypoints_m'] = poses(6).keypoints_m
    labels['keypoints_m'][2, 3] = np.nan
    labels['body_length_m'][4] = np.nan
    np.savez(stills_folder / '0000' / 'labels.npz', **labels)
    pairs = recorded_pairs(str(stills_folder))
    assert len(pairs) == 5 and pairs.body_length_m[0] == 0.6
    assert pairs.body_length_m[3] == pytest.approx(
        lengths_from_bones(labels['keypoints_m'][4:5])[0])
    labels['keypoints_m'][:] = np.nan
    np.savez(stills_folder / '0000' / 'labels.npz', **labels)
    with pytest.raises(DatasetError, match='keypoints in space'):
        recorded_pairs(str(stills_folder))


def test_mpi_inf_3dhp_is_known_by_its_subjects(tmp_path):
    rng = np.random.default_rng(0)
    for subject in ('S7', 'S8'):
        for sequence in ('Seq1', 'Seq2'):
            folder = tmp_path / subject / sequence
            folder.mkdir(parents=True)
            cells = [np.empty((1, 1), object) for _ in range(2)]
            cells[0][0, 0] = rng.uniform(0, 500, (6, 56))
            cells[1][0, 0] = rng.normal(0, 200, (6, 84)) + np.tile([0, 0, 3000], 28)
            savemat(folder / 'annot.mat', {'annot2': cells[0], 'annot3': cells[1]})
    pairs = recorded_pairs(f'{tmp_path}#validation')
    assert len(pairs) == 8                  # frames 0 and 5 of four files
    assert (pairs.keypoints_m[..., 2] > 1.5).all()


def test_pictures_to_watch_are_kept_apart(stills_folder):
    learned, watched = split_stills(str(stills_folder), '', 2)
    assert [path.name for path in watched.paths] == ['00004.jpg', '00005.jpg']
    assert not set(learned.paths) & set(watched.paths)
    with pytest.raises(DatasetError, match='stills_val_count'):
        split_stills(str(stills_folder), '', 6)


def test_sequences_stay_in_order_with_a_gap_behind_each(stills_folder, tiny_checkpoints):
    stills = Stills.open(stills_folder)
    pairs = sequence_pairs(stills, str(tiny_checkpoints['pose']), 3)
    assert len(pairs) == 4 and np.isnan(pairs.rays[3]).all()
    assert np.isfinite(pairs.rays[:3]).all()
    stills.keypoints_m[[0, 2, 4]] = np.nan
    with pytest.raises(DatasetError, match='follow each other'):
        sequence_pairs(stills, str(tiny_checkpoints['pose']), 6)


def test_what_was_made_is_kept_and_told_apart(stills_folder, tiny_checkpoints, tmp_path):
    cache, made = PairsCache(tmp_path / 'cache'), []

    def make():
        made.append(1)
        return poses(3)

    first = cache.get('poses', ('infants', 1), make)
    again = cache.get('poses', ('infants', 1), make)
    assert len(made) == 1 and np.array_equal(first.rays, again.rays)
    cache.get('poses', ('adults', 1), make)
    assert len(made) == 2
    path = next((tmp_path / 'cache').iterdir())
    path.write_bytes(b'junk')
    with pytest.raises(DatasetError, match=f'{path.name}: damaged'):
        for people in ('infants', 'adults'):
            cache.get('poses', (people, 1), make)
    stills, weights = Stills.open(stills_folder), str(tiny_checkpoints['pose'])
    assert estimate_key(stills, weights) == estimate_key(Stills.open(stills_folder), weights)
    assert estimate_key(stills, weights) != estimate_key(stills.part(slice(1, None)), weights)
