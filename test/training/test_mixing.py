import pytest

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.training.mixing import MixedSampler, MixedSets, share_counts


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
