import json

import numpy as np
import pytest

from infant_pose_ros.evaluation.summary import FrameRecord, summarise, summary_table
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.skeleton import Joint, TrackState

RUN_KEYS = ['frames_in', 'frames_answered', 'frames_dropped', 'frames_lost_in_transport',
            'rate_hz', 'age_ms_p50', 'age_ms_p95', 'joints_found']
TRUTH_KEYS = ['pckh1', 'pckh2', 'ajpe_px', 'ajpe_mm']
PX = np.stack([np.arange(16) * 10.0, np.zeros(16)], axis=1)  # neck to head top: 10 px
M = np.stack([np.arange(16) * 0.02, np.zeros(16), np.ones(16)], axis=1)


def make_truth(frames=4, visible=None):
    return ClipTruth(
        100.0 + np.arange(frames) * 0.1, np.tile(PX, (frames, 1, 1)), np.tile(M, (frames, 1, 1)),
        np.ones((frames, 16), bool) if visible is None else visible,
        np.tile([0.0, -5, 150, 5], (frames, 1)), 0.6)


def record(frame, px=PX, m=M, state=None, start=100.0, age=0.05):
    return FrameRecord(start + frame * 0.1, start + frame * 0.1 + age, px, m, state)


def test_a_perfect_run():
    summary = summarise([record(i) for i in range(4)], make_truth(), 4, 0)
    assert list(summary) == RUN_KEYS + TRUTH_KEYS
    assert (summary['frames_in'], summary['frames_answered']) == (4, 4)
    assert summary['rate_hz'] == pytest.approx(10.0)
    assert summary['age_ms_p50'] == pytest.approx(50.0)
    assert summary['joints_found'] == summary['pckh1'] == summary['pckh2'] == 1.0
    assert summary['ajpe_px'] == 0.0
    assert summary['ajpe_mm'] == pytest.approx(0.0, abs=1e-9)


def test_errors_by_hand():
    px, m = PX.copy(), M + [0.0, 0.0, 0.5]  # a wrong root depth is no error
    px[0, 1] = 15.0  # between one and two head units
    px[1, 1] = 25.0  # beyond both
    m[0, 1] += 0.032
    lost = np.full(16, TrackState.MEASURED, np.uint8)
    lost[2] = TrackState.LOST
    lost[3] = TrackState.PREDICTED
    px[2], m[2] = np.nan, np.nan
    summary = summarise([record(0, px, m, lost)], make_truth(), 6, 3, 2)
    assert summary['joints_found'] == pytest.approx(15 / 16)
    assert summary['pckh1'] == pytest.approx(13 / 16)
    assert summary['pckh2'] == pytest.approx(14 / 16)
    assert summary['ajpe_px'] == pytest.approx(40 / 15)
    assert summary['ajpe_mm'] == pytest.approx(32 / 15)
    assert (summary['frames_dropped'], summary['frames_lost_in_transport']) == (3, 2)
    assert summary['rate_hz'] is None


def test_hidden_keypoints_need_not_be_found():
    visible = np.ones((4, 16), bool)
    visible[:, :8] = False
    state = np.full(16, TrackState.MEASURED)
    state[:8] = TrackState.LOST
    state[8] = TrackState.LOST
    records = [record(i, state=state) for i in range(4)]
    summary = summarise(records, make_truth(visible=visible), 4, 0)
    assert summary['joints_found'] == pytest.approx(7 / 8)
    assert summarise(records, None, 4, 0)['joints_found'] == pytest.approx(7 / 16)


def test_a_frame_without_an_infant_is_all_misses():
    records = [record(0), record(1, None, None)]
    summary = summarise(records, make_truth(), 2, 0)
    assert summary['joints_found'] == summary['pckh2'] == 0.5
    assert summary['ajpe_px'] == 0.0


def test_the_unit_is_the_median_head():
    keypoints = np.tile(PX, (4, 1, 1))
    keypoints[1, Joint.HEAD_TOP, 0] += 10.0
    keypoints[2, Joint.HEAD_TOP, 0] += 1000.0
    keypoints[3, Joint.HEAD_TOP] = np.nan
    truth = ClipTruth([100.0, 100.1, 100.2, 100.3], keypoints, np.tile(M, (4, 1, 1)),
                      np.ones((4, 16)), np.full((4, 4), np.nan), 0.6)
    # heads: 10, 20, 1010 and unknown
    for off, share in ((19.0, 1.0), (21.0, 0.0)):
        summary = summarise([record(0, PX + [0.0, off])], truth, 1, 0)
        assert summary['pckh1'] == share


def test_without_a_truth():
    px = PX.copy()
    px[:4] = np.nan
    summary = summarise([record(0, px), record(1, px)], None, 2, 0)
    assert list(summary) == RUN_KEYS
    assert summary['joints_found'] == pytest.approx(12 / 16)


def test_nothing_answered():
    for truth, keys in ((None, RUN_KEYS), (make_truth(), RUN_KEYS + TRUTH_KEYS)):
        summary = summarise([], truth, 5, 5)
        assert list(summary) == keys
        assert summary['frames_answered'] == 0
        assert all(summary[key] is None for key in keys[4:])
        assert 'unknown' in summary_table(summary)
        json.dumps(summary, allow_nan=False)


def test_stamps_that_the_truth_lacks_are_left_out():
    records = [record(0), record(50, PX + 1000.0)]
    summary = summarise(records, make_truth(), 2, 0)
    assert summary['frames_answered'] == 2
    assert summary['pckh1'] == 1.0


def test_table_is_aligned():
    summary = summarise([record(i) for i in range(4)], make_truth(), 4, 0)
    table = summary_table(summary)
    lines = table.splitlines()
    assert len(lines) == len(summary)
    assert '2D PCKh 2.0' in table and '100.0%' in table and '50.0 ms' in table
    ends = {line.index(value) + len(value) for line, value in (
        (lines[0], '4'), (lines[4], '10.0'), (lines[5], '50.0'), (lines[7], '100.0%'))}
    assert len(ends) == 1
