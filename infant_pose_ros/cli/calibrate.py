"""`infant-pose calibrate`: what the networks' spreads say of their errors, fitted and measured."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
import os
from pathlib import Path
import sys

from tqdm import tqdm

from infant_pose_ros.errors import InvalidInputError

BUNDLED = 'bundled'


def add_parser(subparsers) -> None:
    """Add `calibrate` to the command line."""
    parser = subparsers.add_parser(
        'calibrate', help='make the published standard deviations match the errors',
        description='Fit on labelled sequences how large the errors of a pose network and a '
        'lifter are, measure on others how many true points the ellipsoids hold, and write the '
        'fit into the manifests beside the weights. SET is a folder of clips with '
        'their truth, as `infant-pose synth --clip` makes them, or of sequences in the format of '
        'MINI-RGBD with sequence.json (SET#train, #validation and #test are parts of it).')
    parser.add_argument('sets', metavar='SET', nargs='+',
                        help='sequences to fit on: of infants that the networks have not seen')
    parser.add_argument('--test', metavar='SET', nargs='+', default=[],
                        help='other sequences, to measure on; default: none')
    parser.add_argument('--pose', metavar='CHECKPOINT', default=BUNDLED,
                        help='.safetensors of the 2D network; default: the bundled one')
    parser.add_argument('--lifter', metavar='CHECKPOINT', default=BUNDLED,
                        help='of the lifter; default: the bundled one')
    parser.add_argument('--out', metavar='DIR', type=Path, default=Path('out/calibration'),
                        help='gets calibration.md and reliability.png; default: %(default)s')
    parser.add_argument('--dry-run', action='store_true', help='leave the manifests as they are')
    parser.add_argument('--measure-only', action='store_true',
                        help='fit nothing: measure what the manifests say on all SETs')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, write the manifests and the report, print the table.

    Raises:
        InfantPoseError: a bad set, checkpoint or option, or too little to fit on.
    """
    from infant_pose_ros.config import PipelineSettings
    from infant_pose_ros.evaluation.calibrating import (
        calibrate_picture,
        calibrate_space,
        lifter_with,
        manifest_uncertainties,
        read_sequence,
        uncalibrated,
    )
    from infant_pose_ros.evaluation.calibration_report import measure, write_report
    from infant_pose_ros.evaluation.labelled import open_sequences
    from infant_pose_ros.inference import load_models
    from infant_pose_ros.media.plotting import pyplot
    from infant_pose_ros.models.checkpoints import bundled_checkpoint, write_uncertainty

    if arguments.measure_only and arguments.test:
        raise InvalidInputError('--measure-only: takes all SETs; leave --test out')
    paths = {task: bundled_checkpoint(task) if name == BUNDLED else Path(name)
             for task, name in (('pose', arguments.pose), ('lifter', arguments.lifter))}
    pyplot()        # where it is missing, say so before the hours of reading
    _check_writable(arguments.out, [] if arguments.dry_run or arguments.measure_only else
                    paths.values())
    settings = PipelineSettings(pose_weights=str(paths['pose']),
                                lifter_weights=str(paths['lifter']))
    fit_on = open_sequences(arguments.sets)
    test_on = open_sequences(arguments.test) if arguments.test else []
    models = uncalibrated(load_models(settings), paths['pose'])
    with tqdm(total=sum(map(len, fit_on + test_on)), unit='frame', disable=arguments.quiet) as bar:
        readings, held_out = ([read_sequence(video, models, settings, bar.update)
                               for video in videos] for videos in (fit_on, test_on))
    score_min = settings.keypoint_score_min
    if arguments.measure_only:
        picture, space = manifest_uncertainties(paths['pose'], paths['lifter'])
    else:
        picture = calibrate_picture(readings, score_min)
        space = calibrate_space(readings, picture, lifter_with(paths['lifter'], None), score_min)
        if not arguments.dry_run:
            write_uncertainty(paths['pose'], 'pose', picture)
            write_uncertainty(paths['lifter'], 'lifter', space)
    print(write_report(measure(held_out or readings, picture, lifter_with(paths['lifter'], space),
                               settings), arguments.out, _measured_on(arguments)))
    print(f'report: {arguments.out / "calibration.md"}', file=sys.stderr)
    return 0


def _check_writable(out: Path, checkpoints: Iterable[Path]) -> None:
    """Refuse a folder and manifests that can't be written, before the hours of reading."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f'--out {out}: can not be written ({error.strerror})') from error
    for path in checkpoints:
        manifest = path.with_suffix('.json')
        if manifest.exists() and not os.access(manifest, os.W_OK):
            raise InvalidInputError(f'{manifest}: can not be written; copy the checkpoint to a '
                                    'folder of yours, or give --dry-run')


def _measured_on(arguments: argparse.Namespace) -> str:
    """The sets that the figures are of, and whether the fit saw them."""
    if arguments.test:
        return f'{", ".join(arguments.test)}; fitted on {", ".join(arguments.sets)}'
    seen = '' if arguments.measure_only else ' (fitted on the same: too good; give --test)'
    return ', '.join(arguments.sets) + seen
