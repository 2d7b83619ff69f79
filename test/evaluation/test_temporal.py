import numpy as np
import pytest

from infant_pose_ros.evaluation.temporal import (
    choose,
    dropout_cost,
    figures_of,
    Result,
    Results,
    share_caught,
)
from infant_pose_ros.evaluation.temporal_conditions import Event
from infant_pose_ros.evaluation.temporal_methods import KALMAN, ONE_EURO, Variant
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER

NAN = np.nan


def test_figures_by_hand():
    """A motion that is 3 mm beside the truth, and a tenth of it lost."""
    times = np.arange(100) / 30
    truth = np.zeros((100, 16, 3))
    truth[..., 0] = np.sin(times)[:, None]
    motion = truth + [0.0, 0.003, 0.0]
    figures = figures_of(motion, truth, times, '3d')
    assert figures['ajpe'] == pytest.approx(3.0)
    assert figures['ajpe_aligned'] == pytest.approx(0.0, abs=1e-9)
    assert figures['acceleration_error'] == pytest.approx(0.0, abs=1e-6)
    assert figures['delay'] == pytest.approx(0.0, abs=0.01)
    assert figures['found'] == 1.0
    # x = sin t has the third derivative -cos t; over 3 coordinates, from 1 to 3.3 s.
    jerks = np.concatenate([np.cos(times[30:]), np.zeros(140)])
    assert figures['jitter'] == pytest.approx(1000 * jerks.std(), rel=0.02)
    motion[30:37] = NAN         # 7 of the 70 frames that count
    assert figures_of(motion, truth, times, '3d')['found'] == pytest.approx(0.9)
    motion[:20] = 99.0          # don't count
    few = figures_of(motion, truth, times, '3d', [Joint.HEAD_TOP])
    assert few['found'] == pytest.approx(0.9) and few['ajpe'] < 50


def test_dropout_cost_by_hand():
    truth = np.zeros((10, 16, 2))
    clean, motion = truth + [3.0, 4.0], truth + [3.0, 4.0]
    motion[4:6, 10] = [6.0, 8.0], [NAN, NAN]        # the second is held: 10 px off, too
    cost = dropout_cost(motion, clean, truth, Event(4, 6, (10, 11)), '2d')
    assert cost['error_clean'] == pytest.approx(5.0)
    assert cost['error'] == pytest.approx((10 + 10 + 5 + 5) / 4)
    assert cost['extra'] == pytest.approx(2.5)
    # With the pelvis moved onto its truth, only (3, 4) is left of (6, 8).
    assert cost['extra_aligned'] == pytest.approx(2.5)
    assert cost['found'] == 0.75


def test_a_swap_is_caught_where_all_ends_on_its_own_side():
    truth = np.zeros((40, 16, 2))
    truth[:, :, 0] = np.arange(16)
    sides = (Joint.L_KNEE, Joint.R_KNEE, Joint.L_HIP, Joint.R_HIP)
    events = [Event(5, 8, sides), Event(20, 23, sides)]
    good = truth + [0.2, 0.0]
    assert share_caught(good, truth, truth, events) == {'caught': 1.0, 'events': 2.0}
    wrong = good.copy()
    wrong[7] = truth[7, list(MIRRORED_ORDER)]
    assert share_caught(wrong, truth, truth, events)['caught'] == 0.5
    late = good.copy()
    late[24] = truth[24, list(MIRRORED_ORDER)]      # after the swap
    assert share_caught(late, truth, truth, events)['caught'] == 0.5
    lost = good.copy()
    lost[6] = NAN
    assert share_caught(lost, truth, truth, events)['caught'] == 0.5
    # Where the method is wrong without a swap, too, nothing can be told.
    assert share_caught(wrong, wrong, truth, events) == {'caught': 1.0, 'events': 1.0}


def result(parameters, jitter, delay, method=ONE_EURO):
    return Result('clean', Variant(method, parameters), '2d', 0,
                  {'jitter': jitter, 'delay': delay})


def test_what_stands_for_a_method():
    rows = [result((1.0, 0.1), 5.0, 0.9), result((0.5, 0.1), 3.0, 1.4), result((2.0, 0.1), 9.0, 0)]
    assert choose(rows).parameters == (1.0, 0.1)        # the calmest that is quick enough
    assert choose(rows[1:2]).parameters == (0.5, 0.1)
    rows = [result((0.5, 1.0), 1.0, 0.1, KALMAN), result((1.0, 1.0), 2.0, 2.0, KALMAN)]
    assert choose(rows).parameters == (1.0, 1.0)        # its default, whatever that does


def test_results_have_means_over_videos():
    results = Results()
    variant = Variant('raw')
    results.add('clean', variant, '2d', {11: {'ajpe': 2.0, 'delay': NAN}, 12: {'ajpe': 4.0}})
    (row,) = results.of('clean', '2d')
    assert row.figures['ajpe'] == 3.0 and np.isnan(row.figures['delay'])
    assert results.of('clean', '2d', 12)[0].figures == {'ajpe': 4.0}
