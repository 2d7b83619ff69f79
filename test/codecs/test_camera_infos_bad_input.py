from types import SimpleNamespace

from bad_input import bad_input, camera_infos
from hypothesis import given
import numpy as np
import pytest

from infant_pose_ros.codecs.camera_infos import decode_camera_info
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.cameras import (
    camera_for_picture,
    project,
    ray_covariances,
    undistort_to_rays,
)

POINTS_PX = np.array([[0.0, 0.0], [319.0, 239.0], [639.0, 479.0], [np.nan, 1.0]])


def info(k=(600.0, 0.0, 319.5, 0.0, 610.0, 239.5, 0.0, 0.0, 1.0), d=(), model='plumb_bob',
         roi=(0, 0, 0, 0), **changes):
    return SimpleNamespace(**{**dict(
        k=np.array(k), d=list(d), distortion_model=model, width=640, height=480, binning_x=0,
        binning_y=0, roi=SimpleNamespace(**dict(zip(('x_offset', 'y_offset', 'width', 'height'),
                                                    roi)))), **changes})


@given(camera_infos())
@bad_input(300)
def test_a_camera_info_is_a_camera_that_can_be_used_or_one_clear_error(message):
    try:
        camera = decode_camera_info(message)
        camera = camera_for_picture(camera, (640, 480))
    except InvalidInputError as error:
        assert '\n' not in str(error) and len(str(error)) < 700
        return
    rays = undistort_to_rays(camera, POINTS_PX)
    assert rays.shape == POINTS_PX.shape and np.isnan(rays[3, 0])
    known = np.isfinite(rays).all(axis=1)
    spans = ray_covariances(camera, POINTS_PX[:3], np.tile(np.eye(2), (3, 1, 1)))
    assert np.isfinite(spans).all()
    # What has a ray is seen where it was.
    back = project(camera, np.column_stack([rays[known], np.ones(known.sum())]))
    assert np.abs(back - POINTS_PX[known]).max(initial=0.0) < 1.0


@pytest.mark.parametrize('k, reason', [
    ((0.0,) * 9, 'is uncalibrated, its K is all zeros'), ((np.nan,) * 9, 'finite and positive'),
    ((600.0, 0.0, np.inf, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0), 'finite'),
    ((5e-324, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0), 'are not those of a 640x480'),
    ((600.0, 0.0, 320.0, 0.0, 1e300, 240.0, 0.0, 0.0, 1.0), 'are not those of a 640x480'),
    ((600.0, 0.0, 1e9, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0), 'are not those of a 640x480'),
    ((600.0, 0.0, 0.0, 0.0, 600.0, 0.0, 320.0, 240.0, 1.0), 'is it transposed'),
    ((600.0, 30.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0), 'skewed'),
    ((600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 2.0), 'not filled in')])
def test_a_matrix_that_no_camera_has(k, reason):
    with pytest.raises(InvalidInputError, match=reason):
        decode_camera_info(info(k))


@pytest.mark.parametrize('model, d, reason', [
    ('', [0.1, 0.0, 0.0, 0.0, 0.0], 'without a distortion_model: name it'),
    ('plumb_bob', [0.1] * 3, 'takes 4 or 5 coefficients, got 3'),
    ('plumb_bob', [0.1] * 100_000, 'got 100000'),
    ('plumb_bob', [np.nan] * 5, 'must be finite'), ('plumb_bob', [1e300] * 5, 'beyond 1e'),
    ('x' * 10_000, [0.1] * 5, "unknown distortion_model 'x{79}[.]{3}; known: equidistant")])
def test_a_lens_that_no_camera_has(model, d, reason):
    with pytest.raises(InvalidInputError, match=reason) as caught:
        decode_camera_info(info(d=d, model=model))
    assert len(str(caught.value)) < 300


def test_regions_and_binnings_that_no_camera_has():
    with pytest.raises(InvalidInputError, match='ends at 700, but the width is 640'):
        decode_camera_info(info(roi=(60, 0, 640, 480)))
    with pytest.raises(InvalidInputError, match='ends at 490, but the height is 480'):
        decode_camera_info(info(roi=(0, 10, 0, 480)))
    with pytest.raises(InvalidInputError, match='must be positive, got 0x480'):
        decode_camera_info(info(binning_x=2 ** 32 - 1))
    camera = decode_camera_info(info(roi=(320, 240, 320, 240), binning_x=2, binning_y=2))
    assert (camera.width, camera.height, camera.cx) == (160, 120, -0.5)


def test_what_drivers_leave_out_or_fill_up_is_no_error():
    k = (600.0, 1.0, 320.0, 0.0, 610.0, 240.0, 0.0, 0.0, 0.0)
    assert decode_camera_info(info(k)).fy == 610.0
    five = [0.1, -0.2, 1e-3, 2e-3, 0.05]
    eight = five + [0.01, 0.02, 0.03]
    for model, d, kept in (('plumb_bob', five + [0.0] * 3, five),
                           ('plumb_bob', five[:4], five[:4]),
                           ('rational_polynomial', five, five),
                           ('rational_polynomial', eight + [0.0] * 6, eight + [0.0] * 6),
                           ('fisheye', five[:4] + [0.0], five[:4]), ('plumb_bob', [], []),
                           ('', [], []), ('', [0.0] * 5, []), ('anything', [0.0] * 5, [])):
        assert decode_camera_info(info(d=d, model=model)).distortion.tolist() == kept
    with pytest.raises(InvalidInputError, match='plumb_bob takes 4 or 5 coefficients, got 8'):
        decode_camera_info(info(d=eight))
    ideal = decode_camera_info(info(d=[0.0] * 8, model='equidistant'))
    assert ideal.has_distortion and len(ideal.distortion) == 4
    for binning in (0, 1):
        whole = decode_camera_info(info(roi=(0, 0, 640, 480), binning_x=binning,
                                        binning_y=binning))
        assert (whole.width, whole.height, whole.cx) == (640, 480, 319.5)
