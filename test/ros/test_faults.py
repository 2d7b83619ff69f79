import pytest

from infant_pose_ros.ros.diagnostics import FrameStatistics
from infant_pose_ros.ros.faults import (
    depth_faults,
    frame_faults,
    input_faults,
    InputStatus,
    Severity,
)

WELL = InputStatus('/image', num_publishers=1, has_camera_info=True)
RUNNING = FrameStatistics(since_image_s=0.03, recent_in=100, recent_answered=100)


def texts(faults):
    return [fault.text for fault in faults]


def test_a_healthy_node_has_no_faults():
    assert not list(input_faults(WELL, RUNNING, 60.0, 2.0))
    assert not list(frame_faults(RUNNING, 500.0))


@pytest.mark.parametrize('status, mend', [
    (dict(), 'no other topic carries images: start the camera'),
    (dict(other_topics=(('/cam/image_raw', 'raw'), ('/cam/image/compressed', 'compressed'))),
     '/cam/image_raw, /cam/image/compressed (needs image_transport:=compressed)'),
    (dict(num_publishers=1), 'is the camera running?'),
    (dict(num_publishers=1, camera_info_arrives=True), 'publish reliable'),
    (dict(num_publishers=2, num_incompatible=1), 'set the parameter reliability to auto'),
])
def test_no_image_names_why_and_the_mend(status, mend):
    faults = list(input_faults(InputStatus('/image', **status), FrameStatistics(), 3.0, 2.0))
    assert [fault.severity for fault in faults] == [Severity.ERROR]
    assert faults[0].text.startswith('no image on /image for 3 s: ') and mend in faults[0].text


def test_no_image_is_no_fault_before_its_time():
    assert not list(input_faults(InputStatus('/image'), FrameStatistics(), 1.5, 2.0))
    silent = FrameStatistics(since_image_s=100.0)       # from before it was activated
    assert not list(input_faults(WELL, silent, 1.5, 2.0))


def test_camera_info_missing_or_refused():
    missing = InputStatus('/image', num_publishers=1, camera_info_topic='/cam/camera_info')
    assert 'no CameraInfo on /cam/camera_info' in texts(
        input_faults(missing, RUNNING, 10.0, 2.0))[0]
    refused = InputStatus('/image', num_publishers=1, camera_error='fx is 0')
    assert texts(input_faults(refused, RUNNING, 10.0, 2.0)) == [
        '3D is relative to the pelvis: fx is 0']


def test_a_failed_frame_shows_for_a_while():
    fresh = FrameStatistics(error='truncated', since_error_s=1.0)
    assert [f.severity for f in frame_faults(fresh, 500.0)] == [Severity.ERROR]
    assert not list(frame_faults(
        FrameStatistics(error='truncated', since_error_s=60.0), 500.0))


def test_stale_frames_tell_a_slow_machine_from_another_clock():
    slow = FrameStatistics(recent_stale=5, recent_answered=20, stale_age_s=0.8)
    assert 'too slow' in texts(frame_faults(slow, 500.0))[0]
    other = FrameStatistics(recent_stale=5, stale_age_s=3e7)
    assert 'use_sim_time' in texts(frame_faults(other, 500.0))[0]
    assert not list(frame_faults(
        FrameStatistics(recent_stale=2, recent_answered=98), 500.0))


def test_lost_images_need_more_than_a_few():
    lossy = FrameStatistics(recent_in=50, recent_lost=50)
    assert '50 of 100 recent images got lost' in texts(frame_faults(lossy, 500.0))[0]
    assert not list(frame_faults(FrameStatistics(recent_in=99, recent_lost=1), 500.0))


@pytest.mark.parametrize('without, error, publishers, expected', [
    (10, None, 1, None),                    # a tenth: no fault yet
    (11, None, 0, 'nobody publishes /depth; remap depth'),
    (50, None, 1, 'none of exactly their stamp came on /depth in time'),
    (50, 'depth_m: is 80x60', 1, 'depth_m: is 80x60'),
])
def test_frames_without_depth_are_told_with_the_reason(without, error, publishers, expected):
    statistics = FrameStatistics(recent_with_depth=100 - without, recent_without_depth=without,
                                 depth_error=error)
    found = list(depth_faults(statistics, '/depth', publishers))
    if expected is None:
        assert found == []
    else:
        assert found[0].severity == Severity.WARN
        assert found[0].text.startswith(f'{without} of 100 recent frames had no depth picture')
        assert expected in found[0].text


def test_without_frames_there_is_no_depth_to_miss():
    assert list(depth_faults(FrameStatistics(), '/depth', 0)) == []


def test_people_who_are_taken_for_adults_are_told_with_the_mend():
    found = list(frame_faults(FrameStatistics(num_refused=2), 500.0))
    assert [fault.severity for fault in found] == [Severity.WARN]
    assert '2 in view' in found[0].text and 'adult_policy' in found[0].text
