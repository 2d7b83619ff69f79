"""What the lifter learns from: poses in space beside what a camera, or a pose network, sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from infant_pose_ros.codecs.lifting import LiftingCodec
from infant_pose_ros.data.crops import CROP_SCALE
from infant_pose_ros.data.files import read_arrays
from infant_pose_ros.data.mpi_inf_3dhp import open_mpi_inf_3dhp
from infant_pose_ros.data.sets import open_set
from infant_pose_ros.data.stills import read_image, Stills
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.inference import PoseEstimator
from infant_pose_ros.models.checkpoints import (
    bundled_checkpoint,
    load_checkpoint,
    read_manifest,
)
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER

#: Crown to heel over the sum of the bones of head, neck, trunk and leg; of drawn infants 1.02,
#: with a standard deviation of 1 %.
LENGTH_OVER_BONES = 1.02
#: Chains whose lengths add up to a body's: one bone each, or the mean of two sides.
_LENGTH_CHAIN = (
    ((Joint.HEAD_TOP, Joint.UPPER_NECK),), ((Joint.UPPER_NECK, Joint.THORAX),),
    ((Joint.THORAX, Joint.PELVIS),),
    ((Joint.R_HIP, Joint.R_KNEE), (Joint.L_HIP, Joint.L_KNEE)),
    ((Joint.R_KNEE, Joint.R_ANKLE), (Joint.L_KNEE, Joint.L_ANKLE)))
#: Every so many frames of MPI-INF-3DHP are taken: the next ones hardly differ.
_MPI_STRIDE = 5
#: Least distance of a keypoint from the camera's plane, m: nearer ones have no useful ray.
_NEAREST_M = 0.05


def lengths_from_bones(keypoints_m: np.ndarray) -> np.ndarray:
    """Crown to heel length (N,), m, of bodies (N, 16, 3), for sets that don't tell it."""
    total = 0.0
    for bones in _LENGTH_CHAIN:
        total = total + np.mean([np.linalg.norm(keypoints_m[:, a] - keypoints_m[:, b], axis=-1)
                                 for a, b in bones], axis=0)
    return LENGTH_OVER_BONES * total


@dataclass(frozen=True, eq=False)
class LiftingPairs:
    """Rays (N, 16, 2) as seen, keypoints (N, 16, 3) as they are, camera frame, m; length (N,)."""

    rays: np.ndarray
    keypoints_m: np.ndarray
    body_length_m: np.ndarray

    def __len__(self) -> int:
        return len(self.rays)

    @classmethod
    def exact(cls, keypoints_m: np.ndarray, body_length_m: np.ndarray) -> LiftingPairs:
        """Pairs without errors."""
        return cls(keypoints_m[..., :2] / keypoints_m[..., 2:], keypoints_m, body_length_m)

    def part(self, rows: np.ndarray) -> LiftingPairs:
        """Some of the pairs."""
        return LiftingPairs(self.rays[rows], self.keypoints_m[rows], self.body_length_m[rows])

    def disturbed(self, rng: np.random.Generator, noise: float,
                  outlier_share: float) -> LiftingPairs:
        """A copy with errors such as a pose network makes, and half of it mirrored.

        Args:
            noise: scale of the errors, share of the keypoints' spread: half normal for a pose,
                normal for its keypoints. outlier_share: of keypoints that are far off.
        """
        spread = np.sqrt(((self.rays - self.rays.mean(1, keepdims=True)) ** 2).sum(-1).mean(1))
        size = noise * np.abs(rng.normal(size=(len(self.rays), 1)))
        size = np.where(rng.random(self.rays.shape[:2]) < outlier_share, 0.35, size)
        rays = self.rays + (size * spread[:, None])[..., None] * rng.normal(size=self.rays.shape)
        keypoints, mirrored = self.keypoints_m.copy(), rng.random(len(rays)) < 0.5
        order = list(MIRRORED_ORDER)
        rays[mirrored] = rays[mirrored][:, order] * [-1, 1]
        keypoints[mirrored] = keypoints[mirrored][:, order] * [-1, 1, 1]
        return LiftingPairs(rays, keypoints, self.body_length_m)

    def encoded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the network sees (N, 32) and should say (N, 48), float32."""
        codec = LiftingCodec()
        inputs, view = codec.encode_input(self.rays)
        targets = codec.encode_target(self.keypoints_m, self.body_length_m, view)
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def drawn_pairs(people: str, count: int, views: int, seed: int) -> LiftingPairs:
    """Poses of `count` drawn people, 'infants' or 'adults', each seen by `views` cameras."""
    from infant_pose_ros.synthetic.poses import sample_poses

    drawn = sample_poses(count, views, seed, people=people)
    return LiftingPairs.exact(drawn.keypoints_m.astype(np.float64), drawn.body_length_m)


def recorded_pairs(source: str) -> LiftingPairs:
    """Poses of a set that tells 3D: as `open_set` names it, or `DIR#train` of MPI-INF-3DHP.

    Raises:
        DatasetError: no such set, or it holds no 3D keypoints.
    """
    folder, _, split = source.partition('#')
    if split and any((Path(folder) / subject).is_dir() for subject in ('S1', 'S7')):
        keypoints_m = np.concatenate([recording.keypoints_m[::_MPI_STRIDE]
                                      for recording in open_mpi_inf_3dhp(folder, split)])
        lengths = np.full(len(keypoints_m), np.nan)
    else:
        stills = open_set(source)
        keypoints_m, lengths = stills.keypoints_m, stills.body_length_m
    usable = np.isfinite(keypoints_m).all((1, 2)) & (keypoints_m[..., 2] > _NEAREST_M).all(1)
    if not usable.any():
        raise DatasetError(f'{source}: expected keypoints in space, found none; name rendered '
                           'stills, or a set in the format of MINI-RGBD or of MPI-INF-3DHP')
    return LiftingPairs.exact(keypoints_m[usable], _known_lengths(keypoints_m, lengths)[usable])


def _known_lengths(keypoints_m: np.ndarray, lengths_m: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(lengths_m), lengths_m, lengths_from_bones(keypoints_m))


def estimated_pairs(stills: Stills, pose_weights: str,
                    rng: np.random.Generator | None) -> LiftingPairs:
    """Run a pose network over pictures with 3D truth: its real errors beside the truth.

    Args:
        stills: with intrinsics. pose_weights: checkpoint, '' takes the bundled one.
        rng: disturbs the crops as a tracker does; None cuts them by the truth.

    Returns:
        A pair for each picture; rays are NaN where the network finds no place.
    """
    estimator = PoseEstimator(
        *load_checkpoint(pose_weights or bundled_checkpoint('pose'), 'pose'))
    rays = []
    for row in range(len(stills)):
        crop = Crop.from_keypoints(
            stills.keypoints_px[row], CROP_SCALE, estimator.input_size)
        if rng is not None:
            crop = Crop(crop.centre_px + rng.normal(0, 0.02, 2) * crop.side_px,
                        crop.side_px * np.exp(rng.normal(0, 0.05)),
                        crop.angle_rad + rng.normal(0, 0.12), crop.input_size)
        pose = estimator.estimate(read_image(stills.paths[row]), [crop])[0]
        fx, fy, cx, cy = stills.intrinsics[row]
        rays.append((pose.keypoints_px - [cx, cy]) / [fx, fy])
    return LiftingPairs(np.array(rays).reshape(-1, 16, 2), stills.keypoints_m,
                        _known_lengths(stills.keypoints_m, stills.body_length_m))


def seen_pairs(stills: Stills, pose_weights: str, count: int, seed: int) -> LiftingPairs:
    """A pose network's output over `count` pictures, drawn at random.

    Raises:
        DatasetError: none of them can be used.
    """
    rng = np.random.default_rng(seed)
    pairs = estimated_pairs(
        stills.part(np.sort(rng.permutation(len(stills))[:count])), pose_weights, rng)
    usable = np.isfinite(pairs.rays).all((1, 2)) & np.isfinite(pairs.keypoints_m).all((1, 2))
    if not usable.any():
        raise DatasetError('stills: expected pictures with keypoints in space and intrinsics, '
                           'found none; name rendered stills or a set in the format of MINI-RGBD')
    return pairs.part(np.flatnonzero(usable))


def split_stills(source: str, source_val: str, val_count: int) -> tuple[Stills, Stills]:
    """Pictures with somebody in them to learn from and to watch: two sets, or parts of one.

    Raises:
        DatasetError: a set can't be read, or is too small to be parted.
    """
    stills = open_set(source).people()
    if source_val:
        return stills, open_set(source_val).people()
    return stills.split_off(val_count, source, 'name stills_val or lower stills_val_count')


def sequence_pairs(stills: Stills, pose_weights: str, frames: int) -> LiftingPairs:
    """A pose network's output over the first `frames` of each folder of pictures, in order.

    The last frame of a sequence is followed by a row of NaN.

    Raises:
        DatasetError: no two frames that follow each other can be used.
    """
    folders = np.array([str(path.parent) for path in stills.paths])
    parts = []
    for folder in dict.fromkeys(folders.tolist()):
        rows = np.flatnonzero(folders == folder)[:frames]
        pairs = estimated_pairs(stills.part(rows), pose_weights, None)
        parts.append(LiftingPairs(
            np.concatenate([pairs.rays, np.full((1, 16, 2), np.nan)]),
            np.concatenate([pairs.keypoints_m, np.full((1, 16, 3), np.nan)]),
            np.append(pairs.body_length_m, np.nan)))
    pairs = LiftingPairs(*(np.concatenate([getattr(part, name) for part in parts])
                           for name in ('rays', 'keypoints_m', 'body_length_m')))
    usable = np.isfinite(pairs.rays).all((1, 2)) & np.isfinite(pairs.keypoints_m).all((1, 2))
    if not (usable[1:] & usable[:-1]).any():
        raise DatasetError('sequences: expected frames that follow each other, with keypoints in '
                           'space, found none; name a set in the format of MINI-RGBD')
    return pairs


class PairsCache:
    """A folder of pairs that were made once; the name of a file tells what it was made from."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, made_from: tuple, make: Callable[[], LiftingPairs]) -> LiftingPairs:
        """The stored pairs, or those that `make` returns, stored.

        Args:
            name: begins the file's name. made_from: plain values that tell these from others.
            make: draws or estimates them.

        Raises:
            DatasetError: the stored file is damaged.
        """
        digest = hashlib.sha256(repr(made_from).encode()).hexdigest()[:12]
        path = self.folder / f'{name}_{digest}.npz'
        if not path.exists():
            # Of its own, as other seeds may make the same pairs at the same time.
            pairs, part = make(), path.with_suffix(f'.{os.getpid()}.part.npz')
            np.savez(part, rays=pairs.rays, keypoints_m=pairs.keypoints_m,
                     body_length_m=pairs.body_length_m)
            part.replace(path)
        try:
            return LiftingPairs(**read_arrays(path, ('rays', 'keypoints_m', 'body_length_m')))
        except ValueError as error:
            raise DatasetError(
                f'{path}: damaged ({error}); delete it, and it is made again') from error


def estimate_key(stills: Stills, pose_weights: str) -> tuple[str, str]:
    """What tells the output of a pose network over pictures from another, for `PairsCache`."""
    labels = hashlib.sha256(np.ascontiguousarray(stills.keypoints_px).tobytes())
    labels.update('\n'.join(map(str, stills.paths)).encode())
    return (labels.hexdigest(),
            read_manifest(pose_weights or bundled_checkpoint('pose'), 'pose').sha256)
