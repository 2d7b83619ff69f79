import os

from bad_input import bad_input, damages
from hypothesis import given
from hypothesis import strategies as st
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.text_files import (
    MAX_TEXT_BYTES,
    one_line,
    parse_json,
    parse_yaml,
    read_text,
    read_yaml,
    shown,
    shown_names,
)

ALIASES = 'a: &a [x, x]\n' + ''.join(
    f'{name}: &{name} [*{before}, *{before}, *{before}]\n' for before, name in zip('abcdefgh',
                                                                                   'bcdefghi'))


@pytest.mark.parametrize('text, reason', [
    ('a: 1\nb: 2\na: 3', "'a' stands there twice.*line 3"),
    ('x: {y: 1, y: 1}', "'y' stands there twice"),
    (ALIASES, r'the alias \*a: write the value out'),
    ('a: &x\n  b: *x', 'the alias'),
    ('[' * 100_000, 'nested too deeply'), ('- ' * 100_000, 'nested too deeply'),
    ('a: [', 'can not be read'), ('!!python/object/apply:os.system [x]', 'could not determine'),
    ('!!int ""', 'can not be read'), ('!!timestamp x', 'can not be read'),
    ('2026-99-99', 'month must be in 1..12'), ('!!bool x', 'can not be read'),
    ('1' * 10_000, 'can not be read'), ('a\tb: \x01', 'can not be read'),
    ('? [a]\n: 1', 'can not be read')])
def test_yaml_that_is_refused_in_one_line(text, reason):
    with pytest.raises(InvalidInputError, match=reason) as caught:
        parse_yaml(text)
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 500


def test_nothing_is_run(tmp_path):
    for tag in ('python/object/apply:os.mkdir', 'python/object/new:os.mkdir'):
        with pytest.raises(InvalidInputError):
            parse_yaml(f'!!{tag} ["{tmp_path / "made"}"]')
    assert not (tmp_path / 'made').exists()


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda data: data.decode('latin-1'))
       | damages(b'settings: {a: [1, 2.5, .nan, yes], "b": ~}\n# so\nc: |\n  text\n').map(
           lambda data: data.decode('latin-1')))
@bad_input(300)
def test_any_text_is_yaml_or_one_clear_error(text):
    try:
        parse_yaml(text)
    except InvalidInputError as error:
        assert '\n' not in str(error) and len(str(error)) < 500


@given(st.text(max_size=200) | damages(b'{"a": [1, 2.5, null, {"b": "c"}], "d": 1e9}').map(
    lambda data: data.decode('latin-1')))
@bad_input(200)
def test_any_text_is_json_or_one_clear_error(text):
    try:
        parse_json(text)
    except InvalidInputError as error:
        assert '\n' not in str(error) and len(str(error)) < 500


@pytest.mark.parametrize('text, reason', [
    ('[' * 100_000, 'nested too deeply'), ('{"a": 1, "a": 2}', "'a' stands there twice"),
    ('1' * 10_000, 'no JSON'), ('', 'no JSON')])
def test_json_that_is_refused(text, reason):
    with pytest.raises(InvalidInputError, match=reason):
        parse_json(text)


def test_files_that_are_none(tmp_path):
    loop, pipe = tmp_path / 'loop.yaml', tmp_path / 'pipe.yaml'
    loop.symlink_to(loop)
    os.mkfifo(pipe)     # reading it would wait for ever
    for path, reason in ((tmp_path, 'is no file'), (pipe, 'is no file'), (loop, 'can not be read'),
                         (tmp_path / 'none', 'No such file'),
                         (tmp_path / 'a\0', 'can not be read'),
                         (tmp_path / ('x' * 5000), 'too long')):
        with pytest.raises(InvalidInputError, match=reason):
            read_yaml(path)


def test_files_too_large_or_binary(tmp_path):
    path = tmp_path / 'a.yaml'
    path.write_text('#' * MAX_TEXT_BYTES)
    assert read_yaml(path) is None
    with path.open('a') as file:
        file.write('#')
    with pytest.raises(InvalidInputError, match='larger than 1000000 bytes'):
        read_yaml(path)
    path.write_bytes(b'a: \xff\xfe')
    with pytest.raises(InvalidInputError, match='is no UTF-8 text .* at byte 3'):
        read_yaml(path)
    path.write_bytes(b'\xef\xbb\xbfa: 1')     # with a byte order mark, as Windows writes it
    assert read_text(path) == 'a: 1' and read_yaml(path) == {'a': 1}


def test_values_are_shown_short():
    assert shown('a') == "'a'" and shown(1.5) == '1.5'
    assert shown('x' * 10 ** 6) == f"'{'x' * 79}..."
    assert shown(int('f' * 9000, 16)) == 'a int too long to show'
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == 'a list too long to show'
    while deep:     # or freeing it recurses as deeply
        deep = deep.pop()
    assert shown_names(['b', 'a', 3, 'x y']) == "'x y', 3, a, b"
    assert shown_names(range(9)) == '0, 1, 2, 3, 4 and 4 more'


def test_errors_of_libraries_become_one_line():
    assert one_line(ValueError('a\n  b')) == 'a b'
    assert one_line(MemoryError()) == 'MemoryError'
    assert one_line(OSError('x' * 10_000)) == 'x' * 300 + '...'
