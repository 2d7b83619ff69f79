import numpy as np
import pytest

from infant_pose_ros.synthetic.props import sample_props, sample_room, SKIN


def lying():
    points = np.zeros((1, 16, 3))
    points[0, :, 0] = np.linspace(0.3, -0.3, 16)
    points[..., 2] = 0.05
    return points


def check_mesh(prop, fabrics):
    assert np.isfinite(prop.vertices_m).all()
    assert prop.faces.min() >= 0 and prop.faces.max() < len(prop.vertices_m)
    assert prop.fabric == SKIN or 0 <= prop.fabric < fabrics
    assert prop.repeat > 0


def test_things_are_sound_meshes_and_not_below_the_floor():
    counts, arms = [], 0
    for seed in range(150):
        props = sample_props(np.random.default_rng(seed), lying(), 30, drop_m=0.4)
        for prop in props:
            check_mesh(prop, 30)
            assert prop.vertices_m[:, 2].min() > -0.41
        counts.append(len(props))
        arms += any(prop.fabric == SKIN for prop in props)
    assert min(counts) == 0 and max(counts) > 5
    assert arms / 150 == pytest.approx(0.14, abs=0.08)


def test_furniture_stands_on_an_adults_floor():
    points = np.zeros((1, 16, 3))
    points[0, :, 2] = np.linspace(0, 1.7, 16)
    drawn = [prop for seed in range(20)
             for prop in sample_room(np.random.default_rng(seed), points, 30)]
    assert len(drawn) > 20
    for prop in drawn:
        check_mesh(prop, 30)
        assert prop.vertices_m[:, 2].min() == pytest.approx(0.0, abs=1e-6)
        away = np.linalg.norm(prop.vertices_m[:, :2].mean(0))
        assert 0.9 < away < 3.1
