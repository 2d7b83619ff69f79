import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry import cameras as geometry
from infant_pose_ros.ros.cameras import (
    camera_for_picture,
    decode_camera_info,
    encode_camera_info,
    TransportWatch,
)
from infant_pose_ros.structures import Camera

MS = 1_000_000


def a_camera():
    return Camera(600.0, 610.0, 319.5, 239.5, 640, 480, 'plumb_bob', [0.1, -0.2, 0.0, 0.0, 0.05])


def test_round_trip():
    message = encode_camera_info(a_camera(), Header(frame_id='cot_optical'))
    assert message.header.frame_id == 'cot_optical'
    camera = decode_camera_info(message)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (600.0, 610.0, 319.5, 239.5)
    assert (camera.width, camera.height, camera.distortion_model) == (640, 480, 'plumb_bob')
    np.testing.assert_allclose(camera.distortion, a_camera().distortion)


def test_zero_coefficients_mean_no_distortion():
    message = encode_camera_info(a_camera(), Header())
    message.d = [0.0] * 5
    assert decode_camera_info(message).distortion_model == ''


@pytest.mark.parametrize('name', ['equidistant', 'fisheye', 'kannala_brandt4'])
def test_an_equidistant_lens_without_further_terms_is_kept(name):
    message = encode_camera_info(a_camera(), Header())
    message.distortion_model, message.d = name, [0.0] * 4
    camera = decode_camera_info(message)
    assert camera.distortion_model == 'equidistant' and camera.has_distortion
    message.d = []
    assert not decode_camera_info(message).has_distortion


@pytest.mark.parametrize('binning', [1, 2])
def test_a_region_of_interest_sees_the_same_rays(binning):
    message = encode_camera_info(a_camera(), Header())
    message.roi.x_offset, message.roi.y_offset = 100, 40
    message.roi.width, message.roi.height = 400, 400
    message.binning_x = message.binning_y = binning
    point = [0.1, -0.05, 1.0]
    full_px = geometry.project(a_camera(), point)
    cut_px = geometry.project(decode_camera_info(message), point)
    # The middle of a binned pixel is the middle of those that it is made of.
    assert cut_px == pytest.approx((full_px - (100, 40) + 0.5) / binning - 0.5)


def test_region_of_interest_and_binning_move_and_scale_the_camera():
    message = encode_camera_info(a_camera(), Header())
    message.roi.x_offset, message.roi.y_offset = 100, 40
    message.roi.width, message.roi.height = 400, 400
    message.binning_x = message.binning_y = 2
    camera = decode_camera_info(message)
    # (319.5 - 100 + 0.5) / 2 - 0.5 and (239.5 - 40 + 0.5) / 2 - 0.5
    assert (camera.fx, camera.cx, camera.cy) == (300.0, 109.5, 99.5)
    assert (camera.width, camera.height) == (200, 200)


def test_an_uncalibrated_camera_is_refused():
    with pytest.raises(InvalidInputError, match='uncalibrated'):
        decode_camera_info(CameraInfo(width=640, height=480))


def test_pictures_fit_by_the_one_rule_of_the_geometry():
    assert camera_for_picture is geometry.camera_for_picture


def test_every_picture_arrived():
    watch, lost = TransportWatch(), 0
    for frame in range(5):
        watch.saw_camera_info(frame * 33 * MS)
        lost += watch.saw_image(frame * 33 * MS)
    assert lost == 0


def test_a_later_image_proves_the_loss():
    watch = TransportWatch()
    watch.saw_image(0)
    for stamp in (0, 33, 66, 100):
        watch.saw_camera_info(stamp * MS)
    assert watch.saw_image(100 * MS) == 2
    assert watch.saw_image(133 * MS) == 0


def test_late_camera_info_counts_only_without_its_image():
    watch = TransportWatch()
    watch.saw_image(0)
    watch.saw_image(100 * MS)
    watch.saw_camera_info(100 * MS)
    watch.saw_camera_info(33 * MS)
    assert watch.saw_image(133 * MS) == 1
    assert watch.saw_image(166 * MS) == 0


def test_what_the_last_image_overtook_is_lost_without_another_one():
    watch = TransportWatch()
    watch.saw_image(0)
    watch.saw_image(100 * MS)
    for stamp in (33, 66, 100, 133):        # 133 may still come
        watch.saw_camera_info(stamp * MS)
    assert watch.saw_none() == 2 and watch.saw_none() == 0
    assert watch.saw_image(133 * MS) == 0


def test_before_the_first_image_nothing_is_lost():
    watch = TransportWatch()
    watch.saw_camera_info(0)
    assert watch.saw_image(66 * MS) == 0
    watch.saw_camera_info(33 * MS)
    assert watch.saw_image(100 * MS) == 0


@pytest.mark.parametrize('ahead', [0, 1, 3])
def test_stamps_that_run_backwards_lose_nothing(ahead):
    """CameraInfo comes so many pictures before its image."""
    watch, lost = TransportWatch(), 0
    stamps = [(1000 - 33 * frame) * MS for frame in range(20)]
    watch.saw_image(1033 * MS)
    watch.saw_image(1000 * MS)
    for stamp in stamps[1:1 + ahead]:
        watch.saw_camera_info(stamp)
    for frame, stamp in enumerate(stamps[1:], 1):
        for announced in stamps[frame + ahead:frame + ahead + 1]:
            watch.saw_camera_info(announced)
        lost += watch.saw_image(stamp)
    assert lost == 0


def test_a_loss_shows_where_stamps_run_backwards_too():
    watch = TransportWatch()
    watch.saw_image(0)
    watch.saw_image(1000 * MS)
    for stamp in (967, 934, 901):
        watch.saw_camera_info(stamp * MS)
    assert watch.saw_image(934 * MS) == 1
    assert watch.saw_image(901 * MS) == 0


def test_a_bag_that_loops_begins_anew():
    watch = TransportWatch()
    watch.saw_image(0)
    watch.saw_camera_info(9000 * MS)
    watch.saw_image(9000 * MS)
    watch.saw_camera_info(0)
    assert watch.saw_image(0) == 0
    watch.saw_camera_info(33 * MS)
    assert watch.saw_image(66 * MS) == 1


def test_what_is_lost_where_the_stamps_jump_back_is_counted():
    """A late one, the last picture before the jump, and the first one after it."""
    watch = TransportWatch()
    watch.saw_image(8900 * MS)
    watch.saw_image(9000 * MS)
    for stamp in (8950, 9033, 0, 33):
        watch.saw_camera_info(stamp * MS)
    assert watch.saw_image(33 * MS) == 3
    watch.saw_camera_info(66 * MS)
    assert watch.saw_image(66 * MS) == 0


def test_camera_info_that_comes_after_a_jump_counts_as_well():
    watch = TransportWatch()
    watch.saw_image(9000 * MS)
    assert watch.saw_image(66 * MS) == 0
    watch.saw_camera_info(33 * MS)
    watch.saw_camera_info(66 * MS)
    assert watch.saw_image(100 * MS) == 1


def test_a_camera_that_was_held_up_is_no_bag_that_begins_again():
    """Another one's pictures came meanwhile; the first of its own is lost."""
    watch = TransportWatch()
    for stamp in (0, 33, 3000):
        watch.saw_image(stamp * MS)
    for stamp in (33, 66, 3033):        # announced again and late, lost, to come
        watch.saw_camera_info(stamp * MS)
    assert [watch.saw_image(stamp * MS) for stamp in (3033, 3066, 3100, 3133)] == [0, 0, 1, 0]


def test_images_of_the_last_loop_that_camera_info_overtakes():
    watch = TransportWatch()
    for stamp in (0, 8966, 9000):
        watch.saw_image(stamp * MS)
    for stamp in (9033, 9066, 0, 33):
        watch.saw_camera_info(stamp * MS)
    assert [watch.saw_image(stamp * MS) for stamp in (9033, 9066, 0, 33)] == [0] * 4
