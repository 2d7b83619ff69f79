import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.bootstrap import (
    block_numbers,
    difference,
    draw_blocks,
    Interval,
    interval,
    Ratio,
)

NAN = np.nan


def test_blocks_do_not_span_videos():
    sequence = np.array([11] * 4 + [12] * 3)
    frame = np.array([0, 49, 50, 99, 40, 50, 120])
    assert block_numbers(sequence, frame).tolist() == [0, 0, 1, 1, 2, 3, 4]
    assert block_numbers(sequence[::-1], frame[::-1]).tolist() == [0, 1, 2, 3, 3, 4, 4]
    assert block_numbers(sequence, frame, block_frames=1000).tolist() == [0] * 4 + [1] * 3
    assert block_numbers(np.zeros(0), np.zeros(0)).shape == (0,)


def test_ratio_is_the_mean_of_what_counts():
    values = np.array([[[1.0, 2.0], [3.0, NAN], [5.0, 9.0]]])   # 1 seed, 3 frames, 2 keypoints
    counted = np.array([[[True, True], [True, False], [True, False]]])
    ratio = Ratio.of(values, counted, np.array([0, 0, 1]))
    assert ratio.sums.tolist() == [[6.0, 5.0]] and ratio.counts.tolist() == [[3.0, 1.0]]
    assert ratio.value == pytest.approx(11 / 4)
    # Block 0 twice: 12 / 6; each once: 11 / 4; block 1 twice: 10 / 2.
    assert ratio.replicates(np.array([[2.0, 0], [1, 1], [0, 2]])) == pytest.approx([2, 2.75, 5])


def test_seeds_are_averaged_and_their_spread_is_told():
    values = np.array([[1.0, 3.0], [3.0, 5.0], [5.0, 10.0]])    # means 2, 4, 7.5
    ratio = Ratio.of(values, np.ones((3, 2), bool), np.array([0, 1]))
    assert ratio.by_seed.tolist() == [2.0, 4.0, 7.5]
    found = interval(ratio, draw_blocks(2, 10))
    assert found.value == 4.5
    assert found.spread == pytest.approx(np.std([2, 4, 7.5], ddof=1))
    assert np.isnan(found.low) and not found.excludes_zero      # two blocks are too few
    assert np.isnan(interval(Ratio.of(values[:1], np.ones((1, 2), bool), np.array([0, 1])),
                             draw_blocks(2, 10)).spread)


def test_interval_of_coins_is_that_of_the_binomial():
    # 400 fair coins: standard deviation 0.025, 95 % within 0.049 of the mean.
    coins = (np.arange(400) % 2 == 0).astype(float)[None]
    found = interval(Ratio.of(coins, np.ones((1, 400), bool), np.arange(400)), draw_blocks(400))
    assert found.value == 0.5
    assert found.low == pytest.approx(0.451, abs=0.005)
    assert found.high == pytest.approx(0.549, abs=0.005)
    # The same coins in 20 blocks of 20 heads or 20 tails: as sure as 20 coins.
    lumps = np.repeat(np.arange(20) % 2 == 0, 20).astype(float)[None]
    wide = interval(Ratio.of(lumps, np.ones((1, 400), bool), np.repeat(np.arange(20), 20)),
                    draw_blocks(20))
    assert wide.low == pytest.approx(0.5 - 1.96 * np.sqrt(0.25 / 20), abs=0.04)


def test_differences_are_paired():
    rng = np.random.default_rng(1)
    hard = rng.normal(50, 20, (1, 100))     # how hard a frame is hides a small difference
    counted, blocks, draws = np.ones((1, 100), bool), np.arange(100), draw_blocks(100)
    one = Ratio.of(hard, counted, blocks)
    two = Ratio.of(hard + 1.0 + rng.normal(0, 0.5, (1, 100)), counted, blocks)
    apart = difference(two, one, draws)
    assert apart.value == pytest.approx(1.0, abs=0.2)
    assert apart.excludes_zero and apart.low > 0.8
    assert interval(two, draws).low < interval(one, draws).high     # their intervals overlap
    same = difference(one, one, draws)
    assert (same.value, same.low, same.high) == (0, 0, 0) and not same.excludes_zero
    with pytest.raises(InvalidInputError, match='100 and 50 blocks'):
        difference(one, Ratio.of(hard[:, :50], counted[:, :50], blocks[:50]), draws)


def test_draws_are_seeded():
    draws = draw_blocks(7, 50)
    assert draws.shape == (50, 7) and (draws.sum(1) == 7).all()
    assert np.array_equal(draws, draw_blocks(7, 50))
    assert not np.array_equal(draws, draw_blocks(7, 50, seed=1))
    with pytest.raises(InvalidInputError, match='at least one'):
        draw_blocks(0)


def test_nothing_counted_is_nan():
    ratio = Ratio.of(np.ones((1, 6)), np.zeros((1, 6), bool), np.arange(6))
    found = interval(ratio, draw_blocks(6, 20))
    assert np.isnan(found.value) and np.isnan(found.low)


def test_excludes_zero():
    assert Interval(1.0, 0.1, 2.0).excludes_zero and Interval(-1.0, -2.0, -0.1).excludes_zero
    assert not Interval(1.0, -0.1, 2.0).excludes_zero


def test_shapes_are_checked():
    with pytest.raises(InvalidInputError, match='shape'):
        Ratio.of(np.ones((1, 6)), np.ones((1, 5), bool), np.arange(6))
    with pytest.raises(InvalidInputError, match='shape'):
        Ratio.of(np.ones((1, 6)), np.ones((1, 6), bool), np.arange(5))
    with pytest.raises(InvalidInputError, match='seeds, blocks'):
        Ratio(np.ones((1, 2)), np.ones((2, 1)))
