import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.bank import KalmanBank
from infant_pose_ros.filtering.motion import MotionSettings, RECOVERY_COUNT
from infant_pose_ros.filtering.reference import ReferenceFilter

DT = 1 / 30
SETTINGS = MotionSettings(300.0, 5.0)


def bank_of(rows=1, size=1, ndim=2, settings=SETTINGS, shares=None):
    bank = KalmanBank(ndim, settings, np.ones(size) if shares is None else shares)
    for _ in range(rows):
        bank.add_row()
    return bank


def measure(bank, point, var=1.0, spread=None, seen=True):
    """Feed one point to a bank of a single filter; whether it was believed."""
    noise = np.eye(bank.ndim)[None, None] * var
    spread = noise if spread is None else np.eye(bank.ndim)[None, None] * spread
    return bool(bank.correct(np.asarray(point, float)[None, None], noise, spread,
                             np.array([[seen]]))[0, 0])


def settled(frames=30, speed=(0.0, 0.0), **kinds):
    bank = bank_of(**kinds)
    for frame in range(frames):
        bank.predict(DT if frame else 0.0)
        measure(bank, np.array([100.0, 50.0]) + frame * DT * np.array(speed))
    return bank


@pytest.mark.parametrize('ndim', [2, 3])
def test_the_bank_is_filterpys_filter_for_every_keypoint(ndim):
    rng = np.random.default_rng(ndim)
    settings = MotionSettings(300.0, 4.0, lag_s=0.05, lag_speed=120.0)
    shares = np.array([1.0, 0.5, 0.2])
    bank = bank_of(2, 3, ndim, settings, shares)
    references = [[ReferenceFilter(ndim, settings, share) for share in shares] for _ in range(2)]
    place, speed = rng.normal(0, 100, (2, 3, ndim)), rng.normal(0, 50, (2, 3, ndim))
    believed = []
    for frame in range(120):
        dt_s = float(rng.uniform(0.01, 0.06)) if frame % 20 else 0.0
        if frame % 37 == 36:
            speed = rng.normal(0, 400, speed.shape)
        if frame == 60:
            place[0, 0] += 300.0    # a jump: the other filter takes over
        place = place + dt_s * speed
        root = rng.normal(size=(2, 3, ndim, ndim))
        noise = 0.2 * root @ root.swapaxes(-1, -2) + 0.1 * np.eye(ndim)
        points = place + rng.normal(0, 0.7, place.shape)
        outlier = rng.random((2, 3)) < 0.05
        points[outlier] += rng.normal(0, 60, (outlier.sum(), ndim))
        seen = rng.random((2, 3)) > 0.1
        bank.predict(dt_s)
        taken = bank.correct(points, noise, 5 * noise, seen)
        for row, column in np.ndindex(2, 3):
            reference = references[row][column]
            reference.predict(dt_s)
            point = points[row, column] if seen[row, column] else np.full(ndim, np.nan)
            assert taken[row, column] == reference.correct(
                point, noise[row, column], 5 * noise[row, column])
        moments = bank.moments
        believed.append(taken.mean())
        for row, column in np.ndindex(2, 3):
            reference = references[row][column]
            assert np.allclose(moments.mean[row, column], reference.state, rtol=1e-7, atol=1e-7,
                               equal_nan=True)
            assert np.allclose(moments.covariance[row, column], reference.state_covariance,
                               rtol=1e-7, atol=1e-7, equal_nan=True)
            assert np.allclose(bank.calm_positions[row, column], reference.calm_position,
                               rtol=1e-7, atol=1e-7, equal_nan=True)
    assert 0.3 < np.mean(believed) < 0.95   # both the gate and the filter had work


def test_first_correction_by_hand():
    # One axis begins with P = diag(4, (300 x 0.3)^2 = 8100). dt = 0.2 = T: reach 0.126424,
    # e 0.367879, q = 300^2 / 30 = 3000: prior 4 + 0.0159831 x 8100 + 3000 x 0.00134473 = 137.497
    bank = bank_of()
    assert measure(bank, (10.0, 20.0), 4.0)
    bank.predict(0.2)
    assert bank.covariances[0, 0, 0, 0] == pytest.approx(137.497, abs=1e-2)
    assert measure(bank, (16.0, 20.0), 4.0)
    gain = 137.497 / 141.497
    assert bank.positions[0, 0] == pytest.approx([10 + 6 * gain, 20.0], abs=1e-4)
    assert bank.covariances[0, 0, 0, 0] == pytest.approx(4 * gain, abs=1e-4)


def test_sleeps_until_the_first_measurement():
    bank = bank_of(ndim=3)
    bank.predict(DT)
    assert np.isnan(bank.positions).all() and np.isinf(bank.unseen_s).all()
    assert not measure(bank, (0.1, np.nan, 0.9))
    assert not measure(bank, (0.1, 0.2, 0.9), seen=False)
    assert np.isnan(bank.calm_positions).all()
    assert measure(bank, (0.1, -0.2, 0.9))
    assert np.allclose(bank.positions[0, 0], (0.1, -0.2, 0.9))
    assert bank.unseen_s[0, 0] == 0.0 and not bank.moments.mean[0, 0, 3:].any()


def test_bad_step_and_dimensions_are_refused():
    with pytest.raises(InvalidInputError, match='dt_s'):
        settled().predict(-0.1)
    with pytest.raises(InvalidInputError, match='ndim'):
        KalmanBank(4, SETTINGS, np.ones(16))


def test_occlusion_slows_down_and_grows_unsure():
    bank = settled(speed=(60.0, 0.0))
    before, spreads = bank.positions[0, 0].copy(), []
    for _ in range(30):
        bank.predict(DT)
        spreads.append(bank.covariances[0, 0, 0, 0])
    assert (np.diff(spreads) > 0).all()
    # A velocity of some 55 px/s carries T = 0.2 s of itself and no further.
    assert 5.0 < bank.positions[0, 0, 0] - before[0] < 12.5
    assert bank.unseen_s[0, 0] == pytest.approx(1.0)


def test_a_lone_outlier_is_left_out_and_forgotten():
    bank = settled()
    bank.predict(DT)
    assert not measure(bank, (200.0, 50.0))
    assert bank.positions[0, 0] == pytest.approx([100.0, 50.0])
    bank.predict(DT)
    assert measure(bank, (100.0, 50.0))
    for _ in range(RECOVERY_COUNT - 1):     # the count begins anew
        bank.predict(DT)
        assert not measure(bank, (200.0, 50.0))


def test_outliers_that_agree_are_believed_those_that_do_not_are_not():
    bank = settled()
    believed = []
    for _ in range(RECOVERY_COUNT):
        bank.predict(DT)
        believed.append(measure(bank, (200.0, 50.0)))
    assert believed == [False] * (RECOVERY_COUNT - 1) + [True]
    assert bank.positions[0, 0] == pytest.approx([200.0, 50.0], abs=1.0)
    assert bank.calm_positions[0, 0] == pytest.approx([200.0, 50.0], abs=1.0)
    bank = settled()
    for frame in range(12):
        bank.predict(DT)
        assert not measure(bank, (200.0 + 300.0 * (frame % 2), 50.0))


def test_the_gate_goes_by_the_whole_error():
    narrow, wide = settled(), settled()
    for bank, spread, believed in ((narrow, 1.0, False), (wide, 100.0, True)):
        bank.predict(DT)
        assert measure(bank, (115.0, 50.0), spread=spread) is believed


def test_far_measurements_weigh_less():
    # Within a wide gate, a point 40 px off pulls less than twice as much as one 20 px off.
    pulls = []
    for offset in (20.0, 40.0):
        bank = settled()
        bank.predict(DT)
        assert measure(bank, (100.0 + offset, 50.0), spread=1e4)
        pulls.append(bank.positions[0, 0, 0] - 100.0)
    assert 0.0 < pulls[1] < 1.8 * pulls[0]


def test_what_keeps_pulling_one_way_is_followed_faster():
    # The same speed: an ordinary filter's gain stays; this one's grows while it lags.
    gains = []
    for speed in (0.0, 500.0):
        bank = settled(speed=(0.0, 0.0))
        for frame in range(1, 6):
            bank.predict(DT)
            measure(bank, (100.0 + speed * frame * DT, 50.0), spread=1e4)
        gains.append(bank.covariances[0, 0, 0, 0])
    assert gains[1] > 1.5 * gains[0]


def test_rows_come_and_go_without_mixing():
    bank = bank_of(2, 2)
    points = np.arange(8.0).reshape(2, 2, 2) * 100
    noise = np.tile(np.eye(2), (2, 2, 1, 1))
    bank.correct(points, noise, noise, np.ones((2, 2), bool))
    assert bank.add_row() == 2 and len(bank) == 3
    assert np.isnan(bank.positions[2]).all()
    bank.remove_row(0)
    assert np.allclose(bank.positions[0], points[1]) and np.isnan(bank.positions[1]).all()
    bank.reset(np.array([[True, False], [False, False]]))
    assert np.isnan(bank.positions[0, 0]).all() and np.isfinite(bank.positions[0, 1]).all()


def test_rows_that_a_frame_is_not_for_are_left_alone():
    bank = bank_of(2)
    points, noise = np.zeros((2, 1, 2)), np.tile(np.eye(2), (2, 1, 1, 1))
    bank.correct(points, noise, noise, np.ones((2, 1), bool))
    bank.predict(DT)
    taken = bank.correct(points + 5.0, noise, noise, np.ones((2, 1), bool),
                         np.array([True, False]))
    assert taken.tolist() == [[True], [False]]
    assert (bank.positions[0] > 1.0).all() and not bank.positions[1].any()


def test_reorder():
    bank = bank_of(1, 3)
    points, noise = np.arange(6.0).reshape(1, 3, 2), np.tile(np.eye(2), (1, 3, 1, 1))
    bank.correct(points, noise, noise, np.array([[True, True, False]]))
    bank.reorder(0, np.array([2, 1, 0]))
    assert np.isnan(bank.positions[0, 0]).all() and np.isnan(bank.calm_positions[0, 0]).all()
    assert np.allclose(bank.positions[0, 2], points[0, 0])
    assert bank.unseen_s[0].tolist() == [np.inf, 0.0, 0.0]


@pytest.mark.parametrize('noise', [np.zeros((2, 2)), np.diag([1.0, -1.0]),
                                   np.array([[1.0, 2.0], [2.0, 1.0]])])
def test_noise_that_is_none_is_mended(noise):
    bank = bank_of()
    for _ in range(20):
        bank.predict(DT)
        bank.correct(np.array([[[3.0, 4.0]]]), noise[None, None], noise[None, None],
                     np.ones((1, 1), bool))
    assert bank.positions[0, 0] == pytest.approx([3.0, 4.0])
    assert np.linalg.eigvalsh(bank.covariances[0, 0]).min() > 0


def test_no_rows():
    bank = bank_of(0)
    bank.predict(DT)
    assert bank.correct(np.zeros((0, 1, 2)), np.zeros((0, 1, 2, 2)), np.zeros((0, 1, 2, 2)),
                        np.zeros((0, 1), bool)).shape == (0, 1)
