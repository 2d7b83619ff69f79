import numpy as np
import pytest

from infant_pose_ros.data.mini_rgbd import CAMERA, SPLITS
from infant_pose_ros.geometry.cameras import project
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic import synthcot
from infant_pose_ros.synthetic.props import SKIN
from infant_pose_ros.synthetic.synthcot import (
    AGE_TOLERANCE_MONTHS,
    camera_above,
    frame_scene,
    frames_at,
    head_units,
    PLANS,
    sequence_bodies,
    sequence_info,
    sequence_scene,
    sequence_shape,
)
from infant_pose_ros.synthetic.textures import fabric_bank

FEW = 4


@pytest.fixture(scope='module')
def bodies():
    return {number: sequence_bodies(PLANS[number], FEW) for number in (6, 11)}


def scene_of(number, bodies):
    return sequence_scene(PLANS[number], bodies[number].keypoints_m, 64, 24)


def test_the_table_has_all_kinds():
    assert sorted(PLANS) == list(range(1, 13)) and all(
        plan.number == number for number, plan in PLANS.items())
    train = [PLANS[number] for number in SPLITS['train']]
    assert sum(plan.lying == 'prone' for plan in train) == 1
    assert sum(plan.lying == 'side' for plan in train) == 1
    assert {plan.light for plan in train} >= {'infrared', 'dim'}
    test = [PLANS[number] for number in SPLITS['test']]
    assert [plan.grade for plan in test] == ['medium', 'difficult']
    assert all(plan.lying == 'supine' for plan in test)
    assert PLANS[5].text == (
        'difficult: 1 months, supine, crown at -38 degrees, dim light, camera 1 m above, '
        'tilted by 14 degrees; sleepsuit and blanket')


def test_no_two_sequences_share_a_body_or_a_fabric():
    assert len({plan.seed for plan in PLANS.values()}) == 12
    shapes = [sequence_shape(plan) for plan in PLANS.values()]
    assert len({(shape.age_months, shape.weight, shape.gender) for shape in shapes}) == 12
    for shape, plan in zip(shapes, PLANS.values()):
        assert abs(shape.age_months - plan.age_months) <= AGE_TOLERANCE_MONTHS
    fabrics = [fabric.tobytes() for plan in PLANS.values()
               for fabric in fabric_bank(plan.seed, count=6)]
    assert len(set(fabrics)) == len(fabrics)


def test_no_set_of_stills_has_a_bank_of_the_benchmark():
    stills = 9_999_999 * 100_003 + 9_999     # the last shard of seed 9,999,999
    assert stills < min(plan.seed for plan in PLANS.values())


def test_the_same_sequence_comes_again(bodies):
    again = sequence_bodies(PLANS[11], FEW)
    assert np.array_equal(again.keypoints_m, bodies[11].keypoints_m)
    first, second = scene_of(11, bodies), scene_of(11, {11: again})
    assert np.array_equal(first.world_to_camera, second.world_to_camera)
    assert (first.sheet, first.seed, len(first.props)) == (
        second.sheet, second.seed, len(second.props))


@pytest.mark.parametrize('number', [6, 11])
def test_the_camera_stands_and_turns_as_planned(bodies, number):
    plan, scene = PLANS[number], scene_of(number, bodies)
    assert (scene.camera.fx, scene.camera.cy) == (588.679, 237.468)
    matrix = scene.world_to_camera
    centre = -matrix[:, :3].T @ matrix[:, 3]
    assert centre[2] == pytest.approx(plan.height_m, abs=1e-9)
    assert np.rad2deg(np.arccos(-matrix[2, 2])) == pytest.approx(plan.tilt_deg, abs=1e-6)
    points = bodies[number].keypoints_m
    pixels = project(CAMERA, points @ matrix[:, :3].T + matrix[:, 3])
    assert (pixels > 0).all() and (pixels < [640, 480]).all()
    crown = (pixels[:, Joint.HEAD_TOP] - pixels[:, Joint.PELVIS]).mean(0)
    assert np.rad2deg(np.arctan2(crown[0], -crown[1])) == pytest.approx(plan.heading_deg, abs=8)


@pytest.mark.parametrize(('number', 'clothing', 'toys', 'blanket', 'arm'), [
    (4, 'two_piece', True, False, False), (5, 'sleepsuit', False, True, False),
    (8, 'bodysuit', False, False, True), (11, 'bodysuit', False, False, False)])
def test_clothes_and_things_are_as_planned(bodies, number, clothing, toys, blanket, arm):
    scene = sequence_scene(PLANS[number], bodies[11].keypoints_m, 64, 24)
    assert scene.outfit.kind == clothing
    assert (scene.blanket is not None) == blanket
    assert any(prop.fabric == SKIN for prop in scene.props) == arm
    assert len(scene.props) >= 2 or not toys
    assert not scene.motion_px.any() and scene.coarse == 1.0


def test_infrared_is_grey_and_lit_from_the_camera(bodies):
    scene = sequence_scene(PLANS[8], bodies[11].keypoints_m, 64, 24)
    assert scene.grey and scene.light == pytest.approx(-scene.world_to_camera[2, :3])
    assert not scene_of(11, bodies).grey
    assert sequence_scene(PLANS[12], bodies[11].keypoints_m, 64, 24).gain.max() < 0.5


def test_headings_are_clockwise_from_up():
    """A crown along world +y, seen from straight above."""
    points = np.zeros((1, 16, 3))
    points[0, Joint.HEAD_TOP] = 0.0, 0.4, 0.0
    for heading, expected in ((0, (0, -1)), (90, (1, 0)), (180, (0, 1))):
        plan = PLANS[1].__class__(1, 'easy', 3, 'supine', heading, 'day', 1.0, 0.0, 'nappy',
                                   (), 0)
        matrix = camera_above(np.random.default_rng(0), plan, points)
        crown = matrix[:2, :3] @ [0.0, 0.4, 0.0] / 0.4
        assert crown == pytest.approx(expected, abs=1e-9)


def test_the_infant_lies_as_planned(bodies):
    """Left minus right hip, crossed with up the trunk, points where the front points."""
    for number, front in ((11, 1), (6, -1)):
        points = bodies[number].keypoints_m
        left = (points[:, Joint.L_HIP] - points[:, Joint.R_HIP]
                + points[:, Joint.L_SHOULDER] - points[:, Joint.R_SHOULDER])
        upwards = points[:, Joint.THORAX] - points[:, Joint.PELVIS]
        normal = np.cross(left, upwards).mean(0)
        assert np.sign(normal[2]) == front


def test_units_by_hand(bodies):
    """A head of 12 cm, 1 m away: a quarter is 30 mm, and 588.679 x 0.03 px."""
    scene = scene_of(11, bodies)
    points = np.zeros((2, 16, 3))
    points[:, Joint.HEAD_TOP, 0] = 0.12
    matrix = scene.world_to_camera
    in_world = (points + [0, 0, 1.0] - matrix[:, 3]) @ matrix[:, :3]
    assert head_units(scene, in_world) == pytest.approx((588.679 * 0.03, 0.03))
    info = sequence_info(PLANS[11], scene, bodies[11])
    assert 0.015 < info.pckh_unit_m < 0.035 and 7 < info.pckh_unit_px < 20
    assert info.frames == FEW and info.body_length_m == pytest.approx(0.64, abs=0.08)


def test_only_the_noise_changes_from_frame_to_frame(bodies):
    scene = scene_of(11, bodies)
    first, second = frame_scene(scene, 0), frame_scene(scene, 1)
    assert first.seed != second.seed and 0 <= second.seed < 2 ** 31
    assert first.props is second.props and first.outfit is second.outfit


def test_another_rate_shows_the_same_movement(bodies, monkeypatch):
    assert [frames_at(rate) for rate in (30.0, 60.0, 15.0, 25.0)] == [1000, 1999, 500, 833]
    monkeypatch.setattr(synthcot, 'NUM_FRAMES', FEW)
    twice = sequence_bodies(PLANS[11], 2 * FEW - 1, 60.0)
    assert twice.keypoints_m[::2] == pytest.approx(bodies[11].keypoints_m, abs=1e-9)
    assert twice.vertices_m[::2] == pytest.approx(bodies[11].vertices_m, abs=1e-6)
    start, end = bodies[11].keypoints_m[:-1], bodies[11].keypoints_m[1:]
    between = np.abs(twice.keypoints_m[1::2] - (start + end) / 2)
    assert 0 < between.max() < 0.1 * np.abs(end - start).max()
    legs = np.linalg.norm(twice.keypoints_m[:, Joint.L_KNEE]
                          - twice.keypoints_m[:, Joint.L_ANKLE], axis=-1)
    assert np.ptp(legs) < 1e-6
    some = sequence_bodies(PLANS[11], 3, 60.0)      # its begin, not another movement
    assert some.keypoints_m == pytest.approx(twice.keypoints_m[:3], abs=1e-6)
    scene = scene_of(11, {11: twice})
    assert sequence_info(PLANS[11], scene, twice, 60.0).rate_hz == 60.0
