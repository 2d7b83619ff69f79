"""infant-pose train: train one of the three networks from a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path
import re

from tqdm import tqdm

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.text_files import parse_yaml

#: YAML takes a number with an exponent, but without a point, for text.
_EXPONENT = re.compile(r'[-+]?\d+[eE][-+]?\d+')

TASKS = ('detector', 'pose', 'lifter')


def add_parser(subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        'train', help='train the detector, the pose network or the lifter',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('task', choices=TASKS)
    parser.add_argument('recipe', type=Path, help='YAML such as config/train_pose.yaml')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder of the run; training goes on where it stopped')
    parser.add_argument('--set', nargs='*', action='extend', default=[], metavar='NAME=VALUE',
                        help='change settings of the recipe')


def read_changes(pairs: list[str]) -> dict:
    """`name=value` words as a mapping, values read as YAML, but 1e-4 as a number.

    Raises:
        InvalidInputError: a word without '=', or a value that is no YAML.
    """
    changes = {}
    for pair in pairs:
        name, equals, value = pair.partition('=')
        if not equals:
            raise InvalidInputError(f'--set: expected NAME=VALUE, got {pair!r}')
        try:
            changes[name] = float(value) if _EXPONENT.fullmatch(value) else (
                parse_yaml(value) if value else '')
        except InvalidInputError as error:
            raise InvalidInputError(
                f'--set: {pair!r} is no YAML; put the value in quotes') from error
    return changes


def run(args) -> int:
    """Train."""
    from infant_pose_ros.training.detector import DetectorRecipe, train_detector
    from infant_pose_ros.training.lifter import LifterRecipe, train_lifter
    from infant_pose_ros.training.pose import PoseRecipe, train_pose

    recipe_type, train, unit = {
        'detector': (DetectorRecipe, train_detector, 'step'),
        'pose': (PoseRecipe, train_pose, 'step'),
        'lifter': (LifterRecipe, train_lifter, 'epoch')}[args.task]
    given = recipe_type.from_yaml(args.recipe)
    changes = read_changes(args.set)
    recipe = recipe_type.from_mapping(
        {**{spec.name: getattr(given, spec.name) for spec, _ in given.specs()}, **changes})
    total = recipe.epochs if args.task == 'lifter' else recipe.steps
    with tqdm(total=total, unit=unit) as bar:
        def progress(step: int, figures: dict) -> None:
            if bar.n == 0:      # where a stopped run goes on
                bar.initial = bar.n = step - 1
            bar.update(step - bar.n)
            bar.set_postfix({key: f'{value:.4g}' for key, value in figures.items()})
        path = train(recipe, args.out, progress)
        stopped = bar.n
    if 0 < stopped < total:
        print(f'over after {stopped} {unit}s: no better for {recipe.patience} looks')
    print(f'weights: {path}\ncurves: {args.out}/curves.png')
    return 0
