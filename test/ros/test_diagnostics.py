import time

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
import pytest

from infant_pose_ros.ros.diagnostics import (
    encode_diagnostics,
    encode_status,
    frame_values,
    FrameCounters,
    FrameStatistics,
    WINDOW_S,
)
from infant_pose_ros.ros.faults import Fault, Severity


def test_nothing_happened_divides_by_nothing():
    statistics = FrameCounters().snapshot(0.0)
    assert (statistics.input_hz, statistics.output_hz, statistics.age_ms_p50) == (0.0, 0.0, None)
    assert frame_values(statistics)['age_ms_p50'] == 'unknown'


def test_every_frame_is_accounted_for():
    counters = FrameCounters()
    for _ in range(7):
        counters.arrived(1.0)
    counters.dropped()
    for fate in (lambda: counters.answered(1.0, 5.0, {}, 1), lambda: counters.stale(1.0, 0.7),
                 lambda: counters.failed(1.0, 'ouch')):
        counters.begun()
        assert counters.snapshot(1.0).in_flight == 1
        fate()
        assert counters.snapshot(1.0).in_flight == 0
    counters.begun()
    statistics = counters.snapshot(1.0)
    assert (statistics.frames_in, statistics.answered, statistics.dropped, statistics.stale,
            statistics.failed, statistics.in_flight) == (5, 1, 1, 1, 1, 1)
    assert (statistics.error, statistics.stale_age_s) == ('ouch', 0.7)


def test_rates_before_and_after_the_window_is_full():
    counters = FrameCounters()
    for frame in range(11):
        counters.arrived(100.0 + frame * 0.1)
    assert counters.snapshot(101.0).input_hz == pytest.approx(10.0)     # 10 steps in 1 s
    for frame in range(200):
        counters.arrived(102.0 + frame * 0.1)
    now_s = 102.0 + 199 * 0.1
    assert counters.snapshot(now_s).input_hz == pytest.approx(10.0, rel=0.03)
    assert counters.snapshot(now_s + WINDOW_S + 1.0).input_hz == 0.0
    assert counters.snapshot(now_s + 3.0).since_image_s == pytest.approx(3.0)


def test_ages_and_stages_over_the_window_only():
    counters = FrameCounters()
    counters.answered(0.0, 9000.0, {'pose': 900.0}, 0)
    for age_ms in range(1, 102):
        counters.answered(10.0, float(age_ms), {'pose': 20.0, 'detect': 100.0 * (age_ms == 1)}, 2)
    statistics = counters.snapshot(10.0)
    # 1 .. 101: the median is 51, and 5 of 101 values lie above 96
    assert (statistics.age_ms_p50, statistics.age_ms_p95) == (51.0, 96.0)
    assert statistics.stage_ms['pose'] == pytest.approx(20.0)
    assert statistics.stage_ms['detect'] == pytest.approx(100.0 / 101)
    assert statistics.num_infants == 2
    assert statistics.num_refused == 0
    counters.answered(10.0, 1.0, {}, 0, 3)
    assert frame_values(counters.snapshot(10.0))['refused'] == '3'
    later = counters.snapshot(11.0 + WINDOW_S)      # nothing was answered lately
    assert (later.num_infants, later.num_refused) == (0, 0)


def test_lost_frames_are_counted_and_forgotten_by_the_window():
    counters = FrameCounters()
    counters.lost(1.0, 3)
    counters.lost(1.5, 0)
    assert counters.snapshot(2.0).recent_lost == 3
    later = counters.snapshot(2.0 + WINDOW_S)
    assert (later.recent_lost, later.lost_in_transport) == (0, 3)


def test_the_worst_fault_comes_first_and_sets_the_level():
    message = encode_diagnostics(
        Time(sec=4), 'pose_node: poses', 'cot',
        [Fault(Severity.WARN, 'falling_behind', 'slow'),
         Fault(Severity.ERROR, 'frame_failed', 'broken')], 'fine', {'state': 'on'})
    status = message.status[0]
    assert message.header.stamp.sec == 4
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, 'broken; slow')
    assert [(entry.key, entry.value) for entry in status.values] == [
        ('state', 'on'), ('faults', 'frame_failed,falling_behind')]
    status = encode_diagnostics(Time(), 'n', 'h', [], 'fine', {}).status[0]
    assert (status.level, status.message) == (DiagnosticStatus.OK, 'fine')
    assert (status.values[0].key, status.values[0].value) == ('faults', '')


def test_notes_are_told_without_alarm():
    note = Fault(Severity.OK, 'camera_info_scaled', 'scaled')
    status = encode_status('n', 'h', [note], 'fine', {})
    assert (status.level, status.message) == (DiagnosticStatus.OK, 'fine')
    assert {entry.key: entry.value for entry in status.values} == {
        'faults': '', 'notes': 'scaled'}
    status = encode_status('n', 'h', [note, Fault(Severity.WARN, 'too_dark', 'dark')], 'fine', {})
    assert (status.level, status.message) == (DiagnosticStatus.WARN, 'dark')


def test_values_name_the_last_error():
    values = frame_values(FrameStatistics(error='truncated', since_error_s=2.04))
    assert (values['last_error'], values['last_error_s_ago']) == ('truncated', '2.0')


def test_frames_with_and_without_depth_are_counted_where_depth_is_used():
    counters = FrameCounters()
    assert 'frames_with_depth' not in frame_values(counters.snapshot(0.0))
    counters.depth(1.0, True, None)
    counters.depth(2.0, False, 'of another size')
    counters.depth(8.0, False, None)
    statistics = counters.snapshot(8.5)
    assert (statistics.with_depth, statistics.without_depth) == (1, 2)
    assert (statistics.recent_with_depth, statistics.recent_without_depth) == (0, 1)
    assert statistics.depth_error is None
    values = frame_values(statistics)
    assert (values['frames_with_depth'], values['frames_without_depth']) == ('1', '2')


def test_a_camera_slower_than_the_window_has_a_steady_rate():
    counters, rates = FrameCounters(), []
    for second in range(100):                       # 0.3 Hz: a picture every 10 s / 3
        if second % 10 in (0, 4, 7):
            counters.arrived(float(second))
        rates.append(counters.snapshot(second + 0.5).input_hz)
    assert all(rate == pytest.approx(0.3, rel=0.15) for rate in rates[12:])
    assert counters.snapshot(97.0).window_s == 45.0     # 15 of the median of 4 s, 3 s and 3 s
    assert counters.snapshot(200.0).input_hz == 0.0


def test_few_images_a_second_are_recent_for_longer_and_so_is_what_became_of_them():
    counters = FrameCounters()
    for second in range(60):                        # 1 Hz, of which every other one is answered
        counters.arrived(float(second))
        if second % 2:
            counters.dropped(float(second))
        else:
            counters.begun(float(second))
            counters.answered(float(second), None, {}, 0)
    statistics = counters.snapshot(59.5)            # from 44.5 on
    assert (statistics.window_s, statistics.recent_in) == (15.0, 15)
    assert (statistics.recent_dropped, statistics.recent_answered) == (8, 7)
    assert statistics.output_hz == pytest.approx(0.5)


def test_answers_that_take_long_are_counted_over_three_of_their_periods():
    counters = FrameCounters()
    for frame in range(1200):                       # 30 Hz, an answer every 4 s
        counters.arrived(frame / 30.0)
        if frame % 120 == 0:
            counters.answered(frame / 30.0, None, {}, 1)
    statistics = counters.snapshot(39.9)
    assert statistics.window_s == 12.0 and statistics.recent_answered == 3
    assert statistics.output_hz == pytest.approx(0.25) and statistics.num_infants == 1


def test_how_long_a_frame_has_been_in_work():
    counters = FrameCounters()
    assert counters.snapshot(1.0).in_flight_s is None
    counters.begun(2.0)
    assert counters.snapshot(9.0).in_flight_s == 7.0
    counters.begun(8.0)                             # another one, which fails at once
    counters.failed(8.0, 'garbage')
    assert counters.snapshot(9.0).in_flight_s == 7.0
    counters.answered(9.5, None, {}, 0)
    assert counters.snapshot(10.0).in_flight_s is None
    counters.begun()
    assert counters.snapshot(time.monotonic()).in_flight_s < 5.0
    counters.abandoned(11.0)
    assert counters.snapshot(12.0).in_flight_s is None
