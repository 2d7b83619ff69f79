"""What a row of the table predicted for every frame, kept on disk while it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
import hashlib
import json
from pathlib import Path
import re

import numpy as np

from infant_pose_ros.data.files import read_arrays
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.skeleton import NUM_KEYPOINTS

#: Raise it when predictions are made in another way: kept files are then made anew.
VERSION = 1
#: Frames between two times that what was done so far is stored.
STORE_EVERY = 100

_SHAPES = {'keypoints_px': (NUM_KEYPOINTS, 2), 'score': (NUM_KEYPOINTS,), 'box_xyxy': (4,),
           'box_score': (), 'keypoints_m': (NUM_KEYPOINTS, 3)}


def save_arrays(path: Path, **arrays: object) -> None:
    """Write a compressed .npz at one stroke; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + '.tmp')
    with part.open('wb') as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers for N frames.

    Attributes:
        keypoints_px: (N, 16, 2) frame px; NaN where missing. score: (N, 16) 0..1.
        box_xyxy: (N, 4) frame px; NaN where none. box_score: (N,) 0..1; NaN where none.
        keypoints_m: (N, 16, 3) m, the pelvis at the origin, camera axes; NaN where missing.
    """

    keypoints_px: np.ndarray
    score: np.ndarray
    box_xyxy: np.ndarray
    box_score: np.ndarray
    keypoints_m: np.ndarray

    def __post_init__(self):
        count = len(np.atleast_1d(self.box_score))
        for name, shape in _SHAPES.items():
            got = np.shape(getattr(self, name))
            if got != (count, *shape):
                raise DatasetError(
                    f'predictions: expected {name} of shape {(count, *shape)}, got {got}; delete '
                    'the file and evaluate again')

    def __len__(self) -> int:
        return len(self.box_score)

    @classmethod
    def empty(cls, count: int) -> Predictions:
        """Nothing found in `count` frames; the arrays can be written to."""
        arrays = {name: np.full((count, *shape), np.nan) for name, shape in _SHAPES.items()}
        arrays['score'][:] = 0.0
        return cls(**arrays)

    def save(self, path: Path, done: int | None = None) -> None:
        """Write a compressed .npz at one stroke; `done`: how many frames are (default: all)."""
        save_arrays(path, done=len(self) if done is None else done,
                    **{spec.name: getattr(self, spec.name) for spec in fields(self)})

    @classmethod
    def load(cls, path: Path) -> tuple[Predictions, int]:
        """Read what `save` wrote: the predictions and how many frames are done.

        Raises:
            DatasetError: the file is missing, damaged or of another form.
        """
        try:
            content = read_arrays(path, [*(spec.name for spec in fields(cls)), 'done'])
            done = int(content.pop('done'))
            return cls(**content), done
        except DatasetError as error:
            raise DatasetError(f'{path}: {error}') from error
        except (ValueError, TypeError) as error:
            raise DatasetError(f'{path}: no predictions of `infant-pose evaluate` ({error}); '
                               'delete the file and evaluate again') from error


class PredictionStore:
    """A folder of predictions: `<name>-<key>.npz`, one for each row and seed.

    Args:
        folder: made when it is needed.
        count: frames of the set.
        progress: called with a label and the number of frames to come; gives a context manager
            whose value has `update(n)`.
    """

    def __init__(self, folder: Path, count: int, progress: Callable):
        self.folder = Path(folder)
        self.count = count
        self._progress = progress

    def path(self, name: str, key: str) -> Path:
        """Where the predictions of a row lie."""
        slug = re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_') or 'row'
        return self.folder / f'{slug}-{key[:12]}.npz'

    def fetch(self, name: str, key: str,
              start: Callable[[], Callable[[int, Predictions], None]]) -> Predictions:
        """The predictions of a row: from the disk, or made and stored as they come.

        Args:
            name: of the row, for people. key: from `key_of`: what the predictions hang on.
            start: loads the networks, where they are needed, and gives the function that fills
                in one frame.

        Raises:
            DatasetError: the stored file is damaged or holds another number of frames.
        """
        path = self.path(name, key)
        predictions, done = Predictions.empty(self.count), 0
        if path.exists():
            predictions, done = Predictions.load(path)
            if len(predictions) != self.count:
                raise DatasetError(f'{path}: holds {len(predictions)} frames, expected '
                                   f'{self.count}; delete the file and evaluate again')
        if done < self.count:
            predict = start()
            with self._progress(name, self.count) as bar:
                bar.update(done)
                for index in range(done, self.count):
                    predict(index, predictions)
                    bar.update(1)
                    if (index + 1) % STORE_EVERY == 0:
                        predictions.save(path, index + 1)
            predictions.save(path)
        return predictions


def key_of(**what) -> str:
    """sha256 over plain values: what the predictions of a row hang on."""
    text = json.dumps({'version': VERSION, **what}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
