"""One worker thread for several cameras, fair to each of them. Knows no ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class FairWorker(Generic[Item]):
    """Runs `handle(items)` on its own thread, with at most one item of each source in a round.

    Of each source only the newest item waits, and is replaced by a newer one; with `keep_all`
    all wait, and leave in order. Sources whose last turn is the longest ago come first, so that
    none is starved by a faster one. Tasks (`call`) come between two rounds.

    Args:
        handle: called with the items of a round. What it raises ends the thread, until
            `start`: it should deal with its own errors.
        on_dropped: called with each item that was replaced or left over at the end.
        max_batch: items in a round at most; 0: one of each source that has any.
        keep_all: whether an older item waits beside a newer one.
    """

    def __init__(self, handle: Callable[[list[Item]], None], on_dropped: Callable[[Item], None],
                 max_batch: int = 0, keep_all: bool = False):
        self._handle, self._on_dropped = handle, on_dropped
        self._keep_all, self.max_batch = keep_all, max_batch
        self._waiting: dict[Hashable, deque[Item]] = {}
        self._last_turn: dict[Hashable, int] = {}
        self._rounds = 0
        self._tasks: deque[Callable[[], None]] = deque()
        self._news = threading.Condition()
        self._stopping = self._is_busy = False
        self._thread = self._new_thread()

    def start(self) -> None:
        """Begin to work; go on with a new thread where the old one ended. What waits is kept."""
        if self.is_alive or self._stopping:
            return
        if self._thread.ident is not None:
            self._thread = self._new_thread()
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs; false also when `handle` raised."""
        return self._thread.is_alive()

    @property
    def is_busy(self) -> bool:
        """Whether a round or a task is in work."""
        return self._is_busy

    def offer(self, source: Hashable, item: Item) -> None:
        """Hand over an item; the one of this source that still waited is dropped, unless all are
        kept. Never blocks for long.
        """
        with self._news:
            if not self._keep_all:
                self._drop(source)
            self._waiting.setdefault(source, deque()).append(item)
            self._news.notify_all()

    def call(self, task: Callable[[], None]) -> None:
        """Have `task` run on the worker's thread, after the round in work and before the next."""
        with self._news:
            self._tasks.append(task)
            self._news.notify_all()

    def drop(self, source: Hashable) -> None:
        """Drop what waits of a source."""
        with self._news:
            self._drop(source)

    def settle(self, timeout_s: float = 10.0) -> bool:
        """Drop what waits, let the round in work end and have the tasks run; whether all that was
        done in time. The thread waits for more.

        Tasks that still wait are run here where no thread runs.
        """
        with self._news:
            for source in tuple(self._waiting):
                self._drop(source)
            self._news.wait_for(lambda: not self.is_alive or not (self._is_busy or self._tasks),
                                timeout_s)
        return self._finish_tasks()

    def stop(self, timeout_s: float = 10.0) -> bool:
        """The same, and end the thread for good; whether it ended in time."""
        with self._news:
            self._stopping = True
            for source in tuple(self._waiting):
                self._drop(source)
            self._news.notify_all()
        if self.is_alive:
            self._thread.join(timeout_s)
        return not self.is_alive and self._finish_tasks()

    def _finish_tasks(self) -> bool:
        """Run the tasks where there is no thread that would; whether all is done."""
        while self._tasks and not self.is_alive:
            self._tasks.popleft()()
        return not (self._is_busy or self._tasks)

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name='pose_worker', daemon=True)

    def _drop(self, source: Hashable) -> None:
        for item in self._waiting.pop(source, ()):
            self._on_dropped(item)

    def _next_round(self) -> list[Item]:
        """One item of each source whose turn it is."""
        turn = sorted(self._waiting, key=lambda source: self._last_turn.get(source, -1))
        items = []
        for source in turn[:self.max_batch or None]:
            queue = self._waiting[source]
            items.append(queue.popleft())
            if not queue:
                del self._waiting[source]
            self._last_turn[source] = self._rounds
        self._rounds += 1
        return items

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._tasks or self._stopping)
                task = self._tasks.popleft() if self._tasks else None
                if task is None and self._stopping:
                    return
                items = [] if task else self._next_round()
                self._is_busy = True
            try:
                if task:
                    task()
                else:
                    self._handle(items)
            finally:
                with self._news:
                    self._is_busy = False
                    self._news.notify_all()
