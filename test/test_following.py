"""Who is followed, with scripted networks: two infants, somebody in the way, adults, a region."""

import numpy as np
import pytest
from scenes import body_px, box_of, DT_S, picture, pipeline_of, run, Scene

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.looking import UNSURE_DETECT_EVERY
from infant_pose_ros.skeleton import Joint, TrackState
from infant_pose_ros.structures import Detection, Pose2D

#: Two infants of 77 px side by side.
LEFT, RIGHT = (100.0, 120.0), (220.0, 120.0)


def small(centre, **kinds):
    return body_px(centre, scale=0.7, **kinds)


def adult_px(centre=(160.0, 120.0)):
    """(16, 2) px: a body with a small head and long limbs."""
    body = body_px(centre)
    body[Joint.HEAD_TOP] = body[Joint.UPPER_NECK] + (body[Joint.HEAD_TOP]
                                                     - body[Joint.UPPER_NECK]) * 0.5
    body[Joint.UPPER_NECK] = (body[Joint.THORAX] + body[Joint.HEAD_TOP]) / 2
    for joint in (Joint.R_KNEE, Joint.L_KNEE):
        body[joint, 1] += 20
    for joint in (Joint.R_ANKLE, Joint.L_ANKLE):
        body[joint, 1] += 45
    for joints in ((Joint.R_SHOULDER, Joint.L_SHOULDER), (Joint.R_HIP, Joint.L_HIP)):
        middle = body[list(joints)].mean(axis=0)
        body[list(joints)] = middle + (body[list(joints)] - middle) * 0.4
    return body


def track_at(result, centre):
    """Id of the infant whose trunk is nearest, None where none is within 30 px."""
    distances = {infant.track: np.linalg.norm(
        np.nanmean(infant.smooth_2d.keypoints_px, axis=0)
        - body_px(centre, scale=0.7).mean(axis=0)) for infant in result.infants}
    best = min(distances, key=distances.get, default=None)
    return best if best is not None and distances[best] < 30.0 else None


def play(pipeline, scene, count, start, move):
    """`count` frames; `move(index)` gives the bodies of each."""
    results = []
    for index in range(count):
        scene.bodies = move(index)
        results.append(pipeline.process(picture(), (start + index) * DT_S))
    return results


def test_two_infants_that_pass_through_each_other_keep_their_ids():
    scene = Scene(small(LEFT), small(RIGHT))
    with pipeline_of(scene, max_infants=2) as pipeline:
        first = play(pipeline, scene, 5, 0, lambda _: [small(LEFT), small(RIGHT)])[-1]
        left, right = track_at(first, LEFT), track_at(first, RIGHT)
        assert {left, right} == {1, 2}
        results = play(pipeline, scene, 41, 5, lambda index: [
            small((100.0 + 3 * index, 100.0)), small((220.0 - 3 * index, 140.0))])
    assert track_at(results[-1], (220.0, 100.0)) == left
    assert track_at(results[-1], (100.0, 140.0)) == right
    assert {infant.track for result in results for infant in result.infants} == {1, 2}


def test_two_tracks_never_sit_on_one_infant_and_the_strayed_one_comes_back():
    scene = Scene(small(LEFT), small(RIGHT))
    with pipeline_of(scene, max_infants=2, detect_every=1000) as pipeline:
        first = run(pipeline, 5)[-1]
        left, right = track_at(first, LEFT), track_at(first, RIGHT)
        read = scene.read
        scene.read = lambda crop: Pose2D(   # whichever crop: the right one is read
            small(RIGHT), np.full(16, 0.9), np.tile(np.eye(2), (16, 1, 1)))
        strayed = run(pipeline, 6, 5)
        for result in strayed:
            assert track_at(result, RIGHT) == right
            for infant in result.infants:
                assert infant.track == right or (infant.state == TrackState.PREDICTED).all()
        scene.read = read
        back = run(pipeline, 12, 11)[-1]
    assert (track_at(back, LEFT), track_at(back, RIGHT)) == (left, right)
    assert len(back.infants) == 2


@pytest.mark.parametrize('hidden_s, keeps', [(1.5, True), (4.0, False)])
def test_ids_survive_an_adult_who_leans_over(hidden_s, keeps):
    scene = Scene(small(LEFT), small(RIGHT))
    read = scene.read

    def read_the_right_alone(crop):
        pose = read(crop)
        is_hidden = pose.keypoints_px[:, 0].mean() < 160
        return Pose2D(pose.keypoints_px, pose.score * (0.1 if is_hidden else 1.0),
                      pose.covariance_px2)

    with pipeline_of(scene, max_infants=2, id_max_s=3.0) as pipeline:
        first = run(pipeline, 10)[-1]
        left, right = track_at(first, LEFT), track_at(first, RIGHT)
        hidden_frames = round(hidden_s / DT_S)
        scene.read = read_the_right_alone
        scene.detect = lambda image: [Detection(box_of(small(RIGHT)), 0.9)]
        hidden = run(pipeline, hidden_frames, 10)
        assert track_at(hidden[-1], LEFT) is None
        assert {track_at(result, RIGHT) for result in hidden} == {right}
        del scene.detect, scene.read
        back = run(pipeline, UNSURE_DETECT_EVERY + 60, 10 + hidden_frames)[-1]
    assert track_at(back, RIGHT) == right
    assert (track_at(back, LEFT) == left) == keeps
    assert track_at(back, LEFT) is not None


def test_legs_that_are_read_off_the_neighbour_are_predicted_instead():
    scene = Scene(small(LEFT), small(RIGHT))
    legs = [int(joint) for joint in (Joint.R_KNEE, Joint.L_KNEE, Joint.R_ANKLE, Joint.L_ANKLE)]
    with pipeline_of(scene, max_infants=2, detect_every=1000, bone_stiffness=0.0) as pipeline:
        first = run(pipeline, 10)[-1]
        right, read = track_at(first, RIGHT), scene.read

        def read_with_the_neighbours_legs(crop):
            pose = read(crop)
            keypoints_px = pose.keypoints_px.copy()
            if keypoints_px[:, 0].mean() > 160:
                keypoints_px[legs] = small(LEFT)[legs] + 1.0
            return Pose2D(keypoints_px, pose.score, pose.covariance_px2)

        scene.read = read_with_the_neighbours_legs
        for result in run(pipeline, 6, 10):
            infant = next(one for one in result.infants if one.track == right)
            np.testing.assert_allclose(infant.smooth_2d.keypoints_px, small(RIGHT), atol=2.0)
            assert (infant.state[legs] == TrackState.PREDICTED).all()
            other = next(one for one in result.infants if one.track != right)
            assert (other.state == TrackState.MEASURED).all()


def test_who_leans_in_is_not_read_as_the_infant():
    scene = Scene(small((160.0, 120.0)))
    with pipeline_of(scene, adult_policy='off', detect_every=1000) as pipeline:
        run(pipeline, 30)
        scene.score, scene.bodies = 0.5, [small((200.0, 120.0))]
        for result in run(pipeline, 8, 30):     # a reading beside it, and a poor one
            assert all((one.state == TrackState.PREDICTED).all() for one in result.infants)
            assert track_at(result, (160.0, 120.0)) == 1
        scene.score, scene.bodies = 0.9, [small((162.0, 120.0))]
        back = run(pipeline, 3, 38)[-1]
    assert track_at(back, (160.0, 120.0)) == 1
    assert (back.infants[0].state == TrackState.MEASURED).all()


def test_a_lost_infant_is_looked_for_often():
    scene = Scene(small(LEFT), small(RIGHT))
    with pipeline_of(scene, max_infants=2, detect_every=1000) as pipeline:
        run(pipeline, 5)
        scene.bodies = scene.bodies[1:]
        looks = scene.looks
        run(pipeline, 60, 5)
        assert scene.looks >= looks + 60 // UNSURE_DETECT_EVERY - 2


@pytest.mark.parametrize('body, looks', [(small(LEFT), 1), (adult_px(), 12)])
def test_whoever_is_rather_no_infant_is_looked_at_often(body, looks):
    scene = Scene(body)
    with pipeline_of(scene, detect_every=1000) as pipeline:
        assert len(run(pipeline, 60)[-1].infants) == 1
    assert scene.looks == looks


def test_a_track_that_went_onto_an_arm_comes_back():
    scene = Scene(small(LEFT))
    arm = small((250.0, 60.0))
    with pipeline_of(scene, detect_every=10) as pipeline:
        run(pipeline, 5)
        read = scene.read

        def read_the_arm(crop):     # but for crops on the infant, which only a detection makes
            if np.linalg.norm(crop.centre_px - small(LEFT).mean(axis=0)) < 20 and (
                    len(scene.crops) > 1):
                return read(crop)
            return Pose2D(arm, np.full(16, 0.6), np.tile(np.eye(2), (16, 1, 1)))

        scene.read = read_the_arm
        results = run(pipeline, 30, 5)
        scene.read = read
        results += run(pipeline, 10, 35)
    assert track_at(results[-1], LEFT) == 1
    assert len(results[-1].infants) == 1


def test_a_gap_in_the_stamps_keeps_the_id_and_a_jump_back_does_not():
    scene = Scene(body_px())
    with pipeline_of(scene, gap_reset_s=1.0, id_max_s=5.0) as pipeline:
        run(pipeline, 3, 300)
        after = pipeline.process(picture(), 13.0)
        assert (after.was_reset, after.infants[0].track) == (True, 1)
        late = pipeline.process(picture(), 30.0)
        assert (late.was_reset, late.infants[0].track) == (True, 2)
        assert pipeline.process(picture(), 29.0).infants[0].track == 3


def test_adults_are_refused_preferred_less_or_taken_as_anybody():
    adult, infant = adult_px((80.0, 100.0)), small((250.0, 120.0))
    for policy, expected in (('refuse', []), ('prefer', [1]), ('off', [1])):
        with pipeline_of(Scene(adult), adult_policy=policy) as pipeline:
            result = run(pipeline, 40)[-1]
            assert [one.track for one in result.infants] == expected
            assert result.num_refused == (policy == 'refuse')
            still = pipeline.process_still(picture())
            assert [one.track for one in still.infants] == expected
            assert still.num_refused == (policy == 'refuse')
    # The detector is surer of the adult, but there is one place alone.
    for policy, is_infant in (('refuse', True), ('prefer', True), ('off', False)):
        with pipeline_of(Scene(adult, infant), adult_policy=policy) as pipeline:
            result = run(pipeline, 3)[-1]
            assert len(result.infants) == 1
            assert (result.infants[0].box_xyxy[0] > 160) == is_infant


def test_an_adult_who_is_read_in_an_infants_place_is_not_followed():
    scene = Scene(small((160.0, 120.0)))
    with pipeline_of(scene, detect_every=10) as pipeline:
        run(pipeline, 30)
        scene.score = 0.5       # somebody leans into the picture ...
        run(pipeline, 2, 30)
        scene.score, scene.bodies = 0.9, [adult_px((160.0, 110.0))]
        leaning = run(pipeline, 40, 32)
        assert not any(result.infants for result in leaning[10:])
        assert all(result.num_refused == 1 for result in leaning[10:])
        scene.bodies = [small((160.0, 120.0))]      # ... and goes
        back = run(pipeline, UNSURE_DETECT_EVERY + 1, 72)[-1]
    assert [infant.track for infant in back.infants] == [1]
    assert back.num_refused == 0


def test_an_infant_that_is_read_by_the_track_of_one_who_hid_it_gets_its_id_back():
    scene = Scene(small((160.0, 120.0)))
    with pipeline_of(scene, detect_every=5, track_max_s=0.3) as pipeline:
        run(pipeline, 10)
        scene.bodies = []
        scene.read = lambda crop: Pose2D(
            scene.bodies[0] if scene.bodies else body_px(), np.full(16, scene.score if
                                                                    scene.bodies else 0.0),
            np.tile(np.eye(2), (16, 1, 1)))
        run(pipeline, 15, 10)       # the infant's track ends
        scene.bodies = [small((200.0, 140.0))]      # somebody else, nearby
        assert [one.track for one in run(pipeline, 20, 25)[-1].infants] == [2]
        scene.score = 0.5           # who moves away, and the track reads the infant
        run(pipeline, 1, 45)
        scene.score, scene.bodies = 0.9, [small((165.0, 122.0))]
        assert [one.track for one in run(pipeline, 10, 46)[-1].infants] == [1]


def test_an_infant_takes_an_adults_place():
    scene = Scene(adult_px((80.0, 100.0)))
    with pipeline_of(scene, adult_policy='prefer', detect_every=10) as pipeline:
        assert run(pipeline, 20)[-1].infants[0].track == 1
        scene.bodies.append(small((250.0, 120.0)))
        last = run(pipeline, 20, 20)[-1]
    assert [infant.track for infant in last.infants] == [2]
    assert last.infants[0].box_xyxy[0] > 160


def test_the_main_one_is_an_infant():
    scene = Scene(adult_px((80.0, 100.0)))
    with pipeline_of(scene, adult_policy='prefer', detect_every=10, max_infants=2) as pipeline:
        assert run(pipeline, 20)[-1].main_track == 1
        scene.bodies.append(small((250.0, 120.0)))
        last = run(pipeline, 20, 20)[-1]
    assert [infant.track for infant in last.infants] == [2, 1]
    assert last.main_track == 2


def test_a_track_that_turns_out_an_adults_ends_and_an_infant_is_not_blamed_for_it():
    scene = Scene(small((160.0, 120.0)))
    with pipeline_of(scene, adult_policy='refuse') as pipeline:
        run(pipeline, 3)
        scene.bodies = [adult_px()]
        grown = run(pipeline, 90, 3)
        assert not grown[-1].infants
        scene.bodies = [small((160.0, 120.0))]
        assert len(run(pipeline, 60, 93)[-1].infants) == 1


def test_a_strict_score_refuses_more():
    scene = Scene(body_px())
    for strict, expected in ((0.25, 1), (0.99, 0)):
        with pipeline_of(scene, infant_score_min=strict, adult_policy='refuse') as pipeline:
            assert len(run(pipeline, 3)[-1].infants) == expected


def test_only_the_region_of_interest_is_looked_at_and_followed():
    scene = Scene(small(LEFT), small(RIGHT))
    seen = []
    detect = scene.detect

    def detect_in_view(image):
        seen.append(image.shape[:2])
        x1 = 320 - image.shape[1]       # the view reaches to the right edge
        return [Detection(one.box_xyxy - [x1, 0, x1, 0], one.score) for one in detect(image)]

    scene.detect = detect_in_view
    with pipeline_of(scene, max_infants=2, roi='0.5,0,1,1') as pipeline:
        results = run(pipeline, 3)
        assert seen == [(240, 176)]      # half of 320 px and a tenth of that more
        assert [track_at(result, RIGHT) for result in results] == [1, 1, 1]
        assert [len(result.infants) for result in results] == [1, 1, 1]
        moved = play(pipeline, scene, 40, 3, lambda index: [
            small(LEFT), small((220.0 - 2 * index, 120.0))])
        assert not moved[-1].infants
        pipeline.update_settings(PipelineSettings(detect_async=False, max_infants=2))
        scene.detect = detect
        assert len(run(pipeline, UNSURE_DETECT_EVERY + 1, 43)[-1].infants) == 2


def test_nobody_stands_in_the_way_of_an_empty_frame():
    scene = Scene()
    with pipeline_of(scene, max_infants=3) as pipeline:
        assert all(result.infants == () for result in run(pipeline, 3))
