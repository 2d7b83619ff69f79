import numpy as np
import pytest

from infant_pose_ros.codecs.keypoint_clouds import empty_rows
from infant_pose_ros.config import OverlayNodeSettings
from infant_pose_ros.media.overlay import OverlayPainter
from infant_pose_ros.skeleton import Joint, SIDE_COLOURS_RGB, TrackState


@pytest.fixture
def picture():
    return np.full((480, 640, 3), 77, np.uint8)


def infants(shift_px=0.0, lost=False):
    """One infant on a grid, 80 px apart."""
    rows = empty_rows(1)
    if not lost:
        column = np.arange(16)
        rows['u'], rows['v'] = 150.0 + 80.0 * (column % 4) + shift_px, 100.0 + 80.0 * (column // 4)
        rows['score'], rows['state'], rows['track'] = 0.8, TrackState.MEASURED, 3
    return rows


def draw(picture, rows, raw=None, rate_hz=None, **settings):
    return OverlayPainter(OverlayNodeSettings(**settings)).draw(picture, 1.0, rows, raw, rate_hz)


def has_colour(image, side):
    return bool((image == SIDE_COLOURS_RGB[side]).all(axis=-1).any())


def test_it_draws_and_leaves_the_picture_alone(picture):
    before = picture.copy()
    drawn = draw(picture, infants(), rate_hz=12.3)
    assert (picture == before).all()
    assert all(has_colour(drawn, side) for side in SIDE_COLOURS_RGB)


def test_without_infants_or_text_it_is_the_picture(picture):
    assert (draw(picture, empty_rows(0), show_text=False) == picture).all()


def test_in_privacy_mode_it_shows_the_skeleton_only(picture):
    drawn = draw(picture, infants(), privacy='black', show_text=False, show_box=False)
    assert not (drawn == 77).all(axis=-1).any()
    assert has_colour(drawn, 'left')


def test_it_keeps_to_score_min_and_lost_joints(picture):
    plain = {'show_text': False, 'show_box': False}
    assert (draw(picture, infants(), score_min=0.9, **plain) == picture).all()
    assert (draw(picture, infants(lost=True), show_text=False) == picture).all()


def test_it_draws_raw_keypoints_too(picture):
    rows, raw = infants(), infants(60.0)
    with_raw = draw(picture, rows, raw, draw_raw=True, show_text=False)
    assert (with_raw != draw(picture, rows, show_text=False)).any()


def test_raw_stands_left_and_smoothed_right(picture):
    quiet = {'show_text': False, 'show_box': False}
    drawn = draw(picture, infants(), infants(20.0), layout='side_by_side', **quiet)
    assert drawn.shape == (480, 1282, 3)
    left, right = drawn[:, :640], drawn[:, -640:]
    # Elbow and wrist of the right arm lie left of the labels' reach.
    for panel, rows in ((left, infants(20.0)), (right, infants())):
        alone = draw(picture, rows, **quiet)
        assert (panel[60:] == alone[60:]).all()
        assert (panel[:60] != alone[:60]).any()     # 'raw' or 'smoothed' is written there


def test_side_by_side_in_privacy_mode_hides_both_pictures(picture):
    drawn = draw(picture, infants(), infants(), layout='side_by_side', privacy='black',
                 show_text=False)
    assert (drawn == 77).all(axis=-1).sum() < 50        # edges of lines, by chance
    assert not drawn[400, 20].any() and not drawn[400, 662].any()


@pytest.mark.parametrize(('settings', 'needed'), [
    ({}, False), ({'draw_raw': True}, True), ({'layout': 'side_by_side'}, True)])
def test_raw_keypoints_are_asked_for_only_where_they_are_drawn(settings, needed):
    assert OverlayPainter(OverlayNodeSettings(**settings)).needs_raw is needed


def test_trails_show_where_the_wrists_were(picture):
    painter = OverlayPainter(OverlayNodeSettings(trail_s=0.5, show_text=False, show_box=False))
    without = OverlayPainter(painter.settings.replace(trail_s=0.0))
    ends = [Joint.R_WRIST, Joint.L_WRIST, Joint.R_ANKLE, Joint.L_ANKLE]
    for step in range(4):
        rows = infants()
        rows['v'][0, ends] -= 30.0 * (3 - step)
        drawn, plain = (one.draw(picture, 0.1 * step, rows) for one in (painter, without))
    changed = (drawn != plain).any(axis=-1)
    for u, v in zip(rows['u'][0, ends].astype(int), rows['v'][0, ends].astype(int)):
        assert changed[v - 40:v - 10, u].mean() > 0.6       # bones may cross it
    assert changed.sum() < 4 * 90 * 10
