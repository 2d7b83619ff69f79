import dataclasses

import cv2
import numpy as np
import pytest

from infant_pose_ros.data.boxes import BoxDataset, empty_strip, turn_quarters
from infant_pose_ros.data.stills import Stills


def test_a_quarter_turn_moves_the_box_with_the_picture():
    image = np.zeros((100, 200, 3), np.uint8)
    image[10:20, 150:190] = 255
    for quarters in range(5):
        turned, box = turn_quarters(image, np.array([150.0, 10.0, 190.0, 20.0]), quarters)
        rows, columns = np.nonzero(turned[..., 0])
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_the_strip_beside_the_infant_is_the_largest():
    assert empty_strip(np.array([200, 50, 400, 300]), (640, 480)) == (404, 0, 640, 480)
    assert empty_strip(np.array([0, 0, 640, 480]), (640, 480)) is None


def test_boxes_frame_the_body_in_every_augmentation(stills_folder, monkeypatch):
    monkeypatch.setattr('infant_pose_ros.data.boxes.recolour', lambda image, rng: image)
    dataset = BoxDataset(Stills.open(stills_folder), (96, 72), True, seed=2, empty_share=0.0)
    checked = 0
    for epoch in range(6):
        dataset.epoch = epoch
        for index in range(6):
            image, target = dataset[index]
            assert image.shape == (3, 72, 96)
            if not len(target['boxes']):
                continue
            x1, y1, x2, y2 = target['boxes'][0].numpy()
            assert 0 <= x1 < x2 <= 96 and 0 <= y1 < y2 <= 72
            # The body is of an even grey that neither the ground nor the border has.
            rows, columns = np.nonzero((abs(255 * image.numpy() - 200) < 30).all(0))
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert found == pytest.approx([x1, y1, x2, y2], abs=1.5)
            checked += 1
    assert checked > 20


def test_pictures_shrink_as_those_that_the_detector_sees(stills_folder):
    # 40 px of 160 are bright: 20 of 80, from edge to edge, as cv2.resize shrinks them.
    stills = Stills.open(stills_folder)
    image = np.zeros((120, 160, 3), np.uint8)
    image[40:80, 60:100] = 200
    cv2.imwrite(str(stills.paths[0].with_suffix('.png')), image)
    stills = dataclasses.replace(
        stills, paths=(stills.paths[0].with_suffix('.png'), *stills.paths[1:]))
    stills.box_xyxy[0] = 60, 40, 100, 80
    shrunk, target = BoxDataset(stills, (80, 60), False)[0]
    assert target['boxes'][0].tolist() == [30, 20, 50, 40]
    weight = shrunk[0].numpy() / shrunk[0].numpy().sum()
    rows, columns = np.mgrid[:60, :80] + 0.5
    assert (weight * columns).sum() == pytest.approx(40, abs=0.02)
    assert (weight * rows).sum() == pytest.approx(30, abs=0.02)


def test_unaugmented_boxes_scale_with_the_picture(stills_folder):
    image, target = BoxDataset(Stills.open(stills_folder), (80, 60), False)[0]
    assert target['boxes'][0].tolist() == pytest.approx([25, 15, 55, 45])
    inside = image[:, 18:42, 28:52].mean()
    assert inside > 2 * image[:, :12].mean()


def test_some_samples_show_nobody(stills_folder, monkeypatch):
    monkeypatch.setattr('infant_pose_ros.data.boxes._MIN_STRIP_PX', 20)
    dataset = BoxDataset(Stills.open(stills_folder), (96, 72), True, empty_share=1.0)
    image, target = dataset[0]
    assert target['boxes'].shape == (0, 4) and target['labels'].shape == (0,)
    assert image.shape == (3, 72, 96)


def test_pictures_without_a_box_or_of_others_show_nobody(stills_folder):
    stills = Stills.open(stills_folder)
    stills.box_xyxy[1] = np.nan
    dataset = BoxDataset(stills, (96, 72), True, padding=0.1)
    assert len(dataset[1][1]['boxes']) == 0
    plain = BoxDataset(stills, (160, 120), False, padding=0.1)
    assert plain[0][1]['boxes'].tolist() == [pytest.approx([44, 24, 116, 96])]
    assert len(BoxDataset(stills, (160, 120), False, nobody=True)[0][1]['boxes']) == 0


def test_strips_are_taken_where_there_is_room(stills_folder, monkeypatch):
    stills = Stills.open(stills_folder)
    dataset = BoxDataset(stills, (96, 72), False)
    assert len(dataset.strips()) == 0
    monkeypatch.setattr('infant_pose_ros.data.boxes._MIN_STRIP_PX', 20)
    stills.box_xyxy[3] = np.nan
    strips = dataset.strips()
    assert len(strips) == 5
    image, target = strips[0]
    assert len(target['boxes']) == 0 and image.max() < 0.5      # the body is bright
