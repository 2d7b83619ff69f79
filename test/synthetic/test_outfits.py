import numpy as np
import pytest

from infant_pose_ros.synthetic.outfits import (
    Complexion,
    HATS,
    INFANT_KINDS,
    NAPPY,
    NO_SOCK,
    Outfit,
)
from infant_pose_ros.synthetic.tailor import face_map, tailor_map

FABRICS = 30


@pytest.fixture(scope='module')
def outfits():
    rng = np.random.default_rng(5)
    return [Outfit.sample(rng, FABRICS) for _ in range(400)]


def test_nobody_looks_undressed_unless_bare(outfits):
    where = tailor_map()
    hips = (where.height > 0.44) & (where.height < 0.48) & (where.leg < 0.1) & (where.arm < 0.02)
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
    face, where = face_map(), tailor_map()
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
    one = Outfit(**{**vars(outfit), 'sock_left': 0.9, 'sock_right': NO_SOCK})
    sock, side = one.covers()['sock'], face_map()[:, 3]
    assert sock[side > 0].any() and not sock[side < 0].any()


def test_adults_wear_tops_and_bottoms_and_skin_spans_dark_to_light():
    rng = np.random.default_rng(2)
    adults = [Outfit.sample_adult(rng, FABRICS) for _ in range(50)]
    assert all(adult.sleeve > 0 and adult.trousers > 0.2 for adult in adults)
    tones = np.array([Complexion.sample(rng, FABRICS).skin.mean() for _ in range(200)])
    assert tones.min() < 0.3 and tones.max() > 0.7 and tones.std() > 0.12
