import json

from infant_pose_ros.config import PoseNodeSettings
from infant_pose_ros.ros.skeleton_info import encode_skeleton_info, skeleton_info
from infant_pose_ros.skeleton import BONES, KEYPOINT_NAMES

DESCRIPTION = {'models': {'pose': {'sha256': 'ab12'}}, 'device': 'cpu', 'precision': 'fp32'}


def test_names_bones_units_and_settings_come_through_json():
    settings = PoseNodeSettings(camera_name='cot', body_length_m=0.55)
    content = json.loads(encode_skeleton_info(
        skeleton_info(settings, DESCRIPTION, is_absolute=True)).data)
    assert content['keypoints'] == list(KEYPOINT_NAMES)
    assert [tuple(bone) for bone in content['bones']] == list(BONES)
    assert content['fields']['track'] == {'offset': 38, 'unit': 'id'}
    assert content['fields']['x']['unit'] == 'm'
    assert content['models']['pose']['sha256'] == 'ab12'
    assert content['settings']['detect_every'] == settings.detect_every
    assert content['joint_angles']['r_elbow'] == ['r_shoulder', 'r_elbow', 'r_wrist']


def test_it_says_what_is_metric_and_what_is_relative():
    relative = skeleton_info(PoseNodeSettings(), DESCRIPTION, is_absolute=False)['space']
    assert relative['origin'] == 'pelvis of each infant' and relative['scale_is_assumed']
    given = PoseNodeSettings(body_length_m=0.55)
    absolute = skeleton_info(given, DESCRIPTION, is_absolute=True)['space']
    assert absolute['origin'] == 'camera optical frame' and not absolute['scale_is_assumed']
    assert absolute['body_length_m'] == 0.55


def test_what_json_lacks_becomes_null_or_text(tmp_path):
    content = json.loads(encode_skeleton_info(
        {'nan': float('nan'), 'path': tmp_path, 'pair': (1, True)}).data)
    assert content == {'nan': None, 'path': str(tmp_path), 'pair': [1, True]}
