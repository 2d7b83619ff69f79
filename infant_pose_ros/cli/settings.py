"""Options of the command line made from a settings dataclass, and read back into it."""

from __future__ import annotations

import argparse
from typing import Any, TypeVar

from infant_pose_ros.config import PipelineSettings, Settings

SettingsT = TypeVar('SettingsT', bound=Settings)
#: Second, shorter names of options.
SHORT_NAMES = {'body_length_m': '--body-length'}


def add_settings_arguments(parser: argparse.ArgumentParser,
                           settings: type[Settings] = PipelineSettings,
                           leave_out: tuple[str, ...] = ()) -> None:
    """Add `--settings FILE` and one option for each field of `settings`.

    Args:
        leave_out: fields that the command decides itself.
    """
    group = parser.add_argument_group(
        'settings', 'over the defaults and over --settings; docs/parameters.md explains them')
    group.add_argument('--settings', metavar='YAML',
                       help='flat YAML file of "name: value" lines')
    for spec, wanted in settings.specs():
        if spec.name in leave_out:
            continue
        flags = [f'--{spec.name.replace("_", "-")}']
        if spec.name in SHORT_NAMES:
            flags.insert(0, SHORT_NAMES[spec.name])
        kind: dict[str, Any] = {'action': argparse.BooleanOptionalAction} if wanted is bool else {
            'type': wanted, 'choices': spec.metadata['choices'],
            'metavar': None if spec.metadata['choices'] else wanted.__name__.upper()}
        text = f'{spec.metadata["description"]} Default: {spec.default!r}.'
        group.add_argument(*flags, dest=spec.name, default=argparse.SUPPRESS,
                           help=text.replace('%', '%%'), **kind)


def settings_from_arguments(arguments: argparse.Namespace,
                            settings: type[SettingsT] = PipelineSettings,
                            **decided: Any) -> SettingsT:
    """The settings that the options, the `--settings` file and the command itself ask for.

    Args:
        decided: fields that the command decides itself; they win.

    Raises:
        SettingsError: an unknown setting, a wrong type or a value out of range.
    """
    base = settings.from_yaml(arguments.settings) if arguments.settings else settings()
    given = {spec.name: getattr(arguments, spec.name) for spec, _ in settings.specs()
             if hasattr(arguments, spec.name)}
    return base.replace(**{**given, **decided})
