import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.synthetic.poses import POSES_PER_INFANT, sample_poses


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
