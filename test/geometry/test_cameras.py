import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.cameras import (
    assumed_camera,
    camera_for_picture,
    project,
    ray_covariances,
    scaled_camera,
    undistort_to_rays,
)
from infant_pose_ros.structures import Camera

PINHOLE = Camera(500, 400, 320, 240, 640, 480)
LENSES = {
    'pinhole': PINHOLE,
    'plumb_bob': Camera(
        600, 610, 320, 240, 640, 480, 'plumb_bob', [-0.3, 0.1, 0.001, -0.002, 0.0]),
    'plumb_bob with 4': Camera(
        600, 610, 320, 240, 640, 480, 'plumb_bob', [0.1, -0.05, 0.001, -0.002]),
    'rational_polynomial': Camera(
        600, 610, 320, 240, 640, 480, 'rational_polynomial',
        [0.3, 0.05, 0.001, -0.001, 0.01, 0.5, 0.1, 0.02]),
    'rational_polynomial with 12': Camera(
        400, 405, 320, 240, 640, 480, 'rational_polynomial',
        [0.2, 0.05, 0.001, -0.001, 0.01, 0.5, 0.1, 0.02, 0.002, -0.001, 0.001, 0.002]),
    'rational_polynomial with 14': Camera(
        400, 405, 320, 240, 640, 480, 'rational_polynomial',
        [0.2, 0.05, 0.001, -0.001, 0.01, 0.5, 0.1, 0.02, 0.002, -0.001, 0.001, 0.002, 0.03,
         -0.02]),
    'equidistant': Camera(
        300, 305, 320, 240, 640, 480, 'equidistant', [0.05, 0.01, 0.001, 0.002]),
}
#: Lenses that bend the picture hard, with the widest ray that they see.
WIDE_LENSES = {
    'barrel': (Camera(420, 420, 320, 240, 640, 480, 'plumb_bob',
                      [-0.32, 0.12, 0.001, -0.001, -0.02]), 1.1),
    'pincushion': (Camera(500, 500, 320, 240, 640, 480, 'plumb_bob',
                          [0.35, 0.2, 0.002, -0.001, 0.1]), 0.68),
    'rational': (Camera(300, 300, 320, 240, 640, 480, 'rational_polynomial',
                        [2.0, 0.5, 0.0002, 0, 0.02, 2.4, 1.0, 0.1]), 3.0),
    'depth camera': (Camera(600, 600, 320, 240, 640, 480, 'rational_polynomial',
                            [0.45, -2.6, 0.0007, -0.0003, 1.5, 0.33, -2.4, 1.4]), 0.64),
    'fisheye': (Camera(250, 250, 320, 240, 640, 480, 'equidistant',
                       [0.02, -0.005, 0.001, 0]), 6.0),
}


def test_project_a_pinhole_by_hand():
    pixels = project(PINHOLE, [[0, 0, 1], [0.2, -0.1, 2], [0.2, -0.1, 0.5]])
    np.testing.assert_allclose(pixels, [[320, 240], [370, 220], [520, 160]])


def test_rays_of_a_pinhole_by_hand():
    np.testing.assert_allclose(
        undistort_to_rays(PINHOLE, [[320, 240], [370, 220]]), [[0, 0], [0.1, -0.05]])


def test_plumb_bob_by_hand():
    # At x/z = 0.5: r^2 = 0.25, radial factor 1 - 0.2 * 0.25 = 0.95.
    camera = Camera(100, 100, 0, 0, 640, 480, 'plumb_bob', [-0.2, 0, 0, 0, 0])
    np.testing.assert_allclose(project(camera, [0.5, 0, 1]), [47.5, 0], atol=1e-9)
    np.testing.assert_allclose(undistort_to_rays(camera, [47.5, 0]), [0.5, 0], atol=1e-8)


def test_equidistant_by_hand():
    # Without further terms an ideal fisheye: the pixel's distance is f times the angle.
    camera = Camera(100, 100, 0, 0, 640, 480, 'equidistant', [0, 0, 0, 1e-12])
    np.testing.assert_allclose(project(camera, [1, 0, 1]), [100 * np.pi / 4, 0], atol=1e-6)


@pytest.mark.parametrize('name', LENSES)
def test_pixels_to_rays_and_back(name):
    camera = LENSES[name]
    pixels = np.stack(np.meshgrid(np.linspace(40, 600, 7), np.linspace(30, 450, 5)), axis=-1)
    rays = undistort_to_rays(camera, pixels)
    assert rays.shape == (5, 7, 2)
    points = np.concatenate([rays, np.ones((5, 7, 1))], axis=-1) * 1.7
    np.testing.assert_allclose(project(camera, points), pixels, atol=1e-5)


@pytest.mark.parametrize('name', LENSES)
def test_missing_points_stay_missing_and_spoil_no_others(name):
    camera = LENSES[name]
    rays = undistort_to_rays(camera, [[np.nan, 3], [330, 250]])
    assert np.isnan(rays[0]).any()
    np.testing.assert_allclose(rays[1], undistort_to_rays(camera, [330, 250]))
    pixels = project(camera, [[np.nan, 0, 1], [0, 0, -1], [0, 0, 0], [0, 0, 1]])
    assert np.isnan(pixels[:3]).all()
    np.testing.assert_allclose(pixels[3], [320, 240])
    assert np.isnan(undistort_to_rays(camera, np.full((16, 2), np.nan))).all()
    assert undistort_to_rays(camera, np.zeros((0, 2))).shape == (0, 2)
    assert project(camera, np.zeros((0, 3))).shape == (0, 2)


@pytest.mark.parametrize('name', WIDE_LENSES)
def test_strong_distortion_is_removed_up_to_the_corners(name):
    camera, widest = WIDE_LENSES[name]
    radius, turn = np.meshgrid(np.linspace(0, widest, 30), np.linspace(0, 2 * np.pi, 24))
    rays = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1).reshape(-1, 2)
    pixels = project(camera, np.column_stack([rays, np.ones(len(rays))]))
    inside = ((pixels >= 0) & (pixels <= (639, 479))).all(axis=1)
    reach_px = np.linalg.norm(pixels[inside] - (320, 240), axis=1).max()
    assert reach_px > 330                   # of 400 in the corner
    bent_px = np.abs(pixels - (rays * (camera.fx, camera.fy) + (320, 240)))[inside].max()
    assert bent_px > 5
    np.testing.assert_allclose(undistort_to_rays(camera, pixels[inside]), rays[inside], atol=1e-6)


def test_an_ideal_fisheye_has_no_coefficients_but_is_no_pinhole():
    camera = Camera(100, 100, 0, 0, 640, 480, 'fisheye', [0, 0, 0, 0])
    assert camera.distortion_model == 'equidistant' and camera.has_distortion
    np.testing.assert_allclose(project(camera, [1, 0, 1]), [100 * np.pi / 4, 0], atol=1e-9)
    np.testing.assert_allclose(undistort_to_rays(camera, [100 * np.pi / 4, 0]), [1, 0], atol=1e-9)


def test_a_pixel_that_the_lens_can_not_see_has_no_ray():
    # r (1 - 0.5 r^2) never exceeds 0.544, so that x = 200 px (2.0) has no ray.
    camera = Camera(100, 100, 0, 0, 640, 480, 'plumb_bob', [-0.5, 0, 0, 0])
    rays = undistort_to_rays(camera, [[200, 0], [30, 0]])
    assert np.isnan(rays[0]).all()
    assert np.isfinite(rays[1]).all()


def test_a_pixel_at_the_edge_of_a_fisheye_spans_more_of_the_plane_by_hand():
    camera = Camera(100, 100, 0, 0, 640, 480, 'fisheye', [0, 0, 0, 0])
    points = np.array([[0.0, 0.0], [25.0 * np.pi, 0.0]])        # 45 degrees off the axis
    found = ray_covariances(camera, points, np.tile(4.0 * np.eye(2), (2, 1, 1)))
    assert np.allclose(found[0], 4e-4 * np.eye(2), rtol=1e-3)
    # along the radius 1 / cos^2 = 2, across it tan(45 deg) / (pi / 4)
    assert np.allclose(found[1], 4e-4 * np.diag([4.0, (4 / np.pi) ** 2]), rtol=1e-3)


@pytest.mark.parametrize('name', LENSES)
def test_covariances_of_rays_are_those_of_many_pixels(name):
    camera, rng = LENSES[name], np.random.default_rng(0)
    middle, covariance = np.array([420.0, 330.0]), np.array([[0.5, 0.2], [0.2, 0.3]])
    pixels = rng.multivariate_normal(middle, covariance, 20000)
    spread = np.cov(undistort_to_rays(camera, pixels).T)
    found = ray_covariances(camera, middle, covariance)
    assert np.allclose(found, spread, rtol=0.04, atol=0.02 * spread.max())


def test_covariances_where_there_is_no_ray():
    camera = Camera(100, 100, 0, 0, 640, 480, 'plumb_bob', [-0.5, 0, 0, 0])
    points = np.array([[5000.0, 0.0], [np.nan, np.nan], [3.0, 0.0]])
    covariances = np.tile(np.eye(2), (3, 1, 1))
    covariances[1] = np.nan
    found = ray_covariances(camera, points, covariances)
    assert np.allclose(found[0], 1e-4 * np.eye(2)) and np.isnan(found[1]).all()
    assert np.allclose(found[2], 1e-4 * np.eye(2), rtol=1e-2)
    assert np.allclose(ray_covariances(PINHOLE, points[2], np.eye(2)),
                       np.diag([1 / 500 ** 2, 1 / 400 ** 2]))


def test_assumed_camera():
    camera = assumed_camera((640, 480))
    assert (camera.fx, camera.fy) == (768, 768)
    assert (camera.cx, camera.cy) == (319.5, 239.5)
    assert (camera.width, camera.height) == (640, 480)


def test_scaled_camera_sees_the_same_rays():
    camera = LENSES['plumb_bob']
    half = scaled_camera(camera, (320, 240))
    # The centre of a pixel pair lies between them: (10.5 + 0.5) / 2 - 0.5 = 5.
    np.testing.assert_allclose(
        undistort_to_rays(half, [5, 7]), undistort_to_rays(camera, [10.5, 14.5]), atol=1e-9)
    assert (half.width, half.height) == (320, 240)
    np.testing.assert_allclose(scaled_camera(half, (640, 480)).matrix, camera.matrix)


def test_sizes_without_pixels_are_refused():
    with pytest.raises(InvalidInputError, match='positive'):
        scaled_camera(PINHOLE, (0, 480))
    with pytest.raises(InvalidInputError):
        assumed_camera((0, 0))


def test_a_camera_fits_pictures_of_its_aspect():
    assert camera_for_picture(PINHOLE, (640, 480)) is PINHOLE
    camera = camera_for_picture(PINHOLE, (160, 120))
    assert (camera.fx, camera.fy, camera.width, camera.height) == (125, 100, 160, 120)
    # 854 / 480 is 0.08 % off 16:9, which is rounding; 1.5 % is not.
    wide = Camera(900, 900, 640, 360, 1280, 720)
    assert camera_for_picture(wide, (854, 480)).height == 480
    for size_wh in ((640, 360), (650, 480)):
        with pytest.raises(InvalidInputError, match=f'640x480 but the image is {size_wh[0]}x'):
            camera_for_picture(PINHOLE, size_wh)
