import dataclasses

import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.synthetic.stills import render_stills

SIZE = (160, 120)


@pytest.fixture(scope='module')
def infants(renderer):
    return list(render_stills(renderer, 9, 0, 24, SIZE))


@pytest.fixture(scope='module')
def adults(renderer):
    return list(render_stills(renderer, 9, 0, 8, SIZE, people='adults'))


def test_a_still_depends_on_its_seed_and_number_alone(renderer, infants):
    again = list(render_stills(renderer, 9, 4, 4, SIZE))
    for one, other in zip(infants[4:8], again):
        assert np.array_equal(one.rendering.image_rgb, other.rendering.image_rgb)
        assert np.array_equal(one.labels.keypoints_px, other.labels.keypoints_px)
    assert not np.array_equal(infants[0].rendering.image_rgb, infants[4].rendering.image_rgb)


def test_pictures_differ_in_brightness_and_few_are_lost(infants):
    means = np.array([still.rendering.image_rgb.mean() for still in infants])
    assert means.std() > 25 and np.ptp(means) > 90
    contrasts = [still.rendering.image_rgb[still.rendering.owner == 1].std()
                 for still in infants]
    assert np.mean(np.array(contrasts) > 12) > 0.8


def test_grey_pictures_are_those_that_the_scene_calls_grey(infants):
    for still in infants:
        spread = np.ptp(still.rendering.image_rgb.astype(int), axis=2).max()
        assert (spread == 0) == still.scene.grey


def test_infants_are_found_whole_or_nearly_and_mostly_seen(infants):
    shares = [np.mean(still.rendering.owner == 1) for still in infants]
    assert min(shares) > 0.003 and np.median(shares) > 0.04
    assert np.mean([still.labels.visible.mean() for still in infants]) > 0.5
    assert all(0 <= still.age_months <= 12 for still in infants)


def test_cameras_are_above_with_lenses_of_45_to_100_degrees(infants):
    for still in infants:
        matrix = still.scene.world_to_camera
        assert 0.3 < -(matrix[:, :3].T @ matrix[:, 3])[2] < 2.8
        assert matrix[2, 2] < -np.cos(np.deg2rad(51))
        field = 2 * np.arctan(still.scene.camera.width / (2 * still.scene.camera.fx))
        assert np.deg2rad(44.9) < field < np.deg2rad(100.1)


def test_empty_beds_have_no_labels(renderer):
    mixed = list(render_stills(renderer, 9, 0, 4, SIZE, negatives=1.0))
    assert len(mixed) == 4
    for still in mixed:
        assert not (still.rendering.owner == 1).any()
        assert np.isnan(still.labels.keypoints_px).all() and np.isnan(still.age_months)
        assert np.isnan(still.labels.box_xyxy).all() and not still.labels.visible.any()
        assert np.isnan(still.labels.keypoints_m).all()


def test_empty_beds_leave_other_infants_alone(renderer, infants):
    mixed = list(render_stills(renderer, 9, 0, 24, SIZE, negatives=0.2))
    empty = [np.isnan(still.age_months) for still in mixed]
    assert 0 < sum(empty) < 12
    whole = [not any(empty[start:start + 4]) for start in range(0, 24, 4)]
    assert any(whole)
    for number, (one, other) in enumerate(zip(infants, mixed)):
        if whole[number // 4]:
            assert np.array_equal(one.rendering.image_rgb, other.rendering.image_rgb)


def test_adults_are_big_dressed_and_labelled(adults):
    for still in adults:
        head = still.labels.keypoints_m[Joint.HEAD_TOP]
        assert 1.3 < still.labels.body_length_m < 2.1 and still.age_months >= 12 * 18
        assert np.linalg.norm(head - still.labels.keypoints_m[Joint.PELVIS]) > 0.5
        assert (still.rendering.owner == 1).any() and still.scene.outfit.kind == 'adult'


def test_an_adult_beside_the_cot_is_not_the_infant(renderer, infants, bodies):
    from infant_pose_ros.synthetic.bystanders import CLEARANCE_M, sample_bystander

    scene = infants[0].scene
    found = [sample_bystander(np.random.default_rng(seed), bodies.keypoints_m[0],
                              scene.world_to_camera, renderer.num_fabrics) for seed in range(3)]
    adult = next(person for person in found if person is not None)
    low, high = bodies.keypoints_m[0, :, :2].min(0), bodies.keypoints_m[0, :, :2].max(0)
    through = ((adult.vertices_m[:, :2] > low) & (adult.vertices_m[:, :2] < high)).all(1) & (
        adult.vertices_m[:, 2] > 0) & (adult.vertices_m[:, 2] < 0.2)
    assert not through.any()
    matrix = scene.world_to_camera
    camera = -matrix[:, :3].T @ matrix[:, 3]
    assert np.linalg.norm(adult.vertices_m - camera, axis=1).min() > CLEARANCE_M - 0.06
    with_adult = dataclasses.replace(scene, others=(adult,), props=(), blanket=None)
    alone = dataclasses.replace(with_adult, others=())
    both = renderer.render(with_adult, bodies.vertices_m[0], bodies.rest_vertices_m)
    one = renderer.render(alone, bodies.vertices_m[0], bodies.rest_vertices_m)
    assert not (one.owner == 2).any()
    assert ((both.owner == 1) <= (one.owner == 1)).all()


@pytest.mark.parametrize('wrong', [{'people': 'dogs'}, {'negatives': 1.5}])
def test_wrong_wishes_are_named(renderer, wrong):
    with pytest.raises(InvalidInputError, match='render_stills'):
        next(render_stills(renderer, 0, 0, 4, SIZE, **wrong))


@pytest.mark.parametrize('first, count', [(2, 4), (0, 6)])
def test_half_a_body_is_refused(renderer, first, count):
    with pytest.raises(InvalidInputError, match=f'multiples of 4, got {first} and {count}'):
        next(render_stills(renderer, 0, first, count, SIZE))
