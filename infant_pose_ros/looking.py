"""When to look for infants, and the thread on which the detector can work meanwhile."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from infant_pose_ros.inference import Detector, use_threads
from infant_pose_ros.structures import Detection

#: Frames between two looks while nobody is there or tracking is unsure.
UNSURE_DETECT_EVERY = 5
#: A picture whose channels span fewer grey levels than this shows nothing.
MIN_CONTRAST = 12


class DetectorThread:
    """One thread on which detectors of all cameras take turns, with one core for them."""

    def __init__(self):
        self._executor = ThreadPoolExecutor(1, thread_name_prefix='infant_detector')
        self._unfinished: set[Future] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a look is under way or waits for its turn."""
        return bool(self._unfinished)

    def submit(self, detector: Detector, image_rgb: np.ndarray) -> Future:
        """Detect in a copy of the picture; the future gives what `Detector.detect` does."""
        future = self._executor.submit(_detect_on_one_core, detector, image_rgb.copy())
        self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)
        return future

    def close(self) -> None:
        """Wait for the look under way, drop the others and end the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _detect_on_one_core(detector: Detector, image_rgb: np.ndarray) -> list[Detection]:
    use_threads(1)
    return detector.detect(image_rgb)


class Lookout:
    """Rations the detector for one camera and keeps the look that is under way."""

    def __init__(self):
        self._frames_since: int | None = None
        self._pending: Future | None = None

    def forget(self) -> None:
        """Begin anew: the next frame looks at once, and an unfinished look is dropped."""
        self._frames_since = self._pending = None

    def look(self, detector: Detector, image_rgb: np.ndarray, every: int, num_threads: int,
             thread: DetectorThread | None) -> list[Detection] | None:
        """What the detector says in this frame.

        Args:
            detector: looks at the picture if it is time to.
            image_rgb: (H, W, 3) uint8.
            every: frames between two looks.
            num_threads: CPU threads for a look that is waited for.
            thread: where to look without being waited for; None waits for every look. The first
                look is always waited for.

        Returns:
            None where the detector did not run, or is not done yet. An answer from the thread
            comes in a later frame than the one that was looked at.
        """
        is_first = self._frames_since is None
        self._frames_since = 0 if is_first else self._frames_since + 1
        if self._pending is not None:
            if not self._pending.done():
                return None
            finished, self._pending = self._pending, None
            return finished.result()
        if not is_first and self._frames_since < every:
            return None
        self._frames_since = 0
        if is_first or thread is None:
            use_threads(num_threads)
            return detector.detect(image_rgb)
        self._pending = thread.submit(detector, image_rgb)
        return None


def has_contrast(image_rgb: np.ndarray) -> bool:
    """Whether a picture (H, W, 3) uint8 shows anything; a black or even one doesn't."""
    sample = image_rgb[::4, ::4].reshape(-1, 3)
    return int((sample.max(axis=0) - sample.min(axis=0)).max()) >= MIN_CONTRAST
