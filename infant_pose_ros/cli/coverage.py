"""infant-pose coverage: do the generator's poses cover those of real infants?"""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from infant_pose_ros.errors import InvalidInputError


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
    from infant_pose_ros.synthetic.poses import poses_from_above

    if args.poses < 1:
        raise InvalidInputError(f'coverage: --poses must be positive, got {args.poses}')
    real = read_infant_labels(args.labels)
    with tqdm(total=args.poses, unit='pose') as bar:
        generated = poses_from_above(args.poses, args.seed, bar.update)
    coverage = measure_coverage(real, generated, args.seed)
    write_coverage(coverage, args.out)
    for name, value in coverage.rows.items():
        print(f'{name:52s} {value:8.4g}')
    print(f'table and plot in {args.out}')
    return 0
