from dataclasses import replace

import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.data.mini_rgbd import MiniRgbdVideo
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation import temporal_readings
from infant_pose_ros.evaluation.temporal_readings import (
    load_recording,
    open_split,
    raw_arrays,
    record,
    recorded,
    replay,
    save_recording,
    settings_of,
    smooth_arrays,
)
from infant_pose_ros.inference import PoseModels
from infant_pose_ros.models.checkpoints import Manifest


@pytest.fixture
def models(networks):
    made = PoseModels(networks.detector('box'), networks.pose('shift2'), networks.lifter('grow1'),
                      'cpu', 'fp32', 1)
    made.detector.manifest = Manifest('d', 'detector', 'fasterrcnn_resnet50_fpn', {})
    made.pose.manifest = Manifest('p', 'pose', 'simple_baseline', {}, input_size=64)
    return made


@pytest.fixture
def video(cot_folder):
    return MiniRgbdVideo.open(cot_folder / '12')


def test_a_split_needs_one_of_its_videos(cot_folder):
    assert [video.number for video in open_split(cot_folder, 'test')] == [11, 12]
    with pytest.raises(DatasetError, match='expected at least one of the videos 09, 10'):
        open_split(cot_folder, 'validation')


def test_what_the_pipeline_reads_is_recorded_and_smoothed_alike(video, models):
    settings = settings_of(video, PipelineSettings())
    assert settings.body_length_m == 0.5 and not settings.detect_async
    seen = []
    recording, estimates = record(video, settings, models, seen.append)
    assert len(recording) == len(estimates) == sum(seen) == 6
    assert recording.rate_hz == pytest.approx(30.0) and recording.number == 12
    truth = np.stack([video.read(index).keypoints_px for index in range(6)])
    assert np.array_equal(recording.truth_px, truth)
    assert recording.keypoints_px == pytest.approx(truth + [0.0, 2.0])
    again = replay(recording, settings, models.lifter)
    for one, other in zip(smooth_arrays(estimates), smooth_arrays(again.estimates)):
        assert np.isfinite(one).all()
        assert np.array_equal(one, other)
    raw_px, raw_m = raw_arrays(again, settings.keypoint_score_min)
    assert np.array_equal(raw_px, recording.keypoints_px)
    assert raw_m[..., 2] == pytest.approx(1.0, abs=1e-9)
    few, _ = record(video, settings, models, frames=2)
    assert len(few) == 2


def test_recordings_are_kept_and_found_again(video, models, tmp_path, monkeypatch):
    settings = settings_of(video, PipelineSettings())
    first = recorded(video, settings, models, tmp_path / 'kept')
    assert len(list((tmp_path / 'kept').iterdir())) == 1
    monkeypatch.setattr(temporal_readings, 'record', None)
    quicker = settings.replace(acceleration_std_2d=99.0)       # the filters don't matter
    again = recorded(video, quicker, models, tmp_path / 'kept')
    for name in ('keypoints_px', 'score', 'covariance_px2', 'noise_px2', 'truth_m', 'stamps_s'):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert again.body_length_m == 0.5 and again.number == 12
    with pytest.raises(TypeError):                             # the crop does
        recorded(video, settings.replace(crop_scale=2.0), models, tmp_path / 'kept')
    for change in ({'roi': '0,0,0.5,1'}, {'infant_score_min': 0.9}):
        assert temporal_readings.recording_key(video, settings.replace(**change), models) != (
            temporal_readings.recording_key(video, settings, models))
    video.path('rgb', 0).unlink()
    with pytest.raises(DatasetError, match='00000.png: can not be read'):
        recorded(video, settings, models, tmp_path / 'kept')


def test_what_is_kept_is_what_the_network_read(video, models, tmp_path, monkeypatch):
    """Not what a track made of left and right."""
    given = []
    monkeypatch.setattr(temporal_readings, 'record', lambda video, settings, *_: (
        given.append(settings), (None, None))[1])
    monkeypatch.setattr(temporal_readings, 'save_recording', lambda *_: None)
    recorded(video, settings_of(video, PipelineSettings()), models, tmp_path)
    assert given[0].swap_patience_s == 0.0


def test_a_damaged_recording_is_named(tmp_path, make_recording):
    path = tmp_path / '11.npz'
    save_recording(make_recording(3), path)
    assert len(load_recording(path)) == 3
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DatasetError, match=r'11\.npz: no readings .* delete the file'):
        load_recording(path)


def test_tracks_begin_where_something_is_seen(make_recording, straight_lifter):
    recording = make_recording(6)
    score = recording.score.copy()
    score[0] = 0.1
    keypoints = recording.keypoints_px.copy()
    keypoints[3] = np.nan
    made = replay(replace(recording, score=score, keypoints_px=keypoints),
                  PipelineSettings(body_length_m=0.6), straight_lifter)
    assert made.estimates[0] is None and made.poses_2d[3] is None
    assert made.estimates[1] is not None and made.estimates[3] is not None
    px, m = smooth_arrays(made.estimates)
    assert np.isnan(px[0]).all() and np.isfinite(px[1:]).all() and np.isfinite(m[1:]).all()
    raw_px, raw_m = raw_arrays(made, 0.25)
    assert np.isnan(raw_px[[0, 3]]).all() and np.isnan(raw_m[[0, 3]]).all()
