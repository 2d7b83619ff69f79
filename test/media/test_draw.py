import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.media.draw import (
    beside_each_other,
    draw_box,
    draw_label,
    draw_path,
    draw_pose,
    private_background,
)
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS, SIDE_COLOURS_RGB, SIDES, TrackState


@pytest.fixture
def picture():
    return np.full((480, 640, 3), 90, np.uint8)


@pytest.fixture
def pose():
    # A grid, 100 px apart, so that joints don't overlap.
    column = np.arange(NUM_KEYPOINTS)
    keypoints = np.stack([100.0 + 110.0 * (column % 4), 60.0 + 110.0 * (column // 4)], axis=1)
    return keypoints, np.full(16, 0.9), np.full(16, TrackState.MEASURED, np.uint8)


def colour_at(image, point):
    return tuple(int(value) for value in image[round(point[1]), round(point[0])])


def test_every_joint_gets_the_colour_of_its_side_in_place(picture, pose):
    keypoints, score, state = pose
    assert draw_pose(picture, keypoints, score, state) is picture
    for joint in range(NUM_KEYPOINTS):
        assert colour_at(picture, keypoints[joint]) == SIDE_COLOURS_RGB[SIDES[joint]]
    assert len(set(SIDE_COLOURS_RGB.values())) == 3


def test_missing_lost_and_unsure_joints_are_left_out(picture, pose):
    keypoints, score, state = pose
    wrist = keypoints[Joint.R_WRIST].copy()
    others = [joint for joint in Joint if joint not in (
        Joint.PELVIS, Joint.L_ANKLE, Joint.HEAD_TOP)]  # without bones across the places looked at
    keypoints[others] = np.nan
    state[Joint.L_ANKLE] = TrackState.LOST
    score[Joint.HEAD_TOP] = 0.1
    draw_pose(picture, keypoints, score, state, score_min=0.2)
    for place in (wrist, keypoints[Joint.L_ANKLE], keypoints[Joint.HEAD_TOP]):
        assert colour_at(picture, place) not in SIDE_COLOURS_RGB.values()
    assert colour_at(picture, keypoints[Joint.PELVIS]) == SIDE_COLOURS_RGB['centre']


def test_nothing_is_drawn_without_a_joint_to_draw(picture, pose):
    keypoints, score, state = pose
    before = picture.copy()
    draw_pose(picture, np.full((16, 2), np.nan), score, state)
    draw_pose(picture, keypoints, score, np.zeros(16, np.uint8))
    draw_pose(picture, keypoints, np.zeros(16), state, score_min=0.5)
    assert (picture == before).all()


def test_a_predicted_joint_is_hollow(picture, pose):
    keypoints, score, state = pose
    lone = np.full_like(keypoints, np.nan)
    lone[Joint.L_KNEE] = (200.0, 200.0)
    state[Joint.L_KNEE] = TrackState.PREDICTED
    draw_pose(picture, lone, score, state)
    assert colour_at(picture, (200, 200)) == (90, 90, 90)
    assert colour_at(picture, (205, 200)) == pytest.approx(SIDE_COLOURS_RGB['left'], abs=50)


def test_thin_draws_less(picture, pose):
    thick = draw_pose(picture.copy(), *pose)
    thin = draw_pose(picture.copy(), *pose, thin=True)
    changed = [(image != picture).any(axis=-1).sum() for image in (thick, thin)]
    assert 0 < changed[1] < changed[0] / 2


def test_points_far_outside_do_no_harm(picture, pose):
    keypoints, score, state = pose
    keypoints[:8] = 1e12
    keypoints[8] = (-1e9, 50.0)
    draw_pose(picture, keypoints, score, state)
    draw_box(picture, (-1e12, -1e12, 1e12, 1e12))


@pytest.mark.parametrize('index, shape', [(0, (15, 2)), (1, (15,)), (2, (16, 1))])
def test_wrong_shapes_are_refused(picture, pose, index, shape):
    arguments = list(pose)
    arguments[index] = np.zeros(shape)
    with pytest.raises(InvalidInputError, match='draw_pose'):
        draw_pose(picture, *arguments)


def test_box_is_drawn_on_its_edge_and_left_out_when_not_finite(picture):
    before = picture.copy()
    draw_box(picture, (np.nan, 0.0, 10.0, 10.0))
    assert (picture == before).all()
    draw_box(picture, (100, 50, 300, 200), colour=(250, 0, 0))
    assert colour_at(picture, (200, 50)) == pytest.approx((250, 0, 0), abs=30)
    assert colour_at(picture, (200, 120)) == (90, 90, 90)
    with pytest.raises(InvalidInputError, match='4 numbers'):
        draw_box(picture, (1, 2, 3))


@pytest.mark.parametrize('corner', [(10, 100), (-500, -500), (5000, 5000)])
def test_a_label_stays_inside_the_picture(picture, corner):
    before = picture.copy()
    draw_label(picture, 'infant 1', corner)
    assert (picture != before).any()
    assert picture.max() > 200


def test_a_label_larger_than_the_picture_does_no_harm():
    tiny = np.full((8, 8, 3), 90, np.uint8)
    draw_label(tiny, 'much too long for this', (0, 8))


def test_privacy_modes(picture):
    picture[::2] = 250  # stripes of 1 px: fine content
    off, black, blur = (private_background(picture, mode) for mode in ('off', 'black', 'blur'))
    assert (off == picture).all() and off is not picture
    assert not np.shares_memory(off, picture)
    assert not black.any()
    assert blur.shape == picture.shape
    assert np.ptp(blur.astype(int)) <= 1 and blur.mean() == pytest.approx(170, abs=1)
    with pytest.raises(InvalidInputError, match="'off', 'black', 'blur'"):
        private_background(picture, 'pixels')


def test_a_path_leaves_gaps_where_it_is_not_known(picture):
    before = picture.copy()
    draw_path(picture, [(100, 100), (150, 100), (np.nan, np.nan), (250, 100), (300, 100)],
              (255, 0, 0))
    changed = (picture != before).any(axis=-1)
    assert changed[100, 102:149].all() and changed[100, 252:299].all()
    assert not changed[100, 160:240].any()


@pytest.mark.parametrize('points', [[], [(5.0, 5.0)], [(np.nan, np.nan)] * 3])
def test_a_path_of_less_than_two_points_is_nothing(picture, points):
    before = picture.copy()
    draw_path(picture, points, (255, 0, 0))
    assert (picture == before).all()


def test_two_pictures_beside_each_other_are_of_even_width():
    left, right = np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 9, np.uint8)
    both = beside_each_other(left, right)
    assert both.shape == (4, 12, 3)
    assert not both[:, :5].any() and (both[:, 7:] == 9).all() and (both[:, 5:7] > 200).all()
