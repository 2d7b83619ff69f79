"""Write SynthCot-12 to disk, resumable at any moment, the same whatever the number of processes.

A sequence is made in `<folder>/11.part` and renamed to `<folder>/11` when it is whole. In there,
each file is written under another name and renamed; what is visible in a block of frames is
written last, so that a block either is whole or is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
import json
import multiprocessing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
import os
from pathlib import Path
import queue
import shutil
import signal

import cv2
import numpy as np

from infant_pose_ros.data.mini_rgbd import FRAME_FILES, VISIBLE_FILE
from infant_pose_ros.data.sequence_info import FILE_NAME, SequenceInfo
from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.geometry.cameras import project
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.body import PosedBodies
from infant_pose_ros.synthetic.labels import label_frame
from infant_pose_ros.synthetic.renderer import Renderer, Rendering
from infant_pose_ros.synthetic.scene import Scene
from infant_pose_ros.synthetic.synthcot import (
    frame_scene,
    frames_at,
    NUM_FRAMES,
    PLANS,
    RATE_HZ,
    sequence_bodies,
    sequence_info,
    sequence_scene,
    VERSION,
)
from infant_pose_ros.synthetic.workers import end_with_parent

SUPERSAMPLE = 2
#: Frames that are made again after a kill, at most.
BLOCK = 20
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY,
        cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
_DEPTH_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]

Progress = Callable[[int], object]


class StoppedError(Exception):
    """The set is not wanted any more: another sequence has failed, or somebody interrupted."""


def write_synthcot12(folder: Path, numbers: Sequence[int] = tuple(PLANS),
                     frames: int = NUM_FRAMES, workers: int = 1,
                     progress: Progress | None = None, rate_hz: float = RATE_HZ) -> None:
    """Render sequences; what is there already is kept.

    Args:
        folder: gets `01` to `12`. numbers: of the sequences.
        frames: fewer than `frames_at(rate_hz)` makes shorter sequences, with other content, for
            a trial.
        workers: processes, each of which renders whole sequences.
        progress: called with the number of frames that became ready.
        rate_hz: frames a second, above 0.

    Raises:
        InvalidInputError: `frames` is not 1 to `frames_at(rate_hz)`.
        DatasetError: an unknown sequence, the folder holds sequences of another length, it can
            not be written, or a process was killed.
    """
    if not 1 <= frames <= frames_at(rate_hz):
        raise InvalidInputError(f'frames: must be 1 to {frames_at(rate_hz)}, got {frames}')
    unknown = sorted(set(numbers) - set(PLANS))
    if unknown:
        raise DatasetError(f'{folder}: expected sequences of 1 to 12, found {unknown[0]}; '
                           'correct the numbers')
    missing = [number for number in sorted(set(numbers))
               if not _is_there(folder, number, frames, rate_hz)]
    folder.mkdir(parents=True, exist_ok=True)
    if progress and len(missing) < len(set(numbers)):
        progress((len(set(numbers)) - len(missing)) * frames)
    context = multiprocessing.get_context('spawn')
    ready, stop = context.Queue(), context.Event()
    with ProcessPoolExecutor(workers, context, _start_worker, (ready, stop)) as pool:
        jobs = {pool.submit(_render_in_worker, folder, number, frames, rate_hz)
                for number in missing}
        try:
            while jobs:
                done, jobs = wait(jobs, timeout=0.2, return_when=FIRST_COMPLETED)
                _report(ready, progress)
                for job in done:
                    job.result()
        except OSError as error:
            raise DatasetError(f'{folder}: can not be written ({error}); free some space or take '
                               'another folder') from error
        except BrokenProcessPool as error:
            raise DatasetError(f'{folder}: a process was killed ({error}); free some memory and '
                               'run it again: finished frames are kept') from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    _report(ready, progress)


def _is_there(folder: Path, number: int, frames: int, rate_hz: float) -> bool:
    """Whether a finished sequence of this length and rate is there; raises where another is."""
    place = folder / f'{number:02d}'
    if not place.exists():
        return False
    info = SequenceInfo.read(place)
    if info is None or (info.version, info.frames, info.rate_hz) != (VERSION, frames, rate_hz):
        found = (f'{info.frames} of version {info.version} at {info.rate_hz:g} Hz' if info
                 else 'something else')
        raise DatasetError(f'{place}: expected {frames} frames of version {VERSION} at '
                           f'{rate_hz:g} Hz, found {found}; take an empty folder')
    return True


def _report(ready: Queue, progress: Progress | None) -> None:
    """Pass on what the workers say."""
    try:
        while True:
            count = ready.get_nowait()
            if progress:
                progress(count)
    except queue.Empty:
        return


# In a worker: the queue that tells of ready frames, and the event that says to stop.
_worker: tuple[Queue, Event] | tuple[()] = ()


def _start_worker(ready: Queue, stop: Event) -> None:
    """One thread a process: sums in another order would round differently."""
    global _worker
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _worker = ready, stop


def _render_in_worker(folder: Path, number: int, frames: int, rate_hz: float) -> None:
    """`render_sequence`, which tells the parent of ready frames and stops with it."""
    ready, stop = _worker

    def progress(count: int) -> None:
        ready.put(count)
        end_with_parent()
        if stop.is_set():
            raise StoppedError

    render_sequence(folder, number, frames, progress, rate_hz)


def render_sequence(folder: Path, number: int, frames: int = NUM_FRAMES,
                    progress: Progress | None = None, rate_hz: float = RATE_HZ) -> Path:
    """Render one sequence into `<folder>/<number>`, going on where a run was stopped.

    Args:
        progress: called with the number of frames that became ready; it may raise to stop.

    Returns:
        The sequence's folder.

    Raises:
        DatasetError: the infant leaves the picture. OSError: a file can not be written.
    """
    part = _part_folder(folder, number, frames, rate_hz)
    plan = PLANS[number]
    bodies = sequence_bodies(plan, frames, rate_hz)
    renderer = Renderer(plan.seed, supersample=SUPERSAMPLE)
    scene = sequence_scene(plan, bodies.keypoints_m, renderer.num_fabrics, renderer.num_reliefs)
    visible = [_render_block(part, range(start, min(start + BLOCK, frames)), renderer, scene,
                             bodies, progress) for start in range(0, frames, BLOCK)]
    np.save(part / VISIBLE_FILE, np.concatenate(visible))
    info = sequence_info(plan, scene, bodies, rate_hz)
    (part / FILE_NAME).write_text(info.to_json(), encoding='utf-8')
    shutil.rmtree(part / 'blocks')
    (part / 'settings.json').unlink()
    return part.rename(folder / f'{number:02d}')


def _part_folder(folder: Path, number: int, frames: int, rate_hz: float) -> Path:
    """The unfinished sequence's folder; another length, rate or version is thrown away."""
    part = folder / f'{number:02d}.part'
    settings = json.dumps({'version': VERSION, 'frames': frames, 'rate_hz': rate_hz})
    path = part / 'settings.json'
    if part.exists() and (not path.exists() or path.read_text(encoding='utf-8') != settings):
        shutil.rmtree(part)
    for name in (*FRAME_FILES.values(), 'blocks/'):
        (part / name).parent.mkdir(parents=True, exist_ok=True)
    (part / 'blocks').mkdir(exist_ok=True)
    _write(path, settings.encode())
    return part


def _render_block(part: Path, block: range, renderer: Renderer, scene: Scene,
                  bodies: PosedBodies, progress: Progress | None) -> np.ndarray:
    """Make a block of frames unless it is there; (len(block), 16) what is visible."""
    path = part / 'blocks' / f'{block.start:05d}.npy'
    if path.exists():
        if progress:
            progress(len(block))
        return np.load(path, allow_pickle=False)
    visible = np.zeros((len(block), len(Joint)), bool)
    for row, index in enumerate(block):
        frame = frame_scene(scene, index)
        rendering = renderer.render(frame, bodies.vertices_m[index], bodies.rest_vertices_m)
        labels = label_frame(frame, rendering, bodies.keypoints_m[index], bodies.body_length_m)
        if labels is None:
            raise DatasetError(f'{part}: the infant leaves the picture in frame {index}')
        visible[row] = labels.visible
        write_frame(part, index, rendering, frame, sequence_joints(bodies, index))
        if progress:
            progress(1)
    part_path = path.with_suffix('.part.npy')
    np.save(part_path, visible)
    part_path.replace(path)
    return visible


def sequence_joints(bodies: PosedBodies, index: int) -> np.ndarray:
    """(26, 3) m, world: MINI-RGBD's joints in its order, and the top of the head."""
    return np.concatenate([bodies.joints_m[index],
                           bodies.keypoints_m[index, Joint.HEAD_TOP][None]])


def write_frame(folder: Path, index: int, rendering: Rendering, scene: Scene,
                joints_world_m: np.ndarray) -> None:
    """Write one frame in MINI-RGBD's format; joints are (J, 3), world.

    Raises:
        OSError: a file can not be written.
    """
    matrix = scene.world_to_camera
    joints_m = joints_world_m @ matrix[:, :3].T + matrix[:, 3]
    pixels = project(scene.camera, joints_m)
    contents = {
        'rgb': _png(rendering.image_rgb[..., ::-1], _PNG),
        'depth': _png(rendering.depth_mm(), _DEPTH_PNG),
        'fg_mask': _png(rendering.mask(), _DEPTH_PNG),
        'joints_2Ddep': ''.join(
            f'{x:.4f} {y:.4f} {z:.6f} {joint}\n'
            for joint, ((x, y), z) in enumerate(zip(pixels, joints_m[:, 2]))).encode(),
        'joints_3D': ''.join(f'{x:.6f} {y:.6f} {z:.6f} {joint}\n'
                             for joint, (x, y, z) in enumerate(joints_m)).encode()}
    for name, content in contents.items():
        _write(folder / FRAME_FILES[name].format(index), content)


def _png(picture: np.ndarray, options: list[int]) -> bytes:
    """A picture, grey or BGR, as a file holds it."""
    return cv2.imencode('.png', np.ascontiguousarray(picture), options)[1].tobytes()


def _write(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there."""
    part = path.with_name(f'.{path.name}.part')
    part.write_bytes(content)
    os.replace(part, path)
