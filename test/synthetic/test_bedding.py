import numpy as np
import pytest

from infant_pose_ros.synthetic.bedding import (
    Blanket,
    drape,
    loose_cloth,
    sample_bed,
    sample_blanket,
)


def a_body():
    """A ridge along x from -0.3 to 0.3 m, 8 cm high."""
    x, y = np.meshgrid(np.linspace(-0.3, 0.3, 200), np.linspace(-0.08, 0.08, 60))
    return np.column_stack([x.ravel(), y.ravel(), np.full(x.size, 0.08)])


def lying():
    points = np.zeros((1, 16, 3))
    points[0, :, 0] = np.linspace(0.3, -0.3, 16)
    points[..., 2] = 0.05
    return points


def test_a_blanket_lies_on_the_body_beyond_its_edge_and_falls_to_the_bed_beside_it():
    blanket = Blanket(np.array([1.0, 0.0]), 0.0, fabric=5)
    prop = drape(blanket, a_body())
    x, y, z = prop.vertices_m.T
    assert prop.fabric == 5 and prop.faces.max() < len(x)
    assert x.min() == pytest.approx(0.0, abs=1e-6) and x.max() == pytest.approx(0.45)
    over = (x > 0.05) & (x < 0.22) & (np.abs(y) < 0.04)
    assert z[over].min() > 0.08 and z[over].max() < 0.10
    assert z[np.abs(y) > 0.19].max() < 0.04


def test_a_blanket_across_part_of_the_body_ends_there():
    whole = drape(Blanket(np.array([1.0, 0.0]), 0.0, 0), a_body()).vertices_m
    part = drape(Blanket(np.array([1.0, 0.0]), 0.0, 0, (-1.0, 0.02)), a_body()).vertices_m
    assert whole[:, 1].max() == pytest.approx(0.20, abs=0.01)
    assert part[:, 1].max() == pytest.approx(0.02, abs=0.01)


def test_a_fitted_one_leaves_the_bed_beside_the_body_free():
    fitted = drape(Blanket(np.array([1.0, 0.0]), 0.0, 0, fitted=True), a_body()).vertices_m
    beside = np.abs(fitted[:, 1]) > 0.19
    assert beside.any() and fitted[beside, 2].max() < 0.0


def test_one_scene_in_six_has_a_blanket_whose_direction_is_a_unit_vector():
    drawn = [sample_blanket(np.random.default_rng(seed), lying(), 30) for seed in range(500)]
    there = [blanket for blanket in drawn if blanket is not None]
    assert len(there) / len(drawn) == pytest.approx(0.17, abs=0.05)
    for blanket in there:
        assert np.linalg.norm(blanket.towards) == pytest.approx(1.0)
        assert 0 <= blanket.fabric < 30


def test_beds_reach_beyond_the_infant_and_index_the_banks():
    for seed in range(50):
        bed = sample_bed(np.random.default_rng(seed), lying(), 30, 24)
        assert (bed['mattress_m'] >= 0.9 * 0.3).all() and bed['drop_m'] > 0
        assert 0 <= bed['sheet'] < 30 and -1 <= bed['pad'] < 30 and 1 <= bed['relief'] < 24


def test_a_loose_cloth_lies_on_the_bed():
    for seed in range(10):
        cloth = loose_cloth(np.random.default_rng(seed), lying(), 30)
        assert 0 <= cloth.vertices_m[:, 2].min() and cloth.vertices_m[:, 2].max() < 0.12
