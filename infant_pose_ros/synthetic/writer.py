"""Write rendered infants to disk: shards of stills for training, clips for everything else.

Layout of a set of stills: `meta.json`, and for each shard `<shard>/labels.npz` beside
`<shard>/<frame>.jpg`. A shard is made in a temporary folder and moved when whole, so that a run
that was stopped goes on with the first missing one. A still depends on the set's seed and its own
number alone; every shard has fabrics of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import as_completed, ProcessPoolExecutor
import json
import multiprocessing
from pathlib import Path
import shutil

import cv2
import numpy as np

from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.synthetic.labels import FrameLabels, label_frame
from infant_pose_ros.synthetic.motion import sample_infant
from infant_pose_ros.synthetic.renderer import Renderer
from infant_pose_ros.synthetic.scene import sample_scene, Scene

SHARD_SIZE = 200
#: One infant is posed this many times, each time in another scene.
POSES_PER_INFANT = 4
LABEL_KEYS = ('keypoints_px', 'keypoints_m', 'visible', 'box_xyxy', 'body_length_m')


def render_stills(renderer: Renderer, seed: int, first: int, count: int,
                  size_wh: tuple[int, int]) -> Iterator[tuple[np.ndarray, FrameLabels, Scene]]:
    """Yield `count` pictures (RGB) with their truth; numbers start at `first`.

    `first` and `count` must be multiples of `POSES_PER_INFANT`.
    """
    for number in range(first, first + count, POSES_PER_INFANT):
        rng = np.random.default_rng([seed, number])
        bodies = sample_infant(rng, np.arange(POSES_PER_INFANT) * 30.0)
        for pose in range(POSES_PER_INFANT):
            labels = None
            while labels is None:
                scene = sample_scene(rng, bodies.keypoints_m[pose:pose + 1], size_wh,
                                     renderer.num_fabrics, renderer.num_reliefs)
                rendering = renderer.render(
                    scene, bodies.vertices_m[pose], bodies.rest_vertices_m)
                labels = label_frame(
                    scene, rendering, bodies.keypoints_m[pose], bodies.body_length_m)
            yield rendering.image_rgb, labels, scene


def _write_shard(folder: Path, shard: int, seed: int, count: int, size_wh: tuple[int, int],
                 device: str) -> int:
    """Render one shard in a worker process; returns how many stills it holds."""
    cv2.setNumThreads(1)
    renderer = Renderer(seed * 100_003 + shard, device)
    final = folder / f'{shard:04d}'
    part = folder / f'{shard:04d}.part'
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    rows, intrinsics = [], []
    stills = render_stills(renderer, seed, shard * SHARD_SIZE, count, size_wh)
    for index, (image, labels, scene) in enumerate(stills):
        path = part / f'{index:05d}.jpg'
        if not cv2.imwrite(str(path), image[..., ::-1],
                           [cv2.IMWRITE_JPEG_QUALITY, scene.jpeg]):
            raise DatasetError(f'{path}: can not be written')
        rows.append(labels)
        camera = scene.camera
        intrinsics.append([camera.fx, camera.fy, camera.cx, camera.cy])
    np.savez_compressed(
        part / 'labels.npz', intrinsics=np.array(intrinsics),
        **{key: np.stack([np.asarray(getattr(row, key)) for row in rows]) for key in LABEL_KEYS})
    part.rename(final)
    return len(rows)


def write_stills(folder: Path, frames: int, seed: int, size_wh: tuple[int, int] = (640, 480),
                 workers: int = 1, device: str = 'cpu', progress=None) -> int:
    """Write a set of stills; shards that are there already are kept.

    Args:
        folder: where. frames: how many, rounded up to whole infants. seed: of the whole set.
        progress: called with the number of stills that became ready.

    Returns:
        How many stills the set holds.

    Raises:
        DatasetError: `folder` holds a set with another seed or picture size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    meta = {'seed': seed, 'size_wh': list(size_wh), 'shard_size': SHARD_SIZE, 'version': 1}
    meta_path = folder / 'meta.json'
    if meta_path.exists() and json.loads(meta_path.read_text(encoding='utf-8')) != meta:
        raise DatasetError(
            f'{folder}: holds a set made with other settings ({meta_path}); take an empty folder')
    meta_path.write_text(json.dumps(meta), encoding='utf-8')
    frames = -(-frames // POSES_PER_INFANT) * POSES_PER_INFANT
    counts = {start // SHARD_SIZE: min(SHARD_SIZE, frames - start)
              for start in range(0, frames, SHARD_SIZE)}
    missing = [shard for shard in counts if not (folder / f'{shard:04d}').exists()]
    if progress:
        progress(sum(counts[shard] for shard in counts if shard not in missing))
    with ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context('spawn')) as pool:
        jobs = [pool.submit(_write_shard, folder, shard, seed, counts[shard], size_wh, device)
                for shard in missing]
        for job in as_completed(jobs):
            if progress:
                progress(job.result())
            else:
                job.result()
    return frames


def write_clip(stem: Path, seconds: float, rate_hz: float, seed: int, scene_changes: dict,
               size_wh: tuple[int, int] = (640, 480), roll_rad: float = 0.0,
               progress=None) -> ClipTruth:
    """Render a moving infant: `<stem>.mp4`, `<stem>_camera_info.yaml` and `<stem>_truth.npz`.

    Args:
        stem: path without its ending. scene_changes: fields of the drawn scene to replace.
        roll_rad: how the infant lies; 0 is on the back.
    """
    import dataclasses

    from infant_pose_ros.media.writer import VideoWriter

    rng = np.random.default_rng([seed, 1])
    renderer = Renderer(seed, supersample=2)
    times_s = np.arange(int(round(seconds * rate_hz))) / rate_hz
    bodies = sample_infant(rng, times_s, roll_rad=roll_rad)
    scene = sample_scene(rng, bodies.keypoints_m, size_wh, renderer.num_fabrics,
                         renderer.num_reliefs)
    scene = dataclasses.replace(scene, **scene_changes)
    rows = []
    with VideoWriter(stem.with_suffix('.mp4'), rate_hz, size_wh) as video:
        for index, (vertices, keypoints) in enumerate(
                zip(bodies.vertices_m, bodies.keypoints_m)):
            frame = dataclasses.replace(scene, seed=scene.seed + index)
            rendering = renderer.render(frame, vertices, bodies.rest_vertices_m)
            labels = label_frame(frame, rendering, keypoints, bodies.body_length_m)
            if labels is None:
                raise DatasetError(f'{stem}: the infant leaves the picture in frame {index}')
            video.write(rendering.image_rgb)
            rows.append(labels)
            if progress:
                progress(1)
    truth = ClipTruth(
        stamps_s=times_s, keypoints_px=np.stack([row.keypoints_px for row in rows]),
        keypoints_m=np.stack([row.keypoints_m for row in rows]),
        visible=np.stack([row.visible for row in rows]),
        box_xyxy=np.stack([row.box_xyxy for row in rows]), body_length_m=bodies.body_length_m)
    truth.save(stem.with_name(stem.name + '_truth.npz'))
    stem.with_name(stem.name + '_camera_info.yaml').write_text(
        scene.camera.to_camera_info_yaml(), encoding='utf-8')
    return truth
