import cv2
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.crops import Crop, transform_covariances, transform_points
from infant_pose_ros.skeleton import Joint


def pose_px(**places):
    """A pose of NaN, but for the named keypoints."""
    keypoints = np.full((16, 2), np.nan)
    for name, place in places.items():
        keypoints[Joint[name.upper()]] = place
    return keypoints


def test_upright_crop_maps_known_points():
    # 100 px of the frame become 50 model px: pixel edges -0.5 and 49.5 lie at 50 and 150.
    crop = Crop((100, 200), 100, 0.0, 50)
    np.testing.assert_allclose(
        transform_points(crop.frame_to_model, [[50, 150], [100, 200], [150, 250]]),
        [[-0.5, -0.5], [24.5, 24.5], [49.5, 49.5]])
    np.testing.assert_allclose(
        crop.corners_px, [[50, 150], [150, 150], [150, 250], [50, 250]])


def test_crop_of_the_same_size_in_place_changes_nothing():
    crop = Crop((31.5, 31.5), 64, 0.0, 64)
    np.testing.assert_allclose(crop.frame_to_model, [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_angle_turns_the_crops_up_direction():
    # A quarter turn: the crop's top is the frame's right.
    crop = Crop((100, 200), 100, np.pi / 2, 50)
    top_middle = transform_points(crop.model_to_frame, [24.5, -0.5])
    np.testing.assert_allclose(top_middle, [150, 200])
    np.testing.assert_allclose(
        crop.corners_px, [[150, 150], [150, 250], [50, 250], [50, 150]])


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 2000), st.floats(-7, 7),
       st.integers(8, 512))
def test_frame_to_model_and_back(x, y, side, angle, input_size):
    crop = Crop((x, y), side, angle, input_size)
    points = np.array([[0, 0], [640, 0], [13.5, 477.25], [np.nan, np.nan]])
    there = transform_points(crop.frame_to_model, points)
    np.testing.assert_allclose(
        transform_points(crop.model_to_frame, there), points, atol=1e-6)
    assert np.isnan(there[3]).all()


def test_warp_affine_takes_the_matrix():
    """OpenCV counts pixels from their centres too: a block of the frame comes out unmoved."""
    image = np.random.default_rng(0).integers(0, 255, (40, 60), np.uint8)
    crop = Crop((10 + 15.5, 5 + 15.5), 32, 0.0, 32)
    np.testing.assert_array_equal(
        cv2.warpAffine(image, crop.frame_to_model, (32, 32)), image[5:37, 10:42])


def test_from_box_takes_the_longer_side():
    crop = Crop.from_box([10, 20, 50, 100], 1.25, 192, angle_rad=0.3)
    np.testing.assert_allclose(crop.centre_px, [30, 60])
    assert (crop.side_px, crop.angle_rad, crop.input_size) == (100, 0.3, 192)


@pytest.mark.parametrize('thorax, angle', [
    ((100, 50), 0), ((150, 100), np.pi / 2), ((50, 100), -np.pi / 2), ((150, 50), np.pi / 4)])
def test_from_keypoints_follows_the_trunk(thorax, angle):
    crop = Crop.from_keypoints(pose_px(pelvis=(100, 100), thorax=thorax), 1.5, 64)
    assert crop.angle_rad == pytest.approx(angle)
    pelvis, top = transform_points(crop.frame_to_model, [[100, 100], thorax])
    assert pelvis[0] == pytest.approx(top[0])
    assert top[1] < pelvis[1]


def test_from_keypoints_upside_down_is_half_a_turn():
    crop = Crop.from_keypoints(pose_px(pelvis=(0, 0), thorax=(0, 10)), 1.0, 64)
    assert abs(crop.angle_rad) == pytest.approx(np.pi)


def test_from_keypoints_measures_the_extent_in_the_turned_frame():
    # The head lies to the right; along the trunk 120 px, across it 40 px.
    keypoints = pose_px(pelvis=(100, 100), thorax=(160, 100), head_top=(200, 110),
                        l_ankle=(80, 80), r_ankle=(90, 120))
    crop = Crop.from_keypoints(keypoints, 1.25, 64)
    assert crop.side_px == pytest.approx(150)
    np.testing.assert_allclose(crop.centre_px, [140, 100])
    assert Crop.from_keypoints(keypoints, 1.25, 64, turn=False).angle_rad == 0


def test_from_keypoints_falls_back_on_the_head_and_then_on_upright():
    head = Crop.from_keypoints(pose_px(pelvis=(0, 0), head_top=(10, 0)), 1.0, 64)
    assert head.angle_rad == pytest.approx(np.pi / 2)
    limbs = Crop.from_keypoints(
        pose_px(l_hip=(0, 0), r_hip=(10, 0), l_shoulder=(0, 9), r_shoulder=(10, 9)), 1.0, 64)
    assert abs(limbs.angle_rad) == pytest.approx(np.pi)
    hands = Crop.from_keypoints(pose_px(l_wrist=(0, 0), r_wrist=(10, 0)), 1.0, 64)
    assert hands.angle_rad == 0


def test_every_keypoint_lies_inside_of_its_crop():
    keypoints = np.random.default_rng(3).normal(300, 80, (16, 2))
    model = transform_points(Crop.from_keypoints(keypoints, 1.0, 100).frame_to_model, keypoints)
    assert model.min() > -0.5 - 1e-9
    assert model.max() < 99.5 + 1e-9


@pytest.mark.parametrize('keypoints', [
    pose_px(), pose_px(pelvis=(1, 1)), pose_px(pelvis=(1, 1), thorax=(1, 1))])
def test_from_keypoints_refuses_what_has_no_extent(keypoints):
    with pytest.raises(InvalidInputError, match='crop'):
        Crop.from_keypoints(keypoints, 1.25, 64)


@pytest.mark.parametrize('values', [
    ((np.nan, 0), 10, 0, 64), ((0, 0), 0, 0, 64), ((0, 0), 10, np.inf, 64), ((0, 0), 10, 0, 0),
    ((0, 0, 0), 10, 0, 64)])
def test_crop_refuses_bad_values(values):
    with pytest.raises(InvalidInputError):
        Crop(*values)


def test_covariances_scale_and_turn_with_the_points():
    crop = Crop((0, 0), 100, np.pi / 2, 50)  # 2 frame px per model px, x becomes y
    moved = transform_covariances(crop.model_to_frame, [[[1.0, 0.0], [0.0, 9.0]]])
    np.testing.assert_allclose(moved, [[[36, 0], [0, 4]]], atol=1e-12)


def test_covariances_agree_with_moved_samples():
    rng = np.random.default_rng(0)
    crop = Crop((3, 4), 300, 0.7, 64)
    samples = rng.normal(size=(500, 2)) @ [[2, 0.5], [0, 1]]
    moved = transform_points(crop.model_to_frame, samples)
    np.testing.assert_allclose(
        transform_covariances(crop.model_to_frame, np.cov(samples.T)), np.cov(moved.T))
