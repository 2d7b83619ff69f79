"""Which look at the held-out sets is the best, and when to stop looking for a better one."""

from __future__ import annotations

import math
from typing import Any

from infant_pose_ros.errors import InvalidInputError


class Judge:
    """Chooses the weights to keep, look by look, and stops a training that gets no better.

    A look is better than the chosen one where its watched figure is. It is a candidate only while
    its guarded figure stays within `drop_max` of the best that any look so far reached; a chosen
    look that a later one puts below that line gives way to the next candidate.

    Patience counts looks since the watched figure last fell by `min_improvement` of its best
    value, candidates or not.

    Args:
        watched: name of the figure; less is better, unless it begins with '-' (as '-iou').
        patience: looks without improvement after which to stop; 0 never stops.
        min_improvement: share of the best value by which a look must be better to count.
        guarded: name of a figure that may not fall far, more is better; '' for none.
        drop_max: how far it may.
    """

    def __init__(self, watched: str, patience: int = 0, min_improvement: float = 0.001,
                 guarded: str = '', drop_max: float = 1.0):
        self.watched, self.guarded = watched, guarded
        self.patience, self.min_improvement, self.drop_max = patience, min_improvement, drop_max
        self._best = self._guarded_best = self._chosen = self._chosen_guarded = None
        self._waited = 0
        #: Figures of the chosen look, {} before the first.
        self.figures: dict[str, float] = {}

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.patience <= self._waited

    def choose(self, figures: dict[str, float]) -> bool:
        """Take in a look; True where its weights are to be kept in place of the chosen ones.

        Raises:
            InvalidInputError: the watched or the guarded figure is missing.
        """
        value = self._value(figures, self.watched)
        self._count(value)
        guarded = self._value(figures, '-' + self.guarded) if self.guarded else 0.0
        if self._guarded_best is None or guarded < self._guarded_best:
            self._guarded_best = guarded
        line = self._guarded_best + self.drop_max
        stays = self._chosen is not None and self._chosen_guarded <= line
        if guarded > line or (stays and not value < self._chosen):
            return False
        self._chosen, self._chosen_guarded, self.figures = value, guarded, dict(figures)
        return True

    def _count(self, value: float) -> None:
        has_best = self._best is not None and math.isfinite(self._best)     # NaN counts as inf
        if not has_best or value < self._best - self.min_improvement * abs(self._best):
            self._best, self._waited = value, 0
        else:
            self._waited += 1

    @staticmethod
    def _value(figures: dict[str, float], name: str) -> float:
        key = name.lstrip('-')
        if key not in figures:
            raise InvalidInputError(
                f'figures: expected {key} to choose by, got {", ".join(figures) or "none"}; '
                'give a held-out set that has it')
        value = float(figures[key])
        value = -value if name.startswith('-') else value
        return value if value == value else float('inf')

    def state(self) -> dict[str, Any]:
        """Plain values to go on from."""
        return {name: getattr(self, name) for name in (
            '_best', '_guarded_best', '_chosen', '_chosen_guarded', '_waited', 'figures')}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for name, value in state.items():
            setattr(self, name, value)
