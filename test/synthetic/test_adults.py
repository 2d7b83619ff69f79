import numpy as np
import pytest

from infant_pose_ros.synthetic.adults import KINDS, sample_placed
from infant_pose_ros.synthetic.body import BodyShape
from infant_pose_ros.synthetic.capsules import measure
from infant_pose_ros.synthetic.kinematics import freedoms


@pytest.fixture(scope='module')
def body():
    return measure(BodyShape.sample_adult(np.random.default_rng(0)))


def test_shares_of_poses_make_a_whole():
    assert sum(share for share, _, _ in KINDS.values()) == pytest.approx(1.0)


def test_every_moment_has_its_poses_within_the_limits(body):
    moments = [np.arange(3) / 30.0, np.array([60.0]), 90.0 + np.arange(2) / 30.0]
    placed = sample_placed(np.random.default_rng(1), body, moments)
    assert [len(part.angles_deg) for part in placed] == [3, 1, 2]
    low, high = (np.array([getattr(row, name) for row in freedoms().values()])
                 for name in ('low', 'high'))
    for part in placed:
        assert (part.angles_deg >= low - 1e-9).all() and (part.angles_deg <= high + 1e-9).all()
        assert part.turn[0] @ part.turn[0].T == pytest.approx(np.eye(3), abs=1e-9)


def test_some_lie_and_most_stand(body):
    moments = [np.array([30.0 * number]) for number in range(40)]
    placed = sample_placed(np.random.default_rng(2), body, moments)
    upright = np.array([part.turn[0, 2, 2] for part in placed])
    assert 1 <= (np.abs(upright) < 0.4).sum() < 20
    assert (upright > 0.8).sum() > 15
