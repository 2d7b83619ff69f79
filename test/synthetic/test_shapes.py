import numpy as np
import pytest

from infant_pose_ros.synthetic.shapes import box, capsule, ellipsoid, joined, tube


def test_a_box_has_its_size_and_turns_about_its_middle():
    vertices, faces = box(np.array([0.0, 0.0, 0.0]), np.array([2.0, 1.0, 3.0]))
    assert vertices.min(0) == pytest.approx([0, 0, 0])
    assert vertices.max(0) == pytest.approx([2, 1, 3])
    assert faces.shape == (12, 3) and faces.max() == 23
    turned, _ = box(np.array([0.0, 0.0, 0.0]), np.array([2.0, 1.0, 3.0]), np.pi / 2)
    assert turned.min(0) == pytest.approx([0.5, -0.5, 0])
    assert turned.max(0) == pytest.approx([1.5, 1.5, 3])


def test_an_ellipsoid_and_a_capsule_reach_as_far_as_their_radii():
    vertices, _ = ellipsoid(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3]))
    assert np.ptp(vertices, axis=0) == pytest.approx([0.2, 0.4, 0.6], rel=0.02)
    vertices, _ = capsule(np.zeros(3), np.array([0.0, 0.0, 1.0]), (0.1, 0.2))
    assert [vertices[:, 2].min(), vertices[:, 2].max()] == pytest.approx([-0.1, 1.2], abs=0.01)


def test_a_tube_keeps_its_radius_and_meshes_join():
    points = np.column_stack([np.linspace(0, 1, 5), np.zeros(5), np.zeros(5)])
    vertices, faces = tube(points, np.full(5, 0.05), segments=6)
    assert np.linalg.norm(vertices[:, 1:], axis=1) == pytest.approx(0.05)
    both, both_faces = joined([(vertices, faces), (vertices, faces)])
    assert len(both) == 60 and both_faces.max() == 59 and len(both_faces) == 2 * len(faces)
