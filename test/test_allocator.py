"""Freed memory goes back to the system, at once or now and then."""

import time

import numpy as np
import pytest

from infant_pose_ros.allocator import in_use_mb, level_memory, trim_heap

#: Pieces small enough for the heap, of which a few in between stay in use, MB of what is freed.
PIECE_BYTES, NUM_PIECES, KEPT_EVERY, FREED_MB = 100_000, 3000, 20, 285


def resident_mb():
    with open('/proc/self/statm', encoding='ascii') as statm:
        return int(statm.read().split()[1]) * 4096 / 1e6


@pytest.fixture
def holes():
    """What stays in use of a heap that is full of holes, and the memory of its time."""
    pieces = [np.ones(PIECE_BYTES, np.uint8) for _ in range(NUM_PIECES)]
    kept = pieces[::KEPT_EVERY]
    full_mb = resident_mb()
    del pieces
    return kept, full_mb


def test_holes_are_handed_back(holes):
    kept, full_mb = holes
    trim_heap()
    assert resident_mb() < full_mb - 0.7 * FREED_MB
    assert all(piece.all() for piece in kept)


def test_now_and_then_until_the_end(holes):
    _, full_mb = holes
    with level_memory(0.01):
        deadline_s = time.monotonic() + 30.0
        while resident_mb() > full_mb - 0.7 * FREED_MB:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


def test_what_is_in_use_is_told():
    before_mb = in_use_mb()
    if before_mb is None:
        pytest.skip('this allocator does not tell')
    block = bytearray(50_000_000)
    assert 49.0 < in_use_mb() - before_mb < 60.0
    del block
    assert abs(in_use_mb() - before_mb) < 10.0
