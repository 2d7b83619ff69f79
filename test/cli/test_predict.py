"""`infant-pose predict` with a pipeline that answers what the test knows."""

import csv
import gc
import weakref

import cv2
import numpy as np
import pytest

from infant_pose_ros.cli import main as cli
from infant_pose_ros.cli import predict
from infant_pose_ros.filtering import recordings
from infant_pose_ros.filtering.tracks import TrackEstimate
from infant_pose_ros.media.sources import FrameSource, open_source
from infant_pose_ros.skeleton import Joint, KEYPOINT_NAMES, TrackState
from infant_pose_ros.structures import Camera, FrameResult, Pose2D, Pose3D, TrackedInfant

SIZE_WH = (64, 48)


def poses(u0, lost=()):
    """Keypoint k at (u0 + k, 20) px and (k / 100, 0, 1) m."""
    keypoints_px = np.stack([u0 + np.arange(16.0), np.full(16, 20.0)], axis=1)
    keypoints_m = np.stack([np.arange(16) / 100, np.zeros(16), np.ones(16)], axis=1)
    keypoints_px[list(lost)], keypoints_m[list(lost)] = np.nan, np.nan
    return (Pose2D(keypoints_px, np.full(16, 0.5), np.tile(np.eye(2), (16, 1, 1))),
            Pose3D(keypoints_m, np.tile(np.eye(3), (16, 1, 1)), True))


def infant(smooth_u0, raw_u0=None, track=1):
    """Smoothed with a lost right wrist and a predicted left one; raw with all."""
    smooth_2d, smooth_3d = poses(smooth_u0, lost=[Joint.R_WRIST])
    raw_2d, raw_3d = (None, None) if raw_u0 is None else poses(raw_u0)
    state = np.full(16, TrackState.MEASURED)
    state[Joint.R_WRIST], state[Joint.L_WRIST] = TrackState.LOST, TrackState.PREDICTED
    score = np.where(state == TrackState.LOST, 0.0, 0.75)
    return TrackedInfant(track, [10, 10, 30, 30], np.zeros((4, 2)), raw_2d, raw_3d, smooth_2d,
                         smooth_3d, state, score)


class FakePipeline:
    """Frame 0: one infant; frame 1: nobody; frame 2: one that was not estimated; then again."""

    def __init__(self):
        self.settings = None
        self.calls = []

    def from_settings(self, settings):
        self.settings = settings
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_exc_info):
        self.calls.append('closed')

    def process(self, image_rgb, stamp_s, camera=None, camera_name='camera'):
        return self.answer('process', stamp_s, camera)

    def process_still(self, image_rgb, camera=None):
        return self.answer('still', 0.0, camera)

    def answer(self, kind, stamp_s, camera):
        found = ((infant(5.0, 6.0),), (), (infant(8.0),))[len(self.calls) % 3]
        self.calls.append((kind, stamp_s, camera))
        return FrameResult(stamp_s, found, None, {'total': 1.0}, 0.6)


@pytest.fixture
def pipeline(monkeypatch):
    fake = FakePipeline()
    monkeypatch.setattr(predict, 'PosePipeline', fake)
    return fake


@pytest.fixture
def folder(tmp_path):
    """Three grey pictures; the last one is smaller."""
    path = tmp_path / 'pictures'
    path.mkdir()
    for index, size in enumerate((SIZE_WH, SIZE_WH, (32, 48))):
        cv2.imwrite(str(path / f'p{index}.png'),
                    np.full((size[1], size[0], 3), 90, dtype=np.uint8))
    return path


def run(*words):
    return cli.main(['predict', '--quiet', *map(str, words)])


def rows_of(path):
    with open(path, newline='', encoding='utf-8') as stream:
        return list(csv.DictReader(stream))


def test_columns_and_rows(pipeline, folder, tmp_path, capsys):
    out = tmp_path / 'new' / 'poses.csv'
    assert run(folder, '--csv', out, '--fps', 10) == 0
    assert out.read_text().splitlines()[0] == (
        'frame,name,stamp_s,track,joint,u_px,v_px,x_m,y_m,z_m,score,state')
    rows = rows_of(out)
    assert len(rows) == 16 + 1 + 16
    assert [row['joint'] for row in rows[:16]] == list(KEYPOINT_NAMES)
    assert rows[1] == {
        'frame': '0', 'name': 'p0.png', 'stamp_s': '0.000000', 'track': '1', 'joint': 'r_knee',
        'u_px': '6.000', 'v_px': '20.000', 'x_m': '0.01000', 'y_m': '0.00000', 'z_m': '1.00000',
        'score': '0.7500', 'state': 'measured'}
    assert [rows[17][name] for name in ('frame', 'stamp_s', 'u_px')] == ['2', '0.200000', '8.000']
    assert capsys.readouterr().out.startswith('3 frames, 2 with an infant')


def test_a_lost_keypoint_keeps_its_row_and_is_empty(pipeline, folder, tmp_path):
    run(folder, '--csv', tmp_path / 'p.csv')
    lost = rows_of(tmp_path / 'p.csv')[Joint.R_WRIST]
    assert [lost[name] for name in ('joint', 'u_px', 'v_px', 'x_m', 'y_m', 'z_m', 'score',
                                    'state')] == ['r_wrist', *[''] * 5, '0.0000', 'lost']
    assert rows_of(tmp_path / 'p.csv')[Joint.L_WRIST]['state'] == 'predicted'


def test_a_frame_with_no_infant_has_one_row(pipeline, folder, tmp_path):
    run(folder, '--csv', tmp_path / 'p.csv', '--fps', 10)
    row = rows_of(tmp_path / 'p.csv')[16]
    assert list(row.values()) == ['1', 'p1.png', '0.100000', *[''] * 9]


def test_raw_poses(pipeline, folder, tmp_path):
    run(folder, '--csv', tmp_path / 'p.csv', '--raw')
    rows = rows_of(tmp_path / 'p.csv')
    assert (rows[0]['u_px'], rows[0]['score'], rows[0]['state']) == ('6.000', '0.5000', 'measured')
    assert rows[Joint.R_WRIST]['state'] == 'measured'
    assert {row['state'] for row in rows[17:]} == {'lost'}      # not estimated in frame 2
    assert {row['u_px'] for row in rows[17:]} == {''}


def test_the_detector_runs_in_step_and_settings_get_through(pipeline, folder, tmp_path):
    run(folder, '--csv', tmp_path / 'p.csv', '--body-length', 0.52, '--detect-every', 3)
    assert pipeline.settings.detect_async is False
    assert (pipeline.settings.body_length_m, pipeline.settings.detect_every) == (0.52, 3)
    assert pipeline.calls[-1] == 'closed'


def test_stamps_follow_fps(pipeline, folder, tmp_path):
    run(folder, '--csv', tmp_path / 'p.csv', '--fps', 4)
    assert [call[:2] for call in pipeline.calls[:3]] == [
        ('process', 0.0), ('process', 0.25), ('process', 0.5)]


def test_stills_are_unrelated(pipeline, folder, tmp_path):
    run(folder, '--csv', tmp_path / 'p.csv', '--stills')
    assert [call[0] for call in pipeline.calls[:3]] == ['still'] * 3


def test_the_camera_named_or_beside_the_source(pipeline, folder, tmp_path):
    def write(path, fx):
        path.write_text(Camera(fx, fx, 31.5, 23.5, *SIZE_WH).to_camera_info_yaml())

    write(folder / 'camera_info.yaml', 50.0)
    run(folder, '--csv', tmp_path / 'p.csv')
    assert pipeline.calls[0][2].fx == 50.0
    pipeline.calls.clear()
    write(tmp_path / 'other.yaml', 70.0)
    run(folder, '--csv', tmp_path / 'p.csv', '--camera', tmp_path / 'other.yaml')
    assert pipeline.calls[0][2].fx == 70.0


def test_no_camera_says_that_3d_is_relative(pipeline, folder, tmp_path, capsys):
    run(folder, '--csv', tmp_path / 'p.csv')
    assert pipeline.calls[0][2] is None
    assert '3D relative to the pelvis (no camera given)' in capsys.readouterr().out


def test_the_video_shows_the_skeleton_and_fits_other_sizes(pipeline, folder, tmp_path):
    out = tmp_path / 'overlay.mp4'
    assert run(folder, '--video', out, '--fps', 10) == 0
    with open_source(out) as video:
        frames = list(video)
    assert [frame.image_rgb.shape for frame in frames] == [(48, 64, 3)] * 3
    assert video.rate_hz == pytest.approx(10.0)
    flat = [np.abs(frame.image_rgb.astype(int) - 90).max() for frame in frames[:2]]
    assert flat[0] > 60 and flat[1] < 20        # a skeleton; nobody
    assert frames[2].image_rgb[:, :10].max() < 40       # black beside the narrow picture


def test_csv_to_stdout_keeps_the_summary_apart(pipeline, folder, capsys):
    assert run(folder, '--csv', '-') == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1 + 33
    assert captured.err.startswith('3 frames')


def test_memory_does_not_grow(pipeline, tmp_path, monkeypatch):
    kept, most = [], []

    class Endless:
        name, num_frames, rate_hz, size_wh, camera_info_path = 'x', 200, 30.0, SIZE_WH, None
        is_live, camera = False, None

        def __enter__(self):
            return self

        def __exit__(self, *_exc_info):
            pass

        def __iter__(self):
            for index in range(self.num_frames):
                image = np.zeros((48, 64, 3), dtype=np.uint8)
                frame = Frame(index, image)
                kept.append(weakref.ref(frame))
                yield frame
                del frame, image
                gc.collect(0)
                most.append(sum(ref() is not None for ref in kept))

    class Frame:
        def __init__(self, index, image):
            self.index, self.image_rgb = index, image
            self.name, self.stamp_s = f'x#{index}', index / 30

    monkeypatch.setattr(predict, 'open_source', lambda *_args, **_kwargs: Endless())
    assert run('x', '--csv', tmp_path / 'p.csv', '--video', tmp_path / 'v.mp4') == 0
    assert len(most) == 200 and max(most) <= 2


@pytest.mark.parametrize(('words', 'message'), [
    (['{folder}'], 'nothing to write: give --csv FILE, --video FILE or both'),
    (['{tmp}/none.mp4', '--csv', '{tmp}/p.csv'], 'no such file, folder or device'),
    (['{folder}', '--csv', '{folder}'], 'is the input itself'),
    (['{folder}', '--csv', '{tmp}/o.mp4', '--video', '{tmp}/o.mp4'], 'both name'),
    (['{folder}', '--csv', '{folder}/p0.png/p.csv'], 'can not be written'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--camera', '{tmp}/none.yaml'], 'can not be read'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--fps', '0'], 'fps'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--body-length', '9'],
     'body_length_m: 9.0 is outside 0.0 .. 2.2'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--settings', '{tmp}/none.yaml'], 'can not be read'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--topic', '/image'], 'is no bag'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--smooth', '--stills'], '--smooth: unrelated pictures'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--smooth', '--no-smoothing'],
     '--smooth: smoothing is switched off'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--side-by-side'], '--side-by-side: needs --video'),
    (['{folder}', '--video', '{tmp}/v.mp4', '--side-by-side', '--raw'], 'of no use with --raw'),
    (['{folder}', '--video', '{tmp}/v.mp4', '--side-by-side', '--stills'], 'nothing is smoothed'),
    (['{folder}', '--video', '{tmp}/v.mp4', '--side-by-side', '--no-smoothing'],
     'nothing is smoothed'),
    (['{folder}', '--video', '{tmp}/v.mp4', '--trail', '1', '--stills'], 'leave out --stills'),
    (['{folder}', '--csv', '{tmp}/p.csv', '--trail', '1'], '--trail: is drawn in the video'),
    (['{folder}', '--video', '{tmp}/v.mp4', '--trail', '-1'], 'trail_s: -1.0 is outside'),
])
def test_errors_are_one_line(pipeline, folder, tmp_path, capsys, words, message):
    words = [word.format(folder=folder, tmp=tmp_path) for word in words]
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert message in err and err.count('\n') == 1 and err.startswith('infant-pose: ')


def test_an_empty_folder_is_refused(pipeline, tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    assert run(tmp_path / 'empty', '--csv', tmp_path / 'p.csv') == 2
    assert 'no pictures' in capsys.readouterr().err


def test_raw_and_smooth_exclude_each_other(pipeline, folder, capsys):
    with pytest.raises(SystemExit) as end:
        run(folder, '--csv', '-', '--raw', '--smooth')
    assert end.value.code == 2 and 'not allowed with argument' in capsys.readouterr().err


@pytest.fixture
def backwards(monkeypatch):
    """A smoother that gives each frame the pose of the frame that mirrors it in time."""
    calls = []

    def smooth_track(stamps_s, poses_2d, poses_3d, size_wh, settings):
        calls.append((list(stamps_s), [pose is not None for pose in poses_2d], size_wh))
        lost = Pose2D(np.full((16, 2), np.nan), np.zeros(16), np.full((16, 2, 2), np.nan))
        far = Pose3D(np.full((16, 3), np.nan), np.full((16, 3, 3), np.nan), True)
        return [TrackEstimate(1, flat or lost, deep or far,
                              np.full(16, TrackState.MEASURED if flat else TrackState.PREDICTED,
                                      np.uint8), np.full(16, 0.5))
                for flat, deep in zip(poses_2d[::-1], poses_3d[::-1])]

    monkeypatch.setattr(recordings, 'smooth_track', smooth_track)
    return calls


class ThreeFrames(FakePipeline):
    """An infant at 5 px, nobody, and the same one at 9 px."""

    def answer(self, kind, stamp_s, camera):
        found = ((infant(7.0, 5.0),), (), (infant(8.0, 9.0),))[len(self.calls) % 3]
        self.calls.append((kind, stamp_s, camera))
        return FrameResult(stamp_s, found, None, {'total': 1.0}, 0.6)


def test_smoothing_sees_the_raw_poses_of_the_whole_recording(
        monkeypatch, backwards, folder, tmp_path, capsys):
    monkeypatch.setattr(predict, 'PosePipeline', ThreeFrames())
    assert run(folder, '--csv', tmp_path / 'p.csv', '--fps', 10, '--smooth') == 0
    assert backwards == [([0.0, 0.1, 0.2], [True, False, True], SIZE_WH)]
    rows = rows_of(tmp_path / 'p.csv')
    assert [row['frame'] for row in rows[::16]] == ['0', '1', '2']
    assert [row['name'] for row in rows[::16]] == ['p0.png', 'p1.png', 'p2.png']
    assert [row['u_px'] for row in rows[::16]] == ['9.000', '', '5.000']
    assert [row['state'] for row in rows[::16]] == ['measured', 'predicted', 'measured']
    assert capsys.readouterr().out.startswith('3 frames, 3 with an infant')


def test_the_smoothed_video_is_drawn_in_a_second_pass(
        monkeypatch, backwards, folder, tmp_path):
    monkeypatch.setattr(predict, 'PosePipeline', ThreeFrames())
    drawn = []

    class Painter(predict.OverlayPainter):
        def draw(self, image_rgb, stamp_s, infants, raw_infants=None, rate_hz=None):
            drawn.append((stamp_s, [rows['u'][:, 0].tolist() for rows in (infants, raw_infants)]))
            return super().draw(image_rgb, stamp_s, infants, raw_infants, rate_hz)

    monkeypatch.setattr(predict, 'OverlayPainter', Painter)
    out = tmp_path / 'v.mp4'
    assert run(folder, '--video', out, '--fps', 10, '--smooth', '--side-by-side') == 0
    assert drawn[0] == (0.0, [[9.0], [5.0]]) and drawn[2] == (0.2, [[5.0], [9.0]])
    with open_source(out) as video:
        assert video.size_wh == (130, 48) and len(list(video)) == 3


def test_side_by_side_shows_what_is_live_too(pipeline, folder, tmp_path):
    out = tmp_path / 'v.mp4'
    assert run(folder, '--video', out, '--side-by-side', '--trail', 0) == 0
    with open_source(out) as video:
        assert video.size_wh == (130, 48)
        both = next(iter(video)).image_rgb[20:]
    left, right = both[:, :64], both[:, 66:]
    assert all(np.abs(panel.astype(int) - 90).max() > 60 for panel in (left, right))


def test_a_webcam_can_not_be_smoothed(pipeline, monkeypatch, tmp_path, capsys):
    class Webcam(FrameSource):
        is_live = True

    monkeypatch.setattr(predict, 'open_source',
                        lambda *_arguments: Webcam('/dev/video0', 30.0, None, SIZE_WH))
    assert run('/dev/video0', '--csv', tmp_path / 'p.csv', '--smooth') == 2
    assert 'a webcam has no end; record it first' in capsys.readouterr().err
    assert not (tmp_path / 'p.csv').exists()


def test_pictures_of_a_bag_with_its_camera_and_stamps(pipeline, recorded, tmp_path):
    picture = np.full((48, 64, 3), 90, np.uint8)
    path = recorded.bag([
        ('/camera_info', 0, recorded.camera_info(50.0, fx=44.0, size_wh=SIZE_WH)),
        *(('/image', index, recorded.image(picture, 50.0 + 0.25 * index)) for index in range(3))])
    assert run(path, '--csv', tmp_path / 'p.csv', '--video', tmp_path / 'v.mp4') == 0
    assert [call[1] for call in pipeline.calls[:3]] == [50.0, 50.25, 50.5]
    assert pipeline.calls[0][2].fx == 44.0
    assert rows_of(tmp_path / 'p.csv')[-1]['stamp_s'] == '50.500000'
    with open_source(tmp_path / 'v.mp4') as video:
        assert video.rate_hz == pytest.approx(4.0)
