import json

import numpy as np
import pytest

from infant_pose_ros.data.coco import common_keypoints, open_coco
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import Joint


def points(**values):
    """Point i at (10 i, 4 i), visible; `v7=0` changes one flag."""
    flags = [values.get(f'v{i}', 2) for i in range(17)]
    return np.array([[10.0 * i, 4.0 * i, flag] for i, flag in enumerate(flags)])


def write(folder, annotations, images=None, name='person_keypoints_train_infant.json'):
    (folder / 'annotations').mkdir(exist_ok=True)
    path = folder / 'annotations' / name
    if images is None:
        images = [{'id': 7, 'file_name': 'train00001.jpg'}]
    path.write_text(json.dumps({'images': images, 'annotations': annotations}))
    return path


def annotation(coco, **changes):
    return {'image_id': 7, 'keypoints': coco.ravel().tolist(), 'bbox': [5, 6, 30, 40],
            **changes}


def pictures(folder):
    folder.mkdir(parents=True)
    (folder / 'train00001.jpg').touch()


def test_the_common_order_and_the_middles():
    keypoints, visible = common_keypoints(points(v11=1, v4=0))
    assert keypoints[Joint.R_ANKLE].tolist() == [160, 64]
    assert keypoints[Joint.L_SHOULDER].tolist() == [50, 20]
    assert keypoints[Joint.PELVIS].tolist() == [115, 46]        # hips 11 and 12
    assert keypoints[Joint.THORAX].tolist() == [55, 22]         # shoulders 5 and 6
    # Nose 0 and ear 3 lie about (15, 6): half-way from the thorax is (35, 14).
    assert keypoints[Joint.UPPER_NECK].tolist() == [35, 14]
    assert np.isnan(keypoints[Joint.HEAD_TOP]).all()
    hidden = {Joint.L_HIP, Joint.PELVIS, Joint.HEAD_TOP}
    assert {joint for joint in Joint if not visible[joint]} == hidden


def test_a_middle_of_something_missing_is_missing():
    keypoints, visible = common_keypoints(points(v5=0, v12=0))
    for joint in (Joint.PELVIS, Joint.THORAX, Joint.UPPER_NECK, Joint.L_SHOULDER):
        assert np.isnan(keypoints[joint]).all() and not visible[joint]


def test_people_are_read_with_boxes_and_crowds_left_out(tmp_path):
    pictures(tmp_path / 'images' / 'train_infant')
    few = points(**{f'v{i}': 0 for i in range(12)})
    path = write(tmp_path, [annotation(points()), annotation(few),
                            annotation(points(), iscrowd=1), annotation(points(v4=0), bbox=None)])
    stills = open_coco(path)
    assert len(stills) == 2
    assert stills.paths[0] == tmp_path / 'images' / 'train_infant' / 'train00001.jpg'
    assert stills.box_xyxy.tolist() == [[5, 6, 35, 46], [35, 14, 160, 64]]
    assert np.isnan(stills.keypoints_m).all() and np.isnan(stills.intrinsics).all()


def test_pictures_are_found_in_a_named_folder_and_beside(tmp_path):
    path = write(tmp_path, [annotation(points())])
    assert open_coco(path, tmp_path / 'x').paths == (tmp_path / 'x' / 'train00001.jpg',)
    with pytest.raises(DatasetError, match='expected the pictures in one of .*train_infant'):
        open_coco(path)
    pictures(tmp_path / 'train_infant')
    assert open_coco(path).paths == (tmp_path / 'train_infant' / 'train00001.jpg',)


def test_a_set_of_nobody_has_no_rows(tmp_path):
    stills = open_coco(write(tmp_path, [], []))
    assert len(stills) == 0 and stills.box_xyxy.shape == (0, 4)


@pytest.mark.parametrize(('changes', 'found'), [
    ({'keypoints': [1] * 42}, r'expected keypoints .*\(51,\), found shape \(42,\)'),
    ({'image_id': 8}, 'image_id of one of images, found 8'), ({'image_id': []}, 'found \\[\\]'),
    ({'bbox': [1, 2]}, 'expected bbox')])
def test_a_malformed_annotation_is_named(tmp_path, changes, found):
    path = write(tmp_path, [annotation(points()), annotation(points(), **changes)])
    with pytest.raises(DatasetError, match=rf'infant\.json: annotations\[1\]: .*{found}'):
        open_coco(path, tmp_path)


def test_a_malformed_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r'no\.json'):
        open_coco(tmp_path / 'no.json')
    (tmp_path / 'a.json').write_text('{"images": []}')
    with pytest.raises(DatasetError, match='found no list annotations'):
        open_coco(tmp_path / 'a.json')
    with pytest.raises(DatasetError, match=r'images\[0\]: expected id and file_name'):
        open_coco(write(tmp_path, [], [{'id': 3}]))
    with pytest.raises(DatasetError, match='found no image_id and no keypoints'):
        open_coco(write(tmp_path, [{'bbox': []}]))
