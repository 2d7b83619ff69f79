from filterpy.kalman import KalmanFilter
import numpy as np
import pytest

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.kalman import KeypointFilter, KeypointFilterBank, motion_model

DT = 1 / 30


def settled(ndim=2, speed=(0.0, 0.0), frames=30, noise=4.0, gate=5.0):
    """A filter that followed a noiseless point from (100, 50) for some frames."""
    keypoint = KeypointFilter(ndim, 1500.0, gate)
    for frame in range(frames):
        if frame:
            keypoint.predict(DT)
        keypoint.correct(np.array([100.0, 50.0]) + frame * DT * np.array(speed), np.eye(2) * noise)
    return keypoint


def test_motion_model_by_hand():
    # q = 3^2 / 30 = 0.3; dt = 0.2: dt^3/3 = 0.0026667, dt^2/2 = 0.02
    transition, noise = motion_model(2, 0.2, 3.0)
    assert np.allclose(transition, [[1, 0, .2, 0], [0, 1, 0, .2], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert np.allclose(noise, [[.0008, 0, .006, 0], [0, .0008, 0, .006],
                               [.006, 0, .06, 0], [0, .006, 0, .06]])


def test_one_long_step_equals_two_short_ones():
    long, short = settled(speed=(30, -20)), settled(speed=(30, -20))
    long.predict(0.3)
    short.predict(0.1)
    short.predict(0.2)
    assert np.allclose(long.state, short.state)
    assert np.allclose(long.state_covariance, short.state_covariance)


def test_no_step_changes_nothing():
    keypoint = settled(speed=(30, -20))
    state, covariance = keypoint.state.copy(), keypoint.state_covariance.copy()
    keypoint.predict(0.0)
    assert np.array_equal(keypoint.state, state)
    assert np.allclose(keypoint.state_covariance, covariance)


@pytest.mark.parametrize('dt_s', [-0.01, float('nan'), float('inf')])
def test_bad_step_is_refused(dt_s):
    with pytest.raises(InvalidInputError, match='dt_s'):
        settled().predict(dt_s)


@pytest.mark.parametrize('arguments, word', [
    ((4, 3.0, 5.0), 'ndim'), ((3, 0.0, 5.0), 'acceleration_std'), ((3, 3.0, -1.0), 'gate_sigma'),
    ((3, float('nan'), 5.0), 'acceleration_std')])
def test_bad_settings_are_named(arguments, word):
    with pytest.raises(InvalidInputError, match=word):
        KeypointFilter(*arguments)


def test_sleeps_until_the_first_measurement():
    keypoint = KeypointFilter(3, 3.0, 5.0)
    keypoint.predict(DT)
    assert not keypoint.is_active
    assert np.isnan(keypoint.state).all() and np.isnan(keypoint.state_covariance).all()
    assert not keypoint.correct(np.array([0.1, np.nan, 0.9]), np.eye(3))
    assert not keypoint.is_active
    assert keypoint.correct(np.array([0.1, -0.2, 0.9]), np.diag([1e-4, 2e-4, 3e-4]))
    assert np.allclose(keypoint.state, [0.1, -0.2, 0.9, 0, 0, 0])
    # speed: (3 m/s^2 x 0.3 s)^2 = 0.81
    assert np.allclose(keypoint.state_covariance, np.diag([1e-4, 2e-4, 3e-4, .81, .81, .81]))


def test_first_correction_by_hand():
    # One axis of P = diag(4, (1500 x 0.3)^2), dt = 0.1, q = 1500^2 / 30 = 75000:
    # prior variance 4 + 0.01 x 202500 + 75000 x 0.001 / 3 = 2054; R = 4; gain 2054 / 2058.
    keypoint = KeypointFilter(2, 1500.0, 5.0)
    keypoint.correct(np.array([10.0, 20.0]), np.eye(2) * 4)
    keypoint.predict(0.1)
    assert keypoint.state_covariance[0, 0] == pytest.approx(2054.0)
    assert keypoint.correct(np.array([16.0, 20.0]), np.eye(2) * 4)
    assert keypoint.state[:2] == pytest.approx([10 + 6 * 2054 / 2058, 20.0])
    assert keypoint.state_covariance[0, 0] == pytest.approx(4 * 2054 / 2058)


def test_the_sums_are_filterpys():
    rng = np.random.default_rng(0)
    keypoint = KeypointFilter(3, 3.0, 50.0)
    reference = KalmanFilter(dim_x=6, dim_z=3)
    reference.H = np.eye(3, 6)
    noise = np.diag([1e-4, 1e-4, 9e-4])
    first = np.array([0.1, 0.0, 0.9])
    reference.x = np.concatenate([first, np.zeros(3)])
    reference.P = np.diag([1e-4, 1e-4, 9e-4, .81, .81, .81])
    keypoint.correct(first, noise)
    for dt_s in (0.03, 0.05, 0.001, 0.2, 0.03):
        transition, process = motion_model(3, dt_s, 3.0)
        point = first + rng.normal(0, 0.01, 3)
        reference.predict(F=transition, Q=process)
        reference.update(point, R=noise)
        keypoint.predict(dt_s)
        assert keypoint.correct(point, noise)
        assert np.allclose(keypoint.state, reference.x, rtol=1e-12)
        assert np.allclose(keypoint.state_covariance, reference.P, rtol=1e-12)


@pytest.mark.parametrize('regular', [True, False])
def test_smoothing_beats_the_measurements(regular):
    rng = np.random.default_rng(1)
    dts = np.full(300, DT) if regular else rng.uniform(0.01, 0.08, 300)
    times = np.cumsum(dts)
    truth = np.stack([200 + 80 * np.sin(2 * times), 100 + 60 * np.cos(1.5 * times)], axis=1)
    noisy = truth + rng.normal(0, 6.0, truth.shape)
    keypoint = KeypointFilter(2, 1500.0, 5.0)
    smooth = []
    for dt_s, point in zip(dts, noisy):
        keypoint.predict(dt_s)
        keypoint.correct(point, np.eye(2) * 36.0)
        smooth.append(keypoint.state[:2])
    error_before, error_after = (noisy - truth)[10:], (np.array(smooth) - truth)[10:]
    assert np.sqrt(np.mean(error_after**2)) < 0.75 * np.sqrt(np.mean(error_before**2))
    assert np.std(np.diff(error_after, 3, axis=0)) < 0.6 * np.std(
        np.diff(error_before, 3, axis=0))


def test_the_covariance_is_the_error():
    # Truth that moves as the model says: error' P^-1 error has the mean 6, the size of the state.
    rng = np.random.default_rng(4)
    noise = np.diag([1e-4, 4e-4, 9e-4])
    distances = []
    for _ in range(20):
        keypoint, truth = KeypointFilter(3, 3.0, 50.0), np.array([0, 0, 0.9, 0.1, 0, 0])
        for dt_s in rng.uniform(0.01, 0.1, 60):
            transition, process = motion_model(3, dt_s, 3.0)
            truth = rng.multivariate_normal(transition @ truth, process)
            keypoint.predict(dt_s)
            keypoint.correct(rng.multivariate_normal(truth[:3], noise), noise)
            error = keypoint.state - truth
            distances.append(error @ np.linalg.solve(keypoint.state_covariance, error))
    assert np.mean(distances) == pytest.approx(6.0, rel=0.1)


def test_noisier_measurements_count_less():
    sure, unsure = settled(), settled()
    for keypoint, noise in ((sure, 1.0), (unsure, 400.0)):
        keypoint.predict(DT)
        keypoint.correct(np.array([105.0, 50.0]), np.eye(2) * noise)
    assert unsure.state[0] - 100 < 0.2 * (sure.state[0] - 100)


def test_occlusion_goes_on_and_grows_unsure():
    keypoint = settled(speed=(60.0, -30.0))
    before, spread = keypoint.state[:2].copy(), []
    for _ in range(6):
        keypoint.predict(DT)
        spread.append(np.trace(keypoint.state_covariance[:2, :2]))
    assert np.allclose(keypoint.state[:2] - before, [12.0, -6.0], atol=0.3)
    assert (np.diff(spread) > 0).all()
    assert spread[-1] > 5 * spread[0]


def test_a_lone_outlier_is_left_out():
    keypoint = settled()
    keypoint.predict(DT)
    state, covariance = keypoint.state.copy(), keypoint.state_covariance.copy()
    assert not keypoint.correct(np.array([400.0, 300.0]), np.eye(2) * 4)
    assert np.array_equal(keypoint.state, state)
    assert np.array_equal(keypoint.state_covariance, covariance)
    keypoint.predict(DT)
    assert keypoint.correct(np.array([100.5, 50.0]), np.eye(2) * 4)


def test_the_gate_is_where_it_says():
    for sigmas, taken in ((4.9, True), (5.1, False)):
        keypoint = settled()
        keypoint.predict(DT)
        std = np.sqrt(keypoint.state_covariance[0, 0] + 4.0)
        assert keypoint.correct(keypoint.state[:2] + [sigmas * std, 0], np.eye(2) * 4) is taken


def test_three_outliers_that_agree_are_believed():
    keypoint = settled()
    answers = []
    for x in (300.0, 302.0, 304.0, 306.0):
        keypoint.predict(DT)
        answers.append(keypoint.correct(np.array([x, 200.0]), np.eye(2) * 4))
    assert answers == [False, False, True, True]
    assert keypoint.state[:2] == pytest.approx([306, 200], abs=1.0)
    assert keypoint.state[2] == pytest.approx(60.0, abs=25.0)


def test_outliers_that_disagree_are_never_believed():
    keypoint = settled()
    for point in ((400, 400), (0, 400), (400, 0), (0, 0), (500, 250), (250, 500)):
        assert not keypoint.correct(np.array(point, float), np.eye(2) * 4)
        keypoint.predict(DT)
    assert keypoint.state[:2] == pytest.approx([100, 50], abs=0.5)


def test_a_good_measurement_forgets_the_outliers():
    keypoint = settled()
    answers = []
    for x in (400.0, 400.0, 100.0, 400.0, 400.0):
        keypoint.predict(DT)
        answers.append(keypoint.correct(np.array([x, 50.0]), np.eye(2) * 4))
    assert answers == [False, False, True, False, False]


def test_always_finite():
    keypoint = settled()
    for point, noise in (([np.inf, 0], np.eye(2)), ([np.nan, 0], np.eye(2)),
                         ([100, 50], np.full((2, 2), np.inf)),
                         ([100, 50], np.full((2, 2), np.nan))):
        assert not keypoint.correct(np.array(point, float), noise)
    for _ in range(5):
        keypoint.predict(1000.0)
    assert np.isfinite(keypoint.state).all() and np.isfinite(keypoint.state_covariance).all()


def make_bank(**changes):
    return KeypointFilterBank(**{
        'ndim': 3, 'acceleration_std': 3.0, 'gate_sigma': 5.0, 'num_keypoints': 4, **changes})


def test_bank_shapes_and_missing_points():
    bank = make_bank()
    assert bank.positions.shape == (4, 3)
    assert bank.covariances.shape == (4, 3, 3)
    assert np.isnan(bank.positions).all() and np.isinf(bank.unseen_s).all()
    points = np.arange(12.0).reshape(4, 3)
    points[1, 2] = np.nan
    noise = np.tile(np.eye(3) * 1e-4, (4, 1, 1))
    noise[3, 0, 0] = np.nan
    taken = bank.correct(points, noise, np.array([True, True, False, True]))
    assert taken.tolist() == [True, False, False, False]
    assert np.isfinite(bank.positions).all(axis=1).tolist() == [True, False, False, False]
    assert np.allclose(bank.positions[0], [0, 1, 2])
    assert np.allclose(bank.covariances[0], np.eye(3) * 1e-4)


def test_bank_equals_single_filters():
    rng = np.random.default_rng(2)
    bank = make_bank(ndim=2, acceleration_std=1500.0)
    singles = [KeypointFilter(2, 1500.0, 5.0) for _ in range(4)]
    noise = np.stack([np.array([[9.0, 2.0], [2.0, 4.0]]) * (1 + k) for k in range(4)])
    for dt_s in rng.uniform(0.01, 0.1, 10):
        points = rng.normal(0, 4, (4, 2))
        bank.predict(dt_s)
        bank.correct(points, noise, np.ones(4, bool))
        for single, point, cov in zip(singles, points, noise):
            single.predict(dt_s)
            single.correct(point, cov)
    assert np.allclose(bank.positions, [single.state[:2] for single in singles])
    assert np.allclose([own.state[2:] for own in bank.filters],
                       [single.state[2:] for single in singles])
    assert np.allclose(bank.covariances, [s.state_covariance[:2, :2] for s in singles])


def test_bank_counts_the_unseen_time():
    bank = make_bank(num_keypoints=2)
    noise, points = np.tile(np.eye(3) * 1e-4, (2, 1, 1)), np.zeros((2, 3))
    bank.correct(points, noise, np.array([True, True]))
    bank.predict(0.1)
    bank.predict(0.25)
    bank.correct(points, noise, np.array([True, False]))
    assert bank.unseen_s == pytest.approx([0.0, 0.35])
    bank.reset(np.array([False, True]))
    assert bank.unseen_s[1] == np.inf and np.isnan(bank.positions[1]).all()
    assert np.isfinite(bank.positions[0]).all()


@pytest.mark.parametrize('noise', [
    np.zeros((3, 3)), -np.eye(3), np.array([[1e-4, 5e-4, 0], [5e-4, 1e-4, 0], [0, 0, 1e-4]])])
def test_bank_mends_covariances_that_are_none(noise):
    bank = make_bank(num_keypoints=1)
    for _ in range(20):
        bank.predict(DT)
        assert bank.correct(np.full((1, 3), 0.2), noise[None], np.array([True])).all()
    assert np.allclose(bank.positions, 0.2)
    assert (np.linalg.eigvalsh(bank.covariances[0]) > 0).all()


def test_bank_takes_new_settings_while_running():
    calm, wild = make_bank(), make_bank()
    wild.configure(300.0, 5.0)
    noise, points = np.tile(np.eye(3) * 1e-4, (4, 1, 1)), np.zeros((4, 3))
    for bank in (calm, wild):
        bank.correct(points, noise, np.ones(4, bool))
    calm.configure(30.0, 5.0)
    for bank in (calm, wild):
        bank.predict(0.1)
    assert np.trace(wild.covariances[0]) > 10 * np.trace(calm.covariances[0])
