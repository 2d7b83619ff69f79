import numpy as np
import pytest

from infant_pose_ros.codecs.heatmaps import HeatmapCodec
from infant_pose_ros.data.crops import CropDataset, HIDDEN_WEIGHT, recolour, whole_crop
from infant_pose_ros.data.stills import Stills
from infant_pose_ros.geometry.crops import transform_points
from infant_pose_ros.skeleton import MIRRORED_ORDER


def test_items_have_the_shapes_that_the_network_takes(stills_folder):
    dataset = CropDataset(Stills.open(stills_folder), HeatmapCodec(64), augment=False)
    image, heatmaps, weight, keypoints = dataset[0]
    assert image.shape == (3, 64, 64) and image.dtype == np.uint8
    assert heatmaps.shape == (16, 16, 16) and weight.shape == (16,)
    assert keypoints.shape == (16, 2)
    again = dataset[0]
    assert np.array_equal(image, again[0]) and np.array_equal(keypoints, again[3])


def test_the_truth_moves_with_the_picture(stills_folder):
    stills = Stills.open(stills_folder)
    dataset = CropDataset(stills, HeatmapCodec(64), augment=True, seed=1)
    mirrored = 0
    for index in range(6):
        crop = dataset.crop_of(index, np.random.default_rng([1, index, 0, 1]))
        expected = transform_points(crop.frame_to_model, stills.keypoints_px[index])
        keypoints = dataset[index][3]
        turned = expected[list(MIRRORED_ORDER)] * [-1, 1] + [63, 0]
        is_mirrored = keypoints == pytest.approx(turned, abs=1e-3)
        assert is_mirrored or keypoints == pytest.approx(expected, abs=1e-3)
        mirrored += bool(is_mirrored)
    assert 0 < mirrored < 6


def test_another_epoch_gives_another_crop_and_hidden_keypoints_weigh_less(stills_folder):
    stills = Stills.open(stills_folder)
    stills.visible[0, 6] = False
    dataset = CropDataset(stills, HeatmapCodec(64), augment=True)
    first = dataset[0]
    dataset.epoch = 1
    assert not np.array_equal(first[0], dataset[0][0])
    assert first[2][6] in (0, np.float32(HIDDEN_WEIGHT))


def test_a_whole_picture_lies_in_the_middle_and_is_not_turned(stills_folder):
    stills = Stills.open(stills_folder)                 # 160 x 120, 64 px for 160
    crop = whole_crop((160, 120), 64)
    assert crop.angle_rad == 0 and crop.side_px == 160
    image, _, _, keypoints = CropDataset(stills, HeatmapCodec(64), False, whole=True)[2]
    assert keypoints == pytest.approx((stills.keypoints_px[2] + 0.5) * 0.4 - 0.5 + [0, 8])
    assert not image[:, :7].any() and not image[:, -7:].any()       # letterbox
    assert image[:, 8 + 13:8 + 35, 21:43].min() > 150               # the body


def test_recolouring_can_be_left_out(stills_folder, monkeypatch):
    stills = Stills.open(stills_folder)
    monkeypatch.setattr('infant_pose_ros.data.crops.recolour', lambda image, rng: image * 0)
    assert not CropDataset(stills, HeatmapCodec(64), True)[0][0].any()
    assert CropDataset(stills, HeatmapCodec(64), True, recolours=False)[0][0].any()


def test_recolouring_is_is_seeded_and_keeps_shape():
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)
    for seed in range(30):
        result = recolour(image, np.random.default_rng(seed))
        assert result.shape == image.shape and result.dtype == np.uint8
        assert np.array_equal(result, recolour(image, np.random.default_rng(seed)))
