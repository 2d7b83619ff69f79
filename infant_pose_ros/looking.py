"""When to look for infants, and the thread on which the detector can work meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from infant_pose_ros.config import parse_roi, PipelineSettings
from infant_pose_ros.inference import Detector, use_threads
from infant_pose_ros.structures import Detection

#: Frames between two looks while nobody is there or tracking is unsure.
UNSURE_DETECT_EVERY = 5
#: A picture whose channels span fewer grey levels than this shows nothing.
MIN_CONTRAST = 12
#: The detector sees so much more around the region of interest, and the middle of a track may
#: leave it by so much; shares of the region's sides.
ROI_MARGIN, ROI_SLACK = 0.1, 0.02

View = tuple[int, int, int, int]
Detect = Callable[[np.ndarray, View | None], list[Detection]]


def roi_box(settings: PipelineSettings, size_wh: tuple[int, int]) -> np.ndarray | None:
    """The region of interest (4,) x1, y1, x2, y2 px; None where it is the whole picture."""
    shares = parse_roi(settings.roi)
    return None if shares is None else np.array(shares) * np.tile(size_wh, 2)


def is_inside(box_xyxy: np.ndarray, roi: np.ndarray, slack: bool = False) -> bool:
    """Whether the middle of a box lies in the region of interest, or but a little outside."""
    middle = (box_xyxy[:2] + box_xyxy[2:]) / 2
    beyond = ROI_SLACK * (roi[2:] - roi[:2]) if slack else 0.0
    return bool((middle >= roi[:2] - beyond).all() and (middle <= roi[2:] + beyond).all())


def roi_view(roi: np.ndarray | None, size_wh: tuple[int, int]) -> View | None:
    """The part (x1, y1, x2, y2) of the picture that the detector sees, px; None: all of it."""
    if roi is None:
        return None
    margin = ROI_MARGIN * np.tile(roi[2:] - roi[:2], 2) * [-1, -1, 1, 1]
    x1, y1, x2, y2 = np.rint((roi + margin).clip(0, np.tile(size_wh, 2))).astype(int).tolist()
    return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)


def detect_in(detector: Detector, image_rgb: np.ndarray, view: View | None) -> list[Detection]:
    """Detect in a part of the picture; boxes are the whole picture's."""
    if view is None:
        return detector.detect(image_rgb)
    x1, y1, x2, y2 = view
    found = detector.detect(np.ascontiguousarray(image_rgb[y1:y2, x1:x2]))
    return [Detection(one.box_xyxy + [x1, y1, x1, y1], one.score) for one in found]


class DetectorThread:
    """One thread on which looks of all cameras take turns, with one core for them.

    Who asks first is served first; as a `Lookout` has one look under way at most, so does each
    camera, and none waits for more than one look of each of the others.
    """

    def __init__(self):
        self._executor = ThreadPoolExecutor(1, thread_name_prefix='infant_detector')
        self._unfinished: set[Future] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a look is under way or waits for its turn."""
        return bool(self._unfinished)

    def submit(self, detect: Detect, image_rgb: np.ndarray, view: View | None = None) -> Future:
        """Detect in a copy of the picture; the future gives what `detect` does."""
        future = self._executor.submit(_detect_on_one_core, detect, image_rgb.copy(), view)
        self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)
        return future

    def close(self) -> None:
        """Wait for the look under way, drop the others and end the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _detect_on_one_core(detect: Detect, image_rgb: np.ndarray, view: View | None
                        ) -> list[Detection]:
    use_threads(1)
    return detect(image_rgb, view)


class Lookout:
    """Rations the detector for one camera and keeps the look that is under way."""

    def __init__(self):
        self._frames_since: int | None = None
        self._pending: Future | None = None

    def forget(self) -> None:
        """Begin anew: the next frame looks at once, and an unfinished look is dropped."""
        if self._pending is not None:
            self._pending.cancel()      # if it still waits for its turn: its picture goes
        self._frames_since = self._pending = None

    def look(self, detect: Detect, image_rgb: np.ndarray, every: int, num_threads: int,
             thread: DetectorThread | None, view: View | None = None,
             waits_for_first: bool = True) -> list[Detection] | None:
        """What the detector says in this frame.

        Args:
            detect: looks at (a view of) a picture, if it is time to; on the thread, maybe.
            image_rgb: (H, W, 3) uint8.
            every: frames between two looks.
            num_threads: CPU threads for a look that is waited for.
            thread: where to look without being waited for; None waits for every look.
            view: part of the picture to look at; None is all of it.
            waits_for_first: the first look is waited for, even where there is a thread.

        Returns:
            None where the detector did not run, or is not done yet. An answer from the thread
            comes in a later frame than the one that was looked at.

        Raises:
            What `detect` does; from the thread in the frame that its answer would have come in.
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
        if thread is None or (is_first and waits_for_first):
            use_threads(num_threads)
            return detect(image_rgb, view)
        self._pending = thread.submit(detect, image_rgb, view)
        return None


def has_contrast(image_rgb: np.ndarray) -> bool:
    """Whether a picture (H, W, 3) uint8 shows anything; a black or even one doesn't."""
    channels = np.moveaxis(image_rgb[::4, ::4], 2, 0).reshape(3, -1)    # a copy: quick to search
    return int((channels.max(axis=1) - channels.min(axis=1)).max()) >= MIN_CONTRAST
