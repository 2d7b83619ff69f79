import json

import pytest
import torch

from infant_pose_ros.errors import CheckpointError, InvalidInputError
from infant_pose_ros.models.checkpoints import (
    bundled_checkpoint,
    file_sha256,
    load_checkpoint,
    Manifest,
    save_checkpoint,
)
from infant_pose_ros.models.lifter import Lifter
from infant_pose_ros.skeleton import KEYPOINT_NAMES


@pytest.fixture
def lifter(tmp_path):
    torch.manual_seed(1)
    module = Lifter(hidden=8)
    path = tmp_path / 'sub' / 'lifter.safetensors'
    manifest = save_checkpoint(path, module, Manifest(
        'test', 'lifter', 'martinez', {'hidden': 8}, licence='Apache-2.0',
        metrics={'ajpe_mm': 12.5}))
    return path, module, manifest


def edit_manifest(path, **changes):
    target = path.with_suffix('.json')
    content = json.loads(target.read_text())
    content.update(changes)
    target.write_text(json.dumps(content))


def test_round_trip(lifter):
    path, module, manifest = lifter
    loaded, read = load_checkpoint(path, 'lifter')
    assert read == manifest
    assert not loaded.training
    assert read.metrics == {'ajpe_mm': 12.5}
    assert read.num_parameters == sum(value.numel() for value in module.parameters())
    x = torch.randn(4, 32)
    assert torch.equal(loaded(x), module.eval()(x))


def test_round_trip_in_half_precision(lifter, tmp_path):
    _, module, manifest = lifter
    with torch.no_grad():
        module.output_std.fill_(1e6)    # more than fp16 holds
    path = tmp_path / 'half.safetensors'
    save_checkpoint(path, module, manifest, half=True)
    loaded, _ = load_checkpoint(path, 'lifter')
    assert loaded.last.weight.dtype == torch.float32
    assert torch.allclose(loaded.last.weight, module.last.weight, atol=1e-3)
    assert torch.equal(loaded.output_std, module.output_std)


@pytest.mark.parametrize('task', ['detector', 'pose', 'lifter'])
def test_tiny_checkpoints_load(tiny_checkpoints, task):
    module, manifest = load_checkpoint(tiny_checkpoints[task], task)
    assert manifest.task == task
    assert manifest.sha256 == file_sha256(tiny_checkpoints[task])
    assert module is not None


def test_sha256_of_nothing(tmp_path):
    (tmp_path / 'empty').touch()
    assert file_sha256(tmp_path / 'empty') == (
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')


def test_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match='nowhere.safetensors'):
        load_checkpoint(tmp_path / 'nowhere.safetensors', 'pose')


def test_missing_manifest_is_named(lifter):
    lifter[0].with_suffix('.json').unlink()
    with pytest.raises(CheckpointError, match='lifter.json'):
        load_checkpoint(lifter[0], 'lifter')


def test_one_changed_byte_is_noticed(lifter):
    data = bytearray(lifter[0].read_bytes())
    data[-1] ^= 1
    lifter[0].write_bytes(data)
    with pytest.raises(CheckpointError, match='lifter.safetensors: sha256'):
        load_checkpoint(lifter[0], 'lifter')


def test_a_file_of_rubbish_with_the_right_hash(lifter):
    lifter[0].write_bytes(b'rubbish')
    edit_manifest(lifter[0], sha256=file_sha256(lifter[0]))
    with pytest.raises(CheckpointError, match='can not be loaded'):
        load_checkpoint(lifter[0], 'lifter')


def test_another_task(lifter):
    with pytest.raises(CheckpointError, match='lifter checkpoint, expected a pose'):
        load_checkpoint(lifter[0], 'pose')


@pytest.mark.parametrize('changes, reason', [
    ({'architecture': 'transformer'}, 'transformer'),
    ({'arguments': {'hidden': 16}}, r'shape \(8, 32\), expected \(16, 32\)'),
    ({'arguments': {'blocks': 3, 'hidden': 8}}, r'blocks\.2.* is missing'),
    ({'arguments': {'depth': 3}}, 'depth'),
    ({'keypoints': list(reversed(KEYPOINT_NAMES))}, 'keypoints'),
    ({'metrics': 'good'}, 'metrics: expected dict'),
    ({'colour': 'blue'}, 'colour'),
])
def test_a_manifest_that_does_not_fit(lifter, changes, reason):
    edit_manifest(lifter[0], **changes)
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(lifter[0], 'lifter')


@pytest.mark.parametrize('text', ['{', '[]', '{"name": "x"}'])
def test_a_malformed_manifest(lifter, text):
    lifter[0].with_suffix('.json').write_text(text)
    with pytest.raises(CheckpointError, match='lifter.json'):
        load_checkpoint(lifter[0], 'lifter')


def test_saving_refuses_a_manifest_that_does_not_describe_the_module(tmp_path):
    with pytest.raises(InvalidInputError, match='does not describe'):
        save_checkpoint(tmp_path / 'x.safetensors', Lifter(hidden=8),
                        Manifest('x', 'lifter', 'martinez', {'hidden': 16}))
    with pytest.raises(InvalidInputError, match='.safetensors'):
        save_checkpoint(tmp_path / 'x.pth', Lifter(hidden=8),
                        Manifest('x', 'lifter', 'martinez', {'hidden': 8}))


@pytest.mark.parametrize('values, reason', [
    ({'task': 'segmenter'}, 'segmenter'),
    ({'task': 'pose', 'architecture': 'simple_baseline', 'input_size': 100}, '32'),
    ({'task': 'pose', 'architecture': 'simple_baseline', 'input_size': 64,
      'activation': 'tanh'}, 'tanh'),
])
def test_manifest_checks_itself(values, reason):
    with pytest.raises(InvalidInputError, match=reason):
        Manifest(**{'name': 'x', 'task': 'lifter', 'architecture': 'martinez', **values})


def test_bundled_checkpoints_lie_in_the_package():
    assert bundled_checkpoint('pose').parts[-3:] == (
        'infant_pose_ros', 'weights', 'pose.safetensors')
    with pytest.raises(InvalidInputError, match='segmenter'):
        bundled_checkpoint('segmenter')
