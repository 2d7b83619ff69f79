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


class _Mallinfo(ctypes.Structure):
    """What mallinfo2(3) fills in."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        'arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks',
        'fordblks', 'keepcost')]


def in_use_mb() -> float | None:
    """What was asked of the allocator and not freed yet, MB; None where it doesn't tell.

    Resident memory is more: libraries, and gaps between what is in use. It goes up and down with
    these, so a leak shows here first. Python's small objects are not among it.
    """
    libc = _glibc()
    if not hasattr(libc, 'mallinfo2'):      # since glibc 2.33
        return None
    libc.mallinfo2.restype = _Mallinfo
    told = libc.mallinfo2()
    return (told.uordblks + told.hblkhd) / 1e6


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
