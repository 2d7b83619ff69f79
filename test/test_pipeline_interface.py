"""What the pipeline takes, refuses and says of itself; the tiny real networks in it."""

import itertools
import json
import threading
import time

import numpy as np
import pytest
from scenes import body_px, DT_S, picture, pipeline_of, Scene, SIZE_WH

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.structures import Camera


@pytest.mark.parametrize('image', [
    None, 'picture', np.zeros((10, 10), np.uint8), np.zeros((10, 10, 4), np.uint8),
    np.zeros((10, 10, 3), np.float32), np.zeros((0, 10, 3), np.uint8)])
def test_bad_pictures_are_refused(image):
    with pipeline_of(Scene()) as pipeline:
        with pytest.raises(InvalidInputError, match='image_rgb'):
            pipeline.process(image, 0.0)
        with pytest.raises(InvalidInputError, match='image_rgb'):
            pipeline.process_still(image)


@pytest.mark.parametrize('stamp_s', [float('nan'), float('inf'), None, '1'])
def test_bad_stamps_are_refused(stamp_s):
    with pipeline_of(Scene()) as pipeline:
        with pytest.raises(InvalidInputError, match='stamp_s'):
            pipeline.process(picture(), stamp_s)
        assert pipeline.process(picture(), 0.0).infants == ()    # and it goes on


def test_the_picture_is_not_changed_and_may_be_a_view():
    image = np.repeat(picture(), 2, axis=1)[:, ::2]
    image.setflags(write=False)
    before = image.copy()
    with pipeline_of(Scene(body_px())) as pipeline:
        assert pipeline.process(image, 0.0).infants
    assert np.array_equal(image, before)


def test_settings_change_while_running_but_not_structural_ones():
    scene = Scene(body_px())
    with pipeline_of(scene) as pipeline:
        assert pipeline.process(picture(), 0.0).body_length_m == 0.6
        pipeline.update_settings(PipelineSettings(detect_async=False, body_length_m=0.7))
        result = pipeline.process(picture(), DT_S)
        assert (result.body_length_m, result.infants[0].track) == (0.7, 1)
        with pytest.raises(SettingsError, match='device, num_threads'):
            pipeline.update_settings(PipelineSettings(device='cpu', num_threads=3))
        assert pipeline.process(picture(), 2 * DT_S).body_length_m == 0.7


def test_a_closed_pipeline_says_so():
    pipeline = pipeline_of(Scene())
    pipeline.close()
    pipeline.close()
    with pytest.raises(InvalidInputError, match='closed'):
        pipeline.process(picture(), 0.0)


def test_stills_are_unrelated():
    scene = Scene(body_px(up=(0.0, 1.0)))
    with pipeline_of(scene, max_infants=2) as pipeline:
        first = pipeline.process_still(picture())
        scene.bodies = [body_px((60.0, 120.0))]
        second = pipeline.process_still(picture())
    assert [infant.track for infant in first.infants + second.infants] == [1, 1]
    assert first.infants[0].raw_2d.score.mean() == pytest.approx(0.9)
    # nothing is smoothed
    assert np.allclose(second.infants[0].smooth_2d.keypoints_px, body_px((60.0, 120.0)))


def test_an_empty_still():
    with pipeline_of(Scene()) as pipeline:
        assert pipeline.process_still(picture()).infants == ()
        assert pipeline.process_still(np.zeros((8, 8, 3), np.uint8)).detections == ()


def test_many_threads_take_turns():
    scene = Scene(body_px())
    failures = []

    def work(name):
        try:
            stamps_s = (index * DT_S for index in itertools.count())
            deadline = time.monotonic() + 30
            # The first look is not waited for where other cameras would have to wait, too.
            while not pipeline.process(picture(), next(stamps_s), camera_name=name).infants:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            for stamp_s in itertools.islice(stamps_s, 20):
                assert pipeline.process(picture(), stamp_s, camera_name=name).infants
        except AssertionError as error:
            failures.append(error)

    with pipeline_of(scene, detect_async=True, detect_every=2) as pipeline:
        threads = [threading.Thread(target=work, args=(f'camera{n}',)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


@pytest.fixture(scope='module')
def tiny_settings(tiny_checkpoints):
    return PipelineSettings(
        device='cpu', detect_async=False, detection_score_min=0.0, keypoint_score_min=0.0,
        track_score_min=0.0, adult_policy='off', **{f'{task}_weights': str(path)
                                for task, path in tiny_checkpoints.items()})


def test_the_real_chain_runs_from_checkpoints(tiny_settings):
    camera = Camera(300.0, 300.0, 159.5, 119.5, *SIZE_WH)
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    with PosePipeline.from_settings(tiny_settings) as pipeline:
        pipeline.warm_up(SIZE_WH)
        results = [pipeline.process(image, index * DT_S, camera) for index in range(3)]
        still = pipeline.process_still(image, camera)
    assert all(len(result.infants) == 1 for result in results)
    assert np.isfinite(results[-1].infants[0].smooth_2d.keypoints_px).all()
    assert results[-1].stage_ms['pose'] > 0
    assert len(still.infants) == 1


def test_two_runs_give_the_same_answer(tiny_settings):
    image = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    runs = []
    for _ in range(2):
        with PosePipeline.from_settings(tiny_settings) as pipeline:
            runs.append([pipeline.process(image, index * DT_S).infants[0].smooth_2d.keypoints_px
                         for index in range(4)])
    assert np.allclose(runs[0], runs[1], atol=1e-3)


def test_describe_holds_plain_values(tiny_settings):
    with PosePipeline.from_settings(tiny_settings.replace(age_months=1.0)) as pipeline:
        described = json.loads(json.dumps(pipeline.describe()))
    assert described['device'] == 'cpu'
    assert described['precision'] == 'fp32'
    assert described['scale_origin'] == 'age'
    assert described['models']['lifter']['name'] == 'tiny lifter'
    assert len(described['models']['pose']['sha256']) == 64
