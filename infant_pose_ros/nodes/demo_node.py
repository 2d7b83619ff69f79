"""The demo: camera, pose and overlay nodes as processes over DDS, recorded and summed up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
import os
from pathlib import Path
import re
import signal
import sys
import threading
import time

from tqdm import tqdm

from infant_pose_ros.entry import EXIT_INTERRUPTED
from infant_pose_ros.errors import InfantPoseError, InvalidInputError
from infant_pose_ros.evaluation.summary import summary_table
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.media.sources import bundled_clip, FrameSource, open_source
from infant_pose_ros.ros.bag import read_back
from infant_pose_ros.ros.listening import RawSubscriptions
from infant_pose_ros.ros.processes import local_dds_environment, NodeProcesses, ros_arguments
from infant_pose_ros.ros.recording import demo_topics, Recorder, summarise_run
from infant_pose_ros.ros.timing import NS_PER_S

CAMERA, POSE_NODE, OVERLAY_NODE = '/camera', '/pose_node', '/overlay_node'
#: overlay_node's parameters for `--side-by-side`.
SIDE_BY_SIDE = {'layout': 'side_by_side', 'trail_s': 0.5}
#: How long loading models may take before the first picture, s.
START_TIMEOUT_S = 180.0
#: How long the last answers, overlays and counters may take after the last picture, s.
SETTLE_TIMEOUT_S = 10.0
#: Nothing new for this long: all that was on its way has come, and what the last picture overtook
#: was counted (after `cameras.OVERDUE_S` and a tick of the diagnostics), s.
QUIET_S = 2.5
POLL_S = 0.1


class InterruptedEarlyError(InfantPoseError):
    """A signal came before there was anything to sum up."""


def make_parser() -> argparse.ArgumentParser:
    """Options of `infant_pose_demo`."""
    parser = argparse.ArgumentParser(
        prog='infant_pose_demo', description='Run camera_node, pose_node and overlay_node on a '
        'source and record what comes out: overlay.mp4, bag/ and summary.json.')
    parser.add_argument('--source', default='', help='video file, folder of pictures, bag or '
                        'webcam (/dev/video0); by default the bundled clip')
    parser.add_argument('--out', type=Path, default=Path('out'), help='folder for the results')
    parser.add_argument('--rate', type=float, default=0.0, metavar='HZ',
                        help="pictures a second; by default the source's own rate")
    parser.add_argument('--seconds', type=float, default=0.0,
                        help='end after this long; by default the end of the source, and 20 for '
                        'a webcam')
    parser.add_argument('--side-by-side', action='store_true',
                        help='the video shows raw keypoints on the left and smoothed ones on the '
                        'right, with trails of wrists and ankles')
    for option, parameters in (('--pose', "pose_node's"), ('--overlay', "overlay_node's")):
        parser.add_argument(option, action='append', default=[], metavar='NAME:=VALUE',
                            help=f'one of {parameters} parameters, device:=cuda say; may be given '
                            'several times')
    return parser


class Demo:
    """One run, from the start of the nodes to the summary.

    Args:
        options: as `make_parser` gives them.
        source: the opened source; closed again before the camera node takes it.

    Raises:
        InvalidInputError: the results would take the source's place.
    """

    def __init__(self, options: argparse.Namespace, source: FrameSource):
        self._options, self._out = options, options.out
        for written in (self._out / 'bag', self._out / 'overlay.mp4'):
            if options.source and Path(options.source).resolve().is_relative_to(
                    written.resolve()):
                raise InvalidInputError(f'source {options.source}: would be written over by '
                                        f'{written}; give another --out')
        self._rate_hz = options.rate or source.rate_hz
        self._num_frames = source.num_frames
        self._seconds = options.seconds or (20.0 if source.is_live else 0.0)
        self._truth = ClipTruth.load(source.truth_path) if source.truth_path else None
        self._stop_asked = threading.Event()
        self._last_news_ns = time.time_ns()

    def ask_to_stop(self, *_signal) -> None:
        """End early, with a summary of what there is."""
        self._stop_asked.set()

    def run(self) -> None:
        """Run to the end and print the summary.

        Raises:
            InfantPoseError: a node died or could not start, or no frame was answered.
        """
        self._out.mkdir(parents=True, exist_ok=True)
        environment = local_dds_environment(os.environ)
        os.environ.update(environment)
        topics = demo_topics(CAMERA, POSE_NODE, OVERLAY_NODE)
        recorder = Recorder(self._out, self._rate_hz, topics)
        try:
            with NodeProcesses(self._out / 'logs', environment) as nodes, \
                    RawSubscriptions('infant_pose_demo', topics, self._put_into(recorder)):
                self._start(nodes)
                self._wait_for_pictures(nodes, recorder)
                self._follow(nodes, recorder)
                problem = recorder.problem      # later, that the camera has ended
                self._settle(nodes, recorder)
        finally:
            recorder.close()
        if recorder.error is not None:
            raise recorder.error
        self._sum_up(recorder, _published(nodes), problem)

    def _put_into(self, recorder: Recorder):
        def put(role: str, received_ns: int, data: bytes) -> None:
            if role != 'diagnostics':
                self._last_news_ns = time.time_ns()
            recorder.put(role, received_ns, data)
        return put

    def _start(self, nodes: NodeProcesses) -> None:
        pose = {'image': f'{CAMERA}/image', 'camera_info': f'{CAMERA}/camera_info'}
        overlay = {'image': f'{CAMERA}/image', 'keypoints': f'{POSE_NODE}/keypoints',
                   'keypoints_raw': f'{POSE_NODE}/keypoints_raw'}
        given_pose, given_overlay = (
            [argument for assignment in given for argument in ('-p', assignment)]
            for given in (self._options.pose, self._options.overlay))
        length = {'body_length_m': float(self._truth.body_length_m)} if self._truth else {}
        nodes.start('pose_node', ros_arguments(length, pose) + given_pose)
        nodes.start('overlay_node', ros_arguments(
            SIDE_BY_SIDE if self._options.side_by_side else {}, overlay) + given_overlay)
        # The pictures wait for all three: pose_node (which subscribes once its models are
        # ready), overlay_node and the recorder.
        nodes.start('camera_node', ros_arguments({
            'source': self._options.source, 'rate_hz': float(self._options.rate), 'loop': False,
            'wait_for_subscribers': 3}, {'__ns': CAMERA}))

    def _wait_for_pictures(self, nodes: NodeProcesses, recorder: Recorder) -> None:
        print('starting the nodes and loading the models ...', flush=True)
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not recorder.camera_stamps_ns and nodes.is_running('camera_node'):
            nodes.check(may_end=['camera_node'])
            if self._stop_asked.wait(POLL_S):
                raise InterruptedEarlyError('interrupted before the first picture')
            if recorder.failure or time.monotonic() > deadline_s:
                raise InfantPoseError(
                    f'pose_node: {recorder.failure}' if recorder.failure else
                    f'no picture within {START_TIMEOUT_S:g} s: see the logs in '
                    f'{self._out / "logs"}; pose_node says: {recorder.problem or "nothing"}')

    def _follow(self, nodes: NodeProcesses, recorder: Recorder) -> None:
        """Show how it goes until the camera has ended, or was ended."""
        end_s = time.monotonic() + self._seconds if self._seconds else float('inf')
        with tqdm(total=self._num_frames, unit='frame', desc='frames answered') as bar:
            while nodes.is_running('camera_node'):
                nodes.check(may_end=['camera_node'])
                if self._stop_asked.wait(POLL_S) or time.monotonic() > end_s:
                    nodes.interrupt('camera_node')
                    break
                _show(bar, recorder)
            _show(bar, recorder)

    def _settle(self, nodes: NodeProcesses, recorder: Recorder) -> None:
        """Wait until everything on its way has come, and pose_node's counters after that."""
        deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
        while time.monotonic() < deadline_s:
            nodes.check(may_end=['camera_node'])
            quiet = time.time_ns() > self._last_news_ns + QUIET_S * NS_PER_S
            counted = recorder.counters_received_ns > self._last_news_ns
            if quiet and counted and not recorder.counters['frames_in_flight']:
                return
            time.sleep(POLL_S)

    def _sum_up(self, recorder: Recorder, published: int | None, problem: str) -> None:
        summary, notes = summarise_run(recorder.camera_stamps_ns, recorder.records,
                                       recorder.counters, self._truth, published)
        counts = read_back(self._out / 'bag')
        if dict(counts) != recorder.bag_counts:
            notes.append(f'the bag does not read back as it was written: {dict(counts)} in place '
                         f'of {recorder.bag_counts}')
        path = self._out / 'summary.json'
        path.write_text(json.dumps(summary, indent=2) + '\n', encoding='utf-8')
        print(f'\n{summary_table(summary)}\n')
        print(f'{self._out / "overlay.mp4"}: {recorder.video_frames} frames')
        print(f'{self._out / "bag"}: {sum(counts.values())} messages of {len(counts)} topics, '
              'read back')
        print(path)
        notes += [f'{count} {what}: too slow to record them all' for what, count in (
            ('camera pictures are not in the bag', recorder.left_out['image']),
            ('pictures are not in the overlay video', recorder.left_out['overlay'])) if count]
        if problem:
            notes.append(f'pose_node says: {problem}')
        for note in notes:
            print(f'note: {note}', file=sys.stderr)
        if not recorder.records:
            raise InfantPoseError(
                f'no frame was answered: see the logs in {self._out / "logs"}')


def _show(bar: tqdm, recorder: Recorder) -> None:
    records = recorder.records
    if records:
        age_ms = 1e3 * (records[-1].received_s - records[-1].stamp_s)
        bar.set_postfix_str(f'age {age_ms:.0f} ms', refresh=False)
    bar.update(len(records) - bar.n)


def _published(nodes: NodeProcesses) -> int | None:
    """How many pictures the camera node says it published; None where it was interrupted."""
    found = re.search(r': (\d+) pictures published', '\n'.join(nodes.log_lines('camera_node')))
    return int(found.group(1)) if found else None


def main(args: Sequence[str] | None = None) -> int:
    """Console script `infant_pose_demo`.

    Returns:
        0 when all went well, else, after one clear line, 1, or 130 for an early interrupt.
    """
    options = make_parser().parse_args(args)
    try:
        source_given = options.source or bundled_clip()
        with open_source(source_given, options.rate or None) as source:
            demo = Demo(options, source)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, demo.ask_to_stop)
        demo.run()
    except (InfantPoseError, OSError) as error:
        print(f'infant_pose_demo: {error}', file=sys.stderr)
        return EXIT_INTERRUPTED if isinstance(error, InterruptedEarlyError) else 1
    except KeyboardInterrupt:       # while the source is opened; later, it asks to stop
        print('infant_pose_demo: interrupted', file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
