"""What every process of a pool of renderers does."""

from __future__ import annotations

import multiprocessing
import os


def end_with_parent() -> None:
    """End this process where the one that started it was killed: its pool would never know."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)
