import numpy as np
import pytest
import scipy.io

from infant_pose_ros.data.files import number_array, read_json, read_mat
from infant_pose_ros.errors import DatasetError


def test_json_is_read_and_what_is_wrong_is_named(tmp_path):
    path = tmp_path / 'a.json'
    with pytest.raises(DatasetError, match=r'a\.json: expected a list, but .*No such file'):
        read_json(path, list, 'a list')
    path.write_text('[1, 2')
    with pytest.raises(DatasetError, match='no valid json'):
        read_json(path, list, 'a list')
    path.write_bytes(b'\xff\xfe[')
    with pytest.raises(DatasetError, match='no valid json'):
        read_json(path, list, 'a list')
    path.write_text('{"a": 1}')
    assert read_json(path, dict, 'an object') == {'a': 1}
    with pytest.raises(DatasetError, match='expected a list, found a dict'):
        read_json(path, list, 'a list')


@pytest.mark.parametrize('content', [b'', b'no matlab file', b'\0' * 200])
def test_a_damaged_mat_file_is_named(tmp_path, content):
    (tmp_path / 'a.mat').write_bytes(content)
    with pytest.raises(DatasetError, match=r'a\.mat: expected'):
        read_mat(tmp_path / 'a.mat', 'x')


@pytest.mark.parametrize('compressed', [False, True])
def test_a_mat_file_cut_anywhere_is_named(tmp_path, compressed):
    path = tmp_path / 'a.mat'
    scipy.io.savemat(path, {'x': np.arange(40.0)}, do_compression=compressed)
    whole = path.read_bytes()
    assert read_mat(path, 'x')[0].ravel().tolist() == list(range(40))
    for length in range(0, len(whole) - 8, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match=r'a\.mat: expected'):
            read_mat(path, 'x')


def test_version_7_3_and_missing_variables_are_told_apart(tmp_path):
    path = tmp_path / 'a.mat'
    path.write_bytes(b'MATLAB 7.3 MAT-file'.ljust(124) + b'\x00\x02IM')
    with pytest.raises(DatasetError, match=r'found version 7\.3; save it again'):
        read_mat(path, 'x')
    scipy.io.savemat(path, {'y': 1})
    with pytest.raises(DatasetError, match='expected the variable x'):
        read_mat(path, 'x')


def test_numbers_are_checked():
    assert number_array('f', [[1, 2]], (1, 2), 'p').tolist() == [[1, 2]]
    for value, found in (([1], r'shape \(1,\)'), ([1, float('nan')], 'NaN'), ('ab', "'ab'"),
                         ([[1], [1, 2]], 'found')):
        with pytest.raises(DatasetError, match=f'f: expected p .*{found}'):
            number_array('f', value, (2,), 'p')
