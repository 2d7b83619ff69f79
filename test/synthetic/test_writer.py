import json

import cv2
import numpy as np
import pytest

from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.structures import Camera
from infant_pose_ros.synthetic import writer
from infant_pose_ros.synthetic.writer import StillsPlan, whole_bodies, write_clip, write_stills


@pytest.mark.slow
def test_stills_are_written_read_back_and_not_made_twice(tmp_path):
    plan = StillsPlan(1, (160, 120), depth=True)
    assert write_stills(tmp_path / 'set', 6, plan) == 8
    stills = Stills.open(tmp_path / 'set')
    assert len(stills) == 8
    picture = cv2.imread(str(stills.paths[5]))
    assert picture.shape == (120, 160, 3)
    fx, fy, cx, cy = stills.intrinsics[5]
    point = stills.keypoints_m[5, 0]
    assert stills.keypoints_px[5, 0] == pytest.approx(
        [fx * point[0] / point[2] + cx, fy * point[1] / point[2] + cy])
    assert (stills.age_months >= 0).all() and (stills.age_months <= 12).all()
    check_depth_and_pose_columns(stills)
    before = stills.paths[0].stat().st_mtime_ns
    ready = []
    write_stills(tmp_path / 'set', 6, plan, progress=ready.append)
    assert ready == [8] and stills.paths[0].stat().st_mtime_ns == before
    with pytest.raises(DatasetError, match='other settings'):
        write_stills(tmp_path / 'set', 6, StillsPlan(2, (160, 120), depth=True))


def check_depth_and_pose_columns(stills):
    """Depth in mm and mask agree with the labels; cameras stand above the mattress."""
    folder = stills.paths[0].parent
    with np.load(folder / 'labels.npz', allow_pickle=False) as labels:
        matrices = labels['world_to_camera']
    assert matrices.shape == (8, 3, 4)
    positions = -np.einsum('nij,ni->nj', matrices[:, :, :3], matrices[:, :, 3])
    assert (positions[:, 2] > 0.2).all()
    for index, path in enumerate(stills.paths):
        depth = cv2.imread(str(path.with_name(f'{path.stem}_depth.png')), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(path.with_name(f'{path.stem}_mask.png')), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16 and set(np.unique(mask)) == {0, 255}
        rows, columns = np.nonzero(mask)
        assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(
            stills.box_xyxy[index])
        seen = stills.visible[index]
        column, row = np.rint(stills.keypoints_px[index, seen]).astype(int).T
        on = mask[row, column] > 0
        below = stills.keypoints_m[index, seen, 2][on] * 1000 - depth[row, column][on]
        assert np.abs(below).max() < 200 and np.median(below) > 0


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_workers_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, 'SHARD_SIZE', 4)
    plan = StillsPlan(4, (96, 64), negatives=0.5)
    write_stills(tmp_path / 'whole', 8, plan)
    folder = tmp_path / 'stopped'
    write_stills(folder, 8, plan, workers=2)
    first = folder / '0000'
    first.rename(folder / '0000.part')
    (folder / '0000.part' / '00000.jpg').write_bytes(b'cut short')
    write_stills(folder, 8, plan)
    names = sorted(path.relative_to(folder) for path in folder.rglob('*.jpg'))
    assert len(names) == 8
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()
    assert json.loads((folder / 'meta.json').read_text())['negatives'] == 0.5


def test_a_set_holds_whole_bodies():
    assert [whole_bodies(frames) for frames in (1, 4, 5, 200)] == [4, 4, 8, 200]


def test_settings_that_can_not_be_read_are_named(tmp_path):
    (tmp_path / 'meta.json').write_text('{"seed": 1')
    with pytest.raises(DatasetError, match='meta.json: expected the settings of a set'):
        write_stills(tmp_path, 4, StillsPlan(1))


def test_a_killed_process_ends_with_the_folder_and_the_mend(tmp_path, killed_pool):
    with pytest.raises(DatasetError, match=r'set: can not go on \(killed\); free some space or'):
        write_stills(tmp_path / 'set', 4, StillsPlan(1))


@pytest.mark.slow
def test_a_folder_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / '0000.part').write_text('in the way')
    with pytest.raises(DatasetError, match='can not go on'):
        write_stills(tmp_path, 4, StillsPlan(1, (96, 64)))


def test_a_clip_comes_with_camera_and_truth(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, 'Renderer', lambda seed, device, supersample: writer_renderer)
    from infant_pose_ros.synthetic.renderer import Renderer

    writer_renderer = Renderer(3)
    truth = write_clip(tmp_path / 'cot', 0.3, 20.0, seed=5, scene_changes={'props': ()},
                       size_wh=(160, 128))
    assert len(truth.stamps_s) == 6
    read = ClipTruth.load(tmp_path / 'cot_truth.npz')
    assert read.keypoints_px == pytest.approx(truth.keypoints_px, abs=1e-3)
    camera = Camera.from_camera_info_yaml(tmp_path / 'cot_camera_info.yaml')
    assert (camera.width, camera.height) == (160, 128)
    video = cv2.VideoCapture(str(tmp_path / 'cot.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 6
