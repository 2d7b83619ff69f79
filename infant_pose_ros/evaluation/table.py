"""The table: every row measured, beside what was published, as Markdown and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import csv
from dataclasses import dataclass, field
import io

import numpy as np

from infant_pose_ros.evaluation.bootstrap import Interval, Ratio
from infant_pose_ros.evaluation.predictions import Predictions
from infant_pose_ros.evaluation.published import PUBLISHED, Published
from infant_pose_ros.evaluation.rows import Row
from infant_pose_ros.evaluation.scores import (
    ADULT_JOINTS,
    ALL_JOINTS,
    Errors,
    Scorer,
    SURE_BOX_SCORE,
)
from infant_pose_ros.evaluation.sets import EvaluationSet
from infant_pose_ros.skeleton import KEYPOINT_NAMES, ROOT

#: Figures that are shares, shown in percent.
SHARES = ('iou', 'pckh1', 'pckh2', 'pck02', 'found', 'sure', 'pckh1_no_root', 'pckh2_no_root')
NAMES = {'iou': 'IoU %', 'pckh1': 'PCKh 1.0 %', 'pckh2': 'PCKh 2.0 %', 'pck02': 'PCK 0.2 %',
         'found': 'found %', 'sure': f'score >= {SURE_BOX_SCORE:g} %', 'ajpe': 'AJPE',
         'ajpe_charged': 'AJPE, misses charged', 'ajpe_no_root': 'AJPE without pelvis'}
NOTHING = '-'


@dataclass(frozen=True, eq=False)
class Measured:
    """One row, measured.

    Attributes:
        row: what it is. seeds: its predictions. joints: keypoints that it is measured on.
        figures: name -> figure, over all keypoints of the truth; `visible`: visible ones only;
            `adult_joints`: on those keypoints that adult networks have (2D).
        by_joint: keypoint -> its figures. errors: None for boxes.
    """

    row: Row
    seeds: list[Predictions]
    figures: dict[str, Ratio]
    joints: tuple[int, ...] = ()
    visible: dict[str, Ratio] = field(default_factory=dict)
    adult_joints: dict[str, Ratio] = field(default_factory=dict)
    by_joint: dict[int, dict[str, Ratio]] = field(default_factory=dict)
    errors: Errors | None = None


def measure(row: Row, seeds: list[Predictions], scorer: Scorer) -> Measured:
    """All figures of a row."""
    if row.kind == 'boxes':
        return Measured(row, seeds, scorer.boxes(seeds))
    joints = ADULT_JOINTS if row.adult_network else ALL_JOINTS
    errors_of = scorer.errors_2d if row.kind == '2d' else scorer.errors_3d
    errors = errors_of(seeds, joints)
    figures, visible = scorer.of(errors), scorer.of(errors, visible_only=True)
    adult = scorer.of(errors_of(seeds, ADULT_JOINTS)) if row.kind == '2d' else {}
    if row.kind == '3d':
        limbs = tuple(joint for joint in joints if joint != ROOT)
        without = scorer.of(errors_of(seeds, limbs))
        figures |= {f'{name}_no_root': without[name] for name in ('pckh1', 'pckh2', 'ajpe')}
        del figures['pck02'], visible['pck02']
    return Measured(row, seeds, figures, joints, visible, adult,
                    {joint: scorer.of(errors, joint=joint) for joint in joints}, errors)


class Table:
    """Every row of one set.

    Args:
        pictures: the set. measured: its rows. scorer: that measured them.
    """

    def __init__(self, pictures: EvaluationSet, measured: Sequence[Measured], scorer: Scorer):
        self._set = pictures
        self._rows = list(measured)
        self._scorer = scorer

    def markdown(self) -> str:
        """The whole table."""
        parts = [self._main('boxes', 'Boxes', ('iou', 'found', 'sure'), ('iou',))]
        in_2d = ('pckh1', 'pckh2', 'ajpe', 'found', 'ajpe_charged')
        if self._set.is_photos:
            in_2d = ('pck02', *in_2d)
        published = () if self._set.is_photos else ('pckh1', 'pckh2', 'ajpe')
        parts += [
            self._main('2d', '2D keypoints, px', in_2d, published),
            self._adults(in_2d[:-2]),
            self._main('3d', '3D keypoints, mm, pelvis on pelvis',
                       ('pckh1', 'pckh2', 'ajpe', 'ajpe_no_root', 'found', 'ajpe_charged'),
                       published),
            self._visible(), self._differences()]
        return '\n\n'.join(part for part in parts if part) + '\n'

    def csv(self) -> str:
        """One line for each figure of each row."""
        lines = []
        for each in self._rows:
            published = each.row.published_row
            for part, figures in (('all', each.figures), ('visible', each.visible),
                                  ('adult_joints', each.adult_joints)):
                for name, ratio in figures.items():
                    theirs = getattr(published, name, None) if part == 'all' else None
                    lines.append((
                        each.row.kind, each.row.name, part, name, len(each.seeds),
                        *_cells(self._scorer.interval(ratio), name),
                        '' if theirs is None else f'{theirs:g}'))
        return _csv(('kind', 'row', 'keypoints', 'figure', 'seeds', 'value', 'low', 'high',
                     'seed_std', 'published_on_mini_rgbd'), lines)

    def per_joint_csv(self) -> str:
        """One line for each keypoint and figure of each row."""
        lines = [(each.row.kind, each.row.name, KEYPOINT_NAMES[joint], name,
                  int(ratio.counts[0].sum()), *_cells(self._scorer.interval(ratio), name))
                 for each in self._rows for joint, figures in each.by_joint.items()
                 for name, ratio in figures.items() if name in each.figures]
        return _csv(('kind', 'row', 'keypoint', 'figure', 'count', 'value', 'low', 'high',
                     'seed_std'), lines)

    def differences_csv(self) -> str:
        """One line for each figure of each row less that of the first of its kind."""
        lines = []
        for each, base, part, pairs in self._compared():
            for name, (ratio, other) in pairs.items():
                apart = self._scorer.difference(ratio, other)
                lines.append((each.row.kind, each.row.name, base.row.name, part, name,
                              *_cells(apart, name)[:3], _verdict(apart)))
        return _csv(('kind', 'row', 'less', 'keypoints', 'figure', 'difference', 'low', 'high',
                     'verdict'), lines)

    def of_kind(self, kind: str) -> list[Measured]:
        """The rows of a kind, in order."""
        return [each for each in self._rows if each.row.kind == kind]

    def _main(self, kind: str, title: str, names: tuple[str, ...],
              published: tuple[str, ...]) -> str:
        """A section: our rows, then published rows that none of ours stands beside."""
        rows = self.of_kind(kind)
        if not rows:
            return ''
        unit = {'2d': ' px', '3d': ' mm'}.get(kind, '')
        heads = [NAMES[name] + (unit if name.startswith('ajpe') else '') for name in names]
        heads += [f'*published* {NAMES[name]}' for name in published]
        lines = []
        for each in rows:
            mark = '' if len(each.joints) in (0, len(ALL_JOINTS)) else ' (14 keypoints)'
            lines.append([each.row.name + mark + _seeds(each), *self._figures(each.figures, names),
                          *_published(each.row.published_row, published)])
        if published:
            beside = {each.row.published for each in rows}
            lines += [[f'*{theirs.label}* ({theirs.source})', *[NOTHING] * len(names),
                       *_published(theirs, published)]
                      for key, theirs in PUBLISHED[kind].items() if key not in beside]
        return f'## {title}\n\n{_markdown(["row", *heads], lines)}'

    def _adults(self, names: tuple[str, ...]) -> str:
        """All 2D rows on the keypoints that adult networks have."""
        rows = self.of_kind('2d')
        if not any(each.row.adult_network for each in rows):
            return ''
        lines = [[each.row.name + _seeds(each), *self._figures(each.adult_joints, names)]
                 for each in rows]
        return ('## 2D keypoints that adult networks have, px\n\nThe twelve joints of the limbs, '
                'pelvis and thorax (as middles), for every row alike.\n\n'
                + _markdown(['row', *(NAMES[name] for name in names)], lines))

    def _visible(self) -> str:
        rows = [each for each in self._rows if each.visible]
        known = np.isfinite(self._set.stills.keypoints_px).all(axis=-1)
        visible = self._set.stills.visible[known]
        if not rows or visible.all():
            return ''
        names = ('pckh1', 'pckh2', 'ajpe', 'found')
        share = visible.mean()
        lines = [[each.row.kind, each.row.name + _seeds(each),
                  *self._figures(each.visible, names)] for each in rows]
        return (f'## Visible keypoints only\n\n{100 * share:.1f} % of the keypoints are visible: '
                'inside the picture and not hidden.\n\n'
                + _markdown(['kind', 'row', *(NAMES[name] for name in names)], lines))

    def _differences(self) -> str:
        lines = []
        for each, base, part, pairs in self._compared():
            cells = []
            for name in ('iou', 'pckh1', 'ajpe_charged'):
                if name in pairs:
                    apart = self._scorer.difference(*pairs[name])
                    cells.append(f'{_text(apart, name, sign=True)} {_verdict(apart)}')
                else:
                    cells.append(NOTHING)
            on = '14 keypoints' if part == 'adult_joints' else ''
            lines.append([each.row.kind, each.row.name, base.row.name, on, *cells])
        if not lines:
            return ''
        return ('## Differences, on the same frames\n\nA difference is *real* where its 95 % '
                'interval excludes 0, else *not shown*; *unknown* without an interval.\n\n'
                + _markdown(
                    ['kind', 'row', 'less', 'on', 'IoU %', 'PCKh 1.0 %',
                     'AJPE, misses charged, px or mm'], lines))

    def _compared(self) -> Iterable[tuple[Measured, Measured, str, dict]]:
        """Each row with the first of its kind: (row, first, keypoints, name -> two figures)."""
        for kind in PUBLISHED:
            rows = self.of_kind(kind)
            for each in rows[1:]:
                same = each.joints == rows[0].joints
                part = 'all' if same else 'adult_joints'
                ours, theirs = ((m.figures if same else m.adult_joints) for m in (each, rows[0]))
                yield each, rows[0], part, {
                    name: (ours[name], theirs[name]) for name in ours if name in theirs}

    def _figures(self, figures: dict[str, Ratio], names: Iterable[str]) -> list[str]:
        return [_text(self._scorer.interval(figures[name]), name) for name in names]


def _scale(name: str) -> float:
    return 100.0 if name in SHARES else 1.0


def _text(figure: Interval, name: str, sign: bool = False) -> str:
    """'93.8 (92.9 to 94.6)', with '+- 0.3' for the spread over seeds."""
    if not np.isfinite(figure.value):
        return NOTHING
    digits = 1 if name in SHARES else 2
    form = f'{{:{"+" if sign else ""}.{digits}f}}'
    value, low, high, spread = (form.format(_scale(name) * number) for number in (
        figure.value, figure.low, figure.high, figure.spread))
    text = value + (f' ± {spread.lstrip("+")}' if np.isfinite(figure.spread) else '')
    return text + (f' ({low} to {high})' if np.isfinite(figure.low) else '')


def _verdict(apart: Interval) -> str:
    if not np.isfinite(apart.low):
        return 'unknown'
    return 'real' if apart.excludes_zero else 'not shown'


def _cells(figure: Interval, name: str) -> list[str]:
    return [f'{_scale(name) * number:.4f}' if np.isfinite(number) else ''
            for number in (figure.value, figure.low, figure.high, figure.spread)]


def _published(row: Published | None, names: Iterable[str]) -> list[str]:
    values = [None if row is None else getattr(row, name) for name in names]
    return [NOTHING if value is None else f'*{value:g}*' for value in values]


def _seeds(each: Measured) -> str:
    return f', {len(each.seeds)} seeds' if len(each.seeds) > 1 else ''


def _markdown(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ['---'] * len(heads), *lines]
    return '\n'.join(f'| {" | ".join(cell.replace("|", "/") for cell in row)} |' for row in rows)


def _csv(heads: Sequence[str], lines: Iterable[Sequence]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(heads)
    writer.writerows(lines)
    return stream.getvalue()
