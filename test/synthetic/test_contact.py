import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.synthetic.body import axis_rotation, BodyShape
from infant_pose_ros.synthetic.capsules import measure
from infant_pose_ros.synthetic.contact import Goal, Placed, resolve, SINK_M, Surroundings
from infant_pose_ros.synthetic.kinematics import forward_points, FREEDOM_INDEX, freedoms

SUPPORTS = ((('pelvis.L', 'pelvis.R'), 1.0), (('chest.L', 'chest.R'), 1.0))
ON_ITS_BACK = axis_rotation(0, np.array([-np.pi / 2]))


@pytest.fixture(scope='module')
def body():
    return measure(BodyShape(age=-0.25))


def angles_of(**degrees):
    values = np.array([[0.0 for _ in freedoms()]])
    for name, value in degrees.items():
        values[0, FREEDOM_INDEX[name.replace('__', '.')]] = value
    return values


def world_points(body, placed):
    points = forward_points(body.heads_m, body.points, placed.angles_deg)
    points = points @ np.swapaxes(placed.turn, 1, 2)
    points[..., 2] += placed.height_m[:, None]
    return points


def test_a_pose_that_crosses_nothing_hardly_changes_and_rests_on_the_mattress(body):
    wished = angles_of(hip_flexion__L=40, hip_flexion__R=40, hip_abduction__L=20,
                       hip_abduction__R=20, knee_flexion__L=30, knee_flexion__R=30,
                       shoulder_raise__L=20, shoulder_raise__R=20)
    placed = resolve(body, wished, ON_ITS_BACK, Surroundings(SUPPORTS))
    assert np.abs(placed.angles_deg - wished).max() < 12.0
    lowest = world_points(body, placed)[0, body.point('pelvis.L'), 2]
    assert lowest == pytest.approx(body.thickness_m[body.point('pelvis.L')] - SINK_M, abs=0.006)


def test_an_arm_through_the_trunk_is_moved_out_of_it(body):
    wished = angles_of(shoulder_raise__L=-30, shoulder_forward__L=90, elbow_flexion__L=60)
    placed = resolve(body, wished, ON_ITS_BACK, Surroundings(SUPPORTS))
    assert placed.crossing_m.max() < 0.004
    changed = np.abs(placed.angles_deg - wished)[0]
    assert changed[FREEDOM_INDEX['knee_flexion.R']] < changed[FREEDOM_INDEX['shoulder_forward.L']]


def test_limbs_stay_above_the_mattress_and_angles_within_their_limits(body):
    wished = angles_of(shoulder_forward__L=-30, shoulder_raise__L=60, hip_flexion__R=-12)
    placed = resolve(body, wished, ON_ITS_BACK, Surroundings(SUPPORTS))
    heights = world_points(body, placed)[0, :, 2] - body.thickness_m
    assert heights.min() > -SINK_M - 0.004
    for name, limits in freedoms().items():
        angle = placed.angles_deg[0, FREEDOM_INDEX[name]]
        assert limits.low - 1e-6 <= angle <= limits.high + 1e-6, name


def test_a_goal_brings_the_hand_to_the_mouth(body):
    wished = angles_of(shoulder_raise__L=18, shoulder_forward__L=60, elbow_flexion__L=80)
    goal = Goal('fist.L', 'mouth', np.ones(1))
    placed = resolve(body, wished, ON_ITS_BACK, Surroundings(SUPPORTS, {}, (goal,)))
    points = world_points(body, placed)[0]
    gap = np.linalg.norm(points[body.point('fist.L')] - points[body.point('mouth')])
    assert gap < 0.045
    assert placed.crossing_m.max() < 0.004


def test_a_time_between_frames_of_nothing_is_refused(body):
    with pytest.raises(InvalidInputError, match='interval_s'):
        resolve(body, angles_of(), ON_ITS_BACK, Surroundings(SUPPORTS), 0.0)


def test_some_frames_are_replaced_by_others():
    def placed(*values):
        values = np.array(values)
        return Placed(values[:, None], values[:, None, None] * np.eye(3), values + 1, values + 2)
    poses = placed(0.0, 1.0, 2.0)
    poses.replace_frames(np.array([2, 0]), placed(7.0, 8.0))
    assert poses.angles_deg[:, 0].tolist() == [8.0, 1.0, 7.0]
    assert poses.turn[:, 1, 1].tolist() == [8.0, 1.0, 7.0]
    assert poses.height_m.tolist() == [9.0, 2.0, 8.0]
    assert poses.crossing_m.tolist() == [10.0, 3.0, 9.0]


def test_a_sequence_is_corrected_smoothly(body):
    wished = np.repeat(angles_of(elbow_flexion__L=60, shoulder_forward__L=30), 40, 0)
    wished[:, FREEDOM_INDEX['shoulder_raise.L']] = np.linspace(30, -40, 40)
    placed = resolve(body, wished, ON_ITS_BACK.repeat(40, 0), Surroundings(SUPPORTS), 1 / 30)
    assert placed.crossing_m.max() < 0.004
    assert np.abs(np.diff(placed.angles_deg - wished, 2, axis=0)).max() < 2.0
