import numpy as np

from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.media.crops import cut_crop


def test_cut_crop_of_the_whole_picture_is_the_picture():
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(cut_crop(image, Crop((31.5, 31.5), 64.0, 0.0, 64)), image)


def test_cut_crop_turns_and_is_black_outside():
    image = np.full((64, 64, 3), 200, np.uint8)
    image[:, 32:] = 100
    turned = cut_crop(image, Crop((31.5, 31.5), 64.0, np.pi / 2, 64))
    assert turned[10, 32, 0] == 100      # frame right is up
    assert turned[54, 32, 0] == 200
    outside = cut_crop(image, Crop((-100.0, -100.0), 64.0, 0.0, 64))
    assert outside.max() == 0


def test_cut_crop_averages_what_is_too_fine():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    small = cut_crop(stripes, Crop((127.5, 127.5), 256.0, 0.0, 64))
    assert np.abs(small[8:-8, 8:-8].astype(int) - 128).max() <= 2
