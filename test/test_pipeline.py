"""The pipeline with scripted networks, whose answers are known."""

import threading
import time

import numpy as np
import pytest
from scenes import body_px, box_of, DT_S, picture, pipeline_of, run, Scene, SIZE_WH

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.inference import PoseModels
from infant_pose_ros.looking import UNSURE_DETECT_EVERY
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.skeleton import Joint, TrackState
from infant_pose_ros.stepping import STAGES
from infant_pose_ros.structures import Camera, Detection, Pose2D


def test_an_infant_is_found_and_followed():
    scene = Scene(body_px())
    with pipeline_of(scene) as pipeline:
        results = run(pipeline, 5)
    assert [len(result.infants) for result in results] == [1] * 5
    assert {result.infants[0].track for result in results} == {1}
    assert results[0].detections is not None
    assert results[1].detections is None
    last = results[-1].infants[0]
    assert np.abs(last.smooth_2d.keypoints_px - body_px()).max() < 0.5
    assert (last.state == TrackState.MEASURED).all()
    assert set(results[0].stage_ms) == {*STAGES, 'total'}
    assert results[0].stamp_s == 0.0


@pytest.mark.parametrize('up', [(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)])
def test_an_infant_any_way_up_is_read_upright(up):
    scene = Scene(body_px(up=up))
    with pipeline_of(scene) as pipeline:
        result, followed = run(pipeline, 2)
    assert result.infants[0].raw_2d.score.mean() == pytest.approx(0.9)
    assert len(scene.crops) == 1
    corners = followed.infants[0].crop_corners_px
    top, bottom = corners[:2].mean(axis=0), corners[2:].mean(axis=0)
    assert (top - bottom) / np.linalg.norm(top - bottom) == pytest.approx(up, abs=1e-6)


def test_without_turning_one_crop_is_enough():
    scene = Scene(body_px())
    with pipeline_of(scene, crop_turns=False) as pipeline:
        run(pipeline, 1)
    assert len(scene.crops) == 1


def test_detection_is_rationed_while_tracking_is_sure():
    scene = Scene(body_px())
    with pipeline_of(scene, detect_every=10) as pipeline:
        results = run(pipeline, 25)
    assert scene.looks == 3      # frames 0, 10, 20
    assert [i for i, r in enumerate(results) if r.detections is not None] == [0, 10, 20]


def test_detection_is_rationed_on_an_empty_scene():
    scene = Scene()
    with pipeline_of(scene) as pipeline:
        results = run(pipeline, 2 * UNSURE_DETECT_EVERY + 1)
    assert scene.looks == 3
    assert not any(result.infants for result in results)
    assert results[0].detections == ()


def test_the_detector_looks_again_when_unsure():
    scene = Scene(body_px())
    with pipeline_of(scene, detect_every=1000) as pipeline:
        run(pipeline, 2)
        scene.score = 0.26       # keypoints still count as seen, but the mean is below 0.3
        run(pipeline, UNSURE_DETECT_EVERY + 1, 2)
        assert scene.looks == 2
        assert len(run(pipeline, 1, 20)[0].infants) == 1     # confirmed: lives on


def test_a_weak_track_that_the_detector_does_not_confirm_ends():
    scene = Scene(body_px())
    with pipeline_of(scene, detect_every=1000) as pipeline:
        run(pipeline, 2)
        scene.score, scene.detects = 0.26, False
        results = run(pipeline, UNSURE_DETECT_EVERY + 2, 2)
    assert results[0].infants
    assert not results[-1].infants


def test_a_track_moves_to_the_infant_that_the_detector_keeps_finding_elsewhere():
    scene = Scene(body_px((60.0, 120.0), scale=0.6))
    with pipeline_of(scene, detect_every=4) as pipeline:
        run(pipeline, 2)
        scene.detect = lambda image: [
            Detection(box_of(body_px((260.0, 120.0), scale=0.6)), 0.9)]
        scene.bodies.append(body_px((260.0, 120.0), scale=0.6))
        last = run(pipeline, 20, 2)[-1]
    assert len(last.infants) == 1
    assert last.infants[0].track == 2
    assert last.infants[0].raw_2d.keypoints_px[:, 0].mean() > 200


def test_weak_detections_begin_nothing():
    scene = Scene(body_px())
    with pipeline_of(scene, detection_score_min=0.95) as pipeline:
        assert not run(pipeline, 1)[0].infants


def test_an_unreadable_detection_begins_nothing():
    scene = Scene(body_px())
    scene.score = 0.1
    with pipeline_of(scene) as pipeline:
        assert not run(pipeline, 1)[0].infants


@pytest.mark.parametrize('score, begins', [(0.35, False), (0.45, True)])
def test_a_track_begins_only_with_a_score_that_can_be_believed(score, begins):
    scene = Scene(body_px())
    scene.score = score
    with pipeline_of(scene, track_score_min=0.4) as pipeline:
        assert [len(result.infants) for result in run(pipeline, 2)] == [int(begins)] * 2
        assert len(pipeline.process_still(picture()).infants) == int(begins)


def test_two_infants_and_no_more_than_asked_for():
    bodies = [body_px((80.0, 120.0), scale=0.8), body_px((240.0, 120.0), scale=0.8)]
    for most, expected in ((1, 1), (2, 2), (8, 2)):
        with pipeline_of(Scene(*bodies), max_infants=most) as pipeline:
            results = run(pipeline, 3)
        assert [len(result.infants) for result in results] == [expected] * 3
        assert {i.track for r in results for i in r.infants} == set(range(1, expected + 1))


def test_lowering_max_infants_ends_tracks():
    bodies = [body_px((80.0, 120.0), scale=0.8), body_px((240.0, 120.0), scale=0.8)]
    with pipeline_of(Scene(*bodies), max_infants=2) as pipeline:
        run(pipeline, 2)
        pipeline.update_settings(PipelineSettings(detect_async=False, max_infants=1))
        assert len(run(pipeline, 1, 2)[0].infants) == 1


def test_a_black_frame_is_an_empty_answer():
    scene = Scene(body_px())
    with pipeline_of(scene) as pipeline:
        result = run(pipeline, 1, image=np.zeros((240, 320, 3), np.uint8))[0]
    assert result.infants == ()
    assert result.detections is None
    assert scene.looks == 0


def test_a_black_frame_is_bridged_by_prediction_and_then_lost():
    scene = Scene(body_px())
    black = np.full((240, 320, 3), 7, np.uint8)
    with pipeline_of(scene, predict_max_s=0.2, track_max_s=0.3) as pipeline:
        run(pipeline, 3)
        results = run(pipeline, 15, 3, black)
    assert (results[0].infants[0].state == TrackState.PREDICTED).all()
    assert results[0].infants[0].raw_2d is None
    assert not results[-1].infants


def test_unseen_keypoints_are_lifted_from_their_prediction():
    scene = Scene(body_px())
    with pipeline_of(scene) as pipeline:
        run(pipeline, 3)
        wild, scores = body_px().copy(), np.full(16, 0.9)
        wild[Joint.L_WRIST], scores[Joint.L_WRIST] = (5.0, 5.0), 0.01
        scene.read = lambda crop: Pose2D(wild, scores, np.tile(np.eye(2), (16, 1, 1)))
        result = run(pipeline, 1, 3)[0]
    lifted = scene.lifted[0].keypoints_px[Joint.L_WRIST]
    assert np.abs(lifted - body_px()[Joint.L_WRIST]).max() < 1.0
    # ... and as surely as they are predicted: the guess claims 1 px^2
    assert (np.diag(scene.lifted[0].covariance_px2[Joint.L_WRIST]) > 1.3).all()
    assert np.allclose(scene.lifted[0].covariance_px2[Joint.R_WRIST], np.eye(2))
    infant = result.infants[0]
    for value in (infant.raw_3d.keypoints_m, infant.raw_3d.covariance_m2, infant.raw_3d.noise_m2):
        assert np.isnan(value[Joint.L_WRIST]).all()
        assert np.isfinite(np.delete(value, Joint.L_WRIST, axis=0)).all()
    assert np.isfinite(infant.smooth_3d.keypoints_m).all()
    assert result.infants[0].raw_2d.keypoints_px[Joint.L_WRIST].tolist() == [5.0, 5.0]
    assert result.infants[0].state[Joint.L_WRIST] == TrackState.PREDICTED


def test_a_lost_keypoint_is_lifted_from_its_last_place_with_little_weight():
    scene = Scene(body_px())
    with pipeline_of(scene, predict_max_s=0.1) as pipeline:
        run(pipeline, 3)
        wild, scores = body_px().copy(), np.full(16, 0.9)
        wild[Joint.L_WRIST], scores[Joint.L_WRIST] = np.nan, 0.0
        scene.read = lambda crop: Pose2D(wild, scores, np.tile(np.eye(2), (16, 1, 1)))
        result = run(pipeline, 8, 3)[-1]
    lifted = scene.lifted[0]
    assert result.infants[0].state[Joint.L_WRIST] == TrackState.LOST
    assert np.abs(lifted.keypoints_px[Joint.L_WRIST] - body_px()[Joint.L_WRIST]).max() < 1.0
    # a quarter of the body's 110 px
    assert np.diag(lifted.covariance_px2[Joint.L_WRIST]) == pytest.approx([27.5 ** 2] * 2, rel=0.1)


def two_bodies():
    return [body_px((80.0, 120.0), scale=0.8), body_px((240.0, 120.0), scale=0.8)]


def test_the_main_infant_stays_while_its_track_lives():
    scene = Scene(*two_bodies())
    read, blind = scene.read, set()

    def read_but_for_the_blind(crop):
        pose = read(crop)
        side = int(pose.keypoints_px[:, 0].mean() > 160)
        return Pose2D(pose.keypoints_px, pose.score * (side not in blind), pose.covariance_px2)

    scene.read = read_but_for_the_blind
    with pipeline_of(scene, max_infants=2, predict_max_s=0.1, track_max_s=0.5,
                     track_score_min=0.0) as pipeline:
        first = run(pipeline, 3)[-1]
        assert first.main_track == first.infants[0].track == 1
        assert first.main_infant is first.infants[0]
        side = int(first.infants[0].box_xyxy[0] > 160)
        blind.add(side)
        hidden = run(pipeline, 8, 3)[-1]        # 0.27 s: every keypoint is lost, the track lives
        assert [infant.track for infant in hidden.infants] == [2]
        assert hidden.main_track == 1
        assert hidden.main_infant is None
        blind.clear()
        back = run(pipeline, 1, 11)[0]
        assert [infant.track for infant in back.infants] == [1, 2]
        assert back.main_track == 1
        blind.add(side)
        gone = run(pipeline, 20, 12)[-1]        # the track ended: the other one is main now
        assert gone.main_track == 2
        assert gone.main_infant.track == 2


def test_nobody_is_the_main_infant_of_an_empty_scene():
    with pipeline_of(Scene()) as pipeline:
        result, = run(pipeline, 1)
        assert (result.main_track, result.main_infant) == (0, None)
        still = pipeline.process_still(picture())
        assert (still.main_track, still.main_infant) == (0, None)


def test_closing_gives_memory_back_and_a_gpus_is_described(monkeypatch):
    released = []
    monkeypatch.setattr('infant_pose_ros.networks.release_memory', released.append)
    monkeypatch.setattr('infant_pose_ros.pipeline.gpu_memory_mib',
                        lambda device: {'allocated': 1.0, 'reserved': 2.0}
                        if device == 'cuda:0' else None)
    monkeypatch.setattr(PoseModels, 'describe', lambda self: {})
    scene = Scene()
    with PosePipeline(PipelineSettings(), PoseModels(
            scene, scene, scene, 'cuda:0', 'fp16', 1)) as pipeline:
        assert pipeline.describe()['gpu_memory_mib'] == {'allocated': 1.0, 'reserved': 2.0}
        assert not released
    assert released == ['cuda:0']
    with pipeline_of(scene) as pipeline:
        assert 'gpu_memory_mib' not in pipeline.describe()


def test_a_camera_makes_poses_absolute():
    camera = Camera(300.0, 300.0, 159.5, 119.5, *SIZE_WH)
    with pipeline_of(Scene(body_px())) as pipeline:
        assert not pipeline.process(picture(), 0.0).infants[0].raw_3d.is_absolute
        assert pipeline.process(picture(), DT_S, camera).infants[0].smooth_3d.is_absolute


def test_a_backward_jump_begins_anew():
    scene = Scene(body_px())
    with pipeline_of(scene) as pipeline:
        run(pipeline, 5, 100)
        result = run(pipeline, 1)[0]
    assert result.was_reset
    assert result.infants[0].track == 2
    assert scene.looks == 2


def test_cameras_are_kept_apart():
    scene = Scene(body_px())
    with pipeline_of(scene) as pipeline:
        pipeline.process(picture(), 100.0, camera_name='left')
        other = pipeline.process(picture(), 0.0, camera_name='right')
        again = pipeline.process(picture(), 100.0 + DT_S, camera_name='left')
        assert not other.was_reset and not again.was_reset
        pipeline.reset('right')
        assert pipeline.process(picture(), 100.1, camera_name='left').infants[0].track == 1
        assert pipeline.process(picture(), 0.1, camera_name='right').infants[0].track == 2
        pipeline.reset()
        assert pipeline.process(picture(), 100.2, camera_name='left').infants[0].track == 2


def test_an_asynchronous_look_does_not_stop_the_frames():
    scene = Scene(body_px())
    with pipeline_of(scene, detect_async=True, detect_every=3) as pipeline:
        assert run(pipeline, 1)[0].detections is not None    # the first look is waited for
        scene.gate = threading.Event()
        results = run(pipeline, 6, 1)
        assert [len(result.infants) for result in results] == [1] * 6
        assert all(result.detections is None for result in results)
        assert scene.looks == 2
        scene.gate.set()
        deadline = time.monotonic() + 10
        frame = 7
        while (result := run(pipeline, 1, frame)[0]).detections is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
            frame += 1
    assert len(result.detections) == 1
    assert scene.look_threads[0] == threading.current_thread().name
    assert scene.look_threads[1].startswith('infant_detector')


def test_an_empty_scene_answers_at_once_while_the_detector_works():
    scene = Scene()
    with pipeline_of(scene, detect_async=True) as pipeline:
        run(pipeline, 1)
        scene.gate = threading.Event()
        assert not any(result.infants for result in run(pipeline, 12, 1))
        assert scene.looks == 2
        scene.bodies.append(body_px())
        scene.gate.set()
        deadline = time.monotonic() + 10
        frame = 13
        while not run(pipeline, 1, frame)[0].infants:
            assert time.monotonic() < deadline
            time.sleep(0.005)
            frame += 1


def test_a_look_from_before_a_reset_is_dropped():
    scene = Scene()
    with pipeline_of(scene, detect_async=True) as pipeline:
        run(pipeline, 1)
        scene.gate = threading.Event()
        run(pipeline, UNSURE_DETECT_EVERY, 1)       # a look is under way
        pipeline.reset()
        scene.gate.set()
        assert run(pipeline, 1)[0].detections == ()
        assert run(pipeline, 1, 1)[0].detections is None
