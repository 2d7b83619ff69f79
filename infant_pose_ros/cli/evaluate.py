"""`infant-pose evaluate`: the paper's table and ablations, measured on a labelled set."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from tqdm import tqdm

from infant_pose_ros.errors import InvalidInputError, SettingsError

_EPILOG = """\
NAME is a key of a published row (2D: this_method, no_adults, no_common_keypoints, no_crop; 3D:
estimated_2d, true_2d, no_adults, no_common_keypoints) or any other name; the same NAME again is
another seed of that row. CHECKPOINT is a .safetensors file, or 'bundled'. docs/evaluation.md says
what each figure means; config/evaluation.yaml is an example of --rows.
"""


def add_parser(subparsers) -> None:
    """Add `evaluate` to the command line."""
    parser = subparsers.add_parser(
        'evaluate', help='measure networks on a labelled set, beside published figures',
        description="Measure networks on a labelled set: the paper's Table 1 and its ablations, "
        'with intervals, plots and the worst frames.', epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', metavar='DIR', type=Path,
                        help="a set in MINI-RGBD's format, or LSPet with --photos")
    parser.add_argument('--split', default='test', choices=('train', 'validation', 'test'),
                        help='videos 1-8, 9-10 or 11-12; default: test')
    parser.add_argument('--photos', action='store_true',
                        help='DIR is LSPet: 2D rows on its held-out photographs')
    parser.add_argument('--out', metavar='DIR', type=Path, default=Path('out/evaluation'),
                        help='default: %(default)s; a run that was stopped goes on there')
    parser.add_argument('--every', metavar='K', type=int, default=1,
                        help='take every K-th frame; default: all')
    parser.add_argument('--rows', metavar='YAML', type=Path,
                        help='rows of the table, in place of the five options below')
    parser.add_argument('--detector', metavar='CHECKPOINT', default='bundled',
                        help='default: the bundled one')
    for option, what in (('--pose', 'a pose network'), ('--lifter', 'a lifter')):
        parser.add_argument(option, metavar='NAME=CHECKPOINT', action='append', nargs='+',
                            default=[], help=f'a row with {what}; default: the bundled one')
    parser.add_argument('--adult-network', metavar='KIND=WEIGHTS', action='append', nargs='+',
                        default=[], help='two rows with an adult network (movenet_lightning, '
                        'movenet_thunder or mediapipe): upright crop, best of four rotations')
    parser.add_argument('--body-length', choices=('given', 'age', 'assumed'),
                        help='what sets the scale of 3D, for every row; default: as the rows say, '
                        'or as the set does')
    parser.add_argument('--skip-missing', action='store_true',
                        help="leave out rows whose weights aren't there, and say so")
    parser.add_argument('--replicates', metavar='N', type=int, default=2000,
                        help='draws of the bootstrap; default: %(default)s')
    parser.add_argument('--device', help="'auto', 'cpu', 'cuda' or 'cuda:N'; default: auto")
    group = parser.add_argument_group(
        'smoothing', 'jitter, error and delay of the tracks over whole videos; docs/temporal.md. '
        'Of the options above --split, --out, --device and --quiet apply')
    group.add_argument('--temporal', action='store_true', help='measure smoothing')
    group.add_argument('--quick', metavar='DIR', type=Path,
                       help='the same set with more frames a second (infant-pose synth --rate '
                       '60), for the wandering rate')
    group.add_argument('--settings', metavar='YAML', help='of networks and filters, flat YAML')
    parser.add_argument('--quiet', action='store_true', help='no progress bars')


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write the report and print the table.

    Raises:
        InfantPoseError: a bad set, row, checkpoint or option.
    """
    from infant_pose_ros.evaluation.estimating import Networks
    from infant_pose_ros.evaluation.report import evaluate
    from infant_pose_ros.evaluation.sets import open_photos, open_videos

    if arguments.temporal:
        return _run_temporal(arguments)
    if arguments.quick or arguments.settings:
        raise InvalidInputError('--quick and --settings are of --temporal; add it')
    if arguments.replicates < 1:
        raise InvalidInputError(f'--replicates: must be 1 or more, got {arguments.replicates}')
    networks = Networks(arguments.device or 'auto')
    if arguments.photos:
        pictures = open_photos(arguments.folder, every=arguments.every)
    else:
        with tqdm(unit='frame', desc='labels', disable=arguments.quiet) as bar:
            pictures = open_videos(arguments.folder, arguments.split, arguments.every, bar.update)

    def progress(label: str, total: int):
        return tqdm(total=total, unit='frame', desc=label, disable=arguments.quiet)

    print(evaluate(pictures, _rows(arguments, pictures.has_lengths), arguments.out, networks,
                   progress, arguments.replicates, arguments.skip_missing))
    print(f'report: {arguments.out / "report.md"}', file=sys.stderr)
    return 0


def _run_temporal(arguments: argparse.Namespace) -> int:
    """Measure smoothing."""
    from infant_pose_ros.config import PipelineSettings
    from infant_pose_ros.evaluation.temporal_run import evaluate_temporal

    if (arguments.photos or arguments.every != 1 or arguments.rows or arguments.pose
            or arguments.lifter or arguments.adult_network or arguments.body_length
            or arguments.detector != 'bundled'):
        raise InvalidInputError('--temporal: takes every frame of whole videos; leave out '
                                '--photos, --every, --body-length and rows, and name networks in '
                                '--settings')
    settings = (PipelineSettings.from_yaml(arguments.settings) if arguments.settings
                else PipelineSettings())
    if arguments.device is not None:        # else the file's
        settings = settings.replace(device=arguments.device)

    def progress(label: str, total: int):
        return tqdm(total=total or None, desc=label, disable=arguments.quiet)

    print(evaluate_temporal(arguments.folder, arguments.split, arguments.out, settings,
                            arguments.quick, progress), end='')
    print(f'report: {arguments.out / "temporal.md"}', file=sys.stderr)
    return 0


def _rows(arguments: argparse.Namespace, has_lengths: bool):
    """The rows that the options ask for."""
    from infant_pose_ros.evaluation.rows import read_rows, rows_of_words, with_body_length

    words = {name: [word for group in getattr(arguments, name) for word in group]
             for name in ('pose', 'lifter', 'adult_network')}
    if arguments.rows is None:
        rows = rows_of_words(arguments.detector, words['pose'], words['lifter'],
                             words['adult_network'], has_lengths)
    elif any(words.values()) or arguments.detector != 'bundled':
        raise SettingsError('--rows: names all rows; leave --detector, --pose, --lifter and '
                            '--adult-network out')
    else:
        rows = read_rows(arguments.rows)
    return with_body_length(rows, arguments.body_length) if arguments.body_length else rows
