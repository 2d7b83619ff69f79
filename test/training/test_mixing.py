import pytest
import torch
from torch.utils.data import TensorDataset

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.training.mixing import (
    mixed_batches,
    MixedSampler,
    MixedSets,
    share_counts,
    steps_of_a_pass,
)


def test_shares_of_a_batch_by_hand():
    assert share_counts(8, [0.75, 0.25]) == [6, 2]
    assert share_counts(10, [0.5, 0.0, 0.25]) == [7, 0, 3]      # 6.67 of 10, rounded
    assert share_counts(4, [3.0]) == [4]
    with pytest.raises(SettingsError, match='at least one'):
        share_counts(4, [0.0, 0.0])
    with pytest.raises(SettingsError, match='batch_size'):
        share_counts(4, [0.99, 0.01])


def test_batches_hold_their_shares_and_are_seeded():
    batches = list(MixedSampler((100, 50), (0.75, 0.25), 8, seed=3, first_step=0, steps=4))
    assert all([which for which, _, _ in batch] == [0] * 6 + [1] * 2 for batch in batches)
    again = list(MixedSampler((100, 50), (0.75, 0.25), 8, seed=3, first_step=2, steps=4))
    assert again == batches[2:]
    alone = list(MixedSampler((100, 0), (0.5, 0.5), 8, seed=3, first_step=0, steps=1))
    assert all(which == 0 for which, _, _ in alone[0])


def test_the_step_seeds_the_set_that_is_asked():
    class Fake:
        epoch = 0

        def __getitem__(self, row):
            return self.epoch, row

    assert MixedSets([Fake(), Fake()])[1, 5, 77] == (77, 5)


def test_batches_are_loaded_for_the_steps_to_come():
    numbers = [TensorDataset(torch.arange(10)), TensorDataset(torch.arange(100, 110))]
    batches = [batch for batch, in mixed_batches(numbers, [0.5, 0.5], 4, 0, 3, 5)]
    assert len(batches) == 2
    assert all((batch[:2] < 10).all() and (batch[2:] >= 100).all() for batch in batches)
    listed = list(mixed_batches(numbers, [0.5, 0.5], 4, 0, 4, 5, collate=list))
    assert [int(each) for each, in listed[0]] == batches[1].tolist()


def test_a_pass_over_the_first_set_counts_its_share_alone():
    assert steps_of_a_pass(100, [1.0], 8) == 13
    assert steps_of_a_pass(100, [0.75, 0.25], 8) == 17      # 6 of 8
    assert steps_of_a_pass(100, [0.0, 1.0], 8) == 100
