"""Keypoints as CSV, one row for each infant and keypoint."""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path
import sys

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import KEYPOINT_NAMES, TrackState

COLUMNS = ('frame', 'name', 'stamp_s', 'track', 'joint', 'u_px', 'v_px', 'x_m', 'y_m', 'z_m',
           'score', 'state')
CSV_HELP = f"""\
CSV columns: {', '.join(COLUMNS)}.
One row for each infant and keypoint, 16 keypoints for each infant; empty cells for a keypoint
that is missing (state lost). A frame with no infant has one row, empty from track on."""
#: Fields of the rows and how many digits they are written with.
_NUMBERS = (('u', 3), ('v', 3), ('x', 5), ('y', 5), ('z', 5), ('score', 4))


class KeypointCsv:
    """Rows of `COLUMNS`, written as they come."""

    def __init__(self, stream):
        self._writer = csv.writer(stream, lineterminator='\n')
        self._writer.writerow(COLUMNS)

    def write(self, frame: int, name: str, stamp_s: float, infants: np.ndarray) -> None:
        """Write one frame: infants are (N, 16) of `KEYPOINT_DTYPE`."""
        head = (frame, name, f'{stamp_s:.6f}')
        if not len(infants):
            self._writer.writerow((*head, *[''] * (len(COLUMNS) - len(head))))
        for infant in infants:
            for joint, point in zip(KEYPOINT_NAMES, infant):
                self._writer.writerow((
                    *head, point['track'], joint,
                    *(_cell(point[field], digits) for field, digits in _NUMBERS),
                    TrackState(point['state']).name.lower()))


@contextlib.contextmanager
def open_csv(name: str):
    """A text stream for the CSV; - is stdout. The folder is made.

    Raises:
        InvalidInputError: it can't be written.
    """
    if name == '-':
        yield sys.stdout
        return
    try:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        stream = open(name, 'w', encoding='utf-8', newline='')
    except OSError as error:
        raise InvalidInputError(f'--csv {name}: can not be written: {error.strerror}') from error
    with stream:
        yield stream


def _cell(value: float, digits: int) -> str:
    return f'{value:.{digits}f}' if np.isfinite(value) else ''
