"""Tables, CSV files and plots of the temporal benchmark."""

from __future__ import annotations

from collections.abc import Sequence
import csv
from pathlib import Path

import numpy as np

from infant_pose_ros.evaluation.temporal import (
    ALLOWED_DELAY,
    DROPOUT_FRAMES,
    FIGURES,
    GROUPS,
    Result,
    Results,
    SWAP_FRAMES,
)
from infant_pose_ros.evaluation.temporal_conditions import SIDES
from infant_pose_ros.evaluation.temporal_methods import (
    KALMAN,
    METHODS,
    OFFLINE,
    RAW,
    SPACES,
)
from infant_pose_ros.media.plotting import pyplot

UNITS = {'2d': 'px', '3d': 'mm'}
TITLES = {'2d': 'In the picture', '3d': "In space, the camera's frame"}
#: The plots show no longer delays, frames ...
SHOWN_DELAY = 4.0
#: ... and errors from a little under the least to a little over the rings' largest.
SHOWN_ERRORS = (0.97, 1.08)
_DPI = 110


def write_report(results: Results, header: Sequence[str], folder: Path) -> str:
    """Write `temporal.md`, `temporal.csv`, `pareto_2d.png` and `pareto_3d.png`.

    Args:
        header: lines that say what was measured.

    Returns:
        The text of `temporal.md`.

    Raises:
        OSError: the folder can't be written to.
        MissingDependencyError: matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(results, folder / 'temporal.csv')
    for space in SPACES:
        plot_pareto(results, space, folder / f'pareto_{space}.png')
    lines = ['# Smoothing: the temporal benchmark', '', *header, '']
    for space in SPACES:
        lines += [f'## {TITLES[space]}', '', *motion_table(results, 'clean', space), '',
                  *front_lines(results, space), '',
                  f'![jitter against error and delay](pareto_{space}.png)', '']
    lines += ['## By joints', '', *group_table(results), '', '## Dropouts of a limb', '',
              *dropout_table(results), '', '## Left and right exchanged', '',
              *swap_table(results), '', '## Wandering rate, restless stamps', '']
    for space in SPACES:
        lines += [f'{TITLES[space]}:', '', *motion_table(results, 'wandering rate', space), '']
    text = '\n'.join(lines).rstrip() + '\n'
    (folder / 'temporal.md').write_text(text, encoding='utf-8')
    return text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head),
            *('| ' + ' | '.join(row) + ' |' for row in rows)]


def _number(value: float, digits: int = 2) -> str:
    return '' if not np.isfinite(value) else f'{value:,.{digits}f}'.replace(',', ' ')


def _chosen(results: Results, condition: str, space: str) -> list[Result]:
    """The row of each method's chosen variant, in the order of `METHODS`."""
    rows = {row.variant.method: row for row in results.of(condition, space)
            if row.variant == results.chosen.get((row.variant.method, space))}
    return [rows[method] for method in ('truth', *METHODS) if method in rows]


def _name(row: Result) -> str:
    name = row.variant.method + (f' ({row.variant.text})' if row.variant.text else '')
    return f'*{name}*' if row.variant.method in OFFLINE else name


def _name_of_both(flat: Result, deep: Result) -> str:
    """The name of what stands for a method in the picture and in space."""
    if flat.variant.parameters == deep.variant.parameters:
        return _name(flat)
    name = f'{flat.variant.method} (px: {flat.variant.text}; mm: {deep.variant.text})'
    return f'*{name}*' if flat.variant.method in OFFLINE else name


def front_lines(results: Results, space: str) -> list[str]:
    """Which causal variants beat the default of Kalman in two figures at once, in words."""
    rows = [row for row in results.of('clean', space)
            if row.variant.method not in (*OFFLINE, 'truth')]
    lines = []
    for words, figure_name, kept in (
            ('calmer and truer', 'ajpe', rows),
            (f'calmer and truer, with a delay of at most {ALLOWED_DELAY:g} frame', 'ajpe',
             [row for row in rows if row.figures['delay'] <= ALLOWED_DELAY]),
            ('calmer and earlier', 'delay', rows)):
        (default,) = [row for row in rows
                      if row.variant.method == KALMAN and row.variant.is_default]
        own, points = _points([default], figure_name), _points(kept, figure_name)
        beats = ((points <= own).all(1) & (points < own).any(1)) if kept else []
        better = [f'{_name(row)}, delay {_number(row.figures["delay"])}'
                  for row, beats_it in zip(kept, beats) if beats_it]
        lines.append(f'- {words}: {"; ".join(better) or "none"}')
    return ["Causal variants that beat Kalman's default in two figures at once:", '', *lines]


def motion_table(results: Results, condition: str, space: str) -> list[str]:
    """Error, restlessness and delay of each method, and how often raw's they are."""
    unit, rows = UNITS[space], _chosen(results, condition, space)
    raw = {name: row.figures[name] for row in rows if row.variant.method == RAW
           for name in FIGURES}
    head = ['method', f'AJPE, {unit}', 'pelvis aligned', f'acceleration error, {unit}/s²',
            'times less than raw', f'jitter, {unit}/s³', 'times less than raw', 'delay, frames',
            'found']
    lines = []
    for row in rows:
        figures = row.figures
        ratio = {name: raw[name] / figures[name] if figures[name] > 0 else np.nan
                 for name in ('acceleration_error', 'jitter')}
        lines.append([
            _name(row), _number(figures['ajpe']), _number(figures['ajpe_aligned']),
            _number(figures['acceleration_error'], 0), _number(ratio['acceleration_error'], 1),
            _number(figures['jitter'], 0), _number(ratio['jitter'], 1),
            _number(figures['delay']), _percent(figures['found'])])
    return _table(head, lines)


def group_table(results: Results) -> list[str]:
    """Error and jitter by groups of joints."""
    head = ['method', 'space', *(f'{group}: AJPE, jitter' for group in GROUPS)]
    lines = []
    for space in SPACES:
        groups = [{row.variant.method: row for row in _chosen(results, f'clean: {group}', space)}
                  for group in GROUPS]
        for method in METHODS:
            if all(method in rows for rows in groups):
                lines.append([_name(groups[0][method]), UNITS[space], *(
                    f'{_number(rows[method].figures["ajpe"])}, '
                    f'{_number(rows[method].figures["jitter"], 0)}' for rows in groups)])
    return _table(head, lines)


def dropout_table(results: Results) -> list[str]:
    """What dropouts cost at the limb, in their frames."""
    head = ['method', 'frames', 'extra, px', 'without, px', 'extra, mm', 'without, mm',
            'extra, mm, pelvis aligned', 'found', 'dropouts']
    lines = []
    for length in DROPOUT_FRAMES:
        condition = f'dropouts of {length} frames'
        flat, deep = ({row.variant.method: row for row in _chosen(results, condition, space)}
                      for space in SPACES)
        for method in METHODS:
            if method in flat and method in deep:
                px, mm = flat[method].figures, deep[method].figures
                lines.append([
                    _name_of_both(flat[method], deep[method]), str(length), *(
                        _number(figures.get(name, np.nan)) for figures, name in (
                            (px, 'extra'), (px, 'error_clean'), (mm, 'extra'),
                            (mm, 'error_clean'), (mm, 'extra_aligned'))),
                    _percent(mm.get('found', np.nan)), _events(results, condition, deep[method])])
    return _table(head, lines)


def swap_table(results: Results) -> list[str]:
    """How often exchanged sides end on their own side."""
    head = ['method', 'space', *(f'{kind}, {length}' for kind in SIDES
                                 for length in SWAP_FRAMES), 'all', 'exchanges']
    conditions = [f'{kind} swapped for {length} frames' for kind in SIDES
                  for length in SWAP_FRAMES]
    lines = []
    for space in SPACES:
        rows = [{row.variant.method: row for row in _chosen(results, condition, space)}
                for condition in conditions]
        for method in METHODS:
            if all(method in row for row in rows):
                shares = [pooled(results, condition, row[method])
                          for condition, row in zip(conditions, rows)]
                counts = sum(count for _, count in shares)
                caught = sum(share * count for share, count in shares if count)
                lines.append([_name(rows[0][method]), UNITS[space],
                              *(_percent(share) for share, _ in shares),
                              _percent(caught / counts if counts else np.nan), f'{counts:.0f}'])
    return _table(head, lines)


def _percent(share: float) -> str:
    return '' if not np.isfinite(share) else f'{100 * share:.1f} %'


def _by_video(results: Results, condition: str, row: Result) -> list[Result]:
    return [each for each in results.rows if each.video and (
        each.condition, each.space, each.variant) == (condition, row.space, row.variant)]


def _events(results: Results, condition: str, row: Result) -> str:
    return f'{sum(each.figures["events"] for each in _by_video(results, condition, row)):.0f}'


def pooled(results: Results, condition: str, row: Result) -> tuple[float, float]:
    """Share caught over all videos' exchanges, and how many there were."""
    figures = [each.figures for each in _by_video(results, condition, row)
               if each.figures['events']]
    count = sum(each['events'] for each in figures)
    caught = sum(each['caught'] * each['events'] for each in figures)
    return (caught / count if count else float('nan')), count


def _write_csv(results: Results, path: Path) -> None:
    names = list(dict.fromkeys(name for row in results.rows for name in row.figures))
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['condition', 'method', 'parameters', 'chosen', 'space', 'video', *names])
        for row in results.rows:
            chosen = results.chosen.get((row.variant.method, row.space)) == row.variant
            writer.writerow([
                row.condition, row.variant.method, row.variant.text, int(chosen), row.space,
                row.video or 'all', *(f'{row.figures[name]:.6g}' if name in row.figures else ''
                                      for name in names)])


# The plot

def front(points: np.ndarray) -> np.ndarray:
    """Which of (N, 2) points no other one beats in both coordinates, less being better: (N,) bool.

    A point with NaN is beaten.
    """
    points = np.asarray(points, float)
    known = np.isfinite(points).all(axis=1)
    better = (points[:, None] <= points[None]).all(-1) & (points[:, None] < points[None]).any(-1)
    return known & ~(better & known[:, None]).any(axis=0)


def plot_pareto(results: Results, space: str, path: Path) -> None:
    """Jitter against AJPE and against delay: one curve a method, over its parameters.

    Rings mark what stands for a method in the tables; the grey band is the Pareto front of the
    causal methods.
    """
    plt = pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(12, 5.6))
    rows = [row for row in results.of('clean', space) if row.variant.method != 'truth']
    floor = [row.figures['jitter'] for row in results.of('clean', space)
             if row.variant.method == 'truth']
    for axis, figure_name, label in ((axes[0], 'ajpe', f'AJPE, {UNITS[space]}'),
                                     (axes[1], 'delay', 'delay, frames of 1/30 s')):
        causal = [row for row in rows if row.variant.method not in OFFLINE]
        _draw_front(axis, causal, figure_name)
        for number, method in enumerate(METHODS):
            own = [row for row in rows if row.variant.method == method]
            _draw_method(axis, own, figure_name, method, f'C{number}', results, space)
        axis.plot([], [], 'o', color='0.4', ms=10, mfc='none', mew=2, label='in the tables')
        axis.axvline(floor[0] / 1000, color='0.5', lw=1, ls=':', label="the truth's own jitter")
        axis.set_xscale('log')
        axis.xaxis.set_major_locator(plt.matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(plt.matplotlib.ticker.FormatStrFormatter('%g'))
        axis.minorticks_off()
        axis.set_xlabel(f'jitter, 1000 {UNITS[space]}/s³')
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.set_axisbelow(True)
    rings = [row for row in rows
             if results.chosen.get((row.variant.method, space)) == row.variant]
    errors, shown = (_points(each, 'ajpe')[:, 1] for each in (rows, rings))
    if np.isfinite(shown).any():        # else there is nothing to see
        axes[0].set_ylim(SHOWN_ERRORS[0] * np.nanmin(errors), SHOWN_ERRORS[1] * np.nanmax(shown))
    low, high = axes[1].get_ylim()
    axes[1].set_ylim(low, min(high, SHOWN_DELAY))
    figure.suptitle(f'{TITLES[space]}: jitter against error (left) and delay (right); '
                    'a dot is a setting, further left and down is better', fontsize=10)
    figure.legend(*axes[0].get_legend_handles_labels(), loc='lower center', ncols=5,
                  frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.savefig(path, dpi=_DPI, metadata={'Software': None})     # the same bytes each time
    plt.close(figure)


def _points(rows: Sequence[Result], figure_name: str) -> np.ndarray:
    """(N, 2): jitter, in thousands, and another figure."""
    return np.array([[row.figures['jitter'] / 1000, row.figures[figure_name]]
                     for row in rows]).reshape(-1, 2)


def _draw_front(axis, rows: Sequence[Result], figure_name: str) -> None:
    """The front over all of these rows, as a pale band."""
    points = _points(rows, figure_name)
    best = points[front(points)]
    best = best[np.argsort(best[:, 0])]
    axis.plot(*best.T, color='0.85', lw=9, solid_capstyle='round', zorder=0,
              label='Pareto front of causal methods')


def _draw_method(axis, rows: Sequence[Result], figure_name: str, method: str, colour: str,
                 results: Results, space: str) -> None:
    """A method's variants as dots, and a line from one to the next.

    Of a causal method only through those that none of its own beats: several of its parameters
    are varied. Offline ones have one, and a line through all.
    """
    points = _points(rows, figure_name)
    best = points if method in OFFLINE else points[front(points)]
    best = best[np.argsort(best[:, 0])]
    dash = '--' if method in OFFLINE else '-'
    axis.plot(*points.T, '.', color=colour, ms=4, alpha=0.35)
    label = method + (' (offline)' if method in OFFLINE else '')
    axis.plot(*best.T, dash, marker='.', color=colour, lw=1.5, label=label)
    for row, point in zip(rows, points):
        if results.chosen.get((method, space)) != row.variant:
            continue
        axis.plot(*point, 'o', color=colour, ms=10, mfc='none', mew=2)
        if row.variant.parameters and row.variant.is_default:
            axis.annotate('default', point, (0, 9), textcoords='offset points', ha='center',
                          fontsize=8, color=colour, annotation_clip=True)
