"""What a check found: one line of a report, with how bad it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import enum

from infant_pose_ros.errors import InvalidInputError


class Level(enum.Enum):
    """How bad a finding is."""

    OK = 'OK'
    WARN = 'WARN'
    ERROR = 'ERROR'


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: OK: as it should be, or nothing to mend. WARN: it works, not as well as it could.
            ERROR: something will not work.
        about: what was looked at, in a word or two, or a name of the graph.
        text: what was found; of a WARN or an ERROR the cause, then the mend.
    """

    level: Level
    about: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """As plain values, for JSON."""
        return {'level': self.level.value, 'about': self.about, 'text': self.text}

    @classmethod
    def from_dict(cls, values: dict[str, str]) -> Finding:
        """The opposite of `to_dict`.

        Raises:
            InvalidInputError: these are not the values of a finding.
        """
        try:
            return cls(Level(values['level']), str(values['about']), str(values['text']))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(f'not a finding: {values!r} ({error})') from error


def ok(about: str, text: str) -> Finding:
    """A finding with nothing to mend."""
    return Finding(Level.OK, about, text)


def warn(about: str, text: str) -> Finding:
    """A finding of something that works, not as well as it could."""
    return Finding(Level.WARN, about, text)


def error(about: str, text: str) -> Finding:
    """A finding of something that will not work."""
    return Finding(Level.ERROR, about, text)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of them is an ERROR."""
    return any(finding.level is Level.ERROR for finding in findings)
