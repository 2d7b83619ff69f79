"""The rows of a table: which networks, on which crop, beside which published row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.evaluation.adult_networks import KINDS as ADULT_NETWORKS
from infant_pose_ros.evaluation.adult_networks import ROTATIONS
from infant_pose_ros.evaluation.published import PUBLISHED, Published
from infant_pose_ros.evaluation.sets import BODY_LENGTHS
from infant_pose_ros.text_files import read_yaml, shown, shown_names

#: Stands for the checkpoint that comes with the package.
BUNDLED = 'bundled'
#: `keypoints` of a 3D row that is lifted from the true 2D keypoints.
TRUTH = 'truth'
CROPS = ('detector', 'whole', 'truth', 'upright')
KINDS = ('boxes', '2d', '3d')


@dataclass(frozen=True)
class Row:
    """One row. Its kind is '3d' with a lifter, '2d' with a network, else 'boxes'.

    Attributes:
        name: unique; what the table calls it.
        published: key of the published row beside it, in `PUBLISHED[kind]`; '' for none.
        detector: checkpoint of the detector, or 'bundled'.
        pose: checkpoints of the pose network, one for each seed.
        adult_network: kind of an adult network in place of a pose network, of ADULT_NETWORKS.
        weights: its file or folder.
        lifter: checkpoints of the lifter, one for each seed.
        keypoints: what a 3D row is lifted from: name of a 2D row, or 'truth'.
        crop: 'detector': the best box; 'whole': the whole picture in a square; 'truth': the
            labelled box; 'upright': around the labelled keypoints, trunk upright.
        rotations: 1 reads the box upright; 4 in four turns, the most confident reading wins.
        body_length: 'given' by the set, from its 'age', or 'assumed'.
    """

    name: str
    published: str = ''
    detector: str = BUNDLED
    pose: tuple[str, ...] = ()
    adult_network: str = ''
    weights: str = ''
    lifter: tuple[str, ...] = ()
    keypoints: str = ''
    crop: str = 'detector'
    rotations: int = 4
    body_length: str = 'given'

    def __post_init__(self):
        def refuse(problem: str):
            raise SettingsError(f'row {self.name!r}: {problem}')

        if not self.name:
            refuse('needs a name')
        if self.pose and self.adult_network:
            refuse('has both pose and adult_network; make two rows of it')
        if self.lifter and (self.pose or self.adult_network):
            refuse('has a lifter and a 2D network; make a row of the 2D network and name it in '
                   "keypoints, or 'truth'")
        if bool(self.lifter) != bool(self.keypoints):
            refuse("a 3D row needs lifter and keypoints (the name of a 2D row, or 'truth')")
        if self.weights and not self.adult_network:
            refuse('weights are those of an adult_network; a checkpoint goes into pose or lifter')
        if self.adult_network and self.adult_network not in ADULT_NETWORKS:
            refuse(f'adult_network: {self.adult_network!r} is not one of '
                   f'{", ".join(ADULT_NETWORKS)}')
        if self.adult_network and not self.weights:
            refuse(f'{self.adult_network} needs weights, its file or folder: none come with this '
                   'package')
        for name, value, known in (('crop', self.crop, CROPS),
                                   ('rotations', self.rotations, ROTATIONS),
                                   ('body_length', self.body_length, BODY_LENGTHS)):
            if value not in known:
                refuse(f'{name}: {value!r} is not one of {", ".join(map(str, known))}')
        if self.published and self.published not in PUBLISHED[self.kind]:
            refuse(f'published: {self.published!r} is not one of '
                   f'{", ".join(PUBLISHED[self.kind])}')

    @property
    def kind(self) -> str:
        """'boxes', '2d' or '3d'."""
        if self.lifter:
            return '3d'
        return '2d' if self.pose or self.adult_network else 'boxes'

    @property
    def published_row(self) -> Published | None:
        """The published row beside this one."""
        return PUBLISHED[self.kind].get(self.published)

    @property
    def networks(self) -> tuple[tuple[str, str], ...]:
        """(task, checkpoint) of each network that it needs; task 'adult network' for weights."""
        uses_detector = self.kind == 'boxes' or (self.kind == '2d' and self.crop == 'detector')
        named = {'detector': (self.detector,) if uses_detector else (), 'pose': self.pose,
                 'lifter': self.lifter,
                 'adult network': (self.weights,) if self.adult_network else ()}
        return tuple((task, name) for task, names in named.items() for name in names)

    @property
    def files(self) -> tuple[str, ...]:
        """The files and folders that it needs."""
        return tuple(name for _, name in self.networks if name != BUNDLED)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Row:
        """Make a row from plain values; one checkpoint may stand without a list.

        Raises:
            SettingsError: an unknown key, a wrong type or a bad value.
        """
        if not isinstance(mapping, Mapping):
            raise SettingsError(f'rows: expected "name: ..." lines for each, got {shown(mapping)}')
        known = [spec.name for spec in fields(cls)]
        unknown = [key for key in mapping if key not in known]
        if unknown or 'name' not in mapping:
            raise SettingsError(
                f'row {shown(mapping.get("name", "?"))}: '
                f'{"unknown " + shown_names(unknown) if unknown else "needs a name"}; known: '
                f'{", ".join(known)}')
        values = {}
        for key, value in mapping.items():
            is_list, wanted = key in ('pose', 'lifter'), int if key == 'rotations' else str
            words = value if is_list and isinstance(value, list) else [value]
            if any(not isinstance(word, wanted) or isinstance(word, bool) for word in words):
                raise SettingsError(f'row {shown(mapping["name"])}: {key}: expected '
                                    f'{wanted.__name__}, got {shown(value)}')
            values[key] = tuple(words) if is_list else value
        return cls(**values)


def read_rows(path: str | Path) -> list[Row]:
    """Rows of a YAML file: `rows:`, a list, and `detector:`, of those that name none.

    Raises:
        SettingsError: the file is missing or malformed, or a row is.
    """
    try:
        content = read_yaml(path)
    except InvalidInputError as error:
        raise SettingsError(f'{path}: {error}') from error
    if not isinstance(content, dict) or not isinstance(content.get('rows'), list):
        raise SettingsError(f'{path}: expected a list `rows:`, as in config/evaluation.yaml')
    unknown = set(content) - {'rows', 'detector'}
    if unknown:
        raise SettingsError(f'{path}: unknown {shown_names(unknown)}; known: rows, '
                            'detector')
    detector = content.get('detector', BUNDLED)
    try:
        return [Row.from_mapping({'detector': detector, **each} if isinstance(each, dict)
                                 else each) for each in content['rows']]
    except SettingsError as error:
        raise SettingsError(f'{path}: {error}') from error


def rows_of_words(detector: str, pose: Sequence[str], lifter: Sequence[str],
                  adult_networks: Sequence[str], has_lengths: bool) -> list[Row]:
    """Rows of `NAME=CHECKPOINT` words; without any, those of the bundled networks.

    A NAME that is a published key stands beside that row ('no_crop' sees the whole picture); a
    NAME that comes again is another seed of the row. The first lifter is also run on the true
    keypoints, unless there is a lifter 'true_2d', and, where the set tells the length, with the
    length assumed.

    Raises:
        SettingsError: a word without '=', or an unknown kind of adult network.
    """
    body_length = 'given' if has_lengths else 'assumed'
    rows = [Row(f'detector {Path(detector).stem}', 'this_method', detector)]
    poses = _named('--pose', pose or [f'this_method={BUNDLED}'])
    for name, checkpoints in poses.items():
        rows.append(Row(*_title('2d', name), detector, checkpoints,
                        crop='whole' if name == 'no_crop' else 'detector'))
    for word in adult_networks:
        kind, _, weights = word.partition('=')
        for rotations, how in ((1, 'upright crop'), (4, 'best of four rotations')):
            rows.append(Row(f'{kind}, {how}', 'adult_network', detector, adult_network=kind,
                            weights=weights, rotations=rotations))
    first_2d = rows[1].name
    lifter = [f'estimated_2d={word.partition("=")[2]}' if word.startswith('this_method=') else word
              for word in lifter or [f'estimated_2d={BUNDLED}']]
    lifters = _named('--lifter', lifter)
    for index, (name, checkpoints) in enumerate(lifters.items()):
        row = Row(*_title('3d', name), lifter=checkpoints, body_length=body_length,
                  keypoints=TRUTH if name == 'true_2d' else first_2d)
        rows.append(row)
        if index == 0:
            if has_lengths:
                rows.append(replace(row, name=f'{row.name}, length assumed', published='',
                                    body_length='assumed'))
            if 'true_2d' not in lifters:
                rows.append(replace(row, **dict(zip(('name', 'published'), _title(
                    '3d', 'true_2d'))), keypoints=TRUTH))
    return rows


def with_body_length(rows: Sequence[Row], origin: str) -> list[Row]:
    """The rows with one origin of the length for every 3D row; what becomes the same goes."""
    kept, seen = [], set()
    for row in rows:
        if row.kind == '3d':
            row = replace(row, body_length=origin)
            made_with = (row.lifter, row.keypoints)
            if made_with in seen:
                continue
            seen.add(made_with)
        kept.append(row)
    return kept


def checked_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows, if they fit together.

    Raises:
        SettingsError: none, two of one name, or a 3D row of keypoints that no 2D row has.
    """
    if not rows:
        raise SettingsError('rows: there are none; name one, or leave --rows out')
    names = [row.name for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f'rows: two are named {", ".join(twice)}; names must differ')
    by_name = {row.name: row for row in rows}
    for row in rows:
        if row.kind != '3d' or row.keypoints == TRUTH:
            continue
        source = by_name.get(row.keypoints)
        if source is None or source.kind != '2d' or source.adult_network:
            named = [each.name for each in rows if each.kind == '2d' and each.pose]
            raise SettingsError(
                f'row {row.name!r}: keypoints: {row.keypoints!r} is not one of '
                f'{", ".join([TRUTH, *named])}')
        counts = {len(source.pose), len(row.lifter)}
        if len(counts) > 1 and 1 not in counts:
            raise SettingsError(
                f'row {row.name!r}: {len(row.lifter)} lifters for {len(source.pose)} pose '
                f'networks of {source.name!r}; expected as many, or one of either')
    return list(rows)


def _named(option: str, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    named: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, _, path = word.partition('=')
        if not (name and path):
            raise SettingsError(f'{option}: expected NAME=CHECKPOINT, got {word!r}')
        named[name] = (*named.get(name, ()), path)
    return named


def _title(kind: str, name: str) -> tuple[str, str]:
    """Name and published key of a row that a command line calls `name`."""
    published = PUBLISHED[kind].get(name)
    return (published.label, name) if published else (name, '')
