import dataclasses

import numpy as np
import pytest

from infant_pose_ros.geometry.cameras import project
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.bedding import Blanket
from infant_pose_ros.synthetic.camera import look_at
from infant_pose_ros.synthetic.labels import label_frame
from infant_pose_ros.synthetic.renderer import Renderer, Rendering


def above(scene, bodies):
    """The scene from straight above, everything in view, nothing in the way."""
    middle = bodies.keypoints_m[0].mean(0)
    matrix = look_at(middle + [0, 0, 1.2], middle, 0.3)
    return dataclasses.replace(scene, world_to_camera=matrix, props=(), blanket=None, noise=0.0)


def render(renderer, scene, bodies):
    return renderer.render(scene, bodies.vertices_m[0], bodies.rest_vertices_m)


def test_the_same_scene_gives_the_same_picture(renderer, scene, bodies):
    first, again = render(renderer, scene, bodies), render(renderer, scene, bodies)
    assert first.image_rgb.shape == (240, 320, 3) and first.image_rgb.dtype == np.uint8
    assert np.array_equal(first.image_rgb, again.image_rgb)
    assert first.image_rgb.std() > 3.0


def test_silhouette_depth_and_projected_vertices_agree(renderer, scene, bodies):
    scene = above(scene, bodies)
    rendering = render(renderer, scene, bodies)
    rows, columns = np.nonzero(rendering.owner == 1)
    matrix = scene.world_to_camera
    camera_m = bodies.vertices_m[0] @ matrix[:, :3].T + matrix[:, 3]
    pixels = project(scene.camera, camera_m)
    low, high = pixels.min(0), pixels.max(0)
    assert [columns.min(), rows.min()] == pytest.approx(low, abs=4.0)  # clothes stand off
    assert [columns.max(), rows.max()] == pytest.approx(high, abs=4.0)
    infant_m = rendering.depth_m[rendering.owner == 1]
    assert camera_m[:, 2].min() - 0.03 < infant_m.min() < camera_m[:, 2].min() + 0.01
    assert infant_m.max() < 1.2 + bodies.keypoints_m[0].mean(0)[2] + 1e-3


def test_keypoints_lie_on_the_infant_and_the_camera_sees_left_as_left(renderer, scene, bodies):
    scene = above(scene, bodies)
    rendering = render(renderer, scene, bodies)
    labels = label_frame(scene, rendering, bodies.keypoints_m[0], bodies.body_length_m)
    assert labels.visible.sum() >= 10
    column, row = np.rint(labels.keypoints_px[labels.visible]).astype(int).T
    assert (rendering.owner[row, column] == 1).mean() > 0.9
    assert labels.keypoints_px == pytest.approx(project(scene.camera, labels.keypoints_m))
    up = labels.keypoints_px[Joint.THORAX] - labels.keypoints_px[Joint.PELVIS]
    left = labels.keypoints_px[Joint.L_SHOULDER] - labels.keypoints_px[Joint.R_SHOULDER]
    # In a picture y points down: facing the camera, the infant's left is clockwise of up.
    assert up[0] * left[1] - up[1] * left[0] > 0


def test_a_covered_infant_has_no_visible_keypoints_there(renderer, scene, bodies):
    scene = above(scene, bodies)
    head = bodies.keypoints_m[0, Joint.HEAD_TOP, :2]
    feet = bodies.keypoints_m[0, [Joint.L_ANKLE, Joint.R_ANKLE], :2].mean(0)
    towards = (feet - head) / np.linalg.norm(feet - head)
    blanket = Blanket(towards, float(bodies.keypoints_m[0, Joint.PELVIS, :2] @ towards) - 0.03, 0)
    free = label_frame(scene, render(renderer, scene, bodies), bodies.keypoints_m[0], 0.6)
    covered_scene = dataclasses.replace(scene, blanket=blanket)
    covered = label_frame(
        covered_scene, render(renderer, covered_scene, bodies), bodies.keypoints_m[0], 0.6)
    along = bodies.keypoints_m[0, :, :2] @ towards
    beyond, clear = along > blanket.edge_m + 0.02, along < blanket.edge_m - 0.05
    assert beyond.sum() >= 3 and free.visible[beyond].any()
    assert not covered.visible[beyond].any()
    assert free.visible[clear].sum() >= 3
    assert np.array_equal(covered.visible[clear], free.visible[clear])


def test_depth_and_mask_as_files_hold_them():
    rendering = Rendering(np.zeros((1, 4, 3), np.uint8),
                          np.array([[0.0004, 1.2346, 70.0, 0.5]], np.float32),
                          np.array([[0, 1, 2, 1]], np.uint8))
    assert rendering.depth_mm().tolist() == [[0, 1235, 65535, 500]]
    assert rendering.depth_mm().dtype == np.uint16
    assert rendering.mask().tolist() == [[0, 255, 0, 255]] and rendering.mask().dtype == np.uint8


def test_an_infant_out_of_the_picture_has_no_labels(renderer, scene, bodies):
    matrix = look_at(np.array([9.0, 9.0, 1.0]), np.array([9.0, 9.1, 0.0]), 0.0)
    scene = dataclasses.replace(scene, world_to_camera=matrix, props=(), blanket=None)
    rendering = render(renderer, scene, bodies)
    assert not (rendering.owner == 1).any()
    assert label_frame(scene, rendering, bodies.keypoints_m[0], 0.6) is None


def test_supersampling_keeps_size_and_place(renderer, scene, bodies):
    scene = dataclasses.replace(above(scene, bodies), blur_px=0.0)
    fine = Renderer(3, supersample=2)
    plain, smooth = render(renderer, scene, bodies), render(fine, scene, bodies)
    assert smooth.image_rgb.shape == plain.image_rgb.shape
    both = (plain.owner == 1) & (smooth.owner == 1)
    either = (plain.owner == 1) | (smooth.owner == 1)
    assert both.sum() / either.sum() > 0.95


def test_dark_and_grey_scenes_are_dark_and_grey(renderer, scene, bodies):
    bright = render(renderer, dataclasses.replace(scene, gain=np.ones(3)), bodies)
    dark = render(renderer, dataclasses.replace(scene, gain=np.full(3, 0.2)), bodies)
    assert dark.image_rgb.mean() < 0.8 * bright.image_rgb.mean()
    grey = render(renderer, dataclasses.replace(scene, grey=True), bodies).image_rgb
    assert np.ptp(grey.astype(int), axis=2).max() == 0


def test_a_thin_cable_over_a_joint_hides_nothing_and_a_board_hides_much(renderer, scene, bodies):
    from infant_pose_ros.synthetic.props import Prop
    from infant_pose_ros.synthetic.shapes import box, tube

    scene = dataclasses.replace(above(scene, bodies), others=(), pad=-1)
    joint = bodies.keypoints_m[0, Joint.HEAD_TOP]
    across = np.linspace(-0.5, 0.5, 10)[:, None] * [1.0, 0.3, 0.0] + joint * [1, 1, 0]
    cable = Prop(*tube(across + [0, 0, 0.35], np.full(10, 0.001)), 0, 1.0)
    pelvis = bodies.keypoints_m[0, Joint.PELVIS]
    board = Prop(*box(pelvis + [0, -1, 0.4], pelvis + [2, 1, 0.41]), 0, 1.0)

    def visible(*props):
        rendering = render(renderer, dataclasses.replace(scene, props=props), bodies)
        return label_frame(scene, rendering, bodies.keypoints_m[0], 0.6).visible
    assert np.array_equal(visible(cable), visible())
    assert 0 < visible(board).sum() < visible().sum()


def test_over_exposure_vignette_and_a_second_lamp_change_brightness(renderer, scene, bodies):
    plain = dataclasses.replace(above(scene, bodies), gain=np.ones(3), vignette=0.0,
                                vignette_centre=np.zeros(2), fill=np.zeros(3), beam_dark=1.0)

    def mean(part=slice(None), **changes):
        picture = render(renderer, dataclasses.replace(plain, **changes), bodies).image_rgb
        return picture[part].mean()
    assert mean(gain=np.full(3, 4.0)) > mean() + 20
    assert mean(fill=np.full(3, 0.5)) > mean() + 5
    corner = (slice(0, 20), slice(0, 20))
    assert mean(corner, vignette=3.0) < 0.8 * mean(corner)
