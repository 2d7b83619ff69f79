import numpy as np
import pytest

from infant_pose_ros.geometry.cameras import project
from infant_pose_ros.structures import Camera
from infant_pose_ros.synthetic.camera import look_at, sample_adult_camera, sample_camera

SIZE = (320, 240)


def test_a_camera_sees_its_target_ahead_and_its_own_place_as_the_origin():
    position, target = np.array([0.3, -0.4, 1.2]), np.array([0.1, 0.2, 0.0])
    matrix = look_at(position, target, 0.7)
    assert matrix[:, :3] @ matrix[:, :3].T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(matrix[:, :3]) == pytest.approx(1.0)
    assert matrix @ np.append(position, 1) == pytest.approx([0, 0, 0], abs=1e-12)
    assert matrix @ np.append(target, 1) == pytest.approx(
        [0, 0, np.linalg.norm(target - position)], abs=1e-12)


def test_from_straight_above_x_is_right_and_y_is_up_and_a_roll_turns_the_camera():
    matrix = look_at(np.array([0.0, 0, 2]), np.zeros(3), 0.0)
    assert matrix @ [1, 0, 0, 1] == pytest.approx([1, 0, 2])
    assert matrix @ [0, 1, 0, 1] == pytest.approx([0, -1, 2])
    rolled = look_at(np.array([0.0, 0, 2]), np.zeros(3), np.pi / 2)
    assert rolled @ [1, 0, 0, 1] == pytest.approx([0, -1, 2], abs=1e-12)


def test_from_the_side_the_world_stands_upright():
    matrix = look_at(np.array([0.0, -2, 1]), np.array([0.0, 0, 1]), 0.0)
    assert matrix @ [0, 0, 2, 1] == pytest.approx([0, -1, 2])


def lying(length=0.5):
    points = np.zeros((1, 16, 3))
    points[0, :, 0] = np.linspace(-length / 2, length / 2, 16)
    return points


def test_infants_are_seen_from_above_at_a_fitting_size():
    shares = []
    for seed in range(60):
        camera, matrix = sample_camera(np.random.default_rng(seed), lying(), SIZE)
        centre = -matrix[:, :3].T @ matrix[:, 3]
        assert 0.2 < centre[2] < 2.6
        pixels = project(camera, lying()[0] @ matrix[:, :3].T + matrix[:, 3])
        shares.append(np.linalg.norm(pixels[-1] - pixels[0]) / 240)
    assert 0.3 < np.median(shares) < 1.1 and np.ptp(shares) > 0.3


def test_fixed_intrinsics_are_kept():
    fixed = Camera(588.0, 590.0, 322.0, 237.0, 640, 480)
    camera, _ = sample_camera(np.random.default_rng(0), lying(), (640, 480), fixed)
    assert camera is fixed


def test_adults_are_seen_from_anywhere_above_the_floor():
    points = np.zeros((1, 16, 3))
    points[0, :, 2] = np.linspace(0, 1.7, 16)
    heights = []
    for seed in range(60):
        camera, matrix = sample_adult_camera(np.random.default_rng(seed), points, SIZE)
        heights.append((-matrix[:, :3].T @ matrix[:, 3])[2])
        pixels = project(camera, points[0] @ matrix[:, :3].T + matrix[:, 3])
        assert ((pixels > 0) & (pixels < SIZE)).all(1).any()
    assert min(heights) > 0.149 and max(heights) > 2.0 and np.median(heights) < 2.5
