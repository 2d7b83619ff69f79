"""`infant-pose smooth` on bags that the test writes, with a smoother that it knows."""

import csv
import re

from keypoint_rows import infant_rows
import numpy as np
import pytest

from infant_pose_ros.cli import main as cli
from infant_pose_ros.codecs.keypoint_clouds import decode_keypoints, empty_rows
from infant_pose_ros.filtering import recordings
from infant_pose_ros.filtering.tracks import TrackEstimate
from infant_pose_ros.media.bags import Bag, stamp_ns
from infant_pose_ros.skeleton import TrackState


@pytest.fixture(autouse=True)
def smoother(monkeypatch):
    """Moves every pose by 100 px; notes the picture's size and the settings."""
    calls = []

    def smooth_track(stamps_s, poses_2d, poses_3d, size_wh, settings):
        calls.append((list(stamps_s), size_wh, settings))
        return [TrackEstimate(1, type(flat)(flat.keypoints_px + 100.0, flat.score,
                                            flat.covariance_px2), deep,
                              np.full(16, TrackState.MEASURED, np.uint8), flat.score)
                for flat, deep in zip(poses_2d, poses_3d)]

    monkeypatch.setattr(recordings, 'smooth_track', smooth_track)
    return calls


@pytest.fixture
def bag(recorded):
    """Two cameras: one with an infant in two of three frames, one with another infant."""
    def cloud(topic, time_s, infants, frame_id):
        return topic, round(1e9 * time_s) + 5, recorded.cloud(infants, time_s, frame_id)

    return recorded.bag([
        ('/left/camera_info', 0, recorded.camera_info(1.0, frame_id='a', size_wh=(800, 600))),
        ('/left/image', 1, recorded.image(np.zeros((6, 8, 3), np.uint8), 1.0, 'b')),
        cloud('/left/pose_node/keypoints_raw', 1.0, infant_rows(10.0), 'a'),
        cloud('/left/pose_node/keypoints_raw', 1.1, empty_rows(0), 'a'),
        cloud('/right/pose_node/keypoints_raw', 1.1, infant_rows(30.0, 4), 'c'),
        cloud('/left/pose_node/keypoints_raw', 1.2, infant_rows(12.0, 2), 'a'),
        cloud('/left/pose_node/keypoints', 1.2, infant_rows(11.0), 'a')])


def run(*words):
    return cli.main(['smooth', '--quiet', *map(str, words)])


def test_smoothed_keypoints_stand_beside_the_raw_ones_of_every_camera(bag, tmp_path, capsys):
    assert run(bag, '--out', tmp_path / 'new') == 0
    with Bag(tmp_path / 'new') as new:
        assert new.count('/left/pose_node/keypoints') == new.count('/left/image') == 1
        left = list(new.messages(['/left/pose_node/keypoints_smoothed']))
        right = new.first('/right/pose_node/keypoints_smoothed')
    assert [stamp_ns(message) for _, _, message in left] == [10**9, 11 * 10**8, 12 * 10**8]
    rows = [decode_keypoints(message) for _, _, message in left]
    assert [len(infants) for infants in rows] == [1, 0, 1]
    assert (rows[2]['u'][0, 0], rows[2]['track'][0, 0]) == (112.0, 2)
    assert (right.header.frame_id, decode_keypoints(right)['u'][0, 0]) == ('c', 130.0)
    assert capsys.readouterr().out.splitlines()[0] == (
        f'/left/pose_node/keypoints_raw: 3 frames, 2 tracks -> {tmp_path / "new"}: '
        '/left/pose_node/keypoints_smoothed')


def test_the_csv_has_the_columns_of_predict(bag, tmp_path):
    assert run(bag, '--csv', tmp_path / 'p.csv') == 0
    with open(tmp_path / 'p.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 16 + 1 + 16 + 16
    assert [rows[0][name] for name in ('frame', 'name', 'stamp_s', 'track', 'joint', 'u_px')] == [
        '0', '/left/pose_node#0', '1.000000', '1', 'r_ankle', '110.000']
    assert list(rows[16].values()) == ['1', '/left/pose_node#1', '1.100000', *[''] * 9]
    assert rows[-1]['name'] == '/right/pose_node#0'


def test_the_pictures_size_is_told_by_their_frame(bag, smoother, tmp_path):
    run(bag, '--csv', tmp_path / 'p.csv')
    # Frame a: its CameraInfo. Frame c: no picture, so as far as the keypoints reach.
    assert [call[1] for call in smoother] == [(800, 600), (800, 600), (30, 5)]


def test_a_camera_info_without_a_size_says_nothing(recorded, smoother, tmp_path):
    messages = [('/camera_info', 1, recorded.camera_info(1.0, fx=0.0, size_wh=(0, 0))),
                ('/image', 1, recorded.image(np.zeros((48, 64, 3), np.uint8), 1.0)),
                ('/p/keypoints_raw', 1, recorded.cloud(infant_rows(1.0), 1.0))]
    assert run(recorded.bag(messages), '--csv', tmp_path / 'p.csv') == 0
    assert [call[1] for call in smoother] == [(64, 48)]


def test_settings_get_through(bag, smoother, tmp_path):
    run(bag, '--csv', tmp_path / 'p.csv', '--predict-max-s', 0.9)
    assert smoother[0][2].predict_max_s == 0.9


def test_csv_to_stdout_keeps_the_summary_apart(bag, capsys):
    assert run(bag, '--csv', '-') == 0
    captured = capsys.readouterr()
    assert captured.out.startswith('frame,name,') and 'tracks' not in captured.out
    assert captured.err.startswith('/left/pose_node/keypoints_raw: 3 frames, 2 tracks')


@pytest.mark.parametrize(('words', 'message'), [
    (['{bag}'], 'nothing to write: give --out BAG2, --csv FILE or both'),
    (['{tmp}/none', '--csv', '{tmp}/p.csv'], 'bag .*none: can not be read'),
    (['{bag}', '--out', '{bag}'], 'is or holds the input itself'),
    (['{bag}', '--out', '{tmp}'], 'is or holds the input itself'),
    (['{bag}', '--out', '{tmp}/full'], 'exists and is no bag'),
    (['{bag}', '--csv', '{bag}/bag.mcap/p.csv'], 'can not be written'),
])
def test_errors_are_one_line(bag, tmp_path, capsys, words, message):
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'thing').write_text('x')
    assert run(*(word.format(bag=bag, tmp=tmp_path) for word in words)) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1
    assert re.search(message, err)


def test_a_bag_without_raw_keypoints_names_what_it_has(recorded, tmp_path, capsys):
    path = recorded.bag([('/image', 1, recorded.image(np.zeros((6, 8, 3), np.uint8), 1.0))])
    assert run(path, '--csv', tmp_path / 'p.csv') == 2
    assert 'holds no keypoints_raw; topics: /image. Record' in capsys.readouterr().err


def test_a_cloud_of_something_else_is_named(recorded, tmp_path, capsys):
    cloud = recorded.cloud(infant_rows(1.0), 1.0)
    cloud.width = 5
    path = recorded.bag([('/x/keypoints_raw', 1, cloud)])
    assert run(path, '--csv', tmp_path / 'p.csv') == 2
    assert '/x/keypoints_raw: keypoints: expected 16 points a row' in capsys.readouterr().err
