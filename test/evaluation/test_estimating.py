import math

import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.data.stills import read_image
from infant_pose_ros.errors import CheckpointError, DatasetError
from infant_pose_ros.evaluation.estimating import Networks, RowRunner, run_row
from infant_pose_ros.evaluation.predictions import PredictionStore
from infant_pose_ros.evaluation.report import no_progress
from infant_pose_ros.evaluation.rows import Row
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.pipeline import PosePipeline

OURS = Row('ours', detector='blind', pose=('shift5',))


@pytest.fixture
def runner(pictures, networks, tmp_path):
    return RowRunner(pictures, PredictionStore(tmp_path / 'out', 12, no_progress), networks)


def crops_of(networks):
    return [each[1] for each in networks.calls if each[0] == 'pose']


def test_the_best_box_counts_whatever_it_scores(runner, pictures):
    found, = run_row(runner, Row('boxes', detector='blind'), {})
    assert np.isnan(found.box_xyxy[[3, 4]]).all() and np.isnan(found.box_score[[3, 4]]).all()
    assert found.box_score[5] == 0.4
    assert found.box_xyxy[0].tolist() == (pictures.stills.box_xyxy[0] + [0, 0, 20, 0]).tolist()
    assert np.isnan(found.keypoints_px).all()


def test_a_box_is_read_in_four_turns_and_once_more_around_the_pose(runner, pictures, networks):
    found, = run_row(runner, OURS, {})
    assert np.isnan(found.keypoints_px[[3, 4]]).all() and (found.score[[3, 4]] == 0).all()
    rest = [0, 1, 2, *range(5, 12)]
    assert np.allclose(found.keypoints_px[rest], pictures.stills.keypoints_px[rest] + [0, 5])
    crops = crops_of(networks)
    assert len(crops) == 5 * len(rest)
    assert [crop.angle_rad for crop in crops[:4]] == pytest.approx(
        [0, math.pi / 2, math.pi, 1.5 * math.pi])
    # Around the wider box, 1.25 times its 221 px; then around the pose, turned with its trunk.
    assert crops[0].side_px == pytest.approx(1.25 * 221)
    assert crops[0].centre_px.tolist() == [300.5, 180.0]
    again = Crop.from_keypoints(pictures.stills.keypoints_px[0] + [0, 5], 1.25, 64)
    assert crops[4].angle_rad == pytest.approx(again.angle_rad) and again.angle_rad != 0
    assert crops[4].side_px == pytest.approx(again.side_px)


def test_one_rotation_never_turns(runner, networks):
    run_row(runner, Row('upright', detector='good', pose=('shift0',), rotations=1), {})
    crops = crops_of(networks)
    assert len(crops) == 2 * 12 and {crop.angle_rad for crop in crops} == {0.0}


def test_whole_truth_and_upright_need_no_detector(runner, pictures, networks):
    for crop, reads in (('whole', 1), ('truth', 5), ('upright', 1)):
        networks.calls.clear()
        found, = run_row(runner, Row(crop, pose=('shift1',), crop=crop), {})
        assert np.allclose(found.keypoints_px, pictures.stills.keypoints_px + [0, 1])
        assert {each[0] for each in networks.calls} == {'pose'}
        crops = crops_of(networks)
        assert len(crops) == reads * 12
        if crop == 'whole':
            # Corners of pixels: half a pixel beyond the centres of the outermost.
            assert crops[0].corners_px[[0, 2]] == pytest.approx(
                np.array([[-.5, -80.5], [639.5, 559.5]]))
        elif crop == 'truth':
            assert crops[0].side_px == pytest.approx(1.25 * 201)
        else:
            expected = Crop.from_keypoints(pictures.stills.keypoints_px[0], 1.25, 64)
            assert crops[0].angle_rad == expected.angle_rad != 0


def test_adult_networks_get_the_box_or_an_upright_patch(runner, pictures, networks):
    found, = run_row(runner, Row('a', adult_network='mediapipe', weights='w',
                                crop='truth'), {})
    assert np.isnan(found.keypoints_px[:, [8, 9]]).all()
    assert np.allclose(found.keypoints_px[:, :8], pictures.stills.keypoints_px[:, :8])
    assert networks.calls[0][1].tolist() == pictures.stills.box_xyxy[0].tolist()
    networks.calls.clear()
    run_row(runner, Row('b', adult_network='mediapipe', weights='w', crop='whole'), {})
    assert networks.calls[0][1].tolist() == [0, 0, 640, 480]
    networks.calls.clear()
    networks.frame = lambda image: 7        # the first pixel of a patch says nothing
    run_row(runner, Row('c', adult_network='mediapipe', weights='w', crop='upright'), {})
    box = networks.calls[0][1]
    crop = Crop.from_keypoints(pictures.stills.keypoints_px[0], 2.0, 64)
    side = math.ceil(crop.side_px)
    # The infant fills half of the patch, in its middle.
    assert max(box[2:] - box[:2]) == pytest.approx(side / 2, abs=1)
    assert (box[:2] + box[2:]) / 2 == pytest.approx([(side - 1) / 2] * 2, abs=1)


def test_3d_is_relative_to_the_pelvis_for_each_length(runner, pictures, networks):
    truth = pictures.stills.keypoints_m - pictures.stills.keypoints_m[:, 6:7]
    row = Row('deep', lifter=('grow1', 'grow2'), keypoints='truth')
    found = run_row(runner, row, {})
    assert len(found) == 2
    assert np.allclose(found[0].keypoints_m, truth)
    assert np.allclose(found[1].keypoints_m, 2 * truth)
    assert np.array_equal(found[0].keypoints_px, pictures.stills.keypoints_px)
    # Once for each video and lifter, with the video's own length.
    assert networks.calls == [('lift', 6, (640, 480), 0.5), ('lift', 6, (640, 480), 0.6)] * 2
    networks.calls.clear()
    run_row(runner, Row('deep', lifter=('grow1',), keypoints='truth', body_length='assumed'), {})
    assert networks.calls == [('lift', 12, (640, 480), 0.6)]


def test_one_lifter_serves_every_seed_of_the_2d_row(runner, pictures):
    seeds = Row('ours', pose=('shift5', 'shift9'), crop='truth')
    found = run_row(runner, Row('deep', lifter=('grow1',), keypoints='ours'), {'ours': seeds})
    assert [each.keypoints_px[0, 0, 1] - pictures.stills.keypoints_px[0, 0, 1]
            for each in found] == [5, 9]
    assert all(np.isfinite(each.keypoints_m).all() for each in found)


def test_3d_from_estimates_misses_what_2d_missed(runner, networks):
    found, = run_row(runner, Row('deep', lifter=('grow1',), keypoints='ours'), {'ours': OURS})
    assert np.isnan(found.keypoints_m[[3, 4]]).all() and np.isnan(found.box_xyxy[3]).all()
    assert np.isfinite(found.keypoints_m[[0, 5, 11]]).all()
    assert (found.keypoints_m[0, 6] == 0).all()
    with pytest.raises(DatasetError, match="'theirs' was left out"):
        run_row(runner, Row('deep', lifter=('grow1',), keypoints='theirs'), {})


def test_what_rows_share_is_made_once(runner, networks, pictures, tmp_path):
    rows = [OURS, Row('other', detector='blind', pose=('shift7',)), Row('b', detector='blind')]
    for row in rows:
        run_row(runner, row, {})
    assert sum(each[0] == 'detect' for each in networks.calls) == 12
    networks.calls.clear()
    again = RowRunner(pictures, PredictionStore(tmp_path / 'out', 12, no_progress), networks)
    for row in rows:
        run_row(again, row, {})
    assert networks.calls == []
    assert len(list((tmp_path / 'out').iterdir())) == 3


def test_a_frame_is_read_as_the_pipeline_reads_a_still(tiny_checkpoints, pictures, tmp_path):
    believing = PipelineSettings(
        detector_weights=str(tiny_checkpoints['detector']), device='cpu',
        pose_weights=str(tiny_checkpoints['pose']), lifter_weights=str(tiny_checkpoints['lifter']),
        detection_score_min=0.0, track_score_min=0.0, keypoint_score_min=0.0,
        adult_policy='off')
    ours = Row('ours', detector=believing.detector_weights, pose=(believing.pose_weights,))
    runner = RowRunner(pictures, PredictionStore(tmp_path, 12, no_progress), Networks('cpu'))
    found, = run_row(runner, ours, {})
    with PosePipeline.from_settings(believing) as pipeline:
        for index, path in enumerate(pictures.stills.paths):
            infant, = pipeline.process_still(read_image(path)).infants
            assert found.keypoints_px[index] == pytest.approx(infant.raw_2d.keypoints_px)
            assert found.score[index] == pytest.approx(infant.raw_2d.score)


def test_checkpoints_are_found_and_hashed(tiny_checkpoints, tmp_path):
    networks = Networks('cpu')
    assert networks.path('pose', 'bundled').name == 'pose.safetensors'
    path = str(tiny_checkpoints['pose'])
    assert networks.pose(path).manifest.sha256 == networks.digest('pose', path)
    assert networks.detector(str(tiny_checkpoints['detector'])).manifest.task == 'detector'
    assert networks.lifter(str(tiny_checkpoints['lifter'])).manifest.task == 'lifter'
    with pytest.raises(CheckpointError, match='none.safetensors: no such pose weights.*missing'):
        networks.digest('pose', str(tmp_path / 'none.safetensors'))


def test_an_adult_network_is_hashed_with_the_files_it_names(tmp_path):
    def digest(path):
        return Networks('cpu').digest('adult network', str(path))
    for name in ('a.bin', 'b.bin'):
        (tmp_path / name).write_text(name)
    model = tmp_path / 'model.json'
    model.write_text('{"paths": ["a.bin"]}')
    alone, folder = digest(model), digest(tmp_path)
    (tmp_path / 'b.bin').write_text('changed')
    assert digest(model) == alone and digest(tmp_path) != folder
    (tmp_path / 'a.bin').write_text('changed')
    assert digest(model) != alone
