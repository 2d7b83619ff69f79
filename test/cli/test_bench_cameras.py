"""Several cameras in the benchmark, with a pipeline whose answers are known."""

import numpy as np
import pytest

from infant_pose_ros.cli.bench_cameras import (
    bench_cameras,
    cameras_table,
    MOST_CAMERAS,
    parse_counts,
    TURNS,
)
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.media.sources import SourceFrame
from infant_pose_ros.structures import FrameResult


class KnownPipeline:
    """Fails every second frame of the camera `failing`; keeps what it was given."""

    def __init__(self, failing=None):
        self.failing, self.seen, self.forgotten, self.waits = failing, [], [], []

    def process_batch(self, frames):
        self.seen.append([(frame.camera_name, int(frame.image_rgb[0, 0, 0]), frame.stamp_s)
                          for frame in frames])
        return [ValueError('no') if frame.camera_name == self.failing
                and round(frame.stamp_s * 10) % 2 else
                FrameResult(frame.stamp_s, (), None, {'total': 1.0}, 0.6) for frame in frames]

    def update_settings(self, settings):
        self.waits.append((len(self.seen), not settings.detect_async))

    def forget(self, camera_name):
        self.forgotten.append(camera_name)


def clip_of(count):
    return [SourceFrame(i, str(i), 5.0 + i / 10, np.full((4, 4, 3), i, np.uint8))
            for i in range(count)]


def test_cameras_begin_at_different_places_and_numbers_take_turns():
    pipeline = KnownPipeline()
    result = bench_cameras(clip_of(20), pipeline, PipelineSettings(), (1, 4))
    assert [len(batch) for batch in pipeline.seen] == [1, 4] + TURNS * (4 * [1] + 4 * [4])
    assert pipeline.waits == [(0, True), (2, False)]        # for the first look of each
    first, second = pipeline.seen[1], pipeline.seen[6]
    assert [(name, picture) for name, picture, _ in first] == [
        ('4_0', 0), ('4_1', 5), ('4_2', 10), ('4_3', 15)]
    assert [picture for _, picture, _ in second] == [1, 6, 11, 16]
    assert [stamp_s for _, _, stamp_s in second] == pytest.approx([0.1] * 4)
    assert [picture for _, picture, _ in pipeline.seen[-1]] == [0, 5, 10, 15]     # went round
    assert set(pipeline.forgotten) == {'1_0', '4_0', '4_1', '4_2', '4_3'}
    one, four = result['1'], result['4']
    assert (one['frames'], four['frames'], four['failed'], four['fairness']) == (20, 80, 0, 1.0)
    assert four['frame_ms'] == pytest.approx(four['batch_ms'] / 4)
    assert sum(four['camera_rates_hz'].values()) == pytest.approx(four['rate_hz'])


def test_a_camera_that_gets_less_shows():
    result = bench_cameras(clip_of(20), KnownPipeline('2_1'), PipelineSettings(), (2,))['2']
    assert (result['frames'], result['failed'], result['fairness']) == (30, 10, 0.5)


def test_the_table_compares_with_the_first():
    one = {'rate_hz': 50.0, 'fairness': 1.0, 'frame_ms': 20.0, 'batch_ms': 20.0}
    text = cameras_table({'1': one, '4': {**one, 'rate_hz': 100.0, 'frame_ms': 10.0,
                                          'batch_ms': 40.0, 'fairness': 0.97}})
    assert '4             100.0     2.00     25.0     0.97     10.0     40.0' in text


def test_numbers_of_cameras():
    assert parse_counts('') == () and parse_counts('1, 2,4') == (1, 2, 4)
    for text in ('x', '0', '1,1', '1,,2', str(MOST_CAMERAS + 1), '-1', '1.5'):
        with pytest.raises(InvalidInputError, match='--cameras'):
            parse_counts(text)


def test_a_clip_that_is_too_short():
    with pytest.raises(InvalidInputError, match='2 frames or more, got 1'):
        bench_cameras(clip_of(1), KnownPipeline(), PipelineSettings(), (1,))
