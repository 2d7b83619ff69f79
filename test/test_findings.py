import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.findings import error, Finding, has_errors, Level, ok, warn


@pytest.mark.parametrize('finding', [ok('a', 'b'), warn('c', 'd'), error('e', 'f: g')])
def test_round_trip(finding):
    assert Finding.from_dict(finding.to_dict()) == finding


def test_the_makers_set_the_level():
    assert [make('a', 'b').level for make in (ok, warn, error)] == list(Level)


@pytest.mark.parametrize('values', [
    {}, {'level': 'OK', 'about': 'a'}, {'level': 'FATAL', 'about': 'a', 'text': 'b'}, None])
def test_what_is_no_finding_is_refused(values):
    with pytest.raises(InvalidInputError, match='not a finding'):
        Finding.from_dict(values)


def test_only_errors_count():
    assert not has_errors([])
    assert not has_errors([ok('a', 'b'), warn('a', 'b')])
    assert has_errors([ok('a', 'b'), error('a', 'b')])
