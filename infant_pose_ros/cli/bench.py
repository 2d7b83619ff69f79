"""`infant-pose bench`: milliseconds of each stage, end-to-end rate, and the same over DDS."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
import importlib.util
import itertools
import json
from pathlib import Path
import subprocess
import sys
import tempfile
import time

import numpy as np
from tqdm import tqdm

from infant_pose_ros.cli.bench_cameras import (
    bench_cameras,
    cameras_table,
    MOST_PICTURES,
    parse_counts,
)
from infant_pose_ros.cli.bench_filters import bench_filters
from infant_pose_ros.cli.settings import add_settings_arguments, settings_from_arguments
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InfantPoseError, InvalidInputError
from infant_pose_ros.evaluation.summary import summary_table
from infant_pose_ros.media.sources import bundled_clip, FrameSource, open_source, SourceFrame
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.structures import Camera

#: Frames in which the detector is measured, waited for in each.
DETECTOR_FRAMES = 20
NODES_MODULE = 'infant_pose_ros.nodes.demo_node'
NODES_TIMEOUT_S = 900.0


def add_parser(subparsers) -> None:
    """Add `bench` to the command line."""
    parser = subparsers.add_parser(
        'bench', help='measure the milliseconds of each stage and the end-to-end rate',
        description='Run the pipeline over a clip as fast as it goes, then the real nodes over '
        'DDS at the rate of the clip, and print what each stage takes.')
    parser.add_argument('--source', metavar='CLIP', default='',
                        help='a video or a folder of pictures; default: the bundled clip')
    parser.add_argument('--frames', metavar='N', type=int, default=0,
                        help='frames for the pipeline; 0, the default, takes all')
    parser.add_argument('--camera', metavar='YAML', type=Path,
                        help='camera_info file; default: the one beside the source')
    parser.add_argument('--cameras', metavar='N,N', default='',
                        help="compare numbers of cameras that share the networks: '1,2,4'")
    parser.add_argument('--json', metavar='PATH', type=Path, help='write the numbers there too')
    parser.add_argument('--nodes', action=argparse.BooleanOptionalAction, default=None,
                        help='measure the nodes over DDS; default: where rclpy is installed')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table and write the JSON.

    Raises:
        InfantPoseError: a bad source, camera, setting or checkpoint; the nodes fail; the JSON
            can't be written.
    """
    if arguments.frames < 0:
        raise InvalidInputError(f'--frames: must be 0 (all) or more, got {arguments.frames}')
    counts = parse_counts(arguments.cameras)
    settings = settings_from_arguments(arguments)
    source_given = arguments.source or str(bundled_clip())
    with open_source(source_given) as source:
        if source.is_live and not arguments.frames:
            raise InvalidInputError('--frames: a webcam has no end; say how many frames')
        with PosePipeline.from_settings(settings) as pipeline:
            result = _measured(source, pipeline, settings, counts, arguments)
    result['filters_ms'] = bench_filters(settings)
    has_ros = importlib.util.find_spec('rclpy') is not None
    if arguments.nodes or (arguments.nodes is None and has_ros):
        result['nodes'] = bench_nodes(source_given, settings)
    print(bench_table(result))
    if arguments.json:
        _write_json(arguments.json, result)
    return 0


def _measured(source: FrameSource, pipeline: PosePipeline, settings: PipelineSettings,
              counts: tuple[int, ...], arguments: argparse.Namespace) -> dict:
    """What the pipeline alone takes, for one camera and for as many as asked for."""
    camera_path = arguments.camera or source.camera_info_path
    camera = Camera.from_camera_info_yaml(camera_path) if camera_path else None
    pipeline.warm_up(source.size_wh)
    detector_ms = _detector_ms(source, pipeline, settings)
    frames = itertools.islice(source, arguments.frames or None)
    total = arguments.frames or source.num_frames
    with tqdm(frames, total=total, unit='frame', desc=source.name,
              disable=arguments.quiet) as progress:
        measured = bench_pipeline(progress, pipeline, camera)
    result = {'source': source.name, 'size_wh': list(source.size_wh), **measured,
              'detector_alone_ms': detector_ms}
    if counts:
        clip = list(itertools.islice(source, arguments.frames or MOST_PICTURES))
        result['cameras'] = bench_cameras(clip, pipeline, settings, counts, camera)
    return result


def bench_pipeline(source_frames: Iterable[SourceFrame], pipeline: PosePipeline,
                   camera: Camera | None = None) -> dict:
    """Run a warm pipeline over frames as fast as it goes.

    Args:
        source_frames: in the order of their stamps; read while the clock stands still.
        pipeline: its tracks are begun anew.
        camera: of the frames, if known.

    Returns:
        `frames`, `frames_with_infant`, `looks` (answers of the detector), `rate_hz` (of the
        pipeline alone), `rate_with_reading_hz` (with reading the frames), `stages_ms` (median,
        p95 and max by stage, over all frames), and `device`, `precision`, `num_threads`, `models`
        as the pipeline describes them.

    Raises:
        InvalidInputError: there are no frames.
    """
    pipeline.reset()
    stages: dict[str, list[float]] = {}
    with_infant = looks = 0
    busy_s, begin_s = 0.0, time.perf_counter()
    for frame in source_frames:
        frame_begin_s = time.perf_counter()
        result = pipeline.process(frame.image_rgb, frame.stamp_s, camera)
        busy_s += time.perf_counter() - frame_begin_s
        with_infant += bool(result.infants)
        looks += result.detections is not None
        for stage, spent_ms in result.stage_ms.items():
            stages.setdefault(stage, []).append(spent_ms)
    elapsed_s = time.perf_counter() - begin_s
    count = len(stages.get('total', ()))
    if not count:
        raise InvalidInputError('bench: the source gave no frames')
    about = pipeline.describe()
    return {
        'frames': count, 'frames_with_infant': with_infant, 'looks': looks,
        'rate_hz': count / busy_s, 'rate_with_reading_hz': count / elapsed_s,
        'stages_ms': {stage: _spread(values) for stage, values in stages.items()},
        **{key: about[key] for key in ('device', 'precision', 'num_threads')},
        'models': {task: model['name'] for task, model in about['models'].items()},
    }


def _detector_ms(source: Iterable[SourceFrame], pipeline: PosePipeline,
                 settings: PipelineSettings) -> dict[str, float]:
    """Spread of the detector's time, waited for in every frame."""
    pipeline.update_settings(settings.replace(detect_async=False, detect_every=1))
    spent = bench_pipeline(itertools.islice(source, DETECTOR_FRAMES), pipeline)
    pipeline.update_settings(settings)
    return spent['stages_ms']['detect']


def bench_nodes(source: str, settings: PipelineSettings) -> dict:
    """Summary of the real nodes over DDS, playing the source at its own rate.

    Runs the demo in a process of its own; its keys are those of summary.json.

    Raises:
        InfantPoseError: the demo fails.
    """
    command = [sys.executable, '-m', NODES_MODULE, '--source', str(source)]
    for spec, _ in PipelineSettings.specs():
        value = getattr(settings, spec.name)
        if value != spec.default:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command += ['--pose', f'{spec.name}:={text}']
    with tempfile.TemporaryDirectory(prefix='infant_pose_bench_') as folder:
        try:
            done = subprocess.run([*command, '--out', folder], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, timeout=NODES_TIMEOUT_S,
                                  check=False)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ['no reason given'])[-1]
                raise InfantPoseError(f'bench: the nodes failed: {reason}; --no-nodes leaves '
                                      'them out')
            return json.loads((Path(folder) / 'summary.json').read_text(encoding='utf-8'))
        except subprocess.TimeoutExpired as error:
            raise InfantPoseError(
                f'bench: the nodes did not end within {NODES_TIMEOUT_S:.0f} s; --no-nodes leaves '
                'them out') from error
        except (OSError, json.JSONDecodeError) as error:
            raise InfantPoseError(f'bench: the nodes left no summary: {error}') from error


def bench_table(result: dict) -> str:
    """What `bench_pipeline` measured as aligned text; with 'nodes' their summary below."""
    rows = list(result['stages_ms'].items())
    if 'detector_alone_ms' in result:
        rows.append(('detector alone', result['detector_alone_ms']))
    lines = [f'{"stage, ms":<16}{"median":>9}{"p95":>9}{"max":>9}']
    lines += [f'{stage:<16}{spread["median"]:>9.2f}{spread["p95"]:>9.2f}{spread["max"]:>9.2f}'
              for stage, spread in rows]
    lines += [
        '',
        f'pipeline    {result["rate_hz"]:.1f} frames/s, {result["rate_with_reading_hz"]:.1f} '
        'with reading them',
        f'frames      {result["frames"]}, {result["frames_with_infant"]} with an infant, '
        f'{result["looks"]} answers of the detector',
        f'device      {result["device"]}, {result["precision"]}, {result["num_threads"]} threads',
        f'models      {", ".join(result["models"].values())}']
    if 'cameras' in result:
        lines += ['', cameras_table(result['cameras'])]
    if 'filters_ms' in result:
        lines += ['', f'{"filters, ms a frame":<24}{"1 infant":>9}{"8":>9}']
        lines += [f'{name:<24}{spent[1]:>9.2f}{spent[8]:>9.2f}'
                  for name, spent in result['filters_ms'].items()]
    if 'nodes' in result:
        lines += ['', 'nodes over DDS, at the rate of the source', summary_table(result['nodes'])]
    return '\n'.join(lines)


def _spread(values: list[float]) -> dict[str, float]:
    return {'median': float(np.median(values)), 'p95': float(np.percentile(values, 95)),
            'max': float(np.max(values))}


def _write_json(path: Path, result: dict) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    except OSError as error:
        raise InvalidInputError(f'--json {path}: can not be written: {error.strerror}') from error
