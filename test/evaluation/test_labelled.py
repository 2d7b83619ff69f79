import json

import cv2
import numpy as np
import pytest

from infant_pose_ros.data.mini_rgbd import CAMERA
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation.labelled import open_sequences
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.media.writer import VideoWriter
from infant_pose_ros.structures import Camera

OWN_CAMERA = Camera(200.0, 210.0, 79.5, 59.5, 160, 120)


def make_clip(folder, name='cot', frames=5, pictures=5, camera=OWN_CAMERA):
    folder.mkdir(exist_ok=True)
    with VideoWriter(folder / f'{name}.mp4', 15.0, (160, 120)) as video:
        for index in range(pictures):
            video.write(np.full((120, 160, 3), 40 * index, np.uint8))
    keypoints = np.arange(frames * 48.0).reshape(frames, 16, 3)
    ClipTruth(np.arange(frames) / 15.0, keypoints[..., :2], keypoints,
              np.ones((frames, 16), bool), np.zeros((frames, 4)), 0.62).save(
                  folder / f'{name}_truth.npz')
    (folder / f'{name}_camera_info.yaml').write_text(camera.to_camera_info_yaml())
    return folder


def make_sequence(folder, numbers=(3, 4, 9), length_m=0.7):
    for part in ('rgb', 'joints_2Ddep', 'joints_3D'):
        (folder / part).mkdir(parents=True)
    rows = ''.join(f'{row} {row + 0.5} 1.0 {row}\n' for row in range(26))
    for number in numbers:
        cv2.imwrite(str(folder / f'rgb/syn_{number:05d}.png'),
                    np.full((480, 640, 3), number, np.uint8))
        for part in ('joints_2Ddep', 'joints_3D'):
            (folder / part / f'syn_{part}_{number:05d}.txt').write_text(rows)
    (folder / 'sequence.json').write_text(json.dumps({
        'set': 'own', 'version': 1, 'seed': 0, 'rate_hz': 10.0, 'frames': len(numbers),
        'body_length_m': length_m, 'age_months': None, 'pckh_unit_px': 10.0,
        'pckh_unit_m': 0.02}))
    return folder


def test_a_clip_has_a_camera_and_a_length_of_its_own(tmp_path):
    clip, = open_sequences([str(make_clip(tmp_path / 'clips'))])
    assert (clip.name, len(clip), clip.body_length_m) == ('cot', 5, 0.62)
    assert (clip.camera.fy, clip.camera.width) == (210.0, 160)
    assert clip.stamps_s == pytest.approx(1.0 + np.arange(5) / 15.0)
    frames = list(clip.frames())
    assert [frame.is_first for frame in frames] == [True] + [False] * 4
    assert frames[2].keypoints_m[1].tolist() == [99.0, 100.0, 101.0]
    assert frames[2].image_rgb.mean() == pytest.approx(80.0, abs=4.0)
    assert len(open_sequences([str(tmp_path / 'clips/cot.mp4')])) == 1


def test_a_folder_of_frames_tells_where_it_leaps(tmp_path):
    make_sequence(tmp_path / '03')
    sequence, = open_sequences([f'{tmp_path}#train'])
    assert sequence.camera is CAMERA and sequence.body_length_m == 0.7
    assert sequence.stamps_s == pytest.approx([1.3, 1.4, 1.9])
    frames = list(sequence.frames())
    assert [frame.is_first for frame in frames] == [True, False, True]
    assert frames[1].image_rgb[0, 0].tolist() == [4, 4, 4]
    assert frames[0].keypoints_px[9].tolist() == [25.0, 25.5]       # its own row


def test_both_kinds_may_lie_in_one_folder(tmp_path):
    make_sequence(make_clip(tmp_path / 'both') / '11')
    assert [each.name for each in open_sequences([str(tmp_path / 'both')])] == ['11', 'cot']


@pytest.mark.parametrize('changes, reason', [
    ({'frames': 6}, 'holds 5 pictures, its truth is for 6'),
    ({'camera': Camera(1.0, 1.0, 1.0, 1.0, 320, 240)}, '160x120, its camera_info is for 320x240'),
])
def test_clips_that_do_not_fit_their_truth(tmp_path, changes, reason):
    with pytest.raises(DatasetError, match=reason):
        for clip in open_sequences([str(make_clip(tmp_path / 'clips', **changes))]):
            list(clip.frames())


@pytest.mark.parametrize('missing', ['cot.mp4', 'cot_camera_info.yaml'])
def test_clips_that_lack_a_part(tmp_path, missing):
    (make_clip(tmp_path / 'clips') / missing).unlink()
    with pytest.raises(DatasetError, match='cot'):
        open_sequences([str(tmp_path / 'clips')])


@pytest.mark.parametrize('word, reason', [
    ('{}', 'found none'), ('{}#nights', "unknown split 'nights'")])
def test_sets_that_are_not_there(tmp_path, word, reason):
    with pytest.raises(DatasetError, match=reason):
        open_sequences([word.format(tmp_path)])


def test_a_set_without_lengths_is_refused(tmp_path):
    joints = tmp_path / '09/joints_2Ddep'
    joints.mkdir(parents=True)
    (joints / 'syn_joints_2Ddep_00000.txt').write_text('')
    with pytest.raises(DatasetError, match='length of the infant'):
        open_sequences([f'{tmp_path}#validation'])
