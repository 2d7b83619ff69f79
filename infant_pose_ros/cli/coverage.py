"""infant-pose coverage: do the generator's poses cover those of real infants?"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from infant_pose_ros.errors import InvalidInputError

POSES_PER_INFANT = 32
#: Spread, degrees, by which the view is tilted away from straight down.
TILT_DEG = 8.0


def add_parser(subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        'coverage', help='compare generated poses with labelled frames of real infants',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('labels', type=Path,
                        help='infant_labels.mat of epassmore/infant-movements')
    parser.add_argument('--out', type=Path, required=True, help='folder of the table and the plot')
    parser.add_argument('--poses', type=int, default=8000, help='how many poses to generate')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same poses')


def run(args) -> int:
    """Compare."""
    from infant_pose_ros.evaluation.coverage import (
        measure_coverage,
        read_infant_labels,
        write_coverage,
    )

    if args.poses < 1:
        raise InvalidInputError(f'coverage: --poses must be positive, got {args.poses}')
    real = read_infant_labels(args.labels)
    coverage = measure_coverage(real, poses_from_above(args.poses, args.seed), args.seed)
    write_coverage(coverage, args.out)
    for name, value in coverage.rows.items():
        print(f'{name:52s} {value:8.4g}')
    print(f'table and plot in {args.out}')
    return 0


def poses_from_above(poses: int, seed: int) -> np.ndarray:
    """Generated infants on their backs (poses, 16, 2) seen from above, y down, m.

    The wrists are moved to the middle of the hands, which is what the labels mean.
    """
    from infant_pose_ros.skeleton import Joint
    from infant_pose_ros.synthetic.motion import sample_infant
    from infant_pose_ros.synthetic.movement import LYING, SUPINE

    views = []
    for number in tqdm(range(-(-poses // POSES_PER_INFANT)), unit='infant'):
        rng = np.random.default_rng([seed, number])
        roll = np.deg2rad(rng.normal(*LYING[SUPINE][1:]))
        bodies = sample_infant(rng, np.arange(POSES_PER_INFANT) * 30.0, roll_rad=float(roll))
        points = bodies.keypoints_m.copy()
        for wrist, fingers in ((Joint.L_WRIST, 22), (Joint.R_WRIST, 23)):
            points[:, wrist] = (points[:, wrist] + bodies.joints_m[:, fingers]) / 2
        lean = np.tan(np.deg2rad(TILT_DEG) * rng.normal(size=(POSES_PER_INFANT, 1, 2)))
        flat = points[..., :2] + lean * points[..., 2:]
        views.append(flat * [1.0, -1.0])
    return np.concatenate(views)[:poses]
