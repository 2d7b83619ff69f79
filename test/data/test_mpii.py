import json

import numpy as np
import pytest

from infant_pose_ros.data.mpii import open_mpii, read_person
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import Joint


def person(**changes):
    """Joint i at (10 i + 20, 5 i + 30), counted from 1."""
    return {'image': '015601864.jpg', 'center': [101.0, 71.0], 'scale': 1.5,
            'joints': [[10.0 * i + 20, 5.0 * i + 30] for i in range(16)], 'joints_vis': [1] * 16,
            **changes}


def write(folder, people):
    (folder / 'annot').mkdir()
    (folder / 'annot' / 'train.json').write_text(json.dumps(people))


def test_pixels_count_from_0_and_scale_is_in_200_px():
    read = read_person('p', person())
    assert read.keypoints_px[Joint.R_ANKLE].tolist() == [19, 29]
    assert read.keypoints_px[Joint.L_WRIST].tolist() == [169, 104]
    assert read.centre_px.tolist() == [100, 70]
    assert read.scale_px == 300


def test_the_set_is_read(tmp_path):
    joints = person()['joints']
    few = [[-1.0, -1.0]] * 11 + joints[11:]
    hidden = person(joints=[[0.0, 0.0], *joints[1:]], joints_vis=[0, 0] + [1] * 14)
    write(tmp_path, [person(), person(joints=few, image='few.jpg'), hidden])
    stills = open_mpii(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in stills.paths] == [
        'images/015601864.jpg'] * 2
    assert stills.box_xyxy[0].tolist() == [-31, -21, 219, 154]
    assert np.isnan(stills.keypoints_px[1, Joint.R_ANKLE]).all()
    assert stills.keypoints_px[1, Joint.R_KNEE].tolist() == [29, 34]
    assert stills.visible[1].tolist() == [False, False] + [True] * 14
    assert np.isnan(stills.keypoints_m).all() and stills.keypoints_m.shape == (2, 16, 3)


def test_an_empty_set_has_no_rows(tmp_path):
    write(tmp_path, [])
    stills = open_mpii(tmp_path)
    assert len(stills) == 0 and stills.keypoints_px.shape == (0, 16, 2)


@pytest.mark.parametrize(('changes', 'found'), [
    ({'joints': [[1, 2]] * 14}, r'joints as finite numbers of shape \(16, 2\), found .*14'),
    ({'joints_vis': [1] * 15}, r'joints_vis .*\(15,\)'), ({'scale': 'big'}, "scale .*'big'"),
    ({'center': [1]}, 'center'), ({'image': ''}, 'name of a picture')])
def test_a_malformed_person_is_named(tmp_path, changes, found):
    write(tmp_path, [person(), person(**changes)])
    with pytest.raises(DatasetError, match=rf'train\.json: person 1: expected .*{found}'):
        open_mpii(tmp_path)


def test_missing_fields_and_files_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r'expected annot/train\.json .*found neither'):
        open_mpii(tmp_path)
    (tmp_path / 'mpii_human_pose_v1_u12_1.mat').touch()
    with pytest.raises(DatasetError, match='found only mpii_human_pose_v1_u12_1.mat'):
        open_mpii(tmp_path)
    with pytest.raises(DatasetError, match='found no joints, joints_vis;'):
        read_person('p', {'image': 'a', 'center': [0, 0], 'scale': 1})
    with pytest.raises(DatasetError, match='p: expected image'):
        read_person('p', 3)
