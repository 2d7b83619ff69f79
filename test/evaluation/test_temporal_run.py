import numpy as np

from infant_pose_ros.evaluation.temporal_run import largest_difference


def test_the_largest_difference_by_hand():
    one = np.array([1.0, 2.0, np.nan])
    assert largest_difference(one, np.array([1.5, 2.0, np.nan])) == 0.5
    assert largest_difference(one, np.array([1.0, np.nan, np.nan])) == np.inf
    assert largest_difference(one * np.nan, one * np.nan) == 0.0
