import math

import cv2
import numpy as np
import pytest

from infant_pose_ros.data.mini_rgbd import (
    MiniRgbdVideo,
    open_mini_rgbd,
    pckh_units,
    read_joints,
    sequence_numbers,
)
from infant_pose_ros.data.sequence_info import SequenceInfo
from infant_pose_ros.data.stills import read_image
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import Joint


def write_video(folder, frames=2):
    """Joint i of frame f lies at (10 i + f, 5 i) px and (i, 2 i, f) mm."""
    for part in ('rgb', 'fg_mask', 'joints_2Ddep', 'joints_3D'):
        (folder / part).mkdir(parents=True)
    for frame in range(frames):
        cv2.imwrite(str(folder / 'rgb' / f'syn_{frame:05d}.png'), np.full((480, 640, 3), 9))
        mask = np.zeros((480, 640), np.uint8)
        mask[100:200, 50:80 + frame] = 255
        cv2.imwrite(str(folder / 'fg_mask' / f'mask_{frame:05d}.png'), mask)
        (folder / 'joints_2Ddep' / f'syn_joints_2Ddep_{frame:05d}.txt').write_text(''.join(
            f'{10 * i + frame:.3f} {5 * i:.3f} 0.9 {i}\n' for i in range(25)))
        (folder / 'joints_3D' / f'syn_joints_3D_{frame:05d}.txt').write_text(''.join(
            f'{i / 1000} {i / 500} {frame / 1000} {i}\n' for i in range(25)))


def write_synthcot(folder, frames=2):
    """As `write_video`, with a 26th row (joint 25), visibility and `sequence.json`."""
    write_video(folder, frames)
    for frame in range(frames):
        for part, row in (('joints_2Ddep', '333 222 0.9 25'), ('joints_3D', '0.3 0.2 0.9 25')):
            with (folder / part / f'syn_{part}_{frame:05d}.txt').open('a') as file:
                file.write(f'{row}\n')
    visible = np.ones((frames, 16), bool)
    visible[0, Joint.L_WRIST] = False
    np.save(folder / 'visible.npy', visible)
    (folder / 'sequence.json').write_text(SequenceInfo(
        'SynthCot-12', 1, 5, 30.0, frames, 0.62, 4.0, 12.5, 0.027).to_json())


def test_a_frame_is_read_when_asked_for_and_in_the_common_order(tmp_path):
    write_video(tmp_path / '05')
    video = MiniRgbdVideo.open(tmp_path / '05')
    (tmp_path / '05' / 'joints_3D' / 'syn_joints_3D_00000.txt').unlink()
    assert (len(video), video.number) == (2, 5)
    frame = video.read(1)
    assert frame.image_path == tmp_path / '05' / 'rgb' / 'syn_00001.png'
    assert frame.keypoints_px[Joint.R_ANKLE].tolist() == [81, 40]      # joint 8
    assert frame.keypoints_px[Joint.PELVIS].tolist() == [1, 0]         # joint 0
    assert frame.keypoints_px[Joint.HEAD_TOP].tolist() == [241, 120]   # the nose, 24
    assert frame.keypoints_m[Joint.L_WRIST] == pytest.approx([.020, .040, .001])
    assert video.mask_box(1).tolist() == [50, 100, 81, 200]
    with pytest.raises(DatasetError, match='syn_joints_3D_00000.txt: expected 25 rows'):
        video.read(0)


def test_units_are_those_of_the_video(tmp_path):
    for name in ('05', '12', '13'):
        write_video(tmp_path / name, 1)
    units = [(video.pckh_unit_px, video.pckh_unit_m) for video in (
        MiniRgbdVideo.open(tmp_path / name) for name in ('05', '12'))]
    assert units == [(7.75, .0206), (13.93, .0301)]
    assert math.isnan(MiniRgbdVideo.open(tmp_path / '13').pckh_unit_px)


def test_a_split_is_read_as_stills(tmp_path):
    for name in ('09', '10', '11'):
        write_video(tmp_path / name, 2)
    seen = []
    stills = open_mini_rgbd(tmp_path, 'validation', progress=seen.append)
    assert [str(path.relative_to(tmp_path)) for path in stills.paths] == [
        '09/rgb/syn_00000.png', '09/rgb/syn_00001.png',
        '10/rgb/syn_00000.png', '10/rgb/syn_00001.png']
    assert len(seen) == 4 and stills.visible.all() and np.isnan(stills.body_length_m).all()
    # The outermost of the 16: pelvis (joint 0) and nose (joint 24).
    assert stills.box_xyxy[3].tolist() == [1, 0, 241, 120]
    assert stills.intrinsics[0].tolist() == [588.679, 590.257, 322.220, 237.468]
    assert read_image(stills.paths[0]).shape == (480, 640, 3)
    masked = open_mini_rgbd(tmp_path, 'validation', boxes='mask')
    assert masked.box_xyxy[2].tolist() == [50, 100, 80, 200]


def test_synthcot_tells_the_head_top_units_length_and_what_is_hidden(tmp_path):
    for name in ('11', '12'):
        write_synthcot(tmp_path / name)
    stills = open_mini_rgbd(tmp_path, 'test')
    assert stills.keypoints_px[0, Joint.HEAD_TOP].tolist() == [333, 222]
    assert stills.keypoints_m[3, Joint.HEAD_TOP].tolist() == [.3, .2, .9]
    assert stills.keypoints_px[1, Joint.R_ANKLE].tolist() == [81, 40]
    assert stills.body_length_m.tolist() == [0.62] * 4 and (stills.age_months == 4.0).all()
    assert np.argwhere(~stills.visible).tolist() == [[0, Joint.L_WRIST], [2, Joint.L_WRIST]]
    np.save(tmp_path / '11' / 'visible.npy', np.ones((2, 15), bool))
    with pytest.raises(DatasetError, match=r'visible.npy: .*\(2, 16\).* found bool of \(2, 15\)'):
        open_mini_rgbd(tmp_path, 'test')


def test_units_and_numbers_come_for_each_frame(tmp_path):
    write_video(tmp_path / '11', 1)
    write_synthcot(tmp_path / '12', 3)
    units_px, units_m = pckh_units(tmp_path, 'test')
    assert units_px.tolist() == [12.17, 12.5, 12.5, 12.5]
    assert units_m.tolist() == [.0286, .027, .027, .027]
    assert sequence_numbers(tmp_path, 'test').tolist() == [11, 12, 12, 12]
    with pytest.raises(DatasetError, match="'dev'"):
        pckh_units(tmp_path, 'dev')


def test_a_26th_row_without_its_description_is_an_error(tmp_path):
    write_synthcot(tmp_path / '11')
    (tmp_path / '11' / 'sequence.json').unlink()
    with pytest.raises(DatasetError, match='expected 25 rows of 4 numbers, found 26 rows'):
        MiniRgbdVideo.open(tmp_path / '11').read(0)


@pytest.mark.parametrize(('text', 'found'), [
    ('', 'found 0 rows of no numbers'), ('1 2 3 4\n' * 24, 'found 24 rows of 4'),
    ('1 2 3\n' * 25, 'found 25 rows of 3'), ('1 2 x 4\n' * 25, 'found other text'),
    ('1 2 nan 4\n' * 25, 'found NaN'), ('1 2 3\n' + '1 2 3 4\n' * 24, 'rows of 3 or 4')])
def test_malformed_rows_are_named(tmp_path, text, found):
    (tmp_path / 'a.txt').write_text(text)
    with pytest.raises(DatasetError, match=rf'a\.txt: .*{found}.*copy it again'):
        read_joints(tmp_path / 'a.txt')


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match='01/joints_2Ddep: expected .* found none'):
        open_mini_rgbd(tmp_path)
    with pytest.raises(DatasetError, match="'tests'"):
        open_mini_rgbd(tmp_path, 'tests')
    with pytest.raises(DatasetError, match='such as 01'):
        MiniRgbdVideo.open(tmp_path)
    write_video(tmp_path / '01', 1)
    cv2.imwrite(str(tmp_path / '01/fg_mask/mask_00000.png'), np.zeros((480, 640), np.uint8))
    with pytest.raises(DatasetError, match='mask_00000.png: .*an empty one'):
        MiniRgbdVideo.open(tmp_path / '01').mask_box(0)
    (tmp_path / '01/fg_mask/mask_00000.png').write_bytes(b'P5 100000 100000 255\n')
    with pytest.raises(DatasetError, match="mask_00000.png: is too large.*boxes='keypoints'"):
        MiniRgbdVideo.open(tmp_path / '01').mask_box(0)
