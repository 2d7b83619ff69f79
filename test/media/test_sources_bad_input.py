import os
import re
from types import SimpleNamespace

from bad_input import bad_input, damages, picture_file, picture_files
import cv2
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from infant_pose_ros.errors import InfantPoseError, InvalidInputError, SourceError
from infant_pose_ros.media import sources
from infant_pose_ros.media.bags import Bag
from infant_pose_ros.media.sources import bundled_clip, natural_key, open_source
from infant_pose_ros.media.writer import VideoWriter

_GREY = np.full((6, 8, 3), 90, np.uint8)


def made_video(path, frames=30):
    with VideoWriter(path, 25.0, (64, 48)) as writer:
        for index in range(frames):
            writer.write(np.full((48, 64, 3), 8 * index, np.uint8))
    return path


def refusal(source, **options):
    """The one clear error of opening and reading it all; None where it can be read."""
    try:
        with open_source(source, **options) as opened:
            for frame in opened:
                assert frame.image_rgb.dtype == np.uint8 and frame.image_rgb.ndim == 3
                assert np.isfinite(frame.stamp_s)
    except SourceError as error:
        assert '\n' not in str(error) and len(str(error)) < 700
        return str(error)
    return None


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Path of a video that tests overwrite, and its bytes."""
    path = made_video(tmp_path_factory.mktemp('bad') / 'clip.mp4')
    return path, path.read_bytes()


@given(st.data())
@bad_input(100)
def test_a_damaged_video_is_read_as_far_as_it_goes_or_refused(video, data):
    path, whole = video
    path.write_bytes(data.draw(damages(whole)))
    refusal(path)


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.9])
def test_a_video_cut_off_has_no_index_and_is_refused(tmp_path, share):
    for whole in (made_video(tmp_path / 'made.mp4').read_bytes(), bundled_clip().read_bytes()):
        path = tmp_path / 'cut.mp4'
        path.write_bytes(whole[:int(len(whole) * share)])
        assert 'can not be opened as a video' in refusal(path)


def test_a_video_that_breaks_off_says_so_once(tmp_path, caplog):
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 25.0, (64, 48))
    for index in range(20):
        writer.write(np.full((48, 64, 3), 9 * index, np.uint8))
    writer.release()
    assert refusal(path) is None and not caplog.records
    path.write_bytes(path.read_bytes()[:path.stat().st_size * 6 // 10])
    source = open_source(path)
    read = len(list(source))
    assert 0 < read < 15 and len(list(source)) == read
    (record,) = caplog.records
    assert f'ended after {read} pictures, though its header says 20' in record.getMessage()


@pytest.mark.parametrize('width, height', [(30_000, 30_000), (100_000, 10)])
def test_a_video_that_claims_huge_pictures_is_not_decoded(tmp_path, monkeypatch, width, height):
    class Capture:
        def __init__(self, *_):
            self.sizes = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}

        def isOpened(self):     # noqa: N802
            return True

        def get(self, key):
            return float(self.sizes.get(key, 0))

        def release(self):
            pass

    monkeypatch.setattr(sources.cv2, 'VideoCapture', Capture)
    path = tmp_path / 'clip.mp4'
    path.write_bytes(b'x')
    assert f'{width}x{height} is too large' in refusal(path)


@pytest.mark.parametrize('rate', [0.0, float('nan'), float('inf'), 1e9, -5.0])
def test_a_rate_that_makes_no_sense_is_replaced_in_a_header_and_refused_when_given(
        tmp_path, monkeypatch, rate):
    path, capture_type = made_video(tmp_path / 'clip.mp4', 3), cv2.VideoCapture

    class Capture:
        def __init__(self, source):
            self._capture = capture_type(source)

        def __getattr__(self, name):
            return getattr(self._capture, name)

        def get(self, key):
            return rate if key == cv2.CAP_PROP_FPS else self._capture.get(key)

    monkeypatch.setattr(sources.cv2, 'VideoCapture', Capture)
    assert open_source(path).rate_hz == 30.0
    if rate != 1e9:
        assert 'fps must be a positive number' in refusal(path, fps=rate)
    with pytest.raises(InvalidInputError, match='rate .* must be positive'):
        VideoWriter(tmp_path / 'out.mp4', rate, (64, 48))


@pytest.mark.parametrize('source', [
    'x' * 5000, '9' * 400, '²', '~nobody-of-this-name/clip.mp4', 'a\0b', '', '/dev/null/x'])
def test_names_that_no_file_has(source):
    assert refusal(source)


def test_what_is_no_file(tmp_path):
    pipe, loop = tmp_path / 'pipe.mp4', tmp_path / 'loop'
    os.mkfifo(pipe)     # opening it would wait for ever
    loop.symlink_to(loop)
    assert 'is no file that can be read' in refusal(pipe)
    assert refusal(loop)
    playlist = tmp_path / 'list.m3u8'
    playlist.write_text('#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n')
    assert refusal(playlist)


@given(st.lists(picture_files(), min_size=1, max_size=3),
       st.sampled_from(sources.PICTURE_SUFFIXES))
@bad_input(60)
def test_a_folder_of_pictures_of_any_kind_and_size(tmp_path_factory, files, suffix):
    folder = tmp_path_factory.mktemp('pictures')
    for index, data in enumerate(files):
        (folder / f'{index}{suffix}').write_bytes(data)
    reason = refusal(folder)
    assert reason is None or reason.startswith(f'source {folder}')


def test_good_pictures_before_a_huge_or_broken_one_are_given(tmp_path):
    for index, size in enumerate([(32, 24), (20, 40), (9, 9)]):
        (tmp_path / f'{index}.png').write_bytes(picture_file('PNG', 'RGB', *size))
    (tmp_path / '3.ppm').write_bytes(b'P6 30000 30000 255\n' + bytes(100))
    frames = iter(open_source(tmp_path))
    assert [next(frames).image_rgb.shape[:2] for _ in range(3)] == [(24, 32), (40, 20), (9, 9)]
    with pytest.raises(SourceError, match='3.ppm: is too large: .*; mend or remove'):
        next(frames)


def test_a_single_picture_with_a_huge_size_is_no_video(tmp_path):
    path = tmp_path / 'bomb.ppm'
    path.write_bytes(b'P6 30000 30000 255\n' + bytes(100))
    assert 'bomb.ppm: is too large: at most' in refusal(path)


def test_names_with_digits_that_are_no_numbers(tmp_path):
    assert natural_key('a²') == natural_key('A²')
    (tmp_path / '²').mkdir()
    assert 'the folder holds no pictures' in refusal(tmp_path)


def test_a_bag_whose_pictures_are_only_counted(monkeypatch, tmp_path, recorded):
    path = recorded.bag([('/image', 1, recorded.image(_GREY, 1.0))])
    monkeypatch.setattr(Bag, 'messages', lambda self, topics: iter(()))
    assert 'holds no message of /image, though its metadata says so' in refusal(path)


def test_a_bag_with_a_camera_that_no_picture_has(recorded):
    info = recorded.camera_info(1.0)
    info.k[:] = [600.0, 0.0, np.nan, 0.0, 600.0, 12.0, 0.0, 0.0, 1.0]
    path = recorded.bag([('/image', 1, recorded.image(_GREY, 1.0)), ('/camera_info', 1, info)])
    assert '/camera_info: camera: ' in refusal(path)


def test_damaged_bags_of_pictures_are_one_clear_error(recorded):
    path = recorded.bag([('/image', time, recorded.image(_GREY, float(time)))
                         for time in range(1, 5)])
    (file,) = path.glob('*.mcap')
    whole = SimpleNamespace(file=file.read_bytes(),
                            metadata=(path / 'metadata.yaml').read_bytes())

    @given(damages(whole.file), st.booleans(), damages(whole.metadata))
    @bad_input(80)
    def check(data, is_metadata, metadata):
        file.write_bytes(whole.file if is_metadata else data)
        (path / 'metadata.yaml').write_bytes(metadata if is_metadata else whole.metadata)
        try:
            refusal(path)
        except SourceError:
            raise
        except InfantPoseError as error:
            raise AssertionError('not a SourceError') from error

    check()


@pytest.mark.parametrize('mode', ['STORAGE', 'MESSAGE', 'FILE'])
def test_damaged_compressed_bags_are_one_clear_error(tmp_path, recorded, mode):
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    typestore, kind = recorded.typestore, 'sensor_msgs/msg/Image'
    writer = Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        topic = writer.add_connection('/image', kind, typestore=typestore)
        for time in range(1, 5):
            writer.write(topic, time, typestore.serialize_cdr(
                recorded.image(_GREY, float(time)), kind))
    path = tmp_path / 'bag'
    assert refusal(path) is None
    (file,) = path.glob('*.mcap*')
    whole, begin = file.read_bytes(), b'\x28\xb5\x2f\xfd'       # of what Zstandard compressed
    place = whole.index(begin) + 5
    file.write_bytes(whole[:place] + bytes(255 - value for value in whole[place:place + 9])
                     + whole[place + 9:])
    assert re.search('is damaged|can not be read', refusal(path))
