"""glibc's allocator: freed memory is reused or handed back. With another one, nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
import sys
import threading

#: As mallopt(3) numbers them: heaps that threads share (by default each thread fills some of its
#: own), what is handed back at once, and what may lie unused at the top, bytes.
_MALLOPT = ((-8, 2), (-3, 8 * 2**20), (-1, 16 * 2**20))
#: What lies unused between two pieces in use is handed back this often, s; it takes 3 to 8 ms in
#: a pose_node, without the GIL.
TRIM_PERIOD_S = 10.0


def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == 'linux' else None
    return libc if hasattr(libc, 'malloc_trim') and hasattr(libc, 'mallopt') else None


def trim_heap() -> None:
    """Hand back what was freed."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@contextmanager
def level_memory(period_s: float = TRIM_PERIOD_S) -> Iterator[None]:
    """While this process works: keep the heaps few, and hand back what was freed now and then.

    Pictures of many sizes and networks that are loaded anew leave gaps: pose_node's memory went
    up and down by 60 MB, and a night is long.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    for parameter, value in _MALLOPT:
        libc.mallopt(parameter, value)
    over = threading.Event()

    def give_back() -> None:
        while not over.wait(period_s):
            trim_heap()

    threading.Thread(target=give_back, name='allocator', daemon=True).start()
    try:
        yield
    finally:
        over.set()
