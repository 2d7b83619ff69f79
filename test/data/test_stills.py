import numpy as np
import pytest

from infant_pose_ros.data.stills import read_image, read_shard, Stills
from infant_pose_ros.errors import DatasetError


def test_labels_and_paths_are_read(stills_folder):
    stills = Stills.open(stills_folder)
    assert len(stills) == 6
    assert stills.keypoints_px[2, 6].tolist() == [80, 70]
    assert read_image(stills.paths[5]).shape == (120, 160, 3)


def test_what_is_wrong_is_named(stills_folder, tmp_path):
    with pytest.raises(DatasetError, match='infant-pose synth'):
        Stills.open(tmp_path / 'nowhere')
    (stills_folder / '0000' / 'labels.npz').write_bytes(b'no archive')
    with pytest.raises(DatasetError, match='labels.npz: damaged'):
        Stills.open(stills_folder)
    with pytest.raises(DatasetError, match='missing or not a picture'):
        read_image(stills_folder / 'meta.json')


def test_a_set_without_a_finished_shard_says_so(stills_folder):
    (stills_folder / '0000').rename(stills_folder / '0000.part')
    with pytest.raises(DatasetError, match='no finished shard'):
        Stills.open(stills_folder)


def test_a_shard_cut_short_or_with_columns_of_two_lengths_is_named(stills_folder):
    path = stills_folder / '0000' / 'labels.npz'
    whole = path.read_bytes()
    rows = read_shard(stills_folder / '0000')
    for length in (0, 100, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match='labels.npz: damaged'):
            read_shard(stills_folder / '0000')
    np.savez(path, **{**rows, 'visible': rows['visible'][:4]})
    with pytest.raises(DatasetError, match="'visible': 4"):
        Stills.open(stills_folder)


def test_ages_are_read_where_a_set_has_them_and_nobody_is_left_out(stills_folder):
    assert np.isnan(Stills.open(stills_folder).age_months).all()
    rows = read_shard(stills_folder / '0000')
    rows['box_xyxy'][2] = np.nan
    np.savez(stills_folder / '0000' / 'labels.npz', **{**rows, 'age_months': np.arange(6.0)})
    stills = Stills.open(stills_folder)
    assert stills.people().age_months.tolist() == [0, 1, 3, 4, 5]
    assert stills.people().paths[2].name == '00003.jpg'


def test_parts_joined_again_are_the_whole(stills_folder):
    stills = Stills.open(stills_folder)
    again = Stills.joined([stills.part(slice(0, 2)), stills.part(np.array([2, 3, 4, 5]))])
    assert again.paths == stills.paths
    assert np.array_equal(again.keypoints_px, stills.keypoints_px)
    assert [path.name for path in stills.spread(3).paths] == [
        '00000.jpg', '00002.jpg', '00004.jpg']
    assert stills.spread(0) is stills and stills.spread(9) is stills


def test_the_last_pictures_are_split_off(stills_folder):
    stills = Stills.open(stills_folder)
    rest, last = stills.split_off(2, 'the set', 'take less')
    assert (rest.paths, last.paths) == (stills.paths[:4], stills.paths[4:])
    whole, none = stills.split_off(0, 'the set', 'take less')
    assert len(whole) == 6 and len(none) == 0
    with pytest.raises(DatasetError, match='the set: holds 6 .* 6 of which .*; take less'):
        stills.split_off(6, 'the set', 'take less')
