import cv2
import numpy as np
import pytest

from infant_pose_ros.errors import SourceError
from infant_pose_ros.media.sources import bundled_clip, natural_key, open_source, pictures_in
from infant_pose_ros.media.writer import VideoWriter


def write_picture(path, rgb=(200, 100, 50), size_wh=(32, 24)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((size_wh[1], size_wh[0], 3), rgb[::-1], np.uint8)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 25.0, (64, 48)) as writer:
        for value in (0, 60, 120, 180, 240):
            writer.write(np.full((48, 64, 3), value, np.uint8))
    return path


def test_video_gives_frames_in_order_with_stamps(video):
    with open_source(video) as source:
        assert (source.rate_hz, source.num_frames, source.size_wh) == (25.0, 5, (64, 48))
        assert not source.is_live
        frames = list(source)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.stamp_s for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert [frame.name for frame in frames][3] == 'clip.mp4#3'
    assert all(frame.image_rgb.shape == (48, 64, 3) for frame in frames)
    means = [float(frame.image_rgb.mean()) for frame in frames]
    assert means == pytest.approx([0, 60, 120, 180, 240], abs=6)


def test_video_can_be_iterated_twice(video):
    source = open_source(str(video))
    assert len(list(source)) == len(list(source)) == 5


def test_fps_replaces_the_sources_own_rate(video):
    source = open_source(video, fps=10.0)
    assert source.rate_hz == 10.0
    assert [frame.stamp_s for frame in source][2] == pytest.approx(0.2)


def test_files_beside_a_video_are_found(video):
    assert open_source(video).camera_info_path is None
    assert open_source(video).truth_path is None
    for name in ('clip_camera_info.yaml', 'clip_truth.npz'):
        (video.parent / name).write_text('x')
    assert open_source(video).camera_info_path == video.parent / 'clip_camera_info.yaml'
    assert open_source(video).truth_path == video.parent / 'clip_truth.npz'


def test_folder_in_natural_order_as_rgb(tmp_path):
    for name, red in (('frame_10.png', 10), ('frame_2.png', 2), ('frame_1.png', 1)):
        write_picture(tmp_path / name, (red, 100, 200))
    (tmp_path / 'notes.txt').write_text('no picture')
    (tmp_path / 'camera_info.yaml').write_text('x')
    (tmp_path / 'truth.npz').write_text('x')
    source = open_source(tmp_path)
    assert (source.rate_hz, source.num_frames, source.size_wh) == (30.0, 3, (32, 24))
    assert source.camera_info_path == tmp_path / 'camera_info.yaml'
    assert source.truth_path == tmp_path / 'truth.npz'
    frames = list(source)
    assert [frame.name for frame in frames] == ['frame_1.png', 'frame_2.png', 'frame_10.png']
    assert [tuple(frame.image_rgb[0, 0]) for frame in frames] == \
        [(1, 100, 200), (2, 100, 200), (10, 100, 200)]


def test_folder_takes_pictures_of_rgb_inside(tmp_path):
    write_picture(tmp_path / 'rgb' / 'syn_00000.png')
    write_picture(tmp_path / 'depth' / 'syn_00000.png')
    (tmp_path / 'camera_info.yaml').write_text('x')
    source = open_source(tmp_path)
    assert source.num_frames == 1
    assert source.camera_info_path == tmp_path / 'camera_info.yaml'


def test_folder_takes_numbered_folders_in_order(tmp_path):
    for name in ('0000/00001.jpg', '0000/00000.jpg', '0010/00000.jpg', '0002/00000.jpg',
                 '0011.part/00000.jpg', 'depth/00000.jpg'):
        write_picture(tmp_path / name)
    (tmp_path / 'meta.json').write_text('{}')
    source = open_source(tmp_path)
    assert source.num_frames == 4
    assert [frame.name for frame in source] == [
        '0000/00000.jpg', '0000/00001.jpg', '0002/00000.jpg', '0010/00000.jpg']


def test_pictures_of_its_own_come_before_numbered_folders(tmp_path):
    write_picture(tmp_path / '1' / 'own.png')
    write_picture(tmp_path / '1' / '2' / 'other.png')
    assert [frame.name for frame in open_source(tmp_path / '1')] == ['own.png']


def test_a_grey_picture_comes_as_rgb(tmp_path):
    assert cv2.imwrite(str(tmp_path / 'grey.png'), np.full((24, 32), 90, np.uint8))
    (frame,) = open_source(tmp_path)
    assert frame.image_rgb.shape == (24, 32, 3)
    assert (frame.image_rgb == 90).all()


def check_error(source, *parts):
    with pytest.raises(SourceError) as caught:
        open_source(source)
    message = str(caught.value)
    assert '\n' not in message
    for part in parts:
        assert part in message


def test_errors_are_one_line_that_names_source_and_mend(tmp_path):
    check_error(tmp_path / 'nothing.mp4', 'nothing.mp4', 'no such file', 'give a video')
    check_error(tmp_path, str(tmp_path), 'no pictures')
    check_error('', 'no source given')
    text = tmp_path / 'text.mp4'
    text.write_text('this is no video\n' * 100)
    check_error(text, str(text), 'can not be opened as a video')


def test_a_broken_picture_is_named_when_its_turn_comes(tmp_path):
    write_picture(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_bytes(b'\x89PNG broken')
    frames = iter(open_source(tmp_path))
    assert next(frames).name == 'a.png'
    with pytest.raises(SourceError, match='b.png'):
        next(frames)


def test_a_missing_webcam_is_a_source_error(capfd):
    with pytest.raises(SourceError, match='webcam'):
        open_source(63)
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('fps', [0.0, -1.0, float('nan'), float('inf')])
def test_fps_must_be_positive(tmp_path, fps):
    with pytest.raises(SourceError, match='fps'):
        open_source(tmp_path, fps=fps)


def test_natural_order_mixes_names_and_numbers():
    names = ['b1', 'a10', 'a9', 'a', '10', '9', 'A2']
    assert sorted(names, key=natural_key) == ['9', '10', 'a', 'A2', 'a9', 'a10', 'b1']


def test_pictures_in_no_folder_is_empty(tmp_path):
    assert pictures_in(tmp_path / 'none') == []


def test_the_bundled_clip_lies_in_the_package():
    assert bundled_clip().parent.name == 'samples'
    assert bundled_clip().parents[1].name == 'infant_pose_ros'
