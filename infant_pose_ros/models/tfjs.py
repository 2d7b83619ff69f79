"""Reader of the weights of TensorFlow.js graph models: a json beside binary files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from infant_pose_ros.errors import CheckpointError


def read_graph_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Every tensor of a graph model by name; what is stored as fp16 comes as float32.

    Format: `weightsManifest` lists groups of `paths`, files that follow each other, and
    `weights`, the tensors in them, one after the other without gaps.

    Args:
        path: of the json; the binary files lie beside it.

    Raises:
        CheckpointError: a file is missing, cut short or of another form.
    """
    path = Path(path)
    try:
        groups = json.loads(path.read_text(encoding='utf-8'))['weightsManifest']
        tensors = {}
        for group in groups:
            names = [str(name) for name in group['paths']]
            data = b''.join((path.parent / name).read_bytes() for name in names)
            tensors.update(_tensors(path, data, names, group['weights']))
    except OSError as error:
        raise CheckpointError(
            f'{path}: {error.filename or path} can not be read: {error.strerror}') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f'{path}: not a TensorFlow.js graph model: {type(error).__name__}: {error}') from error
    return tensors


def _tensors(path: Path, data: bytes, names: list[str],
             entries: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    tensors, place = {}, 0
    for entry in entries:
        stored = np.dtype(entry.get('quantization', entry)['dtype'])
        if 'scale' in entry.get('quantization', {}) or stored.kind not in 'fi':
            raise CheckpointError(
                f'{path}: {entry["name"]} is stored as {stored} in steps; give a model in fp16 '
                'or fp32')
        count = int(np.prod(entry['shape'], dtype=int))
        end = place + count * stored.itemsize
        if end > len(data):
            break
        tensors[entry['name']] = np.frombuffer(data, stored, count, place).astype(
            entry['dtype']).reshape(entry['shape'])
        place = end
    if len(tensors) < len(entries) or place != len(data):
        raise CheckpointError(
            f'{path}: {", ".join(names)}: holds {len(data)} bytes, which is not what the json '
            'lists: damaged, or of another model')
    return tensors
