import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from infant_pose_ros.data.sets import open_set, split_set
from infant_pose_ros.errors import DatasetError


@pytest.fixture
def mpii_folder(tmp_path):
    (tmp_path / 'mpii' / 'annot').mkdir(parents=True)
    joints = [[10 + 2 * i, 20 + i] for i in range(16)]
    person = {'image': 'a.jpg', 'center': [20, 30], 'scale': 0.5, 'joints': joints,
              'joints_vis': [1] * 16}
    (tmp_path / 'mpii' / 'annot' / 'train.json').write_text(json.dumps([person]))
    return tmp_path / 'mpii'


def test_every_kind_of_set_is_known_by_its_name(stills_folder, mpii_folder, tmp_path):
    assert len(open_set(stills_folder)) == 6
    assert open_set(f'{mpii_folder}#train').paths[0].name == 'a.jpg'
    lsp = tmp_path / 'lsp'
    lsp.mkdir()
    rng = np.random.default_rng(0)
    savemat(lsp / 'joints.mat', {'joints': np.concatenate(
        [rng.uniform(1, 90, (14, 2, 3)), np.ones((14, 1, 3))], axis=1)})
    assert len(open_set(lsp)) == 3
    coco = {'images': [{'id': 1, 'file_name': 'c.jpg'}], 'annotations': [
        {'image_id': 1, 'keypoints': [10, 20, 2] * 17, 'bbox': [0, 0, 50, 60]}]}
    (tmp_path / 'infants.json').write_text(json.dumps(coco))
    cv2.imwrite(str(tmp_path / 'c.jpg'), np.zeros((64, 64, 3), np.uint8))
    assert open_set(tmp_path / 'infants.json').box_xyxy.tolist() == [[0, 0, 50, 60]]


def test_several_sets_are_joined(stills_folder, mpii_folder):
    both = open_set(f'{stills_folder}, {mpii_folder}#train')
    assert len(both) == 7 and both.keypoints_px[6, 15].tolist() == [39, 34]


def test_a_split_of_a_folder_in_mini_rgbd_s_format(tmp_path):
    with pytest.raises(DatasetError, match='01'):
        open_set(f'{tmp_path}#train')


@pytest.mark.parametrize('name', ['', 'nowhere', 'nowhere#train'])
def test_what_is_not_there_is_named(name):
    with pytest.raises(DatasetError, match='no such file or folder'):
        open_set(name)


def test_an_unknown_folder_is_named(tmp_path):
    with pytest.raises(DatasetError, match='meta.json'):
        open_set(tmp_path)


def test_the_last_are_held_out(stills_folder):
    train, held_out = split_set(stills_folder, 2)
    assert [path.name for path in held_out.paths] == ['00004.jpg', '00005.jpg']
    assert len(train) == 4
    with pytest.raises(DatasetError, match='adults_val_count'):
        split_set(stills_folder, 6)


def test_of_several_sets_the_last_of_each_are_held_out(stills_folder):
    train, held_out = split_set(f'{stills_folder}, {stills_folder}', 1)
    assert [path.name for path in held_out.paths] == ['00005.jpg'] * 2
    assert len(train) == 10 and not set(train.paths) & set(held_out.paths)


def test_lspet_has_a_part_that_nothing_trains_on(tmp_path):
    rng = np.random.default_rng(0)
    savemat(tmp_path / 'joints.mat', {'joints': np.concatenate(
        [rng.uniform(1, 90, (14, 2, 503)), np.ones((14, 1, 503))], axis=1)})
    train, held_out = open_set(f'{tmp_path}#train'), open_set(f'{tmp_path}#test')
    assert [path.name for path in train.paths] == ['im00001.jpg', 'im00002.jpg', 'im00003.jpg']
    assert len(held_out) == 500 and held_out.paths[0].name == 'im00004.jpg'
    with pytest.raises(DatasetError, match='#train or #test'):
        open_set(f'{tmp_path}#valid')
