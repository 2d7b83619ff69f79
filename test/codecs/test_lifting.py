from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from infant_pose_ros.codecs.lifting import LiftingCodec
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import Joint, ROOT

CODEC = LiftingCodec()


def poses_m(seed, *shape, place=(0.1, -0.2, 1.0)):
    """Poses in front of the camera; the trunk is long enough to have a direction."""
    poses = np.random.default_rng(seed).normal(0, 0.1, (*shape, 16, 3))
    poses[..., ROOT, :] = 0
    poses[..., Joint.THORAX, :] = (0.12, 0.1, 0.05)
    return poses + place


def rays_of(points_m):
    return points_m[..., :2] / points_m[..., 2:]


@pytest.mark.parametrize('shape', [(), (7,), (2, 3)])
def test_targets_round_trip(shape):
    poses = poses_m(0, *shape)
    lengths = np.random.default_rng(1).uniform(0.45, 0.9, shape)
    inputs, view = CODEC.encode_input(rays_of(poses))
    target = CODEC.encode_target(poses, lengths, view)
    assert inputs.shape == (*shape, 32)
    assert target.shape == (*shape, 48)
    assert inputs.dtype == target.dtype == np.float32
    back = CODEC.decode_output(target, view, lengths)
    np.testing.assert_allclose(back, poses - poses[..., ROOT:ROOT + 1, :], atol=1e-6)


@given(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(-3.2, 3.2))
def test_the_view_stands_on_the_trunk(x, y, roll):
    poses = Rotation.from_rotvec([0, 0, roll]).apply(poses_m(2, place=(x, y, 1.0)))
    rays = rays_of(poses)
    _, view = CODEC.encode_input(rays)
    np.testing.assert_allclose(view.rotation @ view.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view.rotation) == pytest.approx(1)
    pelvis, thorax = (view.rotation @ [*rays[joint], 1] for joint in (ROOT, Joint.THORAX))
    middle = view.rotation @ [*(rays[ROOT] + rays[Joint.THORAX]) / 2, 1]
    np.testing.assert_allclose(middle[:2], 0, atol=1e-12)
    assert middle[2] > 0
    np.testing.assert_allclose([pelvis[0], thorax[0]], 0, atol=1e-12)
    assert thorax[1] < pelvis[1]


def test_an_upright_trunk_on_the_axis_needs_no_turn():
    rays = np.zeros((16, 2))
    rays[ROOT], rays[Joint.THORAX] = (0, 0.1), (0, -0.1)
    rays[Joint.L_WRIST] = (0.3, 0.1)
    inputs, view = CODEC.encode_input(rays)
    np.testing.assert_allclose(view.rotation, np.eye(3), atol=1e-12)
    # From the pelvis: thorax 0.2 up, wrist 0.3 to the side, the 13 others 0.1 up.
    rms = np.sqrt((0.2 ** 2 + 0.3 ** 2 + 13 * 0.1 ** 2) / 16)
    points = inputs.reshape(16, 2)
    np.testing.assert_allclose(points[Joint.L_WRIST], [0.3 / rms, 0], rtol=1e-6)
    np.testing.assert_allclose(points[Joint.THORAX], [0, -0.2 / rms], rtol=1e-6)
    np.testing.assert_allclose(points[ROOT], 0, atol=1e-7)
    assert (points ** 2).sum(axis=1).mean() == pytest.approx(1, rel=1e-6)


def test_inputs_and_targets_do_not_change_when_the_camera_turns():
    """The point of the view: where in the picture an infant lies, and which way up, is gone."""
    poses = poses_m(3)
    inputs, view = CODEC.encode_input(rays_of(poses))
    target = CODEC.encode_target(poses, 0.6, view)
    for vector in ([0, 0, 2.0], [0.3, -0.2, 0.5], [-0.4, 0.1, -3]):
        turned = Rotation.from_rotvec(vector).apply(poses)
        # The mean of two points of the image plane moves a little when the plane turns.
        other_inputs, other_view = CODEC.encode_input(rays_of(turned))
        np.testing.assert_allclose(other_inputs, inputs, atol=0.03)
        np.testing.assert_allclose(
            CODEC.encode_target(turned, 0.6, other_view), target, atol=3.0)
    rolled = Rotation.from_rotvec([0, 0, 1.2]).apply(poses)
    np.testing.assert_allclose(CODEC.encode_input(rays_of(rolled))[0], inputs, atol=1e-5)


def test_inputs_do_not_depend_on_size_and_distance_together():
    poses = poses_m(4)
    np.testing.assert_allclose(
        CODEC.encode_input(rays_of(poses * 3))[0], CODEC.encode_input(rays_of(poses))[0])


def test_targets_are_millimetres_on_the_canonical_body():
    poses = poses_m(5)
    _, view = CODEC.encode_input(rays_of(poses))
    target = CODEC.encode_target(poses, 0.6, view).reshape(16, 3)
    length_mm = np.linalg.norm(poses[Joint.THORAX] - poses[ROOT]) * 1000
    assert np.linalg.norm(target[Joint.THORAX]) == pytest.approx(length_mm, rel=1e-5)
    half = CODEC.encode_target(poses, 1.2, view).reshape(16, 3)
    np.testing.assert_allclose(half, target / 2, rtol=1e-5)
    # Straight down the view's axis is +z: a point behind the trunk has a positive depth.
    deeper = poses.copy()
    deeper[Joint.HEAD_TOP] = deeper[ROOT] * 1.3
    assert CODEC.encode_target(deeper, 0.6, view).reshape(16, 3)[Joint.HEAD_TOP, 2] > 100


def test_a_batch_is_its_members():
    poses, lengths = poses_m(6, 4), np.array([0.5, 0.6, 0.7, 0.8])
    inputs, view = CODEC.encode_input(rays_of(poses))
    targets = CODEC.encode_target(poses, lengths, view)
    for i in range(4):
        one_input, one_view = CODEC.encode_input(rays_of(poses[i]))
        np.testing.assert_allclose(one_input, inputs[i], atol=1e-6)
        np.testing.assert_allclose(
            CODEC.encode_target(poses[i], lengths[i], one_view), targets[i], atol=1e-3)


def test_decoded_pelvis_is_the_origin_whatever_the_network_says():
    output = np.random.default_rng(0).normal(size=48) * 100
    _, view = CODEC.encode_input(rays_of(poses_m(7)))
    assert not CODEC.decode_output(output, view, 0.6)[ROOT].any()


def test_unknown_target_keypoints_stay_unknown_alone():
    poses = poses_m(8)
    _, view = CODEC.encode_input(rays_of(poses))
    whole = CODEC.encode_target(poses, 0.6, view).reshape(16, 3)
    poses[Joint.L_WRIST] = np.nan
    target = CODEC.encode_target(poses, 0.6, view).reshape(16, 3)
    assert np.isnan(target[Joint.L_WRIST]).all()
    others = np.arange(16) != Joint.L_WRIST
    np.testing.assert_array_equal(target[others], whole[others])


def test_degenerate_pictures_stay_finite():
    inputs, view = CODEC.encode_input(np.full((16, 2), 0.3))  # all keypoints on one place
    assert np.isfinite(view.rotation).all()
    np.testing.assert_allclose(inputs, 0, atol=1e-5)
    wide = rays_of(poses_m(9))
    wide[ROOT] = wide[Joint.THORAX] = (6.0, 0.0)  # 80 degrees to the right
    wide[Joint.L_WRIST] = (-6.0, 0.0)  # and 80 to the left
    inputs, view = CODEC.encode_input(wide)
    assert np.isfinite(inputs).all()
    assert np.linalg.det(view.rotation) == pytest.approx(1)


def test_an_empty_batch():
    inputs, view = CODEC.encode_input(np.zeros((0, 16, 2)))
    assert inputs.shape == (0, 32)
    assert CODEC.encode_target(np.zeros((0, 16, 3)), np.zeros(0), view).shape == (0, 48)
    assert CODEC.decode_output(np.zeros((0, 48)), view, np.zeros(0)).shape == (0, 16, 3)


def test_missing_rays_are_refused():
    rays = rays_of(poses_m(10))
    rays[3] = np.nan
    with pytest.raises(InvalidInputError, match='got 1'):
        CODEC.encode_input(rays)


@pytest.mark.parametrize('length', [0.0, -0.6, np.nan, np.inf])
def test_lengths_that_are_none_are_refused(length):
    poses = poses_m(11)
    _, view = CODEC.encode_input(rays_of(poses))
    with pytest.raises(InvalidInputError, match='body_length_m'):
        CODEC.encode_target(poses, length, view)
    with pytest.raises(InvalidInputError, match='body_length_m'):
        CODEC.decode_output(np.zeros(48), view, length)


def test_shapes_are_checked():
    _, view = CODEC.encode_input(rays_of(poses_m(12)))
    with pytest.raises(InvalidInputError, match=r'16, 2'):
        CODEC.encode_input(np.zeros((16, 3)))
    with pytest.raises(InvalidInputError, match=r'16, 3'):
        CODEC.encode_target(np.zeros((17, 3)), 0.6, view)
    with pytest.raises(InvalidInputError, match='48'):
        CODEC.decode_output(np.zeros((2, 32)), view, 0.6)
