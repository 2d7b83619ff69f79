import numpy as np
import pytest

from infant_pose_ros.codecs.keypoint_clouds import empty_rows
from infant_pose_ros.media.trails import Trails
from infant_pose_ros.skeleton import Joint, TrackState


def infant(u, track=1, state=TrackState.MEASURED):
    rows = empty_rows(1)
    rows['u'], rows['v'], rows['track'], rows['state'] = u, 5.0, track, state
    return rows


def test_a_path_goes_back_as_far_as_asked():
    trails = Trails(0.25)
    for step in range(6):
        trails.add(0.1 * step, infant(float(step)))
    # 0.3, 0.4 and 0.5 s: 0.2 s is 0.3 s back.
    assert trails.paths(1)[:, 0, 0].tolist() == [3.0, 4.0, 5.0]
    assert trails.paths(1).shape == (3, 4, 2)


def test_a_lost_joint_and_a_missing_infant_leave_gaps():
    trails = Trails(1.0)
    lost = infant(1.0)
    lost['state'][0, Joint.L_WRIST] = TrackState.LOST
    for stamp_s, rows in ((0.0, infant(0.0)), (0.1, lost), (0.2, empty_rows(0)),
                          (0.3, infant(3.0))):
        trails.add(stamp_s, rows)
    assert np.isnan(trails.paths(1)[:, :, 0]).tolist() == [
        [False] * 4, [False, True, False, False], [True] * 4, [False] * 4]
    assert np.isnan(trails.paths(2)).all()


@pytest.mark.parametrize('stamp_s', [0.1, 0.05, -3.0])
def test_a_jump_back_begins_anew(stamp_s):
    trails = Trails(1.0)
    trails.add(0.0, infant(0.0))
    trails.add(0.1, infant(1.0))
    trails.add(stamp_s, infant(2.0))
    assert trails.paths(1)[:, 0, 0].tolist() == [2.0]


def test_a_length_of_nothing_draws_nothing():
    trails, image = Trails(0.0), np.zeros((20, 20, 3), np.uint8)
    for step in range(3):
        trails.add(0.1 * step, infant(5.0 * step))
    trails.draw(image, infant(10.0))
    assert not image.any() and len(trails.paths(1)) == 0


def test_trails_are_drawn_brighter_where_they_are_new():
    trails, image = Trails(1.0), np.full((20, 60, 3), 95, np.uint8)
    for step in range(6):
        trails.add(0.1 * step, infant(10.0 * step))
    trails.draw(image, infant(50.0))
    row = image[5].astype(int)
    strength = row.max(axis=1) - row.min(axis=1)
    assert 0 < strength[15] < strength[45]
