"""Whether a file of ROS parameters (`params_file:=`) says what its author means, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import difflib
from pathlib import Path
from typing import Any

import yaml

from infant_pose_ros.config import (
    CameraNodeSettings,
    check_value,
    OverlayNodeSettings,
    OWN_SETTINGS,
    parse_cameras,
    PoseNodeSettings,
    Settings,
)
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.findings import error, Finding, ok, warn

#: The nodes of this package and their settings.
NODES: dict[str, type[Settings]] = {
    'pose_node': PoseNodeSettings, 'camera_node': CameraNodeSettings,
    'overlay_node': OverlayNodeSettings}
PARAMETERS_KEY = 'ros__parameters'
#: Parameters that every ROS node has.
OF_EVERY_NODE = ('use_sim_time', 'start_type_description_service')
FOREIGN_PREFIXES = ('qos_overrides.',)
#: Parameters that name a file which must be there.
FILES = ('detector_weights', 'pose_weights', 'lifter_weights', 'camera_info')


@dataclass(frozen=True)
class Entry:
    """One parameter of the file: its full name, its value and its line, counted from 1."""

    name: str
    value: Any
    line: int


def look_at_parameters(path: str | Path) -> Iterator[Finding]:
    """Findings of every section of a parameter file; an OK for each that is right."""
    about = str(path)
    try:
        root = yaml.compose(Path(path).read_text(encoding='utf-8'), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        yield error(about, f'can not be read: {" ".join(str(problem).split())}')
        return
    if not isinstance(root, yaml.MappingNode):
        yield error(about, 'holds no sections: expected "/**/pose_node:", below it '
                           f'"{PARAMETERS_KEY}:", below it "name: value" lines')
        return
    yield from _sections(root, '', about)


def _sections(mapping: yaml.MappingNode, above: str, about: str) -> Iterator[Finding]:
    """Walk down the namespaces to each node's parameters."""
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        name = f'{above.rstrip("/")}/{str(key.value).lstrip("/")}' if above else str(key.value)
        where = f'{about}:{line}'
        if not isinstance(value, yaml.MappingNode):
            yield error(where, _stray(name, above))
            continue
        keys = [str(inner.value) for inner, _ in value.value]
        if PARAMETERS_KEY not in keys:
            yield from _sections(value, name, about)
            continue
        for inner, parameters in value.value:
            if inner.value != PARAMETERS_KEY:
                yield error(f'{about}:{inner.start_mark.line + 1}',
                            f'{inner.value} stands beside {PARAMETERS_KEY} and has no effect: '
                            f'put it below {PARAMETERS_KEY}')
            elif isinstance(parameters, yaml.MappingNode):
                yield from _section(name, where, about, list(_entries(parameters)))
            else:
                yield warn(where, f'section {name} is empty')


def _stray(name: str, above: str) -> str:
    last = name.rpartition('/')[2]
    known = [node for node, settings in NODES.items()
             if last in {spec.name for spec, _ in settings.specs()}]
    if known:
        section = above or f'/**/{known[0]}'
        return (f'{last} stands outside of {PARAMETERS_KEY}, so that ROS refuses the file: put '
                f'it below "{section}:" and "{PARAMETERS_KEY}:"')
    return (f'{name} is no section: expected the name of a node with "{PARAMETERS_KEY}:" '
            'below it')


def _entries(mapping: yaml.MappingNode, prefix: str = '') -> Iterator[Entry]:
    """The parameters, with nested ones under their dotted names."""
    for key, value in mapping.value:
        name = f'{prefix}{key.value}'
        if isinstance(value, yaml.MappingNode):
            yield from _entries(value, f'{name}.')
        else:
            yield Entry(name, _as_ros_reads(value), key.start_mark.line + 1)


def _as_ros_reads(node: yaml.Node) -> Any:
    """The value, with 1e6 as the number that ROS takes it for (YAML 1.1 has a text there)."""
    value = yaml.SafeLoader('').construct_object(node, deep=True)
    if isinstance(value, str) and isinstance(node, yaml.ScalarNode) and not node.style:
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _section(name: str, where: str, about: str, entries: list[Entry]) -> Iterator[Finding]:
    node = name.rstrip('/').rpartition('/')[2]
    if node in NODES:
        problems = list(_problems(NODES[node], entries, about))
        yield from problems
        if not problems:
            yield ok(where, f'{name}: {len(entries)} parameters of {node}')
    elif '*' in node:
        problems = list(_problems_of_all(entries, about))
        yield from problems
        if not problems:
            yield ok(where, f'{name}: {len(entries)} parameters of every node')
    else:
        close = difflib.get_close_matches(node, NODES, n=1, cutoff=0.7)
        if close:
            yield warn(where, f'{name} is the section of a node that is called {node}: one of '
                              f'this package is called {close[0]}')
        else:
            yield ok(where, f'{name}: not a node of this package')


def _problems_of_all(entries: list[Entry], about: str) -> Iterator[Finding]:
    """What is wrong with parameters that are given to every node."""
    for entry in entries:
        knowing = [settings for settings in NODES.values()
                   if _is_known(entry.name, settings, entries)]
        if not knowing:
            yield error(f'{about}:{entry.line}', f'{entry.name} is known to no node of this '
                        f'package{_did_you_mean(entry.name, _all_names())}')
            continue
        try:
            _check(knowing[0], entry)
        except SettingsError as problem:
            yield error(f'{about}:{entry.line}', str(problem))


def _problems(settings: type[Settings], entries: list[Entry], about: str) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for entry in entries:
        where = f'{about}:{entry.line}'
        if entry.name in seen:
            yield error(where, f'{entry.name} stands there twice, first in line '
                               f'{seen[entry.name]}: keep one')
        seen[entry.name] = entry.line
        if not _is_known(entry.name, settings, entries):
            names = [spec.name for spec, _ in settings.specs()]
            yield error(where, f'{entry.name} is not known and has no effect'
                               f'{_did_you_mean(entry.name, names)}')
            continue
        try:
            _check(settings, entry)
        except SettingsError as problem:
            yield error(where, str(problem))


def _check(settings: type[Settings], entry: Entry) -> None:
    name = entry.name
    specs = {spec.name: (spec, wanted) for spec, wanted in settings.specs()}
    if name not in specs:
        name = name.rpartition('.')[2]      # of one camera
    if name in specs:
        value = check_value(*specs[name], entry.value)
        if name in FILES and value and not Path(value).expanduser().is_file():
            raise SettingsError(f'{name}: there is no file {value}')


def _is_known(name: str, settings: type[Settings], entries: list[Entry]) -> bool:
    if name in OF_EVERY_NODE or name.startswith(FOREIGN_PREFIXES):
        return True
    if name in {spec.name for spec, _ in settings.specs()}:
        return True
    camera, _, own = name.rpartition('.')
    return settings is PoseNodeSettings and own in OWN_SETTINGS and camera in _cameras(entries)


def _cameras(entries: list[Entry]) -> tuple[str, ...]:
    given = next((entry.value for entry in entries if entry.name == 'cameras'), '')
    try:
        return parse_cameras(str(given))
    except ValueError:
        return ()       # told of where the value itself is checked


def _all_names() -> list[str]:
    return [spec.name for settings in NODES.values() for spec, _ in settings.specs()]


def _did_you_mean(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f': did you mean {close[0]}?' if close else ': docs/parameters.md lists them'
