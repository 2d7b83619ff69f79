from keypoint_rows import infant_rows
import numpy as np
import pytest

from infant_pose_ros.codecs.keypoint_clouds import empty_rows
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering import recordings
from infant_pose_ros.filtering.recordings import (
    PoseRecording,
    smooth_rows,
    smooth_span,
    Span,
    track_spans,
)
from infant_pose_ros.filtering.tracks import TrackEstimate
from infant_pose_ros.skeleton import TrackState
from infant_pose_ros.structures import Pose2D, Pose3D

SETTINGS = PipelineSettings()
SIZE_WH = (640, 480)


def poses(u, z=1.0):
    rng = np.random.default_rng(int(u))
    roots = rng.normal(size=(2, 16, 3, 3))
    flat, deep = roots[0, :, :2, :2], roots[1]
    return (Pose2D(np.full((16, 2), float(u)), np.full(16, 0.7), flat @ flat.swapaxes(1, 2),
                   np.tile(np.eye(2) * 0.25, (16, 1, 1))),
            Pose3D(np.full((16, 3), z), deep @ deep.swapaxes(1, 2), True,
                   np.tile(np.eye(3) * 1e-4, (16, 1, 1))))


@pytest.fixture
def smoother(monkeypatch):
    """Bridges every gap with the last pose; notes what it was called with."""
    calls = []

    def smooth_track(stamps_s, poses_2d, poses_3d, size_wh, settings):
        calls.append((list(stamps_s), poses_2d, poses_3d, size_wh))
        estimates, last = [], (None, None)
        for flat, deep in zip(poses_2d, poses_3d):
            last = (flat, deep) if flat is not None else last
            state = np.full(16, TrackState.PREDICTED if flat is None else TrackState.MEASURED,
                            np.uint8)
            estimates.append(TrackEstimate(1, *last, state, np.full(16, 0.5)))
        return estimates

    monkeypatch.setattr(recordings, 'smooth_track', smooth_track)
    return calls


def test_spans_of_tracks_with_gaps_and_takes():
    tracks = [[1], [1, 2], [], [2, 1], [3], [1]]
    assert track_spans([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], tracks, 2.0) == [
        Span(1, 0, 5), Span(2, 1, 3), Span(3, 4, 4)]
    # Time jumps back before the fourth frame, and on by 3 s before the last.
    assert track_spans([5.0, 5.1, 5.2, 0.0, 0.1, 3.1], tracks, 2.0) == [
        Span(1, 0, 1), Span(2, 1, 1), Span(2, 3, 3), Span(1, 3, 3), Span(3, 4, 4), Span(1, 5, 5)]
    assert track_spans([], [], 2.0) == []


def test_a_long_track_is_smoothed_in_pieces_that_overlap(smoother, monkeypatch):
    monkeypatch.setattr(recordings, 'PIECE_FRAMES', 10)
    monkeypatch.setattr(recordings, 'OVERLAP_FRAMES', 3)
    estimates = list(smooth_span(np.arange(25.0), lambda index: poses(index), SIZE_WH, SETTINGS))
    assert [call[0] for call in smoother] == [
        list(range(0, 13)), list(range(7, 23)), list(range(17, 25))]
    assert [estimate.smooth_2d.keypoints_px[0, 0] for estimate in estimates] == list(range(25))


def test_a_stamp_that_comes_twice_is_smoothed_once(smoother):
    stamps_s = [0.0, 0.1, 0.1, 0.1, 0.2]
    estimates = list(smooth_span(stamps_s, lambda index: poses(10 + index), SIZE_WH, SETTINGS))
    assert smoother[0][0] == [0.0, 0.1, 0.2]
    assert [estimate.smooth_2d.keypoints_px[0, 0] for estimate in estimates] == [
        10.0, 11.0, 11.0, 11.0, 14.0]


def test_poses_come_to_the_smoother_as_they_were(smoother):
    recording, given = PoseRecording(), poses(7, z=0.8)
    recording.add(3.0, SIZE_WH, {4: given})
    recording.smooth(SETTINGS)
    ((stamps_s, (flat,), (deep,), size_wh),) = smoother
    assert stamps_s == [3.0] and size_wh == SIZE_WH and deep.is_absolute
    for got, wanted, names in ((flat, given[0], ('keypoints_px', 'score', 'covariance_px2',
                                                 'noise_px2')),
                               (deep, given[1], ('keypoints_m', 'covariance_m2', 'noise_m2'))):
        for name in names:
            np.testing.assert_allclose(getattr(got, name), getattr(wanted, name), rtol=1e-6,
                                       atol=1e-9)


def test_tracks_are_smoothed_each_on_its_own_and_gaps_are_bridged(smoother):
    recording, done = PoseRecording(), []
    for index, found in enumerate(({1: poses(10)}, {1: poses(11), 2: poses(50)}, {2: poses(51)},
                                   {1: poses(13)})):
        recording.add(0.1 * index, SIZE_WH, found, main_track=2 if index else 1)
    assert len(recording) == 4 and recording.track_frames(2.0) == 4 + 2
    recording.smooth(SETTINGS, done.append)
    assert done == [4, 2]
    assert [pose is None for pose in smoother[0][1]] == [False, False, True, False]
    found = [[(int(row['track'][0]), float(row['u'][0]), int(row['state'][0]))
              for row in recording.smoothed(index)] for index in range(4)]
    assert found == [[(1, 10.0, 2)], [(2, 50.0, 2), (1, 11.0, 2)], [(2, 51.0, 2), (1, 11.0, 1)],
                     [(1, 13.0, 2)]]
    assert recording.raw(1)['track'][:, 0].tolist() == [2, 1]
    assert recording.raw(2)['u'][:, 0].tolist() == [51.0]


def test_a_track_without_a_pose_and_frames_without_infants(smoother, monkeypatch):
    monkeypatch.setattr(recordings, 'smooth_track', lambda stamps_s, *_rest: [
        TrackEstimate(1, *poses(1), np.zeros(16, np.uint8), np.zeros(16)) for _ in stamps_s])
    recording = PoseRecording()
    recording.add(0.0, SIZE_WH, {1: (None, None)})
    recording.add(0.1, SIZE_WH, {})
    recording.smooth(SETTINGS)
    assert recording.smoothed(0).shape == recording.smoothed(1).shape == (0, 16)
    assert (recording.raw(0)['state'] == TrackState.LOST).all()


def test_an_hour_takes_no_more_than_is_said():
    recording = PoseRecording()
    recording.add(0.0, SIZE_WH, {1: poses(1)})
    assert recording._raw[0][1].nbytes < 1700 and empty_rows(1).nbytes == 640


def test_recorded_rows_by_track_in_their_order(smoother):
    frames = [np.concatenate([infant_rows(20.0, 2), infant_rows(10.0, 1)]), empty_rows(0),
              infant_rows(11.0), np.concatenate([infant_rows(12.0), infant_rows(23.0, 2)])]
    smoothed = smooth_rows([0.0, 0.1, 0.2, 0.3], frames, SIZE_WH, SETTINGS)
    assert [[(int(one['track'][0]), float(one['u'][0])) for one in rows] for rows in smoothed] == [
        [(2, 20.0), (1, 10.0)], [(2, 20.0), (1, 10.0)], [(1, 11.0), (2, 20.0)],
        [(1, 12.0), (2, 23.0)]]
    assert smoothed[1]['state'].max() == TrackState.PREDICTED
    assert smoothed[0]['sx'] == pytest.approx(0.03)


def test_no_frames_at_all(smoother):
    assert smooth_rows([], [], SIZE_WH, SETTINGS) == []
    recording = PoseRecording()
    recording.smooth(SETTINGS)
    assert len(recording) == 0 and smoother == []
