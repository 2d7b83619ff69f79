import numpy as np
import pytest

from infant_pose_ros.cli import main as cli
from infant_pose_ros.cli.coverage import poses_from_above
from infant_pose_ros.skeleton import Joint


def test_poses_are_seen_from_above_with_the_left_on_the_right():
    poses = poses_from_above(8, seed=1)
    assert poses.shape == (8, 16, 2)
    up = poses[:, Joint.THORAX] - poses[:, Joint.PELVIS]
    left = poses[:, Joint.L_SHOULDER] - poses[:, Joint.R_SHOULDER]
    assert (up[:, 0] * left[:, 1] - up[:, 1] * left[:, 0] > 0).all()  # y down
    assert np.array_equal(poses, poses_from_above(8, seed=1))


@pytest.mark.parametrize('words, message', [
    (['nowhere.mat', '--poses', '0'], '--poses'), (['nowhere.mat'], 'nowhere.mat')])
def test_errors_are_one_line(words, message, tmp_path, capsys):
    assert cli.main(['coverage', *words, '--out', str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
