"""Reading PyTorch's own files: tensors and plain values, and nothing that runs."""

from __future__ import annotations

from pathlib import Path
import pickle
import struct
from typing import Any

import torch

from infant_pose_ros.text_files import one_line

#: What reading a damaged file, or one of another form, may raise besides.
LOAD_ERRORS = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError,
               AssertionError, ArithmeticError, MemoryError, struct.error, pickle.UnpicklingError)


def load_tensors(path: str | Path) -> dict[str, Any]:
    """The dictionary in a file of `torch.save`, on the CPU; objects of other kinds are refused.

    Raises:
        ValueError: it can't be read; the message, in one line, doesn't name the path.
    """
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except LOAD_ERRORS as error:
        raise ValueError(f'{type(error).__name__}: {one_line(error)}') from error
    if not isinstance(content, dict):
        raise ValueError(f'holds a {type(content).__name__}, expected a dictionary')
    return content
