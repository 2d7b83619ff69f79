import numpy as np
import pytest

from infant_pose_ros.synthetic.body import clothing_map
from infant_pose_ros.synthetic.outfits import (
    Complexion,
    face_map,
    HATS,
    INFANT_KINDS,
    NAPPY,
    Outfit,
    tailor_columns,
    tailor_map,
)

FABRICS = 30


@pytest.fixture(scope='module')
def outfits():
    rng = np.random.default_rng(5)
    return [Outfit.sample(rng, FABRICS) for _ in range(400)]


def test_arms_and_legs_are_measured_from_shoulder_and_hip_to_wrist_and_ankle():
    where, low = tailor_map(), clothing_map()
    foot, shin = low.foot > 0.9, (low.height > 0.1) & (low.height < 0.15) & (low.hand < 0.1)
    assert where.leg[foot].min() > 0.8
    assert 0.6 < np.median(where.leg[shin & (where.arm < 0.02)]) < 0.95
    assert np.median(where.leg[(low.height > 0.55) & (where.arm < 0.02)]) < 0.05
    assert where.arm[low.hand > 0.9].min() > 0.9


def test_face_coordinates_put_the_eyes_half_a_distance_either_side():
    face, eye = face_map(), clothing_map().eye > 0.9
    left = eye & (face[:, 3] > 0)
    assert face[left, :3].mean(0) == pytest.approx([0.5, 0, 0], abs=0.03)
    assert tailor_columns().shape == (len(face), 12)


def test_nobody_looks_undressed_unless_bare(outfits):
    where = clothing_map()
    hips = (where.height > 0.44) & (where.height < 0.48) & (tailor_map().leg < 0.1) & (
        tailor_map().arm < 0.02)
    for outfit in outfits:
        covered = outfit.covers()['bottom'][hips].mean()
        assert covered == 0.0 if outfit.kind == 'bare' else covered > 0.9, outfit.kind


def test_kinds_hats_and_nappies_come_in_the_shares_that_are_meant(outfits):
    kinds = [outfit.kind for outfit in outfits]
    for kind, share in INFANT_KINDS.items():
        assert kinds.count(kind) / len(kinds) == pytest.approx(share, abs=0.07)
    assert np.mean([outfit.hat > 0 for outfit in outfits]) == pytest.approx(0.16, abs=0.06)
    assert {outfit.hat for outfit in outfits} == set(range(len(HATS)))
    assert any(outfit.lower == NAPPY for outfit in outfits)
    assert all(-2 <= outfit.lower < FABRICS and 0 <= outfit.upper < FABRICS
               for outfit in outfits)


def test_a_hat_covers_the_crown_and_leaves_the_face_free(outfits):
    face, where = face_map(), clothing_map()
    crown = (where.head > 0.9) & (face[:, 2] > 1.5)
    mouth = (where.head > 0.9) & (face[:, 1] < -0.3) & (face[:, 2] < -0.3)
    for outfit in outfits:
        hat = outfit.covers()['hat']
        if outfit.hat:
            assert hat[crown].all() and not hat[mouth].any()
            assert outfit.offsets_m()[crown].min() > 0.002
        else:
            assert not hat.any()


def test_one_sock_covers_one_foot():
    outfit = Outfit.sample(np.random.default_rng(1), FABRICS)
    one = Outfit(**{**vars(outfit), 'sock_left': 0.9, 'sock_right': 2.0})
    sock, side = one.covers()['sock'], face_map()[:, 3]
    assert sock[side > 0].any() and not sock[side < 0].any()


def test_adults_wear_tops_and_bottoms_and_skin_spans_dark_to_light():
    rng = np.random.default_rng(2)
    adults = [Outfit.sample_adult(rng, FABRICS) for _ in range(50)]
    assert all(adult.sleeve > 0 and adult.trousers > 0.2 for adult in adults)
    tones = np.array([Complexion.sample(rng, FABRICS).skin.mean() for _ in range(200)])
    assert tones.min() < 0.3 and tones.max() > 0.7 and tones.std() > 0.12
