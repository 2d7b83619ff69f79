from types import SimpleNamespace

import numpy as np
import pytest

from infant_pose_ros.synthetic.light import lamp, lens, sample_light


def a_lens(**changes):
    """As much of a scene as a lens needs."""
    return SimpleNamespace(**{'blur_px': 0.0, 'motion_px': np.zeros(2), 'coarse': 1.0,
                              'sharpen': 0.0, **changes})


def an_edge():
    """Dark on the left, bright from column 10 on."""
    image = np.full((20, 20, 3), 60, np.uint8)
    image[:, 10:] = 180
    return image


def test_a_lamp_stands_where_its_angles_say():
    assert lamp(np.pi / 2, 0.3) == pytest.approx([0, 0, 1], abs=1e-12)
    assert lamp(0.0, np.pi / 2) == pytest.approx([0, 1, 0], abs=1e-12)


def test_a_perfect_lens_changes_nothing():
    assert np.array_equal(lens(a_lens(), an_edge()), an_edge())


def test_motion_smears_along_itself_alone():
    image = an_edge()
    assert np.array_equal(lens(a_lens(motion_px=np.array([0.0, 6.0])), image), image)
    row = lens(a_lens(motion_px=np.array([6.0, 0.0])), image)[10, :, 0].astype(int)
    assert (np.diff(row) >= 0).all() and len(set(row)) > 4
    assert row[:6].max() == 60 and row[14:].min() == 180


def test_blur_softens_sharpening_overshoots_and_a_coarse_sensor_keeps_the_size():
    image = an_edge()
    soft = lens(a_lens(blur_px=1.5), image)[10, :, 0].astype(int)
    assert np.diff(soft).max() < 60
    hard = lens(a_lens(sharpen=1.0), image)[10, :, 0]
    assert hard.min() < 60 and hard.max() > 180
    coarse = lens(a_lens(coarse=0.5), image)
    assert coarse.shape == image.shape and abs(coarse.mean() - image.mean()) < 5


def test_lights_are_drawn_in_their_shares_and_infrared_comes_from_the_camera():
    towards = lamp(1.2, 0.4)
    drawn = [sample_light(np.random.default_rng(seed), towards) for seed in range(600)]
    assert np.mean([fields['grey'] for fields in drawn]) == pytest.approx(0.10, abs=0.04)
    assert np.mean([fields['fill'].any() for fields in drawn]) == pytest.approx(0.4, abs=0.08)
    at_camera = [fields['light'] is towards for fields in drawn]
    assert 0.5 < np.sum(at_camera) / np.sum([fields['grey'] for fields in drawn]) < 1.0
    for fields in drawn:
        assert np.linalg.norm(fields['light']) == pytest.approx(1.0)
        assert 55 <= fields['jpeg'] < 98 and (fields['sun'] >= 0).all()
