"""Reading YAML and JSON that anybody may have written: with limits, and errors in one line."""

from __future__ import annotations

from collections.abc import Iterable
import json
from pathlib import Path
from typing import Any

import yaml

from infant_pose_ros.errors import InvalidInputError

#: A settings, camera or manifest file may have so many bytes; usual ones have some thousands.
MAX_TEXT_BYTES = 1_000_000
#: An error shows so many characters of a value.
SHOWN_CHARACTERS = 80
#: So many characters of a library's own error stand in one of ours.
MAX_LINE = 300
#: What PyYAML lets through where a tag doesn't fit its value, or a value nests too deeply.
_YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError,
                ArithmeticError, RecursionError)


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which in addition refuses aliases and keys that stand twice.

    A handful of aliases can stand for gigabytes once they are written out, and of a key that
    stands twice PyYAML takes the last without a word.
    """

    def compose_node(self, parent, index):
        """Refuse `*alias`, then as PyYAML."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, f'the alias *{event.anchor}: write the value out', event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        """Refuse keys that stand twice, then as PyYAML."""
        seen = set()
        for key_node, _ in node.value:
            key = (key_node.tag, str(key_node.value))
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'{shown(key_node.value)} stands there twice: remove one',
                    key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def shown(value: Any) -> str:
    """A value as an error shows it: its repr, not too long, whatever it is."""
    if isinstance(value, (str, bytes)):
        value = value[:SHOWN_CHARACTERS + 1]    # escaping megabytes for nothing takes time
    try:
        text = repr(value)
    except (ValueError, RecursionError):        # a number of thousands of digits, say
        return f'a {type(value).__name__} too long to show'
    return text if len(text) <= SHOWN_CHARACTERS else f'{text[:SHOWN_CHARACTERS]}...'


def shown_names(names: Iterable[Any]) -> str:
    """Names that nobody knows, for an error: the first five in order, odd ones in quotes."""
    words = sorted(name[:SHOWN_CHARACTERS] if isinstance(name, str) and name.isidentifier()
                   else shown(name) for name in names)
    return ', '.join(words[:5]) + (f' and {len(words) - 5} more' if len(words) > 5 else '')


def one_line(error: Exception) -> str:
    """The text of an error without line breaks, not too long; its type where it has none."""
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if len(text) <= MAX_LINE else f'{text[:MAX_LINE]}...'


def read_text(path: str | Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a UTF-8 file.

    Raises:
        InvalidInputError: no file (a folder, a pipe), larger than `max_bytes`, unreadable or no
            UTF-8; the message doesn't name the path.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():    # a pipe would be waited on for ever
            raise InvalidInputError('is no file')
        with path.open('rb') as file:
            data = file.read(max_bytes + 1)
    except InvalidInputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:     # a NUL in the name, a loop of links
        raise InvalidInputError(f'can not be read: {one_line(error)}') from error
    if len(data) > max_bytes:
        raise InvalidInputError(
            f'is larger than {max_bytes} bytes, the most that such a file may have')
    try:
        return data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f'can not be read: is no UTF-8 text ({error.reason} at byte {error.start})') from error


def parse_yaml(text: str) -> Any:
    """The content of a YAML text; nothing but plain values is ever made of it.

    Raises:
        InvalidInputError: no YAML, an alias, or a key that stands twice.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except RecursionError as error:
        raise InvalidInputError('can not be read: nested too deeply') from error
    except _YAML_ERRORS as error:
        raise InvalidInputError(f'can not be read: {one_line(error)}') from error


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file; None where it is empty.

    Raises:
        InvalidInputError: as `read_text` and `parse_yaml`.
    """
    return parse_yaml(read_text(path))


def parse_json(text: str) -> Any:
    """The content of a JSON text.

    Raises:
        InvalidInputError: no JSON, a key that stands twice, or nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise InvalidInputError('no JSON: nested too deeply') from error
    except InvalidInputError:
        raise
    except ValueError as error:
        raise InvalidInputError(f'no JSON: {one_line(error)}') from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(f'{shown(twice)} stands there twice: remove one')
    return content
