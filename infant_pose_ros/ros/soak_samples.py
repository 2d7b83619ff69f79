"""Memory, threads, open files and CPU time of the nodes of a soak, sampled while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
from pathlib import Path
import threading
import time

from infant_pose_ros.ros.soak_judging import Life, Sample

#: Samples of one life, at most; every second one is left out when there are more.
MAX_SAMPLES = 1200
_KB_PER_MB = 1000.0 / 1.024


def sample_process(process_id: int, now_s: float) -> Sample | None:
    """Look at a process; None where it is gone, or the system has no /proc."""
    folder = Path('/proc', str(process_id))
    try:
        lines = (folder / 'status').read_text(encoding='ascii', errors='replace').splitlines()
        files = len(os.listdir(folder / 'fd'))
        # After the name, which may hold anything: state is the 3rd field, utime the 14th.
        fields = (folder / 'stat').read_text(errors='replace').rpartition(')')[2].split()
    except OSError:
        return None
    told = dict(line.split(':', 1) for line in lines if ':' in line)
    if 'VmRSS' not in told:         # it has ended, and nobody has asked for its exit code yet
        return None
    return Sample(
        now_s, _kb(told['VmRSS']) / _KB_PER_MB, _kb(told.get('RssShmem', '0 kB')) / _KB_PER_MB,
        int(told['Threads']), files,
        (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK'))


def _kb(text: str) -> float:
    return float(text.split()[0])


class ProcessSampler:
    """Samples processes on a thread of its own, while the `with` block runs.

    Args:
        process_ids: tells the processes that run now, by the name of the node.
        period_s: how often to look.
    """

    def __init__(self, process_ids: Callable[[], Mapping[str, int]], period_s: float = 1.0):
        self._process_ids, self._period_s = process_ids, period_s
        self._lives: dict[tuple[str, int], list[Sample]] = {}
        self._skipped: dict[tuple[str, int], tuple[int, int]] = {}     # of so many, seen so many
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='samples', daemon=True)

    def lives(self) -> list[Life]:
        """All processes so far, in the order of their start."""
        with self._lock:
            return [Life(node, tuple(samples)) for (node, _), samples in self._lives.items()]

    def __enter__(self) -> ProcessSampler:
        self._thread.start()
        return self

    def __exit__(self, *_exc_info) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            for node, process_id in self._process_ids().items():
                sample = sample_process(process_id, time.monotonic())
                if sample is not None:
                    self._add((node, process_id), sample)

    def _add(self, key: tuple[str, int], sample: Sample) -> None:
        with self._lock:
            samples = self._lives.setdefault(key, [])
            every, seen = self._skipped.get(key, (1, 0))
            if seen % every == 0:
                samples.append(sample)
            if len(samples) > MAX_SAMPLES:
                del samples[1::2]
                every *= 2
            self._skipped[key] = every, seen + 1
