"""`infant-pose evaluate`: runs every row, measures it and writes table, plots and report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
from dataclasses import replace
from pathlib import Path

from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.evaluation.bootstrap import BLOCK_FRAMES, MIN_BLOCKS, REPLICATES
from infant_pose_ros.evaluation.estimating import Networks, RowRunner, run_row
from infant_pose_ros.evaluation.plots import plot_by_joint, plot_curves, write_worst_frames
from infant_pose_ros.evaluation.predictions import PredictionStore
from infant_pose_ros.evaluation.published import PUBLISHED_NOTE
from infant_pose_ros.evaluation.rows import checked_rows, Row, TRUTH
from infant_pose_ros.evaluation.scores import Scorer
from infant_pose_ros.evaluation.sets import EvaluationSet
from infant_pose_ros.evaluation.table import measure, Measured, Table

UNITS = {'2d': 'px', '3d': 'mm'}


class _NoBar:
    def update(self, _count: int) -> None:
        """Show nothing."""


def no_progress(_label: str, _total: int):
    """A progress bar that shows nothing."""
    return contextlib.nullcontext(_NoBar())


def rows_for(pictures: EvaluationSet, rows: Sequence[Row],
             skip_missing: bool = False) -> tuple[list[Row], list[str]]:
    """The rows that can be run on a set.

    On photographs only 2D rows are, and those that would crop by the detector crop around the
    labelled keypoints, trunk upright, instead.

    Args:
        skip_missing: leave out rows whose files aren't there, and 3D rows that hang on them.

    Returns:
        The rows, and for each row that was left out why.

    Raises:
        SettingsError: the rows don't fit together, or none is left.
    """
    left_out: dict[str, str] = {}
    rows = checked_rows(rows)
    if pictures.is_photos:
        rows = [_upright(row) for row in rows]
    for row in rows:
        missing = [name for name in row.files if not Path(name).exists()]
        if pictures.is_photos and row.kind != '2d':
            left_out[row.name] = 'photographs have labels in 2D only'
        elif missing and skip_missing:
            left_out[row.name] = f'{", ".join(missing)} is not there'
    for row in rows:
        if row.kind == '3d' and row.keypoints in left_out and row.name not in left_out:
            left_out[row.name] = f'its 2D row {row.keypoints} was left out'
    kept = [row for row in rows if row.name not in left_out]
    if not kept:
        raise SettingsError('rows: none can be run: ' + '; '.join(
            f'{name}: {why}' for name, why in left_out.items()))
    return kept, [f'{name}: {why}' for name, why in left_out.items()]


def evaluate(pictures: EvaluationSet, rows: Sequence[Row], out: str | Path,
             networks: Networks | None = None, progress: Callable = no_progress,
             replicates: int = REPLICATES, skip_missing: bool = False) -> str:
    """Run and measure every row; write everything under `out`.

    Files: `table.md`, `table.csv`, `per_joint.csv`, `differences.csv`, `report.md`,
    `error_by_joint_2d.png`, `pckh_curve_2d.png`, the same for 3D, `worst/*.jpg`, and
    `predictions/*.npz`, from which a rerun goes on. All but the predictions are the same bytes
    when run again.

    Args:
        pictures: the set. rows: to be measured. out: folder; made.
        networks: loads what the rows name. progress: as `PredictionStore`.
        replicates: of the bootstrap. skip_missing: as `rows_for`.

    Returns:
        The text of `table.md`.

    Raises:
        InfantPoseError: rows don't fit together, a file is missing or damaged, or `out` can't
            be written to.
    """
    networks, out = networks or Networks(), Path(out)
    kept, left_out = rows_for(pictures, rows, skip_missing)
    scorer = Scorer(pictures, replicates)
    hashes = {(task, name): networks.digest(task, name)     # first of all: is everything there?
              for row in kept for task, name in row.networks}
    try:
        out.mkdir(parents=True, exist_ok=True)
        runner = RowRunner(
            pictures, PredictionStore(out / 'predictions', len(pictures), progress), networks)
        by_name = {row.name: row for row in kept}
        measured = [measure(row, run_row(runner, row, by_name), scorer) for row in kept]
        table = Table(pictures, measured, scorer)
        text = f'# {pictures.name}\n\n{_about(pictures, scorer, replicates)}\n\n{table.markdown()}'
        for name, content in (('table.md', text), ('table.csv', table.csv()),
                              ('per_joint.csv', table.per_joint_csv()),
                              ('differences.csv', table.differences_csv())):
            (out / name).write_text(content, encoding='utf-8')
        plots = _plots(pictures, table, scorer, out)
        (out / 'report.md').write_text(
            text + _rest_of_report(measured, hashes, left_out, plots, pictures),
            encoding='utf-8')
    except OSError as error:
        raise InvalidInputError(f'--out {out}: can not be written: {error}') from error
    return text


def _upright(row: Row) -> Row:
    return replace(row, crop='upright') if row.crop == 'detector' else row


def _about(pictures: EvaluationSet, scorer: Scorer, replicates: int) -> str:
    if pictures.is_photos:
        drawn = f'{scorer.num_blocks} pictures'
    else:
        drawn = f'{scorer.num_blocks} blocks of up to {BLOCK_FRAMES} neighbouring frames'
    sure = (f'In brackets: 95 % intervals from {replicates} bootstrap draws of {drawn}.'
            if scorer.num_blocks >= MIN_BLOCKS else
            f'No intervals: {drawn} are too few, {MIN_BLOCKS} are needed.')
    note = '' if pictures.is_photos else f' {PUBLISHED_NOTE}'
    return f'{len(pictures)} frames, each from the picture alone. {sure}{note}'


def _plots(pictures: EvaluationSet, table: Table, scorer: Scorer, out: Path) -> list[str]:
    """Write the pictures; returns their names under `out`."""
    names = []
    for kind, unit in UNITS.items():
        rows = table.of_kind(kind)
        if rows:
            plot_by_joint(rows, scorer, unit, out / f'error_by_joint_{kind}.png')
            plot_curves(rows, scorer, out / f'pckh_curve_{kind}.png')
            names += [f'error_by_joint_{kind}.png', f'pckh_curve_{kind}.png']
    if table.of_kind('2d') and write_worst_frames(
            pictures, table.of_kind('2d')[0], scorer, out / 'worst'):
        names.append('worst/sheet.jpg')
    return names


def _rest_of_report(measured: Sequence[Measured], hashes: dict[tuple[str, str], str],
                    left_out: Sequence[str], plots: Sequence[str],
                    pictures: EvaluationSet) -> str:
    lines = ['', '## Plots', '']
    captions = {
        'error': 'Mean error of each keypoint that was found, with 95 % intervals',
        'pckh': 'Share of keypoints nearer to the truth than k head units',
        'worst': 'The worst frames of the first 2D row, at most one of each block: estimate '
                 'thick, truth thin, white lines from one to the other'}
    for name in plots:
        caption = next(text for start, text in captions.items() if name.startswith(start))
        lines += [f'{caption}:', '', f'![{caption}]({name})', '']
    lines += ['## Rows', '', '| row | made with |', '|---|---|']
    lines += [f'| {each.row.name} | {_recipe(each.row)} |' for each in measured]
    lines += ['', '## Weights', '', '| weights | sha256 |', '|---|---|']
    lines += [f'| {task} {name} | `{digest[:16]}` |' for (task, name), digest in hashes.items()]
    lines += ['', f'Pictures and labels: sha256 `{pictures.digest[:16]}`.']
    if left_out:
        lines += ['', '## Left out', '', *(f'- {line}' for line in left_out)]
    return '\n'.join(lines) + '\n'


def _recipe(row: Row) -> str:
    """What a row is made with, in words."""
    if row.kind == 'boxes':
        return f'the best box of detector {row.detector}'
    if row.kind == '3d':
        source = 'true 2D keypoints' if row.keypoints == TRUTH else f'2D of {row.keypoints!r}'
        return f'lifter {", ".join(row.lifter)}; {source}; body length {row.body_length}'
    where = {'detector': f'best box of detector {row.detector}',
             'whole': 'whole picture in a square', 'truth': 'labelled box',
             'upright': 'square around the labelled keypoints, trunk upright'}[row.crop]
    turns = f'; {row.rotations} rotation{"s" * (row.rotations > 1)}' if row.crop in (
        'detector', 'truth') or row.adult_network else ''
    network = f'{row.adult_network} {row.weights}'.strip() if row.adult_network else (
        f'pose network {", ".join(row.pose)}')
    return f'{network}; {where}{turns}'
