from types import SimpleNamespace

from bad_input import bad_input, keypoint_clouds
from hypothesis import given
import numpy as np
import pytest

from infant_pose_ros.codecs.keypoint_clouds import (
    decode_keypoints,
    empty_rows,
    KEYPOINT_DTYPE,
    POINT_FIELDS,
)
from infant_pose_ros.config import OverlayNodeSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.media.overlay import OverlayPainter
from infant_pose_ros.skeleton import NUM_KEYPOINTS


def cloud(rows, fields=POINT_FIELDS, **changes):
    step = KEYPOINT_DTYPE.itemsize
    return SimpleNamespace(**{**dict(
        height=len(rows), width=NUM_KEYPOINTS, is_bigendian=False, point_step=step,
        row_step=step * NUM_KEYPOINTS, data=rows.tobytes(),
        fields=[SimpleNamespace(name=name, offset=offset, datatype=datatype, count=1)
                for name, offset, datatype in fields]), **changes})


@given(keypoint_clouds())
@bad_input(300)
def test_keypoints_are_decoded_and_drawn_or_refused(message):
    try:
        with np.errstate(all='raise'):
            rows = decode_keypoints(message)
    except InvalidInputError as error:
        assert str(error).startswith('keypoints: ') and len(str(error)) < 700
        return
    assert rows.shape == (message.height, NUM_KEYPOINTS) and rows.dtype == KEYPOINT_DTYPE
    painter = OverlayPainter(OverlayNodeSettings(draw_raw=True, trail_s=1.0))
    picture_rgb = painter.draw(np.zeros((24, 32, 3), np.uint8), 1.0, rows, rows)
    assert picture_rgb.shape == (24, 32, 3)


@pytest.mark.parametrize('changes, reason', [
    ({'height': 2 ** 32 - 1, 'point_step': 0, 'row_step': 0}, '4294967295 rows; at most 1000'),
    ({'height': 1000, 'point_step': 0, 'row_step': 0}, "over the point's 0 bytes"),
    ({'row_step': 2 ** 32 - 1}, "don't fit"), ({'point_step': 2 ** 32 - 1}, "don't fit")])
def test_claimed_sizes_allocate_nothing(changes, reason):
    with pytest.raises(InvalidInputError, match=reason):
        decode_keypoints(cloud(empty_rows(1), **changes))


@pytest.mark.parametrize('name, value, reason', [
    ('u', np.inf, "'u' holds values beyond 1e"), ('z', -1e30, "'z' holds values beyond"),
    ('state', 7, "'state' holds values outside 0 .. 2"),
    ('joint', 3, 'stand in another order')])
def test_values_that_no_keypoint_has(name, value, reason):
    rows = empty_rows(1)
    rows[name][0, 0] = value
    with pytest.raises(InvalidInputError, match=reason):
        decode_keypoints(cloud(rows))


def test_types_of_another_kind_are_refused():
    fields = [(name, offset, 6 if name == 'u' else datatype)
              for name, offset, datatype in POINT_FIELDS]
    with pytest.raises(InvalidInputError, match="'u' is of type 6; expected a floating point"):
        decode_keypoints(cloud(empty_rows(1), fields))
    fields = [(name, 0 if name == 'track' else offset, 7 if name == 'track' else datatype)
              for name, offset, datatype in POINT_FIELDS]
    with pytest.raises(InvalidInputError, match="'track' is of type 7; expected an integer"):
        decode_keypoints(cloud(empty_rows(1), fields))
