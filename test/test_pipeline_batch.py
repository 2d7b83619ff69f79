"""Several cameras in one pipeline: together they get what each would get alone."""

import threading
import time

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scenes import body_px, DT_S, picture, pipeline_of, Scene, SIZE_WH

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.following import Following
from infant_pose_ros.inference import PoseModels
from infant_pose_ros.looking import UNSURE_DETECT_EVERY
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.structures import Camera, CameraFrame, Detection, FrameResult

CAMERA = Camera(300.0, 300.0, 159.5, 119.5, *SIZE_WH)
MARK = 77
NAMES = ('left', 'right', 'top')


def marked(mark):
    """A picture with a number in its corner."""
    image = picture()
    image[0, 0] = mark
    return image


def frame_of(name, index=0, **changes):
    return CameraFrame(**{'image_rgb': picture(), 'stamp_s': index * DT_S, 'camera_name': name,
                          **changes})


def batch(pipeline, names, index=0):
    return pipeline.process_batch([frame_of(name, index) for name in names])


def kind(answer):
    """What an answer is like, to be compared."""
    if isinstance(answer, Exception):
        return type(answer), str(answer)
    return [(infant.track, *(np.round(pose.keypoints_px, 6).tolist()
                             for pose in (infant.raw_2d, infant.smooth_2d) if pose),
             infant.smooth_3d.is_absolute) for infant in answer.infants], answer.was_reset


class CountingScene(Scene):
    """Keeps how many pictures, and crops or poses, each call of a network had."""

    def __init__(self, *bodies):
        super().__init__(*bodies)
        self.read_calls, self.lift_calls = [], []

    def estimate_batch(self, requests):
        self.read_calls.append([len(request.crops) for request in requests])
        return super().estimate_batch(requests)

    def lift_batch(self, requests):
        self.lift_calls.append([len(request.poses_2d) for request in requests])
        return super().lift_batch(requests)


class Moody(Scene):
    """Reads no picture with MARK in its corner, nor any batch with such a one."""

    def estimate(self, image_rgb, crops):
        if image_rgb[0, 0, 0] == MARK:
            raise RuntimeError('moody')
        return super().estimate(image_rgb, crops)


def test_all_cameras_share_one_call_of_each_network():
    scene = CountingScene(body_px())
    with pipeline_of(scene) as pipeline:
        first, second = (batch(pipeline, NAMES, index) for index in range(2))
    assert scene.read_calls == [[4, 4, 4], [1, 1, 1]]
    assert scene.lift_calls == [[1, 1, 1], [1, 1, 1]]
    assert [answer.infants[0].track for answer in first + second] == [1] * 6
    assert set(first[0].stage_ms) == {'detect', 'pose', 'lift', 'filter', 'total'}


def test_answers_come_in_order_and_with_their_own_stamps():
    with pipeline_of(Scene(body_px())) as pipeline:
        answers = pipeline.process_batch([
            frame_of('left', 7, camera=CAMERA), frame_of('right', 3),
            frame_of('dark', 5, image_rgb=np.zeros((24, 32, 3), np.uint8))])
    assert [answer.stamp_s for answer in answers] == [7 * DT_S, 3 * DT_S, 5 * DT_S]
    assert [len(answer.infants) for answer in answers] == [1, 1, 0]
    assert [one.infants[0].raw_3d.is_absolute for one in answers[:2]] == [True, False]
    assert answers[2].detections is None


def test_no_frames_and_no_pipeline():
    pipeline = pipeline_of(Scene())
    assert pipeline.process_batch([]) == []
    pipeline.close()
    with pytest.raises(InvalidInputError, match='closed'):
        pipeline.process_batch([frame_of('left')])


BAD_FRAMES = {
    'picture': ({'image_rgb': np.zeros((4, 4), np.uint8)}, 'image_rgb'),
    'nothing': ({'image_rgb': None}, 'image_rgb'),
    'stamp': ({'stamp_s': float('nan')}, 'stamp_s'),
    'depth': ({'depth_m': np.ones((4, 4), np.float32), 'camera': CAMERA}, 'depth_m'),
    'mark': ({'image_rgb': marked(MARK)}, 'moody')}


@pytest.mark.parametrize('bad', BAD_FRAMES)
def test_what_is_wrong_with_one_frame_comes_back_in_its_place(bad):
    changes, reason = BAD_FRAMES[bad]
    with pipeline_of(Moody(body_px())) as pipeline:
        batch(pipeline, NAMES)
        left, right, top = pipeline.process_batch([
            frame_of('left', 1), frame_of('right', 1, **changes), frame_of('top', 1)])
        assert reason in str(right)
        assert [len(answer.infants) for answer in (left, top)] == [1, 1]
        again = batch(pipeline, NAMES, 2)
    assert [answer.infants[0].track for answer in again] == [1, 1, 1]


def test_process_raises_what_a_batch_returns():
    with pipeline_of(Moody(body_px())) as pipeline:
        with pytest.raises(RuntimeError, match='moody'):
            pipeline.process(marked(MARK), 0.0)
        assert pipeline.process(picture(), DT_S).stamp_s == DT_S


def test_a_camera_has_one_frame_in_a_batch():
    with pipeline_of(Scene(body_px())) as pipeline:
        first, second, other = batch(pipeline, ('left', 'left', 'right'))
    assert first.infants and other.infants
    assert isinstance(second, InvalidInputError) and "'left'" in str(second)


def test_tracking_that_fails_begins_anew_and_touches_no_other_camera(monkeypatch):
    correct = Following.correct

    def fragile(self, candidates, detections):
        if self._stamp_s == 3 * DT_S and self._state.settings.max_infants == 2:
            self._state.tracker.end(1)
            raise ZeroDivisionError('half way')
        return correct(self, candidates, detections)

    monkeypatch.setattr(Following, 'correct', fragile)
    with pipeline_of(Scene(body_px())) as pipeline:
        pipeline.update_settings(PipelineSettings(detect_async=False, max_infants=2), 'left')
        for index in range(3):
            batch(pipeline, ('left', 'right'), index)
        left, right = batch(pipeline, ('left', 'right'), 3)
        assert isinstance(left, ZeroDivisionError)
        assert right.infants[0].track == 1
        left, right = batch(pipeline, ('left', 'right'), 4)
    # it lies where it lay: it is recognised
    assert (left.infants[0].track, right.infants[0].track) == (1, 1)


KINDS = {**{bad: changes for bad, (changes, _) in BAD_FRAMES.items()}, 'good': {}, 'fine': {},
         'black': {'image_rgb': np.zeros((240, 320, 3), np.uint8)}}


@pytest.fixture(scope='module')
def two_pipelines():
    """For frames in a batch, and alone."""
    with pipeline_of(Moody(body_px()), predict_max_s=0.05, track_max_s=0.1) as together, \
            pipeline_of(Moody(body_px()), predict_max_s=0.05, track_max_s=0.1) as alone:
        yield together, alone


@hypothesis_settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.sampled_from(sorted(KINDS)), min_size=3, max_size=3), min_size=1,
                max_size=4))
def test_whatever_comes_each_camera_gets_what_it_gets_alone(two_pipelines, script):
    together, alone = two_pipelines
    for pipeline in two_pipelines:
        for name in NAMES:
            pipeline.forget(name)
    for index, row in enumerate(script):
        frames = [frame_of(name, index, **KINDS[one]) for name, one in zip(NAMES, row)]
        answers = together.process_batch(frames)
        singly = [alone.process_batch([frame])[0] for frame in frames]
        assert list(map(kind, answers)) == list(map(kind, singly))


def test_real_networks_answer_in_a_batch_as_alone(tiny_checkpoints):
    settings = PipelineSettings(
        device='cpu', detect_async=False, detection_score_min=0.0, track_score_min=0.0,
        keypoint_score_min=0.0, adult_policy='off',
        **{f'{task}_weights': str(path) for task, path in tiny_checkpoints.items()})
    images = np.random.default_rng(3).integers(0, 255, (2, 3, 96, 128, 3), dtype=np.uint8)
    with PosePipeline.from_settings(settings) as pipeline:
        together = [pipeline.process_batch([
            CameraFrame(image, index * DT_S, None, name) for name, image in zip(NAMES, row)])
            for index, row in enumerate(images)]
        pipeline.reset()
        for name in NAMES:
            pipeline.forget(name)
        alone = [[pipeline.process(image, index * DT_S, None, name)
                  for name, image in zip(NAMES, row)] for index, row in enumerate(images)]
    found = 0
    for one, other in zip(np.ravel(together), np.ravel(alone)):
        assert [i.track for i in one.infants] == [i.track for i in other.infants]
        for infant, twin in zip(one.infants, other.infants):
            found += 1
            assert np.allclose(infant.raw_2d.keypoints_px, twin.raw_2d.keypoints_px, atol=1e-2)
            assert np.allclose(infant.smooth_3d.keypoints_m, twin.smooth_3d.keypoints_m,
                               atol=1e-3, equal_nan=True)
    assert found


def test_each_camera_has_settings_of_its_own():
    bodies = [body_px((80.0, 120.0), scale=0.8), body_px((240.0, 120.0), scale=0.8)]
    common = PipelineSettings(detect_async=False)
    with pipeline_of(Scene(*bodies)) as pipeline:
        pipeline.update_settings(common.replace(max_infants=2, body_length_m=0.7), 'left')
        left, right = batch(pipeline, ('left', 'right'))
        assert [len(left.infants), len(right.infants)] == [2, 1]
        assert [left.body_length_m, right.body_length_m] == [0.7, 0.6]
        pipeline.update_settings(common.replace(body_length_m=0.5))
        left, right = batch(pipeline, ('left', 'right'), 1)
        assert [left.body_length_m, right.body_length_m] == [0.7, 0.5]
        with pytest.raises(SettingsError, match='device'):
            pipeline.update_settings(common.replace(device='cpu'), 'left')
        pipeline.update_settings(common.replace(max_infants=1), 'left')
        assert len(batch(pipeline, ('left',), 2)[0].infants) == 1


def test_a_camera_that_goes_is_forgotten_but_for_its_settings():
    with pipeline_of(Scene(body_px())) as pipeline:
        pipeline.update_settings(PipelineSettings(detect_async=False, body_length_m=0.7), 'left')
        batch(pipeline, ('left', 'right'), 100)
        pipeline.forget('left')
        pipeline.forget('never seen')
        left, right = batch(pipeline, ('left', 'right'), 1)     # stamps that go back
        assert (left.was_reset, right.was_reset) == (False, True)
        assert (left.infants[0].track, right.infants[0].track) == (1, 2)
        assert left.body_length_m == 0.7


def test_first_looks_hold_up_nobody_else():
    scene = Scene(body_px())
    with pipeline_of(scene, detect_async=True) as pipeline:
        assert batch(pipeline, ('left',))[0].infants        # alone it waits
        scene.gate = threading.Event()
        for index in range(1, 4):       # the detector hangs: nobody waits for it
            left, right, top = batch(pipeline, NAMES, index)
            assert left.infants and not right.infants and not top.infants
        assert scene.looks == 2                             # one at a time
        scene.gate.set()
        deadline, index = time.monotonic() + 30, 4
        while not all(answer.infants for answer in batch(
                pipeline, NAMES, index)):
            assert time.monotonic() < deadline
            time.sleep(0.005)
            index += 1


def test_a_look_that_raises_costs_a_frame_of_its_camera_only():
    scene = Scene(body_px())

    def detect(image_rgb):
        if image_rgb[0, 0, 0] == MARK:
            raise ValueError('blinded')
        return [Detection(np.array([100.0, 60, 220, 180]), 0.9)]

    scene.detect = detect
    with pipeline_of(scene, detect_async=True, detect_every=1) as pipeline:
        batch(pipeline, ('left', 'right'))
        failed, deadline, index = [], time.monotonic() + 30, 1
        while not failed:
            answers = pipeline.process_batch([
                frame_of('left', index), frame_of('right', index, image_rgb=marked(MARK))])
            assert isinstance(answers[0], FrameResult)
            failed = [answer for answer in answers if isinstance(answer, ValueError)]
            assert time.monotonic() < deadline
            time.sleep(0.002)
            index += 1
        assert answers[1] is failed[0] and str(failed[0]) == 'blinded'
        while not all(isinstance(answer, FrameResult) and answer.infants
                      for answer in batch(pipeline, ('left', 'right'), index)):
            assert time.monotonic() < deadline
            time.sleep(0.002)
            index += 1


def test_a_broken_network_fails_every_frame_but_not_the_pipeline():
    class Broken(Scene):
        is_broken = True

        def lift(self, *request):
            if self.is_broken:
                raise RuntimeError('no lift')
            return super().lift(*request)

    scene = Broken(body_px())
    models = PoseModels(scene, scene, scene, 'cpu', 'fp32', 1)
    with PosePipeline(PipelineSettings(detect_async=False), models) as pipeline:
        assert [str(answer) for answer in batch(pipeline, ('left', 'right'))] == ['no lift'] * 2
        scene.is_broken = False
        for index in range(1, UNSURE_DETECT_EVERY + 1):
            answers = batch(pipeline, ('left', 'right'), index)
        assert all(answer.infants for answer in answers)
