import numpy as np
import pytest

from infant_pose_ros.evaluation.temporal_baselines import (
    bridged,
    held,
    one_euro,
    savitzky_golay,
)

NAN = np.nan


def test_gaps_are_held_or_bridged():
    values = np.array([NAN, 2.0, NAN, NAN, 8.0, NAN])
    assert held(values).tolist() == [2, 2, 2, 2, 8, 8]
    stamps = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 6.0])
    assert bridged(values, stamps) == pytest.approx([2, 2, 3.5, 6.5, 8, 8])
    both = np.stack([values, np.full(6, NAN)], 1)[:, :, None]
    assert held(both).shape == (6, 2, 1) and np.isnan(held(both)[:, 1]).all()
    assert np.isnan(bridged(both, stamps)[:, 1]).all()
    assert np.isnan(values[0]) and held(np.zeros((0, 16, 2))).shape == (0, 16, 2)


def test_one_euro_by_hand():
    # A step of 1 at 30 Hz with 1 Hz: alpha = 1 / (1 + 30 / (2 pi)); beta 0 keeps it.
    alpha = 1 / (1 + 30 / (2 * np.pi))
    stamps = np.arange(3) / 30
    smooth = one_euro(np.array([[0.0], [1.0], [1.0]]), stamps, 1.0, 0.0)
    assert smooth[:, 0] == pytest.approx([0.0, alpha, alpha + (1 - alpha) * alpha])
    # A frame that comes after twice the time counts for more, also at the first stamps.
    late = one_euro(np.array([0.0, 1.0]), np.array([0.0, 2 / 30]), 1.0, 0.0)
    assert late[1] == pytest.approx(1 / (1 + 15 / (2 * np.pi)))
    assert one_euro(np.array([0.0, 1.0]), stamps[:2], 1.0, 5.0)[1] > alpha
    gap = one_euro(np.array([0.0, NAN, 1.0]), stamps, 1.0, 0.0)
    assert gap[1] == 0.0 and gap[2] == pytest.approx(late[1])


def test_savitzky_golay_keeps_polynomials_of_its_order():
    times = np.arange(12.0)
    parabola = np.stack([times**2, 3 - times], 1)[:, None]
    assert savitzky_golay(parabola, times, 5, 2, causal=False) == pytest.approx(parabola)
    late = savitzky_golay(parabola, times, 5, 2, causal=True)
    assert late[4:] == pytest.approx(parabola[4:])


def test_savitzky_golay_by_hand():
    # A line through three points 0, 0, 1: 1/3 in the middle, 5/6 at the last.
    values, stamps = np.array([0.0, 0.0, 1.0, 0.0]), np.arange(4.0)
    assert savitzky_golay(values, stamps, 3, 1, causal=False)[1] == pytest.approx(1 / 3)
    late = savitzky_golay(values, stamps, 3, 1, causal=True)
    assert late[2] == pytest.approx(5 / 6)
    changed = savitzky_golay(np.array([0.0, 0.0, 1.0, 9.0]), stamps, 3, 1, causal=True)
    assert changed[:3] == pytest.approx(late[:3])       # it knows nothing of the future
    gap = savitzky_golay(np.array([0.0, NAN, 2.0]), stamps[:3], 3, 1, causal=False)
    assert gap == pytest.approx([0.0, 1.0, 2.0])
