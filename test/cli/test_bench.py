"""`infant-pose bench` with a pipeline of known times, and over a tiny clip with tiny networks."""

import json

import cv2
import numpy as np
import pytest

from infant_pose_ros.cli import bench
from infant_pose_ros.cli import main as cli
from infant_pose_ros.cli.bench import bench_nodes, bench_pipeline, bench_table
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InfantPoseError, InvalidInputError
from infant_pose_ros.media.sources import SourceFrame
from infant_pose_ros.structures import FrameResult


class TimedPipeline:
    """Says that its frames took 1, 2, 3, ... ms."""

    def __init__(self):
        self.count = self.resets = 0

    def reset(self):
        self.resets += 1

    def process(self, image_rgb, stamp_s, camera=None):
        self.count += 1
        return FrameResult(stamp_s, (), () if self.count % 2 else None,
                           {'pose': float(self.count), 'total': 2.0 * self.count}, 0.6)

    def describe(self):
        return {'device': 'cpu', 'precision': 'fp32', 'num_threads': 2,
                'models': {'pose': {'name': 'timed'}}}


def frames(count):
    return [SourceFrame(i, str(i), i / 30, np.zeros((4, 4, 3), np.uint8)) for i in range(count)]


def test_stages_are_summed_up():
    pipeline = TimedPipeline()
    result = bench_pipeline(frames(101), pipeline)
    assert pipeline.resets == 1
    assert result['frames'] == 101
    assert result['frames_with_infant'] == 0
    assert result['looks'] == 51
    # 1..101: the middle one is 51, 95 % of the way is 96
    assert result['stages_ms']['pose'] == {'median': 51.0, 'p95': 96.0, 'max': 101.0}
    assert result['stages_ms']['total']['median'] == 102.0
    assert result['rate_hz'] >= result['rate_with_reading_hz'] > 0
    assert result['models'] == {'pose': 'timed'}


def test_no_frames():
    with pytest.raises(InvalidInputError, match='no frames'):
        bench_pipeline([], TimedPipeline())


def test_the_table_holds_every_stage_and_the_nodes():
    result = bench_pipeline(frames(3), TimedPipeline())
    text = bench_table(result)
    assert 'pose                 2.00     2.90     3.00' in text
    assert 'nodes' not in text
    assert 'detector alone' not in text
    spread = {'median': 20.0, 'p95': 30.0, 'max': 40.0}
    text = bench_table({**result, 'detector_alone_ms': spread, 'nodes': {'rate_hz': 29.97}})
    assert 'detector alone      20.00    30.00    40.00' in text
    assert '30.0 Hz' in text


@pytest.fixture
def clip(tmp_path):
    folder = tmp_path / 'clip'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / f'{index}.png'), picture)
    return folder


@pytest.fixture
def weights(tiny_checkpoints):
    return [word for task, path in tiny_checkpoints.items()
            for word in (f'--{task}-weights', str(path))]


def test_bench_of_a_clip_writes_json(clip, weights, tmp_path, capsys):
    path = tmp_path / 'deep' / 'bench.json'
    assert cli.main(['bench', '--source', str(clip), '--frames', '3', '--json', str(path),
                     '--no-nodes', '--quiet', '--device', 'cpu', '--cameras', '1,2',
                     *weights]) == 0
    result = json.loads(path.read_text())
    assert (result['source'], result['frames'], result['size_wh']) == ('clip', 3, [64, 48])
    assert set(result['stages_ms']) == {'detect', 'pose', 'lift', 'filter', 'total'}
    assert result['detector_alone_ms']['median'] > 0
    assert result['models']['detector'] == 'tiny detector'
    assert [one['fairness'] for one in result['cameras'].values()] == [1.0, 1.0]
    assert result['cameras']['2']['frames'] == 2 * result['cameras']['1']['frames']
    assert 'frames/s' in capsys.readouterr().out


def test_all_frames_by_default_and_nodes_with_the_same_settings(
        clip, weights, monkeypatch, capsys):
    asked = []

    def fake_nodes(source, settings):
        asked.append((source, settings.smoothing))
        return {'rate_hz': 12.5}

    monkeypatch.setattr(bench, 'bench_nodes', fake_nodes)
    assert cli.main(['bench', '--source', str(clip), '--nodes', '--quiet', '--no-smoothing',
                     '--device', 'cpu', *weights]) == 0
    assert asked == [(str(clip), False)]
    out = capsys.readouterr().out
    assert 'frames      4' in out
    assert '12.5 Hz' in out


def test_bad_arguments_end_with_one_line(clip, weights, tmp_path, capsys):
    for words, reason in (
            (['--frames', '-1'], '--frames'), (['--cameras', '0'], '--cameras'),
            (['--source', str(tmp_path / 'gone.mp4')], 'gone.mp4'),
            (['--pose-weights', str(tmp_path / 'gone.safetensors')], 'gone.safetensors')):
        assert cli.main(['bench', '--source', str(clip), '--no-nodes', '--quiet',
                         '--device', 'cpu', *weights, *words]) == 2
        error = capsys.readouterr().err.strip()
        assert reason in error and '\n' not in error


class FakeRun:
    """Stands in for the demo's process."""

    def __init__(self, summary=None, code=0, stderr=''):
        self.summary, self.returncode, self.stderr = summary, code, stderr

    def __call__(self, command, **_options):
        self.command = command
        if self.summary is not None:
            folder = command[command.index('--out') + 1]
            (bench.Path(folder) / 'summary.json').write_text(self.summary)
        return self


def test_nodes_get_the_settings_that_differ_from_the_default(monkeypatch):
    fake = FakeRun('{"rate_hz": 30.0}')
    monkeypatch.setattr(bench.subprocess, 'run', fake)
    settings = PipelineSettings(detect_every=7, smoothing=False)
    assert bench_nodes('x.mp4', settings) == {'rate_hz': 30.0}
    given = [fake.command[i + 1] for i, word in enumerate(fake.command) if word == '--pose']
    assert given == ['detect_every:=7', 'smoothing:=false']


@pytest.mark.parametrize('fake, reason', [
    (FakeRun(code=1, stderr='first\ninfant_pose_demo: no GPU'), 'no GPU'),
    (FakeRun(code=-9), 'no reason given'), (FakeRun(), 'no summary'), (FakeRun('{'), 'summary')])
def test_nodes_that_fail_say_why(monkeypatch, fake, reason):
    monkeypatch.setattr(bench.subprocess, 'run', fake)
    with pytest.raises(InfantPoseError, match=reason):
        bench_nodes('x.mp4', PipelineSettings())
