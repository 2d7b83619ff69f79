import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.training.stopping import Judge


def chosen(judge: Judge, looks: list[dict]) -> list[bool]:
    return [judge.choose(look) for look in looks]


def errors(*values: float) -> list[dict]:
    return [{'error': value} for value in values]


def test_the_lowest_figure_is_kept_and_patience_counts_looks_without_a_real_gain():
    judge = Judge('error', patience=3, min_improvement=0.01)
    assert chosen(judge, errors(10.0, 9.0, 9.5)) == [True, True, False]
    assert not judge.is_over
    # 8.95 is lower, so it is kept, but not by 1 % of 9: patience goes on counting.
    assert chosen(judge, errors(8.95)) == [True] and not judge.is_over
    assert chosen(judge, errors(8.92)) == [True] and judge.is_over
    assert judge.figures == {'error': 8.92}


def test_a_gain_begins_patience_anew_and_zero_never_stops():
    judge = Judge('error', patience=2, min_improvement=0.0)
    chosen(judge, errors(5.0, 6.0, 4.0, 6.0))
    assert not judge.is_over
    chosen(judge, errors(4.0))
    assert judge.is_over
    endless = Judge('error', patience=0)
    chosen(endless, errors(*[1.0] * 50))
    assert not endless.is_over


def test_more_is_better_with_a_minus():
    judge = Judge('-iou', patience=1)
    assert chosen(judge, [{'iou': 0.5}, {'iou': 0.7}, {'iou': 0.6}]) == [True, True, False]
    assert judge.is_over and judge.figures == {'iou': 0.7}


def test_a_look_that_forgets_adults_is_no_candidate():
    judge = Judge('error', guarded='pck', drop_max=0.02)
    looks = [{'error': 9.0, 'pck': 0.60}, {'error': 8.0, 'pck': 0.59},
             {'error': 5.0, 'pck': 0.50}, {'error': 7.0, 'pck': 0.581}]
    assert chosen(judge, looks) == [True, True, False, True]
    # Now 0.65 is the best: the chosen 0.581 lies below the line and gives way, though 7 < 8.5.
    assert judge.choose({'error': 8.5, 'pck': 0.65})
    assert not judge.choose({'error': 8.6, 'pck': 0.65})
    assert judge.figures['error'] == 8.5


def test_state_goes_on_and_missing_or_nan_figures_are_met():
    judge = Judge('error', patience=2)
    chosen(judge, errors(3.0, 4.0))
    other = Judge('error', patience=2)
    other.restore(judge.state())
    assert not other.choose({'error': 3.5}) and other.is_over
    assert other.figures == {'error': 3.0}
    with pytest.raises(InvalidInputError, match='expected error'):
        judge.choose({'loss': 1.0})
    fresh = Judge('error', patience=2)
    assert fresh.choose({'error': float('nan')}) and fresh.choose({'error': 2.0})
    # From nothing to 2.0 is a gain: patience begins there.
    assert not fresh.choose({'error': 2.5}) and not fresh.is_over
    assert not fresh.choose({'error': 2.5}) and fresh.is_over
