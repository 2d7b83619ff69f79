import cv2
import numpy as np
import pytest
import scipy.io

from infant_pose_ros.data.lsp import common_keypoints, open_lspet, split_lspet
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import Joint


def joints(count: int) -> np.ndarray:
    """LSPet's format: (14, 3, N), every joint at (10 index, 5 index), annotated."""
    index = np.arange(14.0)
    rows = np.stack([10 * index, 5 * index, np.ones(14)], 1)
    return np.repeat(rows[:, :, None], count, axis=2)


def test_joints_come_in_the_common_order_with_the_middles_filled_in():
    rows = joints(1).transpose(2, 0, 1)
    common = common_keypoints(rows[..., :2], rows[..., 2] > 0)[0]
    assert common[Joint.R_ANKLE].tolist() == [0, 0]
    assert common[Joint.L_ANKLE].tolist() == [50, 25]
    assert common[Joint.UPPER_NECK].tolist() == [120, 60]
    assert common[Joint.HEAD_TOP].tolist() == [130, 65]
    assert common[Joint.R_WRIST].tolist() == [60, 30]
    assert common[Joint.PELVIS].tolist() == [25, 12.5]     # hips 2 and 3
    assert common[Joint.THORAX].tolist() == [85, 42.5]     # shoulders 8 and 9


def test_the_extended_set_is_read_and_joints_without_annotation_are_missing(tmp_path):
    content = joints(3)
    content[9, 2, 0] = 0        # l_shoulder of the first picture
    content[:, 2, 1] = 0        # nothing annotated in the second
    scipy.io.savemat(tmp_path / 'joints.mat', {'joints': content})
    (tmp_path / 'images').mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(tmp_path / 'images' / f'im{number:05d}.jpg'), np.zeros((80, 160, 3)))
    stills = open_lspet(tmp_path)
    assert [path.name for path in stills.paths] == ['im00001.jpg', 'im00003.jpg']
    assert np.isnan(stills.keypoints_px[0, Joint.L_SHOULDER]).all()
    assert np.isnan(stills.keypoints_px[0, Joint.THORAX]).all()
    assert stills.visible[1].all() and not stills.visible[0, Joint.L_SHOULDER]
    assert stills.box_xyxy[1].tolist() == [0, 0, 130, 65]


def test_the_original_set_has_its_axes_and_its_flag_the_other_way_round(tmp_path):
    content = joints(2).transpose(1, 0, 2)      # (3, 14, N)
    content[2] = 0                              # 0: seen
    content[2, 0, 1] = 1                        # r_ankle of the second picture is hidden
    content[2, 2, 1] = 1                        # and so is r_hip, and with it the pelvis
    scipy.io.savemat(tmp_path / 'joints.mat', {'joints': content})
    stills = open_lspet(tmp_path)
    assert [path.name for path in stills.paths] == ['im0001.jpg', 'im0002.jpg']
    assert np.isfinite(stills.keypoints_px).all() and stills.visible[0].all()
    assert stills.keypoints_px[1, Joint.L_ANKLE].tolist() == [50, 25]
    assert [Joint(i) for i in np.flatnonzero(~stills.visible[1])] == [
        Joint.R_ANKLE, Joint.R_HIP, Joint.PELVIS]


def test_a_missing_or_malformed_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match='joints.mat'):
        open_lspet(tmp_path)
    scipy.io.savemat(tmp_path / 'joints.mat', {'joints': np.zeros((16, 3, 5))})
    with pytest.raises(DatasetError, match=r'\(14, 3, N\)'):
        open_lspet(tmp_path)


def test_the_last_pictures_are_kept_apart(tmp_path):
    scipy.io.savemat(tmp_path / 'joints.mat', {'joints': joints(5)})
    train, held_out = split_lspet(tmp_path, 2)
    assert [path.name for path in train.paths] == ['im00001.jpg', 'im00002.jpg', 'im00003.jpg']
    assert [path.name for path in held_out.paths] == ['im00004.jpg', 'im00005.jpg']
    assert train.keypoints_px.shape == (3, 16, 2) and held_out.box_xyxy.shape == (2, 4)
    every, none = split_lspet(tmp_path, 0)
    assert (len(every), len(none)) == (5, 0)
    with pytest.raises(DatasetError, match='adults_val_count'):
        split_lspet(tmp_path, 5)
