"""One worker thread behind a slot that holds the newest item only. Knows no ROS."""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class NewestFrameWorker(Generic[Item]):
    """Runs `handle(item)` on its own thread; an item that waits is replaced by a newer one.

    Args:
        handle: called with one item at a time. What it raises ends the worker: it must deal
            with its own errors.
        on_dropped: called with each item that was replaced or left over at the end.
    """

    def __init__(self, handle: Callable[[Item], None], on_dropped: Callable[[Item], None]):
        self._handle = handle
        self._on_dropped = on_dropped
        self._slot: list[Item] = []
        self._news = threading.Condition()
        self._busy = self._stopping = False
        self._thread = threading.Thread(target=self._run, name='newest_frame', daemon=True)

    def start(self) -> None:
        """Begin to work; once only."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs; false also when `handle` raised."""
        return self._thread.is_alive()

    def offer(self, item: Item) -> None:
        """Hand over an item; the one that still waited is dropped. Never blocks for long."""
        with self._news:
            replaced, self._slot = self._slot, [item]
            for old in replaced:
                self._on_dropped(old)
            self._news.notify_all()

    def drain(self, timeout_s: float = 10.0) -> bool:
        """Drop what waits and wait for the item in work; whether it ended in time."""
        with self._news:
            self._drop_waiting()
            return self._news.wait_for(lambda: not self._busy, timeout_s)

    def stop(self, timeout_s: float = 10.0) -> bool:
        """Drop what waits, let the item in work end; whether the thread ended in time."""
        with self._news:
            self._stopping = True
            self._drop_waiting()
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _drop_waiting(self) -> None:
        left, self._slot = self._slot, []
        for item in left:
            self._on_dropped(item)

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._slot or self._stopping)
                if self._stopping:
                    return
                item, self._busy = self._slot.pop(), True
            try:
                self._handle(item)
            finally:
                with self._news:
                    self._busy = False
                    self._news.notify_all()
