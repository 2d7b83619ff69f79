import json

import pytest

from infant_pose_ros.config import PoseNodeSettings
from infant_pose_ros.filtering.scale import Scale
from infant_pose_ros.ros.skeleton_info import (
    describe_space,
    encode_skeleton_info,
    skeleton_info,
    Space,
    SpaceWatch,
)
from infant_pose_ros.skeleton import BONES, KEYPOINT_NAMES
from infant_pose_ros.structures import FrameResult

DESCRIPTION = {'models': {'pose': {'sha256': 'ab12'}}, 'device': 'cpu', 'precision': 'fp32'}


def test_names_bones_units_and_settings_come_through_json():
    settings = PoseNodeSettings(camera_name='cot', body_length_m=0.55)
    content = json.loads(encode_skeleton_info(
        skeleton_info(settings, DESCRIPTION, Space.before_pictures(settings))).data)
    assert content['keypoints'] == list(KEYPOINT_NAMES)
    assert [tuple(bone) for bone in content['bones']] == list(BONES)
    assert content['fields']['track'] == {'offset': 38, 'unit': 'id'}
    assert content['fields']['x']['unit'] == 'm'
    assert content['models']['pose']['sha256'] == 'ab12'
    assert content['settings']['detect_every'] == settings.detect_every
    assert content['joint_angles']['r_elbow'] == ['r_shoulder', 'r_elbow', 'r_wrist']


def space_of(settings, is_absolute, placement='none', **scale):
    scale = {'body_length_m': 0.6, 'scale_origin': 'assumed', 'scale_std': 0.15, **scale}
    result = FrameResult(1.0, (), None, {}, placement=placement, **scale)
    return describe_space(Space.of(result, is_absolute))


def test_it_says_what_is_metric_and_what_is_relative():
    settings = PoseNodeSettings()
    relative = space_of(settings, False)
    assert relative['origin'] == 'pelvis of each infant' and relative['scale_is_assumed']
    assert relative['placement'] == 'none' and relative['scale_relative_std'] == 0.15
    given = space_of(settings, True, 'reprojection', body_length_m=0.55, scale_origin='given',
                     scale_std=0.02)
    assert given['origin'] == 'camera optical frame' and not given['scale_is_assumed']
    assert given['body_length_m'] == 0.55 and given['placement'] == 'reprojection'
    by_depth = space_of(settings, True, 'depth', scale_origin='estimated', scale_std=0.04)
    assert by_depth['placement'] == 'depth' and 'depth pictures' in by_depth['position']
    assert by_depth['scale_origin'] == 'estimated' and not by_depth['scale_is_assumed']


def test_a_camera_without_an_infant_in_view_is_absolute_all_the_same():
    assert space_of(PoseNodeSettings(), True, 'none')['placement'] == 'reprojection'


def test_before_pictures_the_settings_tell_the_scale():
    space = Space.before_pictures(PoseNodeSettings(age_months=2.0))
    assert space.placement == 'none' and space.scale.origin == 'age'
    assert space.scale.length_m == pytest.approx(0.577461)


def test_small_changes_of_the_scale_are_not_told():
    def space(length_m, origin='estimated', placement='depth'):
        return Space(placement, Scale(length_m, 0.04, origin))
    assert not space(0.600).differs(space(0.605))
    assert space(0.600).differs(space(0.610))
    assert space(0.6).differs(space(0.6, origin='age'))
    assert space(0.6).differs(space(0.6, placement='reprojection'))


def test_what_json_lacks_becomes_null_or_text(tmp_path):
    content = json.loads(encode_skeleton_info(
        {'nan': float('nan'), 'path': tmp_path, 'pair': (1, True)}).data)
    assert content == {'nan': None, 'path': str(tmp_path), 'pair': [1, True]}


def test_a_space_that_flickers_is_told_at_once_and_then_once_a_period():
    scale = Scale(0.6, 0.1, 'assumed')
    by_depth, by_size = (Space(placement, scale) for placement in ('depth', 'reprojection'))
    watch = SpaceWatch(by_size)
    assert not watch.is_news(0.0)           # told already
    told = []
    for frame in range(100):                # 30 a second, depth in every other one
        watch.now = (by_depth, by_size)[frame % 2]
        if watch.is_news(frame / 30.0):
            told.append(frame)
    assert told == [0, 31, 62, 93]
    watch.now = by_size                     # as it was told last
    assert not watch.is_news(10.0)
    watch.restart(by_depth)
    watch.now = by_size
    assert watch.is_news(10.1)
