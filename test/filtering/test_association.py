import numpy as np
import pytest

from infant_pose_ros.filtering.association import (
    AFFINITY_MIN,
    borrowed_keypoints,
    detection_costs,
    extents,
    inside_shares,
    match,
    pose_distances,
    return_costs,
    suppress_overlapping,
)
from infant_pose_ros.skeleton import Joint


def test_match_takes_the_least_sum():
    # Greedy would take the 0.1 and be left with the 0.9.
    assert match(np.array([[0.1, 0.3], [0.2, 0.9]]), 1.0) == [(0, 1), (1, 0)]


def test_match_pairs_as_many_as_can_be_within_the_limit():
    costs = np.array([[0.1, 0.5], [0.2, np.nan]])
    assert match(costs, 1.0) == [(0, 1), (1, 0)]       # two pairs of 0.7 before one of 0.1
    assert match(costs, 0.4) == [(0, 0)]
    assert match(costs, 0.05) == []
    assert match(costs[:, :1], 1.0) == [(0, 0)]
    assert match(np.zeros((0, 3)), 1.0) == match(np.zeros((3, 0)), 1.0) == []
    assert match(np.full((2, 2), np.nan), 1.0) == []


def grid_pose(x=0.0, side=90.0, y=0.0):
    ys, xs = np.divmod(np.arange(16), 4)
    return np.stack([x + xs * side / 3, y + ys * side / 3], axis=1).astype(float)


def test_extents():
    poses = np.stack([grid_pose(side=90.0), grid_pose(side=30.0) * [2.0, 1.0],
                      np.full((16, 2), np.nan)])
    poses[0, -1] = np.nan
    assert extents(poses).tolist()[:2] == [90.0, 60.0]
    assert np.isnan(extents(poses)[2])
    assert extents(np.zeros((0, 16, 2))).shape == (0,)


def test_pose_distances_are_shares_of_the_seconds_extent():
    a, b = np.stack([grid_pose(0), grid_pose(9)]), np.stack([grid_pose(0), grid_pose(9) * 2])
    distances = pose_distances(a, b)
    assert distances[:, 0].tolist() == pytest.approx([0.0, 0.1])
    assert distances.shape == (2, 2)
    one_wild = grid_pose(0)
    one_wild[3] = 1e6       # counts as one extent away
    assert pose_distances(one_wild, grid_pose(0)).item() == pytest.approx(1 / 16)
    few = np.full((16, 2), np.nan)
    few[:3] = grid_pose(0)[:3]
    assert np.isnan(pose_distances(few, grid_pose(0))).all()
    assert pose_distances(np.zeros((0, 16, 2)), b).shape == (0, 2)


def test_inside_shares():
    pose = grid_pose()
    pose[0] = np.nan        # leaves 15, 7 of them in the upper half
    shares = inside_shares(pose, np.array([[-1, -1, 91, 31], [-1, -1, 91, 91], [200, 0, 300, 9]]))
    assert shares == pytest.approx(np.array([[7 / 15, 1.0, 0.0]]))
    assert inside_shares(np.zeros((0, 16, 2)), np.zeros((2, 4))).shape == (0, 2)


def test_detections_are_told_apart_by_keypoints_where_boxes_overlap_alike():
    # An L of two bodies: the box of one overlaps the other's as much as its own.
    one, two = grid_pose(0, 40), grid_pose(50, 40)
    boxes = np.array([[0, 0, 40, 40], [50, 0, 90, 40]], float)
    both, own = np.array([[0, 0, 90, 40]], float), np.array([[0, 0, 42, 42]], float)
    costs = detection_costs(np.stack([one, two]), boxes, np.vstack([own, both]))
    assert costs[0, 0] < costs[0, 1]        # a box around one beats one around both
    assert costs[1, 0] == 1.0
    assert costs[1, 1] == pytest.approx(1 - (16 / 36 + 1) / 2)
    assert match(costs, 1 - AFFINITY_MIN) == [(0, 0), (1, 1)]


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


def body(x=0.0, scale=1.0):
    """A body of 100 px with a trunk of 40 px."""
    pose = np.zeros((16, 2))
    pose[Joint.HEAD_TOP], pose[Joint.THORAX] = (0, -60), (0, -40)
    pose[[Joint.R_SHOULDER, Joint.L_SHOULDER]] = [(-10, -40), (10, -40)]
    pose[[Joint.R_HIP, Joint.L_HIP]] = [(-10, 0), (10, 0)]
    pose[Joint.R_ANKLE] = (0, 40)
    return pose * scale + [x, 0.0]


def test_an_infant_comes_back_where_it_was():
    lost = np.stack([body(0), body(300)])
    # At once 0.6 trunks of 40 px are allowed, a second later 0.8.
    costs = return_costs(np.stack([body(12), body(288), body(30)]), lost, np.array([0.0, 0.0]))
    assert costs[:2] == pytest.approx(np.array([[0.5, np.nan], [np.nan, 0.5]]), nan_ok=True)
    assert np.isnan(costs[2]).all()
    later = return_costs(body(30)[None], lost, np.array([1.0, 1.0]))
    assert later == pytest.approx(np.array([[30 / 32, np.nan]]), nan_ok=True)
    assert np.isnan(return_costs(body(60)[None], lost, np.array([1e3, 0.0]))).all()


def test_somebody_of_another_size_is_another():
    assert return_costs(body(0, 1.4)[None], body()[None], np.zeros(1)).item() < 1.0
    assert np.isnan(return_costs(body(0, 1.6)[None], body()[None], np.zeros(1))).all()
    assert np.isnan(return_costs(body(0, 0.6)[None], body()[None], np.zeros(1))).all()


def test_a_limb_that_two_readings_claim_belongs_to_the_nearer_track():
    predicted = np.stack([grid_pose(0.0), grid_pose(120.0)])
    readings = predicted + 2.0
    assert not borrowed_keypoints(readings, predicted).any()
    ankle = int(Joint.R_ANKLE)
    readings[1, ankle] = readings[0, ankle] + 3.0
    expected = np.zeros((2, 16), bool)
    expected[1, ankle] = True
    assert (borrowed_keypoints(readings, predicted) == expected).all()
    readings[1, ankle] = readings[0, Joint.L_ANKLE] + 3.0       # either side of the other's
    assert (borrowed_keypoints(readings, predicted) == expected).all()
    readings[1, ankle] = readings[0, ankle] + 10.0              # 0.16 of the body away
    assert not borrowed_keypoints(readings, predicted).any()


def test_limbs_that_touch_stay_everybodys_own():
    predicted = np.stack([grid_pose(0.0), grid_pose(120.0)])
    predicted[0, Joint.L_WRIST], predicted[1, Joint.L_WRIST] = (104.0, 50.0), (106.0, 50.0)
    assert not borrowed_keypoints(predicted, predicted).any()
    missing = predicted.copy()
    missing[1] = np.nan
    assert not borrowed_keypoints(missing, predicted).any()
    assert borrowed_keypoints(predicted[:1], predicted[:1]).shape == (1, 16)
