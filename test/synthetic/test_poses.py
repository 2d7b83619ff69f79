import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.poses import poses_from_above, POSES_PER_INFANT, sample_poses


@pytest.mark.parametrize('people, shortest, longest', [
    ('infants', 0.4, 0.85), ('adults', 1.4, 2.05)])
def test_poses_lie_in_front_of_the_camera_and_are_as_long_as_people_are(people, shortest, longest):
    done = []
    poses = sample_poses(1, 2, seed=3, progress=done.append, people=people)
    assert poses.keypoints_m.shape == (2 * POSES_PER_INFANT, 16, 3)
    assert (poses.keypoints_m[..., 2] > 0).all()
    assert (poses.body_length_m > shortest).all() and (poses.body_length_m < longest).all()
    assert done == [1]


def test_the_seed_decides_and_other_people_are_refused():
    first, again = (sample_poses(1, 1, seed=3).keypoints_m for _ in range(2))
    assert np.array_equal(first, again)
    with pytest.raises(InvalidInputError, match='adults'):
        sample_poses(1, 1, seed=3, people='cats')


def test_poses_are_seen_from_above_with_the_left_on_the_right():
    done = []
    poses = poses_from_above(40, seed=1, progress=done.append)
    assert poses.shape == (40, 16, 2) and done == [32, 8]
    up = poses[:, Joint.THORAX] - poses[:, Joint.PELVIS]
    left = poses[:, Joint.L_SHOULDER] - poses[:, Joint.R_SHOULDER]
    assert (up[:, 0] * left[:, 1] - up[:, 1] * left[:, 0] > 0).all()  # y down
    assert np.array_equal(poses[:8], poses_from_above(8, seed=1))
