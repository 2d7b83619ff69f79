import json

import numpy as np
import pytest

from infant_pose_ros.errors import CheckpointError
from infant_pose_ros.models.tfjs import read_graph_weights


def write_graph(folder, groups):
    """A graph model of the given groups of (tensors by name, stored dtype)."""
    manifest = []
    for number, (tensors, stored) in enumerate(groups):
        entries = []
        for name, value in tensors.items():
            entry = {'name': name, 'shape': list(value.shape), 'dtype': str(value.dtype)}
            if stored != value.dtype:
                entry['quantization'] = {'dtype': stored, 'original_dtype': str(value.dtype)}
            entries.append(entry)
        name = f'group{number}.bin'
        (folder / name).write_bytes(
            b''.join(value.astype(stored).tobytes() for value in tensors.values()))
        manifest.append({'paths': [name], 'weights': entries})
    path = folder / 'model.json'
    path.write_text(json.dumps({'modelTopology': {}, 'weightsManifest': manifest}))
    return path


def test_tensors_of_two_groups_come_back(tmp_path):
    floats = {'a': np.array([[0.5, -2.0]], np.float32), 'b': np.array(3.25, np.float32)}
    whole = {'shape': np.array([1, 2, 3], np.int32)}
    tensors = read_graph_weights(
        write_graph(tmp_path, [(floats, 'float16'), (whole, 'int32')]))
    assert tensors['a'].dtype == np.float32 and tensors['a'].tolist() == [[0.5, -2.0]]
    assert tensors['b'].shape == () and float(tensors['b']) == 3.25
    assert tensors['shape'].tolist() == [1, 2, 3]


def test_a_file_in_two_parts_is_joined(tmp_path):
    path = write_graph(tmp_path, [({'a': np.arange(4, dtype=np.float32)}, 'float32')])
    data = (tmp_path / 'group0.bin').read_bytes()
    (tmp_path / 'one').write_bytes(data[:6])
    (tmp_path / 'two').write_bytes(data[6:])
    path.write_text(path.read_text().replace('["group0.bin"]', '["one", "two"]'))
    assert read_graph_weights(path)['a'].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('change', [-2, 2])
def test_a_file_of_another_length(tmp_path, change):
    path = write_graph(tmp_path, [({'a': np.zeros(4, np.float32)}, 'float16')])
    (tmp_path / 'group0.bin').write_bytes(bytes(8 + change))
    with pytest.raises(CheckpointError, match=f'group0.bin: holds {8 + change} bytes'):
        read_graph_weights(path)


def test_missing_binary_is_named(tmp_path):
    path = write_graph(tmp_path, [({'a': np.zeros(4, np.float32)}, 'float16')])
    (tmp_path / 'group0.bin').unlink()
    with pytest.raises(CheckpointError, match='group0.bin can not be read'):
        read_graph_weights(path)


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"weightsManifest": [{"paths": ["x"]}]}',
                                  '{"weightsManifest": 3}'])
def test_other_json(tmp_path, text):
    path = tmp_path / 'model.json'
    path.write_text(text)
    (tmp_path / 'x').write_bytes(b'')
    with pytest.raises(CheckpointError, match='not a TensorFlow.js graph model'):
        read_graph_weights(path)


def test_weights_in_steps_are_refused(tmp_path):
    path = write_graph(tmp_path, [({'a': np.zeros(4, np.float32)}, 'uint8')])
    with pytest.raises(CheckpointError, match='a is stored as uint8'):
        read_graph_weights(path)
