import math

from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from infant_pose_ros.ros.markers import MarkerEncoder, PREDICTED_ALPHA
from infant_pose_ros.skeleton import BONES, Joint, SIDE_COLOURS_RGB

HEADER = Header(frame_id='cot_optical')


def by_part(message):
    return {marker.ns.rsplit('/', 1)[1]: marker for marker in message.markers}


def test_one_skeleton_is_spheres_lines_and_a_label(make_result, make_infant):
    parts = by_part(MarkerEncoder('cot').encode(make_result([make_infant(track=3)]), HEADER))
    assert sorted(parts) == ['bones', 'joints', 'text']
    assert {m.ns for m in parts.values()} == {'cot/3/joints', 'cot/3/bones', 'cot/3/text'}
    assert (len(parts['joints'].points), len(parts['joints'].colors)) == (16, 16)
    assert (len(parts['bones'].points), len(parts['bones'].colors)) == (30, 30)
    assert parts['joints'].type == Marker.SPHERE_LIST and parts['bones'].type == Marker.LINE_LIST
    for marker in parts.values():
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (1, 0)
        assert marker.pose.orientation.w == 1.0 and marker.header.frame_id == 'cot_optical'


def test_sides_are_coloured_apart_and_predicted_joints_are_faint(make_result, make_infant):
    infant = make_infant(predicted=[Joint.R_KNEE])
    colours = by_part(MarkerEncoder('cot').encode(make_result([infant]), HEADER))['joints'].colors
    for joint, side in ((Joint.L_KNEE, 'left'), (Joint.R_KNEE, 'right'),
                        (Joint.PELVIS, 'centre')):
        shown = colours[joint]
        assert tuple(round(255 * value) for value in (shown.r, shown.g, shown.b)) == \
            SIDE_COLOURS_RGB[side]
    assert math.isclose(colours[Joint.R_KNEE].a, PREDICTED_ALPHA, rel_tol=1e-6)
    assert colours[Joint.L_KNEE].a == 1.0


def test_only_finite_points_are_sent(make_result, make_infant):
    lost = [Joint.HEAD_TOP, Joint.R_ELBOW]
    parts = by_part(MarkerEncoder('cot').encode(make_result([make_infant(lost=lost)]), HEADER))
    assert len(parts['joints'].points) == 14
    bones_left = [bone for bone in BONES if not set(bone) & set(lost)]
    assert len(parts['bones'].points) == 2 * len(bones_left) == 24
    for marker in parts.values():
        points = [*marker.points, marker.pose.position]
        assert all(math.isfinite(v) for p in points for v in (p.x, p.y, p.z))


def test_no_empty_line_list_and_the_old_one_is_deleted(make_result, make_infant):
    encoder = MarkerEncoder('cot')
    encoder.encode(make_result([make_infant(track=3)]), HEADER)
    ends = [joint for joint in range(16) if joint not in (Joint.R_WRIST, Joint.L_WRIST)]
    parts = by_part(encoder.encode(make_result([make_infant(track=3, lost=ends)]), HEADER))
    assert len(parts['joints'].points) == 2
    assert parts['bones'].action == Marker.DELETE and not parts['bones'].points


def test_lost_tracks_are_deleted_by_id_once(make_result, make_infant):
    encoder = MarkerEncoder('cot')
    encoder.encode(make_result([make_infant(track=1), make_infant(track=2)]), HEADER)
    message = encoder.encode(make_result([make_infant(track=2)]), HEADER)
    deleted = [m.ns for m in message.markers if m.action == Marker.DELETE]
    assert deleted == ['cot/1/bones', 'cot/1/joints', 'cot/1/text']
    assert not [m for m in message.markers if m.action == Marker.DELETEALL]
    again = encoder.encode(make_result([make_infant(track=2)]), HEADER)
    assert {m.action for m in again.markers} == {Marker.ADD}


def test_nothing_seen_is_an_empty_array(make_result):
    assert not MarkerEncoder('cot').encode(make_result([]), HEADER).markers


def test_clear_deletes_what_is_shown_and_clear_everything_all(make_result, make_infant):
    encoder = MarkerEncoder('cot')
    encoder.encode(make_result([make_infant(track=1)]), HEADER)
    assert len(encoder.clear(HEADER).markers) == 3
    assert not encoder.clear(HEADER).markers
    everything = encoder.clear_everything(HEADER).markers
    assert [m.action for m in everything] == [Marker.DELETEALL]
