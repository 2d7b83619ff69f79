"""Faults of a soak that are done to the nodes themselves: killed, paused, cycled, changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from lifecycle_msgs.msg import Transition
from std_srvs.srv import SetBool, Trigger

from infant_pose_ros.ros.soak_rig import Rig, SoakProblemError
from infant_pose_ros.ros.soak_watch import POSE_NODE

#: Faults that are to be seen in /diagnostics last as long as that takes, at most, s.
SHOWN_WITHIN_S = 15.0
#: How long a node may take to end after SIGTERM, s.
END_LIMIT_S = 2.0
#: How long a camera, a reader or the CPU is held up, s.
HELD_UP_S = 4.0
#: How long overlay_node may take to draw again, s.
OVERLAY_LIMIT_S = 60.0
#: How long the first answers to a new camera may take, s.
ANSWERS_LIMIT_S = 60.0
_PARAMETERS = ({'detect_every': 15}, {'smoothing': False}, {'smoothing': True},
               {'keypoint_score_min': 0.3, 'detect_every': 60}, {'keypoint_score_min': 0.25})
_BAD_PARAMETERS = ({'detect_every': 0}, {'detection_score_min': 7.5}, {'max_age_ms': -1.0},
                   {'adult_policy': 'perhaps'}, {'smoothing': 'very'}, {'device': 'abacus'})


def camera_killed(rig: Rig) -> str:
    """SIGKILL a camera_node, and start it again once its absence is seen."""
    process = rig.process_of(rig.victim)
    rig.deaf()
    rig.end(process, signal.SIGKILL)
    rig.hold(('no_publisher', 'no_image'), 2.5, SHOWN_WITHIN_S)
    rig.start_camera(rig.victim)
    rig.hears()
    return 'SIGKILL, the same again'


def camera_exchanged(rig: Rig) -> str:
    """Another resolution and rate for a while, then the first camera again."""
    process = rig.process_of(rig.victim)
    source, rate_hz = rig.random.choice(rig.props.other_sources)
    for given, rate in ((source, rate_hz), ('', 0.0)):
        rig.deaf()
        code, seconds = rig.end(process)
        rig.start_camera(rig.victim, given, rate)
        rig.hears()
        _check_end('camera_node', code, seconds)
        if given:
            _wait_for_answers(rig, 10)
    return f'{os.path.basename(source)} at {rate_hz:g} Hz and back'


def camera_paused(rig: Rig) -> str:
    """SIGSTOP, and SIGCONT later."""
    process = rig.process_of(rig.victim)
    rig.send_signal(process, signal.SIGSTOP)
    try:
        rig.hold(('no_image',), HELD_UP_S, SHOWN_WITHIN_S)
    finally:
        rig.send_signal(process, signal.SIGCONT)
    return ''


def reader_stopped(rig: Rig) -> str:
    """overlay_node, which reads pictures and answers reliably, stops reading."""
    rig.send_signal('overlay_node', signal.SIGSTOP)
    before = rig.watch.cameras[rig.names[0]].answers_since(time.monotonic() - HELD_UP_S)
    try:
        rig.wait(HELD_UP_S)
        answers = rig.watch.cameras[rig.names[0]].answers_since(time.monotonic() - HELD_UP_S)
    finally:
        rig.send_signal('overlay_node', signal.SIGCONT)
    _wait_for_overlay(rig)
    if answers < before / 3:
        raise SoakProblemError(f'only {answers} answers in {HELD_UP_S:g} s while a subscriber '
                               f'did not read, and {before} in as much time before')
    return f'{answers} answers meanwhile, {before} before'


def parameters(rig: Rig) -> str:
    """Good values are taken, bad ones refused with a reason."""
    for values in _PARAMETERS:
        for result in rig.set_parameters(values):
            if not result.successful:
                raise SoakProblemError(f'pose_node refused {values}: {result.reason}')
        rig.wait(0.2)
    for values in _BAD_PARAMETERS:
        for result in rig.set_parameters(values):
            if result.successful or not result.reason:
                raise SoakProblemError(f'pose_node took {values}, or gave no reason')
    return f'{len(_PARAMETERS)} good, {len(_BAD_PARAMETERS)} bad'


def reset(rig: Rig) -> str:
    """~/reset, a few times in a row."""
    for _ in range(3):
        if not rig.call(Trigger, f'{POSE_NODE}/reset').success:
            raise SoakProblemError('~/reset was refused')
        rig.wait(0.1)
    return '3 times'


def disabled(rig: Rig) -> str:
    """~/enable off, and on again."""
    for wanted in (False, True):
        if not wanted:
            rig.deaf()
        response = rig.call(SetBool, f'{POSE_NODE}/enable', SetBool.Request(data=wanted))
        if not response.success:
            raise SoakProblemError(f'~/enable was refused: {response.message}')
        if wanted:
            rig.hears()
        rig.wait(1.0)
    return ''


def deactivated(rig: Rig) -> str:
    """Lifecycle: deactivate and activate, several times."""
    rig.deaf()
    times = rig.random.randint(1, 5)
    for _ in range(times):
        rig.change_state(Transition.TRANSITION_DEACTIVATE)
        rig.wait(rig.random.uniform(0.0, 0.5))
        rig.change_state(Transition.TRANSITION_ACTIVATE)
    rig.hears()
    return f'{times} times'


def cleaned_up(rig: Rig) -> str:
    """Lifecycle: the whole way down to unconfigured and up again."""
    rig.deaf()
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                       Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        rig.change_state(transition)
    rig.hears()
    return ''


def overlay_killed(rig: Rig) -> str:
    """SIGKILL overlay_node, and start it again."""
    rig.end('overlay_node', signal.SIGKILL)
    rig.wait(1.0)
    rig.start_overlay_node()
    _wait_for_overlay(rig)
    return ''


def pose_node_restarted(rig: Rig) -> str:
    """SIGTERM ends pose_node in order; a new one takes its place."""
    problem = rig.close_accounts()
    rig.deaf()
    code, seconds = rig.end('pose_node')
    rig.start_pose_node()
    rig.hears()
    if problem:
        raise SoakProblemError(problem)
    _check_end('pose_node', code, seconds)
    return f'ended after {seconds:.1f} s'


def cpu_load(rig: Rig) -> str:
    """Every core is kept busy by somebody else."""
    busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
            for _ in range(os.cpu_count() or 1)]
    try:
        rig.wait(HELD_UP_S)
    finally:
        for child in busy:
            child.kill()
            child.wait()
    return f'{len(busy)} busy processes for {HELD_UP_S:g} s'


def _check_end(node: str, code: int, seconds: float) -> None:
    if code != 0 or seconds > END_LIMIT_S:
        raise SoakProblemError(f'{node} ended with exit code {code} {seconds:.1f} s after SIGTERM;'
                               f' 0 within {END_LIMIT_S:g} s is right')


def _wait_for_answers(rig: Rig, count: int) -> None:
    since_s, camera = time.monotonic(), rig.watch.cameras[rig.victim]
    if rig.wait_until(
            lambda: camera.answers_since(since_s) >= count, ANSWERS_LIMIT_S) is None:
        raise SoakProblemError(f'{count} pictures were not answered within {ANSWERS_LIMIT_S:g} s')


def _wait_for_overlay(rig: Rig) -> None:
    since_s = time.monotonic()
    if rig.wait_until(lambda: rig.watch.overlay_s > since_s, OVERLAY_LIMIT_S) is None:
        raise SoakProblemError(f'overlay_node drew nothing for {OVERLAY_LIMIT_S:g} s')
