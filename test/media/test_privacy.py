"""What the privacy modes of an overlay let through of the picture: nothing, or coarse averages."""

import numpy as np
import pytest

from infant_pose_ros.codecs.keypoint_clouds import KEYPOINT_DTYPE
from infant_pose_ros.config import OverlayNodeSettings
from infant_pose_ros.media.draw import private_background
from infant_pose_ros.media.overlay import OverlayPainter
from infant_pose_ros.skeleton import TrackState

SIZES_WH = [(640, 480), (480, 640), (1280, 960), (3840, 2160)]
CELLS = 20


@pytest.fixture
def infants():
    """One infant whose keypoints lie all over the picture."""
    rows = np.zeros((1, 16), KEYPOINT_DTYPE)
    rows['u'], rows['v'] = np.linspace(30, 600, 16), np.linspace(450, 20, 16)
    rows['score'], rows['state'], rows['track'] = 0.9, TrackState.MEASURED, 7
    return rows


def pictures(size_wh=(640, 480), count=2):
    """Pictures of noise that have nothing in common."""
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize('options', [
    {}, {'draw_raw': True}, {'layout': 'side_by_side', 'trail_s': 1.0},
    {'show_box': False, 'show_text': False}])
def test_black_shows_the_same_whatever_the_picture_is(infants, options):
    settings = OverlayNodeSettings(privacy='black', **options)
    drawn = [OverlayPainter(settings).draw(picture, 1.0, infants, infants, 30.0)
             for picture in pictures()]
    assert np.array_equal(*drawn)
    assert drawn[0].any()       # the skeleton is there


@pytest.mark.parametrize('options', [{}, {'layout': 'side_by_side', 'draw_raw': True}])
def test_blur_shows_the_same_of_all_pictures_with_the_same_averages(infants, options):
    picture = pictures(count=1)[0]
    side = 640 // CELLS
    blocks = picture.reshape(480 // side, side, 640 // side, side, 3)
    # Every cell turned upside down and mirrored: other pictures, the same averages.
    shuffled = blocks[:, ::-1, :, ::-1].reshape(picture.shape)
    assert not np.array_equal(picture, shuffled)
    settings = OverlayNodeSettings(privacy='blur', **options)
    first, second = (OverlayPainter(settings).draw(one, 1.0, infants, infants, 30.0).astype(int)
                     for one in (picture, shuffled))
    assert np.abs(first - second).max() <= 1


@pytest.mark.parametrize('size_wh', SIZES_WH)
def test_the_blur_grows_with_the_picture(size_wh):
    width, height = size_wh
    edge = np.zeros((height, width, 3), np.uint8)
    edge[:, width // 2:] = 255
    steps = np.abs(np.diff(private_background(edge, 'blur')[height // 2, :, 0].astype(int)))
    cell = max(size_wh) / CELLS
    assert steps.max() <= np.ceil(255 / cell) + 1       # rounded on both sides


@pytest.mark.parametrize('size_wh', SIZES_WH)
def test_a_face_of_one_cell_becomes_one_colour(size_wh):
    """Eyes and mouth in a face as large as the head of the bundled clip, 1/16 of the width."""
    width, height = size_wh
    plain = np.full((height, width, 3), 120, np.uint8)
    face = plain.copy()
    unit = max(size_wh) // 160      # the face has a side of ten of them
    left, top = width // 2, height // 2
    for x, y in ((2, 3), (7, 3), (4, 7)):
        face[top + y * unit:top + (y + 1) * unit, left + x * unit:left + (x + 1) * unit] = 0
    seen = private_background(plain, 'blur').astype(int) - private_background(face, 'blur')
    assert seen.max() < 0.1 * 120       # of 120 in the picture itself
