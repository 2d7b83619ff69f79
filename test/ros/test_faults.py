import pytest
from sensor_msgs.msg import Image

from infant_pose_ros.codecs.image_messages import decode_image as codec_decode_image
from infant_pose_ros.errors import CheckpointError, EncodingError, SettingsError
from infant_pose_ros.models.checkpoints import read_manifest
from infant_pose_ros.ros.diagnostics import FrameStatistics
from infant_pose_ros.ros.faults import (
    configure_fault,
    depth_faults,
    failed_frame,
    fallback_faults,
    frame_faults,
    input_faults,
    InputStatus,
    nearest,
    output_faults,
    Severity,
    unknown_parameter_faults,
)
from infant_pose_ros.ros.images import decode_image

WELL = InputStatus('/image', num_publishers=1, has_camera_info=True)
RUNNING = FrameStatistics(since_image_s=0.03, recent_in=100, recent_answered=100)


def texts(faults):
    return [fault.text for fault in faults]


def test_a_healthy_node_has_no_faults():
    assert not list(input_faults(WELL, RUNNING, 60.0, 2.0))
    assert not list(frame_faults(RUNNING, 500.0))


@pytest.mark.parametrize('status, name, mend', [
    (dict(), 'no_publisher', 'no other topic carries images: start the camera'),
    (dict(other_topics=(('/cam/image_raw', 'raw'), ('/cam/image/compressed', 'compressed'))),
     'no_publisher', '/cam/image_raw, /cam/image/compressed (needs image_transport:=compressed)'),
    (dict(num_publishers=1), 'no_image', 'is the camera running?'),
    (dict(num_publishers=1, camera_info_arrives=True), 'lost_in_transport', 'publish reliable'),
    (dict(num_publishers=2, num_incompatible=1), 'incompatible_qos',
     'set the parameter reliability to auto'),
    (dict(num_publishers=1, other_type='sensor_msgs/msg/CompressedImage'), 'wrong_type',
     'set image_transport to compressed'),
    (dict(num_publishers=1, other_type='std_msgs/msg/String'), 'wrong_type',
     'remap image to a topic with pictures'),
])
def test_no_image_names_why_and_the_mend(status, name, mend):
    faults = list(input_faults(InputStatus('/image', **status), FrameStatistics(), 3.0, 2.0))
    assert [(fault.severity, fault.name) for fault in faults] == [(Severity.ERROR, name)]
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


@pytest.mark.parametrize('told, mend', [(40, 'let the camera publish reliable'),
                                        (3, 'lower the rate or the resolution')])
def test_lost_images_are_told_from_those_that_were_not_taken_in_time(told, mend):
    lossy = FrameStatistics(recent_in=50, recent_lost=50, recent_told_lost=told)
    (fault,) = frame_faults(lossy, 500.0, tells_lost=True)
    assert fault.name == 'lost_in_transport' and mend in fault.text
    assert ('machine is busy' in fault.text) == (told == 3)


def test_one_frame_of_few_is_no_share():
    assert not list(frame_faults(FrameStatistics(recent_in=3, recent_lost=1), 500.0))
    assert not list(frame_faults(FrameStatistics(recent_answered=3, recent_stale=1), 500.0))
    (fault,) = frame_faults(FrameStatistics(recent_stale=1, stale_age_s=2.0), 500.0)
    assert (fault.name, fault.severity) == ('stale_frames', Severity.ERROR)


def test_subscribers_that_hear_nothing_are_named():
    assert not list(output_faults([]))
    (fault,) = output_faults([('/pose_node/keypoints', 'listener', 'volatile publisher')])
    assert (fault.name, fault.severity) == ('output_qos', Severity.WARN)
    assert 'listener on /pose_node/keypoints (volatile publisher)' in fault.text


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
    beside = list(frame_faults(FrameStatistics(num_infants=1, num_refused=1), 500.0))
    assert [fault.severity for fault in beside] == [Severity.OK]    # a nurse at the cot


def test_other_topics_are_named_the_likest_first():
    others = [(f'/other_{index}/image', 'raw') for index in range(9)]
    found = nearest('/cot/image', [*others, ('/cot/image_raw', 'raw'), ('/cot/image', 'raw')])
    assert found[0] == ('/cot/image_raw', 'raw') and len(found) == 5
    assert ('/cot/image', 'raw') not in found


def test_some_publishers_of_several_that_are_not_heard_are_a_warning():
    status = InputStatus('/image', num_publishers=3, num_incompatible=1, has_camera_info=True)
    (fault,) = input_faults(status, RUNNING, 60.0, 2.0)
    assert (fault.severity, fault.name) == (Severity.WARN, 'incompatible_qos')
    assert '1 of 3 publishers of /image' in fault.text


def test_a_camera_info_that_does_not_fit_the_picture():
    status = InputStatus('/image', num_publishers=1, has_camera_info=True,
                         camera_misfit='camera_info is for 640x480')
    (fault,) = input_faults(status, RUNNING, 60.0, 2.0)
    assert (fault.severity, fault.name) == (Severity.WARN, 'camera_info_misfit')


def test_falling_behind_begins_at_the_limit_and_ends_at_half_of_it():
    def names(dropped, shown=frozenset(), share=0.3, came=100):
        statistics = FrameStatistics(
            recent_in=came, recent_dropped=dropped, input_hz=20.0, output_hz=12.5)
        return [(f.name, f.text) for f in frame_faults(statistics, 500.0, share, shown)]

    assert names(30) == [] and names(3, came=9) == []
    ((name, text),) = names(31)
    assert name == 'falling_behind'
    assert '20.0 a second come and 12.5 are answered' in text and 'lower the rate' in text
    assert names(16, {name}) and not names(15, {name})
    assert names(100, share=1.0) == []


def test_frames_that_are_all_too_old_are_an_error():
    def severity(answered):
        (fault,) = frame_faults(FrameStatistics(
            recent_stale=9, recent_answered=answered, stale_age_s=1.0), 500.0)
        return fault.severity

    assert (severity(0), severity(1)) == (Severity.ERROR, Severity.WARN)


@pytest.mark.parametrize('decode, message', [
    (decode_image, Image(encoding='rgb9', height=1, width=1, step=3, data=b'abc')),
    (codec_decode_image, Image(encoding='rgb9', height=1, width=1, step=3, data=b'abc'))])
def test_an_encoding_that_nobody_knows_has_its_own_name(decode, message):
    with pytest.raises(EncodingError) as raised:
        decode(message)
    fault = failed_frame(f'EncodingError: {raised.value}')
    assert (fault.name, fault.severity) == ('unknown_encoding', Severity.ERROR)
    assert 'rgb9' in fault.text and 'rgb8' in fault.text and 'cv_bridge' in fault.text


def test_other_failures():
    assert failed_frame('ValueError: 3').name == 'frame_failed'
    assert failed_frame(None).text == 'a frame failed: for an unknown reason'
    fault = failed_frame('RuntimeError: CUDA out of memory. Tried to allocate')
    assert fault.name == 'gpu_out_of_memory' and 'gpu_oom_policy' in fault.text


def test_why_models_can_not_be_loaded(tmp_path):
    with pytest.raises(CheckpointError) as raised:
        read_manifest(tmp_path / 'gone.safetensors', 'pose')
    fault = configure_fault(raised.value)
    assert fault.name == 'model_missing' and str(tmp_path / 'gone.safetensors') in fault.text
    assert configure_fault(CheckpointError('x: damaged')).name == 'model_damaged'
    assert configure_fault(SettingsError('device: no GPU')).name == 'configure_failed'
    fault = configure_fault(RuntimeError('CUDA out of memory'))
    assert fault.name == 'gpu_out_of_memory' and 'gpu_oom_policy' in fault.text
    assert fault.severity == Severity.ERROR


def test_a_fallback_is_passed_on():
    assert list(fallback_faults('')) == []
    (fault,) = fallback_faults('the networks run on the CPU: free memory')
    assert (fault.name, fault.severity) == ('gpu_out_of_memory', Severity.WARN)


def test_unknown_parameters_come_with_the_nearest_that_are_known():
    assert list(unknown_parameter_faults([], ['roi'])) == []
    (fault,) = unknown_parameter_faults(['detect_evry', 'zzz'], ['roi', 'detect_every'])
    assert (fault.name, fault.severity) == ('unknown_parameter', Severity.WARN)
    assert fault.text == (
        'parameter detect_evry is not known and has no effect: did you mean detect_every?; '
        'parameter zzz is not known and has no effect: see docs/parameters.md')


def test_a_frame_that_is_worked_on_for_too_long():
    def found(in_flight_s):
        statistics = FrameStatistics(recent_in=50, recent_dropped=49, in_flight_s=in_flight_s)
        return [(f.name, f.severity) for f in frame_faults(statistics, 500.0, 0.3)]

    assert found(7.2) == [('worker_stuck', Severity.ERROR)]
    assert [name for name, _ in found(5.0)] == ['falling_behind']
    (fault,) = frame_faults(FrameStatistics(in_flight=1, in_flight_s=7.2), 500.0)
    assert fault.text.startswith('a frame has been worked on for 7 s') and 'nvidia-smi' in (
        fault.text)


@pytest.mark.parametrize('answered, active_for_s, severity', [
    (1, 60.0, Severity.WARN), (0, 5.1, Severity.ERROR), (0, 5.0, Severity.WARN)])
def test_falling_behind_is_an_error_where_nothing_is_answered(answered, active_for_s, severity):
    statistics = FrameStatistics(recent_in=50, recent_dropped=49, recent_answered=answered)
    (fault,) = frame_faults(statistics, 500.0, 0.3, active_for_s=active_for_s)
    assert (fault.name, fault.severity) == ('falling_behind', severity)


@pytest.mark.parametrize('came, told, dropped, tells_lost, name', [
    (25, 0, 0, True, 'camera_info_more_often'), (25, 1, 0, True, 'lost_in_transport'),
    (25, 0, 1, True, 'lost_in_transport'), (25, 0, 0, False, 'lost_in_transport'),
    (0, 0, 0, True, 'lost_in_transport')])
def test_images_that_are_throttled_are_not_lost(came, told, dropped, tells_lost, name):
    statistics = FrameStatistics(recent_in=came, recent_lost=125, recent_told_lost=told,
                                 recent_dropped=dropped)
    (fault,) = frame_faults(statistics, 500.0, tells_lost=tells_lost)
    assert (fault.name, fault.severity) == (name, Severity.WARN)
    assert name != 'camera_info_more_often' or (
        fault.text.startswith('125 of 150 recent CameraInfos came without'))


@pytest.mark.parametrize('age_s, arrives, since_image_s, is_told', [
    (42.0, False, 0.1, True), (None, False, 0.1, False), (1.9, True, 0.1, False),
    (9.0, True, 0.1, False),            # it comes seldom
    (2.1, False, 1.9, False),           # both stopped
])
def test_a_camera_info_that_comes_no_more(age_s, arrives, since_image_s, is_told):
    status = InputStatus('/image', num_publishers=1, has_camera_info=True,
                         camera_info_topic='/cot/camera_info', camera_info_arrives=arrives,
                         camera_info_age_s=age_s)
    found = list(input_faults(status, FrameStatistics(since_image_s=since_image_s), 60.0, 2.0))
    assert [(f.name, f.severity) for f in found] == (
        [('camera_info_stopped', Severity.OK)] if is_told else [])
    assert not is_told or 'no CameraInfo on /cot/camera_info for 42 s' in found[0].text
