"""infant-pose data: say what is wrong with a copy of a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ('auto', 'mini_rgbd', 'mpii', 'coco', 'mpi_inf_3dhp', 'lspet', 'stills')
EXIT_PROBLEMS = 1


def add_parser(subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser('data', help='check a copy of a dataset, file by file')
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    check = actions.add_parser(
        'check', help='read everything and say what is wrong',
        description='Read everything in a copy of a dataset and say what is wrong, file by file. '
        'Exits with 0 if all is fine, 1 if there are problems.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    check.add_argument('folder', type=Path, metavar='DIR', help='folder of the set')
    check.add_argument('--format', choices=FORMATS, default='auto', help='of the set')
    check.add_argument('--show', type=int, default=20, metavar='N',
                       help='print at most so many problems of each kind; 0 prints all')


def run(args: argparse.Namespace) -> int:
    """Check; 1 if there are problems.

    Raises:
        DatasetError: the folder is missing or of no format that is known.
    """
    from tqdm import tqdm

    from infant_pose_ros.data.checks import check_dataset

    with tqdm(unit='step') as bar:
        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
        report = check_dataset(args.folder, args.format, progress)
    print(report_text(report, args.show))
    return EXIT_PROBLEMS if report.problems else 0


def report_text(report, show: int) -> str:
    """The problems of a `CheckReport`, at most `show` of each kind (0: all), and the counts."""
    lines, printed = [], {}
    for problem in report.problems:
        printed[problem.kind] = printed.get(problem.kind, 0) + 1
        if show <= 0 or printed[problem.kind] <= show:
            lines.append(f'{problem.path}: {problem.kind}: {problem.text}')
    for kind, count in report.counts().items():
        left_out = f' ({count - show} not shown: --show 0)' if 0 < show < count else ''
        lines.append(f'{count:7d} {kind}{left_out}')
    lines.append(f'{report.folder}: {report.format}, {report.num_pictures} pictures, '
                 f'{report.num_poses} poses, {len(report.problems) or "no"} problems')
    return '\n'.join(lines)
