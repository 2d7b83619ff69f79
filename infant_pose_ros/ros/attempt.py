"""Work that must not take down who asks for it, whatever goes wrong. Knows no ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Attempt:
    """Context manager that keeps whatever is raised inside of it.

    For what must outlive every frame, also one that breaks in a way that nobody thought of.
    SystemExit is kept, too: on a thread it would end just that. KeyboardInterrupt passes.

    Attributes:
        error: what was raised; None: nothing.
    """

    def __init__(self):
        self.error: BaseException | None = None

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, _kind, error: BaseException | None, _traceback) -> bool:
        self.error = error
        return not isinstance(error, KeyboardInterrupt)

    @property
    def reason(self) -> str:
        """Type and text of what was raised."""
        return f'{type(self.error).__name__}: {self.error}'


def surviving(callback: Callable[..., Any], tell: Callable[[str], None]) -> Callable[..., None]:
    """A callback that raises nothing: what goes wrong in it is told, type and text."""
    def survivor(*arguments: Any) -> None:
        with Attempt() as attempt:
            callback(*arguments)
        if attempt.error is not None:
            tell(attempt.reason)
    return survivor
