"""Reading what others wrote: json, MATLAB and .npz files, with errors that name the file."""

from __future__ import annotations

from collections.abc import Iterable
import json
from pathlib import Path
import struct
import zipfile
import zlib

import numpy as np

from infant_pose_ros.errors import DatasetError
from infant_pose_ros.text_files import one_line

#: An .npz file may hold so many bytes once unpacked: the truth of days.
MAX_ARRAY_BYTES = 2_000_000_000
#: What reading a damaged .npz, or one of another form, may raise.
ARRAY_ERRORS = (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError,
                ArithmeticError, RuntimeError, MemoryError, SyntaxError,
                zipfile.BadZipFile, zlib.error, struct.error)


def read_json(path: Path, kind: type, form: str):
    """The content of a json file.

    Args:
        path: of the file. kind: expected at its top, dict or list. form: the same in words.

    Raises:
        DatasetError: missing, no json, or another type at its top.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise DatasetError(
            f'{path}: expected {form}, but the file can not be opened ({error.strerror}); '
            'fetch it again or correct the folder') from error
    except (ValueError, RecursionError) as error:  # json's and UTF-8's own errors
        raise DatasetError(
            f'{path}: expected {form}, found no valid json ({error}); fetch it again') from error
    if not isinstance(content, kind):
        raise DatasetError(
            f'{path}: expected {form}, found a {type(content).__name__}; take the file of that '
            'form')
    return content


def read_mat(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    """Variables of a MATLAB file (up to version 7.2).

    Raises:
        DatasetError: missing, damaged, of version 7.3, or without one of the variables.
    """
    import scipy.io
    from scipy.io.matlab import MatReadError

    try:
        if _is_hdf5(path):
            raise DatasetError(
                f'{path}: expected a MATLAB file up to version 7.2, found version 7.3; save it '
                "again with MATLAB's -v7 option")
        content = scipy.io.loadmat(path, variable_names=names)
    except (OSError, ValueError, TypeError, EOFError, MemoryError, IndexError, KeyError,
            RuntimeError, zlib.error, struct.error, MatReadError) as error:
        raise DatasetError(
            f'{path}: expected a MATLAB file with {", ".join(names)}, can not be read '
            f'({error or type(error).__name__}); fetch it again or correct the folder') from error
    for name in names:
        if name not in content:
            raise DatasetError(
                f'{path}: expected the variable {name}, found only others; take the file of the '
                'original set')
    return tuple(content[name] for name in names)


def _is_hdf5(path: Path) -> bool:
    """Whether a MATLAB file is of version 7.3, which is HDF5: its header's version is 2."""
    with path.open('rb') as stream:
        header = stream.read(126)
    return header.startswith(b'MATLAB') and 2 in header[124:]


def read_arrays(path: str | Path, names: Iterable[str],
                optional: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Arrays of a .npz file; nothing in it is unpickled, and nothing beyond the names is read.

    Args:
        optional: names that may be missing.

    Raises:
        ValueError: missing, damaged, larger than `MAX_ARRAY_BYTES` once unpacked, or without one
            of the names; the message, in one line, doesn't name the path.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise ValueError('is no file')
        with zipfile.ZipFile(path) as packed:
            size = sum(each.file_size for each in packed.infolist())
        if size > MAX_ARRAY_BYTES:
            raise ValueError(f'holds {size} bytes once unpacked; at most {MAX_ARRAY_BYTES} are '
                             'taken')
        with np.load(path, allow_pickle=False) as content:
            missing = [name for name in names if name not in content]
            if missing:
                raise ValueError(f'lacks an array: {", ".join(missing)}')
            arrays = {name: content[name] for name in (*names, *optional) if name in content}
    except ARRAY_ERRORS as error:
        raise ValueError(one_line(error)) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):       # an entry that isn't one comes as bytes
            raise ValueError(f'{name} is no array')
    return arrays


def number_array(where: str, value, shape: tuple[int, ...], form: str) -> np.ndarray:
    """`value` as finite float64 of `shape`.

    Args:
        where: file (and entry) that holds it. value: what was found. form: what it means.

    Raises:
        DatasetError: no numbers, not finite, or of another shape.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f'{where}: expected {form} as numbers of shape {shape}, found {value!r:.60}; correct '
            'the entry or fetch the file again') from error
    if array.shape != shape or not np.isfinite(array).all():
        found = f'shape {array.shape}' if array.shape != shape else 'NaN or infinity'
        raise DatasetError(
            f'{where}: expected {form} as finite numbers of shape {shape}, found {found}; correct '
            'the entry or fetch the file again')
    return array
