import numpy as np

from infant_pose_ros.synthetic.textures import fabric, fabric_bank


def test_fabrics_are_seeded_and_differ():
    bank = fabric_bank(1, 6)
    assert bank.shape == (6, 256, 256, 3) and bank.dtype == np.uint8
    assert np.array_equal(bank[0], fabric(np.random.default_rng([1, 7]), linen=True))
    assert not np.array_equal(bank[0], bank[1])


def test_fabrics_tile_without_a_seam():
    seams, inside = [], []
    for seed in range(40):
        picture = fabric(np.random.default_rng(seed)).astype(float)
        seams.append(np.abs(picture[0] - picture[-1]).mean())
        inside.append(np.abs(np.diff(picture, axis=0)).mean())
    assert np.mean(seams) < 2.0 * np.mean(inside) + 2.0


def test_linen_is_pale():
    for seed in range(30):
        picture = fabric(np.random.default_rng(seed), linen=True).astype(float)
        assert picture.mean() > 90 and np.ptp(picture.mean((0, 1))) < 60
