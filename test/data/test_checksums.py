import hashlib

import pytest

from infant_pose_ros.data.checksums import list_text, part_checksum, read_list
from infant_pose_ros.errors import DatasetError


def sha(content):
    return hashlib.sha256(content)


def test_a_part_is_summed_up_in_order_of_its_names(tmp_path):
    (tmp_path / 'rgb').mkdir()
    (tmp_path / 'rgb' / 'b.png').write_bytes(b'two')
    (tmp_path / 'rgb' / 'a.png').write_bytes(b'one')
    (tmp_path / 'visible.npy').write_bytes(b'x')
    both = sha(sha(b'one').digest() + sha(b'two').digest()).hexdigest()
    assert part_checksum(tmp_path, 'rgb') == both
    assert part_checksum(tmp_path, 'visible.npy') == sha(sha(b'x').digest()).hexdigest()
    (tmp_path / 'rgb' / 'b.png').write_bytes(b'twp')
    assert part_checksum(tmp_path, 'rgb') != both
    with pytest.raises(DatasetError, match='depth: expected files'):
        part_checksum(tmp_path, 'depth')


def test_a_list_is_read_back(tmp_path):
    sums = {(11, 'rgb'): 'a' * 64, (2, 'visible.npy'): 'b' * 64, (2, 'rgb'): 'c' * 64}
    text = list_text(sums, 'a title')
    assert text.splitlines() == [
        '# a title', 'c' * 64 + '  02/rgb', 'b' * 64 + '  02/visible.npy', 'a' * 64 + '  11/rgb']
    (tmp_path / 'list').write_text(text)
    assert read_list(tmp_path / 'list') == sums


@pytest.mark.parametrize('line', ['abc  02/rgb', 'a' * 64 + ' 02/rgb', 'a' * 64 + '  02/gone'])
def test_a_malformed_list_is_named(tmp_path, line):
    with pytest.raises(DatasetError, match='list: expected a list'):
        read_list(tmp_path / 'list')
    (tmp_path / 'list').write_text(line)
    with pytest.raises(DatasetError, match='list: expected `<sha256>'):
        read_list(tmp_path / 'list')
