"""Memory, threads, open files and CPU time of the nodes of a soak, sampled while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
from pathlib import Path
import threading
import time

from infant_pose_ros.ros.soak_judging import Life, lowest, Sample

#: Samples of one life, at most; of each two the one with less memory stays when there are more.
MAX_SAMPLES = 1200
#: Of the looks at a process within this time the one with the least memory is kept, s.
KEPT_EVERY_S = 1.0
_KB_PER_MB = 1000.0 / 1.024


def sample_process(process_id: int, now_s: float, in_use_mb: float = float('nan')
                   ) -> Sample | None:
    """Look at a process; None where it is gone, or the system has no /proc.

    Args:
        process_id: of it. now_s: by a steady clock. in_use_mb: as it last told.
    """
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
        (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK'), in_use_mb)


def _kb(text: str) -> float:
    return float(text.split()[0])


class ProcessSampler:
    """Samples processes on a thread of its own, while the `with` block runs.

    Args:
        process_ids: tells the processes that run now, by the name of the node.
        in_use_mb: tells what a node has in use, NaN where it doesn't say.
        period_s: how often to look: what was just handed back is taken again with the next
            picture.
    """

    def __init__(self, process_ids: Callable[[], Mapping[str, int]],
                 in_use_mb: Callable[[str], float] = lambda name: float('nan'),
                 period_s: float = 0.1):
        self._process_ids, self._in_use_mb, self._period_s = process_ids, in_use_mb, period_s
        self._kept: dict[tuple[str, int], Floors] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='samples', daemon=True)

    def lives(self) -> list[Life]:
        """All processes so far, in the order of their start."""
        with self._lock:
            return [Life(node, tuple(kept.samples)) for (node, _), kept in self._kept.items()]

    def __enter__(self) -> ProcessSampler:
        self._thread.start()
        return self

    def __exit__(self, *_exc_info) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            for key in self._process_ids().items():
                sample = sample_process(key[1], time.monotonic(), self._in_use_mb(key[0]))
                if sample is not None:
                    with self._lock:
                        self._kept.setdefault(key, Floors()).add(sample)


class Floors:
    """Samples of one process, thinned out to those with the least memory.

    Attributes:
        samples: one for each period, in their order; the period doubles when they are too many.
    """

    def __init__(self, period_s: float = KEPT_EVERY_S, most: int = MAX_SAMPLES):
        self.samples: list[Sample] = []
        self._period_s, self._most = period_s, most
        self._begun_s = 0.0

    def add(self, sample: Sample) -> None:
        """Take in a sample that is newer than all others."""
        if not self.samples or sample.at_s - self._begun_s >= self._period_s:
            self._begun_s = sample.at_s
            if len(self.samples) >= self._most:
                self._period_s *= 2.0
                self.samples = [lowest(self.samples[index:index + 2])
                                for index in range(0, len(self.samples), 2)]
            self.samples.append(sample)
        else:
            self.samples[-1] = lowest([self.samples[-1], sample])

