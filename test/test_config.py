import pytest

from infant_pose_ros.config import parse_cameras, parse_roi, PipelineSettings, PoseNodeSettings
from infant_pose_ros.errors import SettingsError


def test_a_region_of_interest():
    assert parse_roi('0.25, 0,0.75,1') == (0.25, 0.0, 0.75, 1.0)
    assert parse_roi('') is parse_roi('  ') is None
    assert PipelineSettings(roi='0,0,1,1').roi == '0,0,1,1'


@pytest.mark.parametrize('roi, reason', [
    ('0.1,0.2,0.3', "expected 'x1,y1,x2,y2'"),
    ('a,b,c,d', "expected 'x1,y1,x2,y2'"),
    ('0,0,640,480', 'outside 0 .. 1'),
    ('-0.1,0,1,1', 'outside 0 .. 1'),
    ('nan,0,1,1', 'outside 0 .. 1'),
    ('0.6,0,0.4,1', 'x1 < x2'),
    ('0.5,0,0.52,1', 'differ by 0.05'),
])
def test_a_bad_region_is_refused_with_the_reason(roi, reason):
    with pytest.raises(SettingsError, match=reason) as error:
        PipelineSettings(roi=roi)
    assert str(error.value).startswith('roi: ') and repr(roi) in str(error.value)
    with pytest.raises(SettingsError, match=reason):
        PipelineSettings().replace(roi=roi)


def test_a_region_is_text():
    with pytest.raises(SettingsError, match='roi: expected str'):
        PipelineSettings(roi=0.5)


def test_camera_names_are_read_without_their_spaces():
    assert parse_cameras('left, right_2') == ('left', 'right_2')
    assert parse_cameras('') == parse_cameras('  ') == ()
    assert PoseNodeSettings(cameras='left,right').cameras == 'left,right'


@pytest.mark.parametrize('names, reason', [
    ('left,left', 'a name of its own'), ('left,', "''"), ('2nd', "'2nd'"), ('a/b', "'a/b'"),
    ('a__b', "'a__b'"), ('a_', "'a_'"), ('käfer', "'käfer'")])
def test_a_camera_name_that_no_topic_may_have_is_refused(names, reason):
    with pytest.raises(SettingsError, match='^cameras: ') as error:
        PoseNodeSettings(cameras=names)
    assert reason in str(error.value)
