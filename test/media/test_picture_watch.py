import cv2
import numpy as np
import pytest

from infant_pose_ros.media.picture_watch import PictureWatch, sharpness, subsample

_random = np.random.default_rng(0)


def scene(width=640, height=480):
    """Overlapping plain rectangles: step edges of both directions."""
    picture = np.full((height, width, 3), 120, np.uint8)
    random = np.random.default_rng(1)
    for _ in range(40):
        x, y = random.integers(0, width), random.integers(0, height)
        corner = (int(x + width * random.uniform(0.1, 0.3)),
                  int(y + height * random.uniform(0.1, 0.3)))
        cv2.rectangle(picture, (int(x), int(y)), corner, [int(random.integers(60, 200))] * 3, -1)
    return picture


def noisy(picture, share, std):
    return np.clip(share * picture + _random.normal(0.0, std, picture.shape), 0, 255).astype(
        np.uint8)


def test_every_nth_pixel_of_the_green_channel():
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[::4, ::4, 1] = 7
    small = subsample(picture)
    assert small.shape == (120, 160) and (small == 7).all()
    assert subsample(np.zeros((5, 3, 3), np.uint8)).shape == (5, 3)
    assert subsample(np.zeros((2160, 3840, 3), np.uint8)).shape == (90, 160)


def test_brightness_is_the_mean_of_green():
    picture = np.full((48, 64, 3), (255, 40, 255), np.uint8)
    picture[:24] = 0
    assert PictureWatch().look(picture, 0.0).brightness == pytest.approx(20.0)


@pytest.mark.parametrize('size', [(640, 480), (1920, 1080)])
def test_sharpness_falls_with_blur_in_pixels_of_a_picture_640_wide(size):
    picture = scene(*size)
    values = [sharpness(subsample(picture))] + [
        sharpness(subsample(cv2.GaussianBlur(picture, (0, 0), sigma * size[0] / 640)))
        for sigma in (2, 4, 6, 8)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.75 and values[1] > 0.55 and max(values[3:]) < 0.45


def test_blur_of_motion_in_one_direction_counts():
    picture = scene()
    moved = cv2.blur(picture, (41, 1))
    assert sharpness(subsample(moved)) < 0.5 < sharpness(subsample(picture))
    assert sharpness(subsample(moved.transpose(1, 0, 2).copy())) < 0.5


@pytest.mark.parametrize('std', [2.0, 6.0, 15.0])
def test_noise_is_not_sharp(std):
    flat = np.full((480, 640, 3), 128, np.uint8)
    assert sharpness(subsample(noisy(flat, 1.0, std))) is None
    blurred = cv2.GaussianBlur(scene(), (0, 0), 7)
    assert sharpness(subsample(noisy(blurred, 1.0, std))) < 0.5


def test_a_dark_picture_with_noise_is_dark_and_not_sharp():
    look = PictureWatch().look(noisy(scene(), 0.04, 5.0), 0.0)
    assert look.brightness < 15.0 and look.sharpness is None


@pytest.mark.parametrize('shape', [(1, 1), (3, 200), (15, 15), (16, 16)])
def test_small_and_plain_pictures_tell_no_sharpness(shape):
    assert sharpness(np.zeros(shape, np.uint8)) is None


def test_a_picture_stands_still_until_one_bit_changes():
    watch, picture = PictureWatch(), scene()
    assert [watch.look(picture, now_s).unchanged_s for now_s in (10.0, 11.0, 14.5)] == [
        0.0, 1.0, 4.5]
    changed = picture.copy()
    changed[0, 0, 1] ^= 1
    assert watch.look(changed, 15.0).unchanged_s == 0.0
    assert watch.look(changed, 16.0).unchanged_s == 1.0
    assert watch.look(np.ascontiguousarray(changed[:240]), 17.0).unchanged_s == 0.0
    watch.restart()
    assert watch.look(changed, 20.0).unchanged_s == 0.0
