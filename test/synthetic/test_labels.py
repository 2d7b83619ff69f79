import numpy as np
import pytest

from infant_pose_ros.skeleton import Joint
from infant_pose_ros.structures import Camera
from infant_pose_ros.synthetic.labels import empty_labels, label_frame, MIN_PERSON_SHARE
from infant_pose_ros.synthetic.renderer import Rendering


class FromAbove:
    """As much of a scene as labels need: a camera 1 m above the origin, y down in the picture."""

    camera = Camera(100.0, 100.0, 50.0, 40.0, 100, 80)
    world_to_camera = np.array([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1.0]])


def a_rendering(surface_m=0.95):
    """A person who fills columns 20 to 79 and rows 10 to 69, so far from the camera."""
    depth, owner = np.full((80, 100), 1.0, np.float32), np.zeros((80, 100), np.uint8)
    depth[10:70, 20:80] = surface_m
    owner[10:70, 20:80] = 1
    return Rendering(np.zeros((80, 100, 3), np.uint8), depth, owner)


def keypoints(**places):
    """All at the middle of the picture, 5 cm under a skin 0.95 m away, but for these."""
    points = np.zeros((16, 3))
    for name, place in places.items():
        points[Joint[name]] = place
    return points


def label(rendering, points, body_length_m=0.6):
    return label_frame(FromAbove(), rendering, points, body_length_m)


def test_points_and_box_by_hand():
    labels = label(a_rendering(), keypoints(L_WRIST=(0.2, 0.1, 0.0), HEAD_TOP=(0.0, 0.12, 0.5)))
    assert labels.keypoints_px[Joint.L_WRIST] == pytest.approx([70, 30])
    assert labels.keypoints_px[Joint.HEAD_TOP] == pytest.approx([50, 16])
    assert labels.keypoints_m[Joint.HEAD_TOP] == pytest.approx([0, -0.12, 0.5])
    assert labels.box_xyxy.tolist() == [20, 10, 80, 70]
    assert labels.visible.all()


def test_flesh_of_a_share_of_the_body_length_hides_nothing_and_more_does():
    # The surface is 8 cm before the joints: 0.12 x 0.6 m = 7.2 cm, at the hips 14.4 cm.
    labels = label(a_rendering(0.92), keypoints())
    deep = [Joint.PELVIS, Joint.L_HIP, Joint.R_HIP, Joint.THORAX, Joint.UPPER_NECK]
    assert sorted(np.flatnonzero(labels.visible)) == sorted(deep)
    assert label(a_rendering(0.92), keypoints(), 0.7).visible.all()     # 8.4 cm


def test_outside_the_picture_nothing_is_visible():
    labels = label(a_rendering(), keypoints(R_ANKLE=(0.6, 0.0, 0.0), L_ANKLE=(0.0, 0.0, 1.5)))
    assert labels.keypoints_px[Joint.R_ANKLE] == pytest.approx([110, 40])
    assert np.isnan(labels.keypoints_px[Joint.L_ANKLE]).all()           # behind the camera
    assert [Joint(i) for i in np.flatnonzero(~labels.visible)] == [Joint.R_ANKLE, Joint.L_ANKLE]


@pytest.mark.parametrize('columns, visible', [(2, True), (3, False)])
def test_what_covers_most_of_five_by_five_pixels_hides(columns, visible):
    rendering = a_rendering()
    rendering.owner[35:46, 48:48 + columns] = 2
    assert label(rendering, keypoints()).visible[Joint.L_KNEE] == visible


def test_a_person_who_is_hardly_seen_has_no_labels():
    rendering = a_rendering()
    rendering.owner[:] = 0
    rendering.owner[0, :int(MIN_PERSON_SHARE * 8000) - 1] = 1
    assert label(rendering, keypoints()) is None
    rendering.owner[1, :2] = 1
    assert label(rendering, keypoints()) is not None


def test_an_empty_bed_has_labels_of_nobody():
    labels = empty_labels()
    assert labels.keypoints_px.shape == (16, 2) and labels.keypoints_m.shape == (16, 3)
    assert np.isnan(labels.keypoints_m).all() and np.isnan(labels.body_length_m)
    assert not labels.visible.any()
