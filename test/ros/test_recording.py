import json
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header, String

from infant_pose_ros.errors import InfantPoseError
from infant_pose_ros.evaluation.summary import FrameRecord
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.media.sources import open_source
from infant_pose_ros.ros.bag import read_back
from infant_pose_ros.ros.diagnostics import encode_diagnostics, frame_values, FrameStatistics
from infant_pose_ros.ros.faults import Fault, Severity
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.keypoints import encode_keypoints
from infant_pose_ros.ros.recording import (
    demo_topics,
    frame_record,
    HeldVideo,
    on_the_clips_clock,
    Recorder,
    summarise_run,
)

TOPICS = demo_topics('/camera', '/pose_node', '/overlay_node')


def header(stamp_ns):
    result = Header(frame_id='optics')
    result.stamp.sec, result.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return result


def picture(value):
    return np.full((48, 64, 3), value, np.uint8)


def test_topics_have_full_names_and_roles():
    assert TOPICS['image'].name == '/camera/image'
    assert TOPICS['keypoints'].name == '/pose_node/keypoints'
    assert TOPICS['overlay'].name == '/overlay_node/image'
    assert [role for role, topic in TOPICS.items() if topic.latched] == ['skeleton_info']


def test_held_video_keeps_the_timing(tmp_path):
    video = HeldVideo(tmp_path / 'out.mp4', 10.0)
    for stamp_ms, value in ((1000, 0), (1100, 80), (1400, 160), (1500, 240)):
        video.add(stamp_ms * 1_000_000, picture(value))
    video.close()
    means = [round(float(frame.image_rgb.mean()))
             for frame in open_source(tmp_path / 'out.mp4')]
    # Two pictures are missing after the second, which is held in their place.
    assert means == pytest.approx([0, 80, 80, 80, 160, 240], abs=6)


def test_held_video_does_not_hold_for_ever(tmp_path):
    video = HeldVideo(tmp_path / 'out.mp4', 10.0)
    video.add(0, picture(0))
    video.add(3600 * 10**9, picture(9))
    video.close()
    assert video.num_frames == 1 + 50 + 1


def test_held_video_without_pictures_writes_nothing(tmp_path):
    HeldVideo(tmp_path / 'out.mp4', 10.0).close()
    assert not (tmp_path / 'out.mp4').exists()


def diagnostics(faults=(), state='active', **counts):
    return encode_diagnostics(
        header(0).stamp, 'pose_node: poses', 'camera', list(faults), 'fine',
        {'state': state, **frame_values(FrameStatistics(**counts))})


def test_recorder_sorts_messages_into_bag_video_and_records(tmp_path, make_infant, make_result):
    recorder = Recorder(tmp_path, 10.0, TOPICS)
    for index in range(3):
        stamp_ns = 100_000_000 * (index + 1)
        for role, message in (
                ('camera_info', CameraInfo(header=header(stamp_ns))),
                ('image', encode_image(picture(50), header(stamp_ns))),
                ('keypoints', encode_keypoints(
                    make_result([make_infant()] if index else []), header(stamp_ns))),
                ('overlay', encode_image(picture(200), header(stamp_ns)))):
            recorder.put(role, stamp_ns + 20_000_000, serialize_message(message))
    recorder.put('skeleton_info', 5, serialize_message(String(data='{}')))
    recorder.put('diagnostics', 6, serialize_message(DiagnosticArray()))
    recorder.put('diagnostics', 7, serialize_message(diagnostics(frames_in=3, answered=3)))
    recorder.close()
    assert recorder.error is None
    assert recorder.camera_stamps_ns == [100_000_000, 200_000_000, 300_000_000]
    assert [record.stamp_s for record in recorder.records] == pytest.approx([0.1, 0.2, 0.3])
    assert recorder.records[0].received_s == pytest.approx(0.12)
    assert recorder.records[0].keypoints_px is None
    assert recorder.records[1].keypoints_px.shape == (16, 2)
    assert recorder.counters['frames_answered'] == 3
    assert (recorder.counters_received_ns, recorder.problem, recorder.failure) == (7, '', '')
    expected = {'/camera/camera_info': 3, '/camera/image/compressed': 3,
                '/pose_node/keypoints': 3, '/pose_node/skeleton_info': 1, '/diagnostics': 2}
    assert dict(read_back(tmp_path / 'bag')) == recorder.bag_counts == expected
    assert recorder.video_frames == open_source(tmp_path / 'overlay.mp4').num_frames == 3


def test_pictures_of_mixed_sizes_are_fitted_into_the_first_ones(tmp_path):
    video = HeldVideo(tmp_path / 'out.mp4', 10.0)
    video.add(0, picture(200))
    video.add(200_000_000, np.full((96, 64, 3), 200, np.uint8))     # by half: 32 of 64 columns
    video.close()
    first, held, fitted = (frame.image_rgb for frame in open_source(tmp_path / 'out.mp4'))
    assert first.shape == held.shape == fitted.shape == (48, 64, 3)
    assert float(fitted[:, 20:44].mean()) == pytest.approx(200, abs=8)
    assert float(fitted[:, :12].mean()) == pytest.approx(0, abs=8)


def test_pictures_that_can_not_wait_are_left_out_and_counted(tmp_path):
    data = serialize_message(encode_image(picture(1), header(1)))
    recorder = Recorder(tmp_path, 10.0, TOPICS, waiting_max_bytes=len(data) - 1)
    for role in ('image', 'overlay', 'image'):
        recorder.put(role, 1, data)
    recorder.put('skeleton_info', 5, serialize_message(String(data='{}')))
    recorder.close()
    assert dict(recorder.left_out) == {'image': 2, 'overlay': 1}
    assert recorder.bag_counts == {'/pose_node/skeleton_info': 1} and not recorder.video_frames


def test_a_recorded_picture_makes_room_for_the_next(tmp_path):
    data = serialize_message(encode_image(picture(1), header(1)))
    recorder = Recorder(tmp_path, 10.0, TOPICS, waiting_max_bytes=len(data))
    for count in (1, 2, 3):
        recorder.put('image', count, data)
        deadline_s = time.monotonic() + 20.0
        while recorder.bag_counts.get('/camera/image/compressed') != count:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    recorder.close()
    assert not recorder.left_out


def test_recorder_tells_a_problem_from_a_failure(tmp_path):
    recorder = Recorder(tmp_path, 10.0, TOPICS)
    warned = diagnostics([Fault(Severity.WARN, 'no_image', 'no image')])
    failed = diagnostics(
        [Fault(Severity.ERROR, 'model_missing', 'no weights')], state='unconfigured')
    recorder.put('diagnostics', 1, serialize_message(failed))
    recorder.put('diagnostics', 2, serialize_message(warned))
    recorder.close()
    assert (recorder.problem, recorder.failure) == ('no image', '')
    recorder = Recorder(tmp_path, 10.0, TOPICS)
    recorder.put('diagnostics', 1, serialize_message(failed))
    recorder.close()
    assert recorder.failure == 'no weights'


def test_recorder_stops_at_an_error_and_keeps_it(tmp_path):
    recorder = Recorder(tmp_path, 10.0, TOPICS)
    broken = encode_image(picture(1), header(1))
    broken.data = broken.data[:10]
    recorder.put('image', 1, serialize_message(broken))
    recorder.put('skeleton_info', 5, serialize_message(String(data='{}')))
    recorder.close()
    assert isinstance(recorder.error, InfantPoseError)
    assert 'got 10' in str(recorder.error)
    assert recorder.bag_counts == {}


def test_frame_record_takes_the_main_infant(make_infant, make_result):
    from infant_pose_ros.ros.keypoints import keypoint_rows
    infants = [make_infant(track=3, lost=[0], predicted=[1]), make_infant(track=4)]
    record = frame_record(keypoint_rows(make_result(infants), raw=False), 1.0, 1.5)
    assert np.isnan(record.keypoints_px[0]).all() and np.isfinite(record.keypoints_px[1:]).all()
    assert record.keypoints_m.shape == (16, 3)
    assert record.state.tolist() == [0, 1] + [2] * 14
    assert record.score[0] == 0.0


def make_truth(frames=4):
    keypoints = np.arange(frames * 32, dtype=float).reshape(frames, 16, 2)
    points_m = np.concatenate([keypoints / 100.0, np.ones((frames, 16, 1))], axis=-1)
    return ClipTruth(np.arange(frames) / 30.0, keypoints, points_m,
                     np.ones((frames, 16), bool), np.tile([0.0, 0.0, 9.0, 9.0], (frames, 1)), 0.6)


def make_run(truth, answered, late_s=0.02):
    """Stamps far from the clip's, slower than it, with answers for some frames."""
    stamps_ns = [5_000_000_000 + 50_000_000 * index for index in range(len(truth.stamps_s))]
    records = [FrameRecord(stamps_ns[i] / 1e9, stamps_ns[i] / 1e9 + late_s,
                           truth.keypoints_px[i], truth.keypoints_m[i],
                           np.full(16, 2, np.uint8), np.ones(16)) for i in answered]
    return stamps_ns, records


def counters(**changed):
    return dict.fromkeys(('frames_in', 'frames_answered', 'frames_dropped', 'frames_stale',
                          'frames_failed', 'frames_in_flight', 'frames_lost_in_transport'),
                         0) | changed


def test_summary_of_a_run_whose_accounts_balance():
    truth = make_truth()
    stamps_ns, records = make_run(truth, (0, 2))
    summary, notes = summarise_run(
        stamps_ns, records, counters(frames_dropped=1, frames_lost_in_transport=1), truth, 4)
    assert notes == []
    assert (summary['frames_in'], summary['frames_answered'], summary['frames_dropped'],
            summary['frames_lost_in_transport']) == (4, 2, 1, 1)
    # Frame i is compared with frame i, though the run was slower than the clip.
    assert summary['ajpe_px'] == pytest.approx(0.0)
    assert summary['ajpe_mm'] == pytest.approx(0.0, abs=1e-9)
    assert summary['pckh1'] == summary['joints_found'] == 1.0
    assert summary['age_ms_p50'] == pytest.approx(20.0)
    # 100 ms of the run, not of the clip, lie between the two answers.
    assert summary['rate_hz'] == pytest.approx(10.0)
    json.dumps(summary)


def test_summary_says_when_frames_are_missing():
    stamps_ns, records = make_run(make_truth(), (0, 1))
    summary, notes = summarise_run(stamps_ns, records, counters(frames_stale=1), None)
    assert summary['frames_dropped'] == 1
    (note,) = notes
    assert 'do not balance: 4 frames in, but 2 answered + 1 dropped + 0 lost' in note
    assert 'ajpe_px' not in summary


def test_summary_counts_failed_frames_as_dropped_and_says_so():
    stamps_ns, records = make_run(make_truth(), (0, 1, 2))
    summary, notes = summarise_run(stamps_ns, records, counters(frames_failed=1), None)
    assert summary['frames_dropped'] == 1
    assert ['1 of the dropped frames could not be computed' in note for note in notes] == [True]


def test_summary_leaves_accuracy_out_where_frames_can_not_be_matched():
    truth = make_truth()
    stamps_ns, records = make_run(truth, range(4))
    summary, notes = summarise_run(stamps_ns, records, counters(), truth, published=5)
    assert 'ajpe_px' not in summary
    assert any('published 5 pictures, but 4' in note for note in notes)


def test_summary_of_nothing():
    summary, notes = summarise_run([], [], {}, None)
    assert summary['frames_in'] == 0 and summary['rate_hz'] is None
    assert any('no diagnostics' in note for note in notes)


def test_clips_clock_leaves_out_frames_that_the_clip_has_not():
    truth = make_truth(2)
    stamps_ns, records = make_run(make_truth(4), range(4))
    timed = on_the_clips_clock(records, stamps_ns, truth.stamps_s)
    assert [record.stamp_s for record in timed] == pytest.approx([0.0, 1 / 30])
    assert timed[0].received_s - timed[0].stamp_s == pytest.approx(0.02)
