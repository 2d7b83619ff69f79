import pytest

from infant_pose_ros.config import parse_roi, PipelineSettings
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
