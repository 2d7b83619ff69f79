import cv2
import numpy as np
import pytest

from infant_pose_ros.data.stills import Stills
from infant_pose_ros.errors import DatasetError
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.structures import Camera
from infant_pose_ros.synthetic import writer
from infant_pose_ros.synthetic.writer import render_stills, write_clip, write_stills


@pytest.mark.slow
def test_stills_are_written_read_back_and_not_made_twice(tmp_path):
    assert write_stills(tmp_path / 'set', 6, seed=1, size_wh=(160, 120)) == 8
    stills = Stills.open(tmp_path / 'set')
    assert len(stills) == 8
    picture = cv2.imread(str(stills.paths[5]))
    assert picture.shape == (120, 160, 3)
    fx, fy, cx, cy = stills.intrinsics[5]
    point = stills.keypoints_m[5, 0]
    assert stills.keypoints_px[5, 0] == pytest.approx(
        [fx * point[0] / point[2] + cx, fy * point[1] / point[2] + cy])
    before = stills.paths[0].stat().st_mtime_ns
    ready = []
    write_stills(tmp_path / 'set', 6, seed=1, size_wh=(160, 120), progress=ready.append)
    assert ready == [8] and stills.paths[0].stat().st_mtime_ns == before
    with pytest.raises(DatasetError, match='other settings'):
        write_stills(tmp_path / 'set', 6, seed=2, size_wh=(160, 120))


def test_a_still_depends_on_its_seed_and_number_alone(renderer):
    both = [image for image, _, _ in render_stills(renderer, 9, 0, 8, (96, 64))]
    second = [image for image, _, _ in render_stills(renderer, 9, 4, 4, (96, 64))]
    assert all(np.array_equal(a, b) for a, b in zip(both[4:], second))
    assert not np.array_equal(both[0], both[4])


def test_a_clip_comes_with_camera_and_truth(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, 'Renderer', lambda seed, supersample: writer_renderer)
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
