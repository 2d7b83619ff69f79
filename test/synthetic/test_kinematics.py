import numpy as np
import pytest

from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.body import BodyShape, CROWN_VERTEX, pose_bodies, rest_pose
from infant_pose_ros.synthetic.kinematics import (
    axis_angle,
    forward_points,
    FREEDOM_INDEX,
    freedoms,
    limb_of,
    MarkedPoint,
    rotations_from_angles,
)


def test_axis_angle_about_z_turns_x_to_y():
    turned = axis_angle(np.array([0.0, 0.0, 2.0]), np.array([np.pi / 2]))[0] @ [1.0, 0.0, 0.0]
    assert turned == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)


def test_every_freedom_moves_one_part_of_the_body():
    assert [limb_of(name) for name in (
        'knee_flexion.L', 'hip_rotation.R', 'ankle.R', 'wrist.L', 'curl.R', 'head_nod')] == [
            'leg.L', 'leg.R', 'leg.R', 'arm.L', 'arm.R', 'trunk']


def test_light_kinematics_agrees_with_the_body_model():
    rng = np.random.default_rng(0)
    shape = BodyShape.sample(rng)
    vertices, heads = rest_pose(shape)
    angles = np.stack([rng.uniform(row.low, row.high, 3) for row in freedoms().values()], 1)
    bodies = pose_bodies(shape, rotations_from_angles(
        {name: angles[:, index] for name, index in FREEDOM_INDEX.items()}), 3)
    bones = {Joint.L_KNEE: 'lowerleg01.L', Joint.R_ANKLE: 'foot.R', Joint.L_ELBOW: 'lowerarm01.L',
             Joint.R_WRIST: 'wrist.R', Joint.UPPER_NECK: 'head'}
    points = [MarkedPoint(bone, heads[bone], '') for bone in bones.values()]
    points.append(MarkedPoint('head', vertices[CROWN_VERTEX], ''))
    places = forward_points(heads, points, angles)
    assert places == pytest.approx(bodies.keypoints_m[:, [*bones, Joint.HEAD_TOP]], abs=1e-5)
