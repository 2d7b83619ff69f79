import array

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.ros.keypoints import decode_keypoints, encode_keypoints, KEYPOINT_DTYPE
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS, TrackState


def a_header():
    header = Header(frame_id='cot_optical')
    header.stamp.sec, header.stamp.nanosec = 12, 34
    return header


def test_layout_is_the_documented_one():
    offsets = {name: KEYPOINT_DTYPE.fields[name][1] for name in KEYPOINT_DTYPE.names}
    assert offsets == {'x': 0, 'y': 4, 'z': 8, 'u': 12, 'v': 16, 'score': 20, 'sx': 24, 'sy': 28,
                       'sz': 32, 'joint': 36, 'state': 37, 'track': 38}
    assert KEYPOINT_DTYPE.itemsize == 40


def test_round_trip_keeps_order_and_values(make_result, make_infant):
    result = make_result([make_infant(track=7), make_infant(track=65535, shift_m=1.0)])
    message = encode_keypoints(result, a_header())
    assert (message.height, message.width) == (2, NUM_KEYPOINTS)
    assert (message.point_step, message.row_step, message.is_dense) == (40, 640, False)
    assert (message.header.frame_id, message.header.stamp.nanosec) == ('cot_optical', 34)
    rows = decode_keypoints(message)
    assert rows['track'][:, 0].tolist() == [7, 65535]
    assert rows['joint'][1].tolist() == list(range(16))
    smooth = result.infants[1].smooth_3d.keypoints_m
    np.testing.assert_allclose(rows['z'][1], smooth[:, 2], rtol=1e-6)
    np.testing.assert_allclose(rows['u'][0], result.infants[0].smooth_2d.keypoints_px[:, 0])
    # variances are 1e-4, 4e-4 and 9e-4 m^2
    np.testing.assert_allclose(rows['sx'][0], 0.01, rtol=1e-6)
    np.testing.assert_allclose(rows['sy'][0], 0.02, rtol=1e-6)
    np.testing.assert_allclose(rows['sz'][0], 0.03, rtol=1e-6)


def test_no_infant_is_an_empty_message_with_all_fields(make_result):
    message = encode_keypoints(make_result([]), a_header())
    assert (message.height, message.width, len(message.data)) == (0, 16, 0)
    assert len(message.fields) == 12
    assert decode_keypoints(message).shape == (0, 16)


def test_lost_keypoint_is_nan_with_score_0_and_keeps_its_place(make_result, make_infant):
    rows = decode_keypoints(encode_keypoints(
        make_result([make_infant(lost=[Joint.L_WRIST])]), a_header()))
    assert np.isnan([rows[name][0, 15] for name in ('x', 'y', 'z', 'u', 'v', 'sx')]).all()
    assert (rows['score'][0, 15], rows['state'][0, 15]) == (0.0, TrackState.LOST)
    assert np.isfinite(rows['x'][0, :15]).all()


def test_raw_gives_the_estimate_before_smoothing(make_result, make_infant):
    infant = make_infant(raw_shift_px=5.0)
    result = make_result([infant])
    raw, smooth = (decode_keypoints(encode_keypoints(result, a_header(), raw))
                   for raw in (True, False))
    np.testing.assert_allclose(raw['u'] - smooth['u'], 5.0, atol=1e-4)
    assert (raw['state'] == TrackState.MEASURED).all()


def test_raw_of_an_infant_that_was_not_estimated_is_all_lost(make_result, make_infant):
    rows = decode_keypoints(encode_keypoints(
        make_result([make_infant(with_raw=False)]), a_header(), raw=True))
    assert rows.shape == (1, 16)
    assert np.isnan(rows['x']).all() and np.isnan(rows['u']).all()
    assert not rows['state'].any() and not rows['score'].any()


def test_decode_finds_fields_by_name_in_foreign_layouts(make_result, make_infant):
    source = decode_keypoints(encode_keypoints(make_result([make_infant()]), a_header()))
    order = list(reversed(KEYPOINT_DTYPE.names))
    foreign = np.dtype([(name, KEYPOINT_DTYPE[name].newbyteorder('>')) for name in order])
    points = np.zeros(source.shape, foreign)
    for name in order:
        points[name] = source[name]
    datatypes = {'f4': PointField.FLOAT32, 'u1': PointField.UINT8, 'u2': PointField.UINT16}
    row = points.tobytes() + b'\0' * 8
    message = PointCloud2(
        height=1, width=16, is_bigendian=True, point_step=40, row_step=len(row),
        data=array.array('B', row), fields=[
            PointField(name=name, offset=foreign.fields[name][1], count=1,
                       datatype=datatypes[KEYPOINT_DTYPE[name].str[1:]]) for name in order])
    assert decode_keypoints(message).tobytes() == source.tobytes()


@pytest.mark.parametrize('spoil, complaint', [
    (lambda m: m.fields.pop(5), "'score' is missing"),
    (lambda m: setattr(m, 'data', m.data[:100]), "don't fit 100 bytes"),
    (lambda m: setattr(m, 'width', 17), 'expected 16 points'),
    (lambda m: setattr(m.fields[11], 'offset', 39), "'track' at offset 39 runs over"),
])
def test_bad_messages_are_refused_with_the_reason(make_result, make_infant, spoil, complaint):
    message = encode_keypoints(make_result([make_infant()]), a_header())
    spoil(message)
    with pytest.raises(InvalidInputError, match=complaint):
        decode_keypoints(message)
