import io
import os
from pathlib import Path
import zipfile

from bad_input import bad_input, damages
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import scipy.io

from infant_pose_ros.data import files
from infant_pose_ros.data.files import read_arrays, read_json, read_mat
from infant_pose_ros.data.stills import read_image
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation.truth import ClipTruth


def npz(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


TRUTH = dict(stamps_s=np.arange(3.0), keypoints_px=np.zeros((3, 16, 2), np.float32),
             keypoints_m=np.zeros((3, 16, 3), np.float32), visible=np.ones((3, 16), bool),
             box_xyxy=np.zeros((3, 4), np.float32), body_length_m=np.array(0.6))


class MakesFile:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def truth_error(path):
    """The one clear error of reading; None where it is read."""
    try:
        ClipTruth.load(path)
    except DatasetError as error:
        assert str(error).startswith(f'truth file {path}: ') and '\n' not in str(error)
        assert len(str(error)) < 700
        return str(error)
    return None


@given(damages(npz(**TRUTH)))
@bad_input(150)
def test_damaged_truth_is_read_or_one_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / 'damaged_truth.npz'
    path.write_bytes(data)
    truth_error(path)


@given(st.sampled_from(sorted(TRUTH)), st.sampled_from([
    np.zeros(0), np.array('text'), np.full((3, 16, 2), np.nan), np.array([np.inf, 1.0, 2.0]),
    np.zeros((3, 16, 2), complex), np.array([2.0, 1.0, 0.0]), np.array(-1.0), np.zeros((2, 2)),
    np.zeros(3, [('a', 'f4')]), np.array(['2020-01-01'] * 3, 'datetime64[D]')]))
@bad_input(60)
def test_truth_with_another_array_is_read_or_one_clear_error(tmp_path_factory, name, array):
    path = tmp_path_factory.getbasetemp() / 'other_truth.npz'
    path.write_bytes(npz(**{**TRUTH, name: array}))
    truth_error(path)


def test_truth_is_never_unpickled(tmp_path):
    made, path = tmp_path / 'made', tmp_path / 'truth.npz'
    objects = np.empty(3, object)
    objects[:] = MakesFile(made)
    path.write_bytes(npz(**{**TRUTH, 'stamps_s': objects}))
    assert 'allow_pickle=False' in truth_error(path)
    objects.dump(path)
    assert truth_error(path)
    assert not made.exists()
    np.load(path, allow_pickle=True)        # the trap works
    assert made.exists()


def lying_array(shape):
    """A stored array of 8 bytes whose header says that it has this shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {'descr': '<f8', 'fortran_order': False, 'shape': shape})
    return stream.getvalue() + bytes(8)


def test_arrays_that_claim_terabytes_take_no_memory(tmp_path, monkeypatch):
    path = tmp_path / 'a.npz'
    with zipfile.ZipFile(path, 'w') as packed:
        packed.writestr('a.npy', lying_array((2 ** 42,)))
    with pytest.raises(ValueError, match='allocate|Unable|EOF|MemoryError'):
        read_arrays(path, ['a'])
    monkeypatch.setattr(files, 'MAX_ARRAY_BYTES', 10 ** 6)
    path.write_bytes(npz(a=np.zeros(10 ** 6)))      # a file of a few kB
    assert path.stat().st_size < 20_000
    with pytest.raises(ValueError, match='8000[0-9]+ bytes once unpacked; at most 1000000'):
        read_arrays(path, ['a'])


def test_what_is_no_array_file(tmp_path):
    path = tmp_path / 'a.npz'
    with zipfile.ZipFile(path, 'w') as packed:
        packed.writestr('a', b'text')
    with pytest.raises(ValueError, match='a is no array'):
        read_arrays(path, ['a'])
    os.mkfifo(tmp_path / 'pipe.npz')
    for place, reason in ((tmp_path, 'is no file'), (tmp_path / 'pipe.npz', 'is no file'),
                          (tmp_path / 'none.npz', 'No such file')):
        with pytest.raises(ValueError, match=reason):
            read_arrays(place, ['a'])
    path.write_bytes(npz(a=np.arange(3), b=np.arange(2)))
    assert set(read_arrays(path, ['a'], ['b', 'c'])) == {'a', 'b'}
    with pytest.raises(ValueError, match='lacks an array: c'):
        read_arrays(path, ['a', 'c'])


def mat():
    stream = io.BytesIO()
    scipy.io.savemat(stream, {'joints': np.arange(12.0).reshape(3, 4), 'names': ['a', 'bc']},
                     do_compression=True)
    return stream.getvalue()


@given(damages(mat()))
@bad_input(100)
def test_damaged_matlab_files_are_read_or_one_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / 'damaged.mat'
    path.write_bytes(data)
    try:
        read_mat(path, 'joints')
    except DatasetError as error:
        assert str(error).startswith(f'{path}: ')


def test_json_that_nests_without_end(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('[' * 200_000)
    with pytest.raises(DatasetError, match='found no valid json'):
        read_json(path, list, 'a list')


def test_pictures_of_sets_have_a_limit(tmp_path):
    path = Path(tmp_path / 'a.ppm')
    path.write_bytes(b'P6 30000 30000 255\n' + bytes(100))
    with pytest.raises(DatasetError, match='a.ppm: is too large'):
        read_image(path)
