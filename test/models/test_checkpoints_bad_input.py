import json
import os
import pickle
import struct
import tracemalloc

from bad_input import bad_input, damages
from hypothesis import given
from hypothesis import strategies as st
import pytest
from safetensors.torch import load_file, save_file
import torch

from infant_pose_ros.errors import CheckpointError
from infant_pose_ros.models.checkpoints import (
    file_sha256,
    load_checkpoint,
    Manifest,
    read_manifest,
    save_checkpoint,
)
from infant_pose_ros.models.lifter import Lifter
from infant_pose_ros.models.pose import read_state_dict
from infant_pose_ros.training.runs import Run

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
              st.sampled_from([10 ** 12, 2 ** 63, -1, 0, 64, 'martinez', 'softmax'])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner,
                                                                max_size=3), max_leaves=6)


class MakesFile:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope='module')
def lifter(tmp_path_factory):
    """Path of a checkpoint, its bytes and its manifest; tests overwrite both files."""
    path = tmp_path_factory.mktemp('bad') / 'lifter.safetensors'
    torch.manual_seed(1)
    save_checkpoint(path, Lifter(hidden=4, blocks=1), Manifest(
        'test', 'lifter', 'martinez', {'hidden': 4, 'blocks': 1}))
    return path, path.read_bytes(), json.loads(path.with_suffix('.json').read_text())


def write(lifter, data=None, **changes):
    """Store bytes and a manifest with changes, which knows the right sha256."""
    path, whole, manifest = lifter
    path.write_bytes(whole if data is None else data)
    path.with_suffix('.json').write_text(json.dumps(
        {**manifest, 'sha256': file_sha256(path), **changes}))
    return path


def refusal(path, task='lifter'):
    """The one clear error of loading; None where it loads."""
    try:
        load_checkpoint(path, task)
    except CheckpointError as error:
        assert str(error).startswith(str(path.with_suffix(''))) and len(str(error)) < 700
        return str(error)
    return None


def test_cut_off_anywhere_or_changed_it_is_noticed_by_its_hash(lifter):
    path = write(lifter)
    assert refusal(path) is None
    for length in range(0, len(lifter[1]), 211):
        path.write_bytes(lifter[1][:length])
        assert 'sha256' in refusal(path)


@given(st.data())
@bad_input(150)
def test_damaged_weights_with_the_right_hash_load_or_are_one_clear_error(lifter, data):
    write(lifter, data.draw(damages(lifter[1])))
    refusal(lifter[0])


@given(st.dictionaries(st.sampled_from(
    ['name', 'task', 'architecture', 'arguments', 'keypoints', 'input_size', 'activation',
     'metrics', 'uncertainty', 'sha256', 'num_parameters', 'licence']) | st.text(max_size=9),
    VALUES, min_size=1, max_size=2))
@bad_input(150)
def test_any_manifest_is_read_or_one_clear_error(lifter, changes):
    refusal(write(lifter, **changes))


@given(st.dictionaries(
    st.sampled_from(['hidden', 'blocks', 'dropout', 'num_keypoints', 'pretrained', 'x']), VALUES,
    min_size=1, max_size=3))
@bad_input(100)
def test_any_arguments_fit_the_tensors_or_are_one_clear_error(lifter, arguments):
    refusal(write(lifter, arguments={'hidden': 4, 'blocks': 1, **arguments}))


@given(st.data())
@bad_input(100)
def test_damaged_manifests_are_one_clear_error(lifter, data):
    write(lifter)
    place = lifter[0].with_suffix('.json')
    place.write_bytes(data.draw(damages(place.read_bytes())))
    refusal(lifter[0])


def test_nothing_is_ever_unpickled(lifter, tmp_path):
    made = tmp_path / 'made'
    as_zip = tmp_path / 'as_zip'
    torch.save({'last.weight': MakesFile(made)}, as_zip)
    old = tmp_path / 'old'
    torch.save({'last.weight': MakesFile(made)}, old, _use_new_zipfile_serialization=False)
    for data in (pickle.dumps(MakesFile(made)), as_zip.read_bytes(), old.read_bytes()):
        assert 'can not be loaded' in refusal(write(lifter, data))
        for suffix in ('.pth', '.safetensors'):
            disguised = tmp_path / f'weights{suffix}'
            disguised.write_bytes(data)
            with pytest.raises(CheckpointError, match='can not be read as a state dict'):
                read_state_dict(str(disguised))
        run = Run(tmp_path / 'run')
        run.state_path.write_bytes(data)
        with pytest.raises(CheckpointError, match='state.pt: damaged'):
            run.load_state()
    assert not made.exists()
    pickle.loads(pickle.dumps(MakesFile(made)))       # the trap works
    assert made.exists()


@pytest.mark.parametrize('arguments, reason', [
    ({'hidden': 10 ** 12}, "argument 'hidden': 1000000000000 is no text, nor a number of at most"),
    ({'hidden': 16384, 'blocks': 1}, r'shape \(4, 32\), expected \(16384, 32\)'),
    ({'hidden': 4, 'blocks': 10 ** 9}, "'blocks': 1000000000 .* at most 64"),
    ({'hidden': -1}, "'hidden': -1"), ({'hidden': 4, 'dropout': 2.0}, 'dropout probability'),
    ({'hidden': 4, 'dropout': float('nan')}, "'dropout': nan"), ({'hidden': [4]}, "'hidden'"),
    ({'hidden': 4, 'pretrained': '/etc/passwd'}, "'pretrained'")])
def test_arguments_are_checked_before_memory_is_taken(lifter, arguments, reason):
    path = write(lifter, arguments=arguments)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=reason):
            load_checkpoint(path, 'lifter')
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('header', [
    struct.pack('<Q', 2 ** 62) + b'{}', struct.pack('<Q', 90_000_000) + b'{}', b'\xff' * 8, b'',
    struct.pack('<Q', 100_000) + b'[' * 100_000,
    struct.pack('<Q', 80) + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":'
    b'[0,4398046511104]}}'.ljust(80)])
def test_headers_that_lie(lifter, header):
    assert 'can not be loaded' in refusal(write(lifter, header))


def stored(lifter, tmp_path, change):
    """A checkpoint whose tensors `change` has changed."""
    write(lifter)
    tensors = load_file(lifter[0])
    change(tensors)
    save_file(tensors, tmp_path / 'changed')
    return write(lifter, (tmp_path / 'changed').read_bytes())


@pytest.mark.parametrize('name, value, reason', [
    ('last.weight', torch.full((48, 4), float('nan')), 'last.weight holds NaN or infinity'),
    ('last.bias', torch.full((48,), float('-inf')), 'last.bias holds NaN or infinity'),
    ('last.bias', torch.zeros(48, dtype=torch.int32), 'last.bias is stored as I32, expected'),
    ('last.bias', torch.zeros(47), r'last.bias has shape \(47,\), expected \(48,\)'),
    ('first.1.running_var', torch.full((4,), -1.0), 'running_var holds a negative variance'),
    ('more', torch.zeros(1), 'more is unexpected')])
def test_tensors_that_no_training_makes(lifter, tmp_path, name, value, reason):
    path = stored(lifter, tmp_path, lambda tensors: tensors.update({name: value}))
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(path, 'lifter')


def test_deep_and_large_manifests(lifter):
    path, place = write(lifter), lifter[0].with_suffix('.json')
    place.write_text('[' * 200_000)
    assert 'nested too deeply' in refusal(path)
    place.write_text('{"name": 1, "name": 2}')
    assert "'name' stands there twice" in refusal(path)
    place.write_text(' ' * 1_000_001)
    assert 'larger than 1000000 bytes' in refusal(path)
    place.unlink()
    place.mkdir()
    assert 'is no file' in refusal(path)
    place.rmdir()


def test_paths_that_are_no_files(tmp_path):
    loop, pipe = tmp_path / 'loop.safetensors', tmp_path / 'pipe.safetensors'
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    for path in (tmp_path, loop, pipe, tmp_path / 'x\0.safetensors'):
        with pytest.raises(CheckpointError, match='no such lifter checkpoint'):
            read_manifest(path, 'lifter')


def test_damaged_training_states_are_one_clear_error(tmp_path):
    run = Run(tmp_path / 'run')
    run.save_state({'step': 3, 'network': {'weight': torch.zeros(3, 4)}, 'judge': {'best': 1.5}})
    whole = run.state_path.read_bytes()

    @given(damages(whole))
    @bad_input(150)
    def check(data):
        run.state_path.write_bytes(data)
        try:
            state = run.load_state()
        except CheckpointError as error:
            assert 'state.pt: damaged; delete it to begin anew' in str(error)
        else:
            assert isinstance(state, dict)

    check()
