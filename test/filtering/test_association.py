import numpy as np

from infant_pose_ros.filtering.association import associate, suppress_overlapping


def test_associate_pairs_by_overlap():
    tracks = np.array([[0, 0, 10, 10], [100, 100, 120, 120], [300, 0, 310, 10]], float)
    found = np.array([[101, 100, 121, 120], [1, 0, 11, 10]], float)
    assert associate(tracks, found, 0.3) == [(0, 1), (1, 0)]


def test_associate_maximises_the_sum():
    # Greedy would pair a0 with b0 (IoU 1) and leave a1 without; both can be paired.
    boxes_a = np.array([[0, 0, 10, 10], [4, 0, 14, 10]], float)
    boxes_b = np.array([[1, 0, 11, 10], [-5, 0, 5, 10]], float)
    # IoU: a0b0 9/11, a0b1 5/15, a1b0 7/13, a1b1 1/19
    assert associate(boxes_a, boxes_b, 0.3) == [(0, 1), (1, 0)]


def test_associate_keeps_to_the_limit():
    boxes = np.array([[0, 0, 10, 10]], float)
    half = np.array([[5, 0, 15, 10]], float)  # IoU 1/3
    assert associate(boxes, half, 0.33) == [(0, 0)]
    assert associate(boxes, half, 0.34) == []
    assert associate(boxes, half + 100, 0.0) == []


def test_associate_nothing():
    assert associate(np.zeros((0, 4)), np.array([[0, 0, 1, 1.0]]), 0.1) == []
    assert associate(np.array([[0, 0, 1, 1.0]]), np.zeros((0, 4)), 0.1) == []
    assert associate(np.array([[np.nan, 0, 1, 1.0]]), np.array([[0, 0, 1, 1.0]]), 0.1) == []


def grid_pose(x=0.0, side=90.0):
    ys, xs = np.divmod(np.arange(16), 4)
    return np.stack([x + xs * side / 3, ys * side / 3], axis=1).astype(float)


def test_suppress_keeps_the_better_of_two_on_one_infant():
    poses = np.stack([grid_pose(0), grid_pose(13), grid_pose(200)])  # limit 0.15 x 90 = 13.5
    assert suppress_overlapping(poses, [0.5, 0.9, 0.4]) == [1, 2]


def test_suppress_keeps_two_infants_side_by_side():
    poses = np.stack([grid_pose(0), grid_pose(14)])
    assert suppress_overlapping(poses, [0.5, 0.9]) == [1, 0]


def test_suppress_compares_what_both_have():
    other = grid_pose(5)
    other[:8] = np.nan
    nothing = np.full((16, 2), np.nan)
    few = np.full((16, 2), np.nan)
    few[:3] = grid_pose(0)[:3]
    poses = np.stack([grid_pose(0), other, nothing, few])
    assert suppress_overlapping(poses, [0.9, 0.8, 0.7, 0.6]) == [0, 2, 3]


def test_suppress_nothing():
    assert suppress_overlapping(np.zeros((0, 16, 2)), []) == []
