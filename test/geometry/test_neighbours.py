import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.neighbours import BONES_BETWEEN, fill_missing
from infant_pose_ros.skeleton import Joint

POINTS = np.stack([np.arange(16.0), np.arange(16.0) ** 2], axis=1)


def test_bones_between_by_hand():
    assert BONES_BETWEEN[Joint.L_WRIST, Joint.L_WRIST] == 0
    assert BONES_BETWEEN[Joint.L_WRIST, Joint.L_ELBOW] == 1
    # wrist, elbow, shoulder, thorax, pelvis, hip, knee, ankle
    assert BONES_BETWEEN[Joint.L_WRIST, Joint.R_ANKLE] == 7
    assert np.array_equal(BONES_BETWEEN, BONES_BETWEEN.T)


def test_complete_points_stay():
    filled = fill_missing(POINTS)
    assert np.array_equal(filled, POINTS)
    assert filled is not POINTS


def test_a_limb_ends_where_it_is_still_seen():
    points = POINTS.copy()
    points[Joint.R_WRIST] = np.nan
    points[Joint.R_ELBOW, 0] = np.inf
    filled = fill_missing(points)
    # the shoulder is the elbow's only neighbour that is left, and the wrist's nearest
    assert filled[Joint.R_WRIST].tolist() == POINTS[Joint.R_SHOULDER].tolist()
    assert filled[Joint.R_ELBOW].tolist() == POINTS[Joint.R_SHOULDER].tolist()
    others = np.setdiff1d(np.arange(16), [Joint.R_WRIST, Joint.R_ELBOW])
    assert np.array_equal(filled[others], POINTS[others])


def test_the_pelvis_lies_between_hips_and_thorax():
    points = POINTS.copy()
    points[Joint.PELVIS] = np.nan
    expected = POINTS[[Joint.R_HIP, Joint.L_HIP, Joint.THORAX]].mean(axis=0)
    assert fill_missing(points)[Joint.PELVIS] == pytest.approx(expected)


def test_nothing_to_fill_from_and_wrong_shapes():
    with pytest.raises(InvalidInputError, match='all keypoints'):
        fill_missing(np.full((16, 2), np.nan))
    with pytest.raises(InvalidInputError, match='shape'):
        fill_missing(POINTS[:3])
