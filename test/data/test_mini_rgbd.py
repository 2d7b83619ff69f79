import math

import cv2
import numpy as np
import pytest

from infant_pose_ros.data.mini_rgbd import MiniRgbdVideo, open_mini_rgbd, read_joints
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
