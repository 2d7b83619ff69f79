import cv2
import numpy as np
import pytest
import scipy.io

from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.evaluation.sets import open_photos, open_videos
from infant_pose_ros.skeleton import Joint


def test_a_split_comes_with_units_blocks_and_lengths(cot_folder):
    read = []
    pictures = open_videos(cot_folder, progress=read.append)
    assert pictures.name == 'SynthCot-12 (version 1), test: videos 11, 12'
    assert len(pictures) == 12 == len(read) and not pictures.is_photos
    assert pictures.sequence.tolist() == [11] * 6 + [12] * 6
    assert pictures.frame.tolist() == [0, 1, 2, 3, 4, 5] * 2
    assert pictures.blocks.tolist() == [0] * 6 + [1] * 6
    assert set(pictures.unit_px) == {10.0} and set(pictures.unit_m) == {0.02}
    assert pictures.stills.box_xyxy[1].tolist() == [192, 150, 393, 210]     # of the mask
    assert pictures.body_length_m('given').tolist() == [0.6] * 6 + [0.5] * 6
    assert set(pictures.body_length_m('assumed')) == {0.6}
    # 3 months: the mean of WHO's medians, 59.8029 and 61.4292 cm.
    assert pictures.body_length_m('age')[7] == pytest.approx(0.60616, abs=1e-5)
    with pytest.raises(InvalidInputError, match="'guessed' is not one of given, age, assumed"):
        pictures.body_length_m('guessed')


def test_every_other_frame(cot_folder):
    pictures = open_videos(cot_folder, every=4)
    assert [path.name for path in pictures.stills.paths] == [
        'syn_00000.png', 'syn_00004.png', 'syn_00002.png']
    assert pictures.sequence.tolist() == [11, 11, 12] and pictures.frame.tolist() == [0, 4, 2]
    assert len(pictures.unit_px) == len(pictures.size_wh) == 3
    assert pictures.digest != open_videos(cot_folder).digest
    with pytest.raises(InvalidInputError, match='--every'):
        open_videos(cot_folder, every=0)


def test_mini_rgbd_has_its_constants_but_no_lengths(cot_folder):
    for video in ('11', '12'):
        (cot_folder / video / 'sequence.json').unlink()
        for part in ('joints_2Ddep', 'joints_3D'):
            for path in (cot_folder / video / part).iterdir():
                path.write_text(''.join(path.read_text().splitlines(True)[:25]))
    pictures = open_videos(cot_folder)
    assert pictures.name == 'MINI-RGBD, test: videos 11, 12'
    assert pictures.unit_px[[0, 6]].tolist() == [12.17, 13.93]
    assert pictures.unit_m[[0, 6]].tolist() == [.0286, .0301]
    assert not pictures.has_lengths
    for origin in ('given', 'age'):
        with pytest.raises(DatasetError, match='take --body-length assumed'):
            pictures.body_length_m(origin)


def test_a_missing_unit_is_named(cot_folder, monkeypatch):
    units = np.full(12, 10.0)
    units[6:] = np.nan
    monkeypatch.setattr('infant_pose_ros.evaluation.sets.pckh_units',
                        lambda folder, split: (np.full(12, 10.0), units))
    with pytest.raises(DatasetError, match='video 12 has no unit of PCKh in m'):
        open_videos(cot_folder)
    monkeypatch.setattr('infant_pose_ros.evaluation.sets.pckh_units',
                        lambda folder, split: (units[:5], units[:5]))
    with pytest.raises(DatasetError, match='12 frames but 5 and 5 units'):
        open_videos(cot_folder)


def test_one_changed_pixel_or_label_changes_the_digest(cot_folder):
    digest = open_videos(cot_folder).digest
    assert digest == open_videos(cot_folder).digest
    path = cot_folder / '12' / 'rgb' / 'syn_00003.png'
    picture = cv2.imread(str(path))
    picture[100, 100] += 1
    cv2.imwrite(str(path), picture)
    changed = open_videos(cot_folder).digest
    assert changed != digest
    labels = cot_folder / '11' / 'joints_2Ddep' / 'syn_joints_2Ddep_00000.txt'
    labels.write_text(labels.read_text().replace('200.0', '200.5'))
    assert open_videos(cot_folder).digest != changed


def write_lspet(folder, count=4):
    """Joints at (10 index, 5 index); in the last picture neck and head top aren't annotated."""
    index = np.arange(14.0)
    joints = np.repeat(np.stack([10 * index, 5 * index, np.ones(14)], 1)[:, :, None], count, 2)
    joints[12:, 2, -1] = 0
    scipy.io.savemat(folder / 'joints.mat', {'joints': joints})
    (folder / 'images').mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / 'images' / f'im{number + 1:05d}.jpg'),
                    np.full((80, 160 + number, 3), 90, np.uint8))


def test_photographs(tmp_path):
    write_lspet(tmp_path)
    pictures = open_photos(tmp_path, count=2)
    assert pictures.is_photos and len(pictures) == 2 and pictures.blocks.tolist() == [0, 1]
    # A quarter of the way from joint 12 to 13.
    assert pictures.unit_px[0] == pytest.approx(np.hypot(10, 5) / 4)
    assert np.isnan(pictures.unit_px[1])
    assert pictures.size_wh.tolist() == [[162, 80], [163, 80]]
    assert np.isnan(pictures.stills.keypoints_px[1, Joint.HEAD_TOP]).all()
    (tmp_path / 'images' / 'im00004.jpg').unlink()
    with pytest.raises(DatasetError, match='im00004.jpg'):
        open_photos(tmp_path, count=2)
    with pytest.raises(InvalidInputError, match='--every'):
        open_photos(tmp_path, every=0)
