"""Write rendered infants to disk: shards of stills for training, clips for everything else.

Layout of a set of stills: `meta.json`, and for each shard `<shard>/labels.npz` beside
`<shard>/<frame>.jpg`, and with `depth` `<frame>_depth.png` (mm) and `<frame>_mask.png` (255: the
person that the picture is of). A shard is made in a temporary folder and moved when whole, so that
a run that was stopped goes on with the first missing one. A still depends on the set's seed and
its own number alone; every shard has fabrics of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
import json
import multiprocessing
from pathlib import Path
import shutil

import cv2
import numpy as np

from infant_pose_ros.data.files import read_json
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.media.writer import VideoWriter
from infant_pose_ros.synthetic.labels import label_frame
from infant_pose_ros.synthetic.motion import sample_infant
from infant_pose_ros.synthetic.renderer import Renderer
from infant_pose_ros.synthetic.scene import sample_scene
from infant_pose_ros.synthetic.stills import POSES_PER_BODY, render_stills, Still
from infant_pose_ros.synthetic.workers import end_with_parent

SHARD_SIZE = 200
VERSION = 2
_FAST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
LABEL_KEYS = ('keypoints_px', 'keypoints_m', 'visible', 'box_xyxy', 'body_length_m')


def _write_picture(path: Path, picture: np.ndarray, options: list[int]) -> None:
    if not cv2.imwrite(str(path), picture, options):
        raise DatasetError(f'{path}: can not be written; free some space or take another folder')


def _write_still(part: Path, index: int, still: Still, depth: bool) -> dict[str, np.ndarray]:
    """Write the pictures of one still; returns its row of labels: column -> value."""
    rendering, scene, camera = still.rendering, still.scene, still.scene.camera
    _write_picture(part / f'{index:05d}.jpg', rendering.image_rgb[..., ::-1],
                   [cv2.IMWRITE_JPEG_QUALITY, scene.jpeg])
    if depth:
        _write_picture(part / f'{index:05d}_depth.png', rendering.depth_mm(), _FAST_PNG)
        _write_picture(part / f'{index:05d}_mask.png', rendering.mask(), _FAST_PNG)
    row = {key: np.asarray(getattr(still.labels, key)) for key in LABEL_KEYS}
    row['intrinsics'] = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    row['age_months'] = np.array(still.age_months)
    row['world_to_camera'] = scene.world_to_camera
    return row


def _write_shard(folder: Path, shard: int, count: int, plan: StillsPlan, device: str) -> int:
    """Render one shard in a worker process; returns how many stills it holds."""
    cv2.setNumThreads(1)
    renderer = Renderer(plan.seed * 100_003 + shard, device)
    final = folder / f'{shard:04d}'
    part = folder / f'{shard:04d}.part'
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    stills = render_stills(renderer, plan.seed, shard * SHARD_SIZE, count, plan.size_wh,
                           plan.people, plan.negatives)
    rows = []
    for index, still in enumerate(stills):
        rows.append(_write_still(part, index, still, plan.depth))
        end_with_parent()
    np.savez_compressed(
        part / 'labels.npz', **{key: np.stack([row[key] for row in rows]) for key in rows[0]})
    part.rename(final)
    return len(rows)


@dataclass(frozen=True)
class StillsPlan:
    """What a set of stills holds; a folder keeps to one plan.

    Attributes:
        seed: of the whole set. size_wh: px. people: 'infants' or 'adults'.
        negatives: share of empty beds. depth: with depth (16 bit, mm) and mask pictures.
    """

    seed: int
    size_wh: tuple[int, int] = (640, 480)
    people: str = 'infants'
    negatives: float = 0.0
    depth: bool = False

    def to_json(self) -> dict:
        """As `meta.json` holds it."""
        return {**asdict(self), 'size_wh': list(self.size_wh), 'shard_size': SHARD_SIZE,
                'version': VERSION}


def whole_bodies(frames: int) -> int:
    """The number of stills that a set of at least `frames` holds: every body has all its poses."""
    return -(-frames // POSES_PER_BODY) * POSES_PER_BODY


def write_stills(folder: Path, frames: int, plan: StillsPlan, workers: int = 1,
                 device: str = 'cpu', progress: Callable[[int], object] | None = None) -> int:
    """Write a set of stills; shards that are there already are kept.

    Args:
        folder: where. frames: how many, rounded up to whole bodies. workers: processes, of no
            account for what the pictures show.
        device: where to render. progress: called with the number of stills that became ready.

    Returns:
        How many stills the set holds.

    Raises:
        DatasetError: `folder` holds a set made by another plan, or can not be written, or a
            process was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    meta, meta_path = plan.to_json(), folder / 'meta.json'
    if meta_path.exists() and read_json(meta_path, dict, 'the settings of a set') != meta:
        raise DatasetError(
            f'{folder}: holds a set made with other settings ({meta_path}); take an empty folder')
    meta_path.write_text(json.dumps(meta), encoding='utf-8')
    frames = whole_bodies(frames)
    counts = {start // SHARD_SIZE: min(SHARD_SIZE, frames - start)
              for start in range(0, frames, SHARD_SIZE)}
    missing = [shard for shard in counts if not (folder / f'{shard:04d}').exists()]
    if progress:
        progress(sum(counts[shard] for shard in counts if shard not in missing))
    with ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context('spawn')) as pool:
        jobs = [pool.submit(_write_shard, folder, shard, counts[shard], plan, device)
                for shard in missing]
        try:
            for job in as_completed(jobs):
                ready = job.result()
                if progress:
                    progress(ready)
        except (OSError, BrokenProcessPool) as error:
            pool.shutdown(cancel_futures=True)
            raise DatasetError(
                f'{folder}: can not go on ({error}); free some space or memory and run it again: '
                'finished shards are kept') from error
    return frames


def write_clip(stem: Path, seconds: float, rate_hz: float, seed: int, scene_changes: dict,
               size_wh: tuple[int, int] = (640, 480), roll_rad: float = 0.0,
               device: str = 'cpu', progress: Callable[[int], object] | None = None
               ) -> ClipTruth:
    """Render a moving infant: `<stem>.mp4`, `<stem>_camera_info.yaml` and `<stem>_truth.npz`.

    Args:
        stem: path without its ending. scene_changes: fields of the drawn scene to replace.
        size_wh: picture, px. roll_rad: how the infant lies; 0 is on the back.
        device: where to render. progress: called with 1 after each frame.

    Raises:
        DatasetError: the infant leaves the picture.
        InvalidInputError: shorter than one frame.
    """
    rng = np.random.default_rng([seed, 1])
    renderer = Renderer(seed, device, supersample=2)
    times_s = np.arange(int(round(seconds * rate_hz))) / rate_hz
    bodies = sample_infant(rng, times_s, roll_rad=roll_rad)
    scene = sample_scene(rng, bodies.keypoints_m, size_wh, renderer.num_fabrics,
                         renderer.num_reliefs)
    scene = replace(scene, **scene_changes)
    rows = []
    with VideoWriter(stem.with_suffix('.mp4'), rate_hz, size_wh) as video:
        for index, (vertices, keypoints) in enumerate(
                zip(bodies.vertices_m, bodies.keypoints_m)):
            frame = replace(scene, seed=scene.seed + index)
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
