import numpy as np
import pytest

from infant_pose_ros.codecs.keypoint_clouds import empty_rows
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.recorded_noise import noise_std, reader_of_rows
from infant_pose_ros.skeleton import Joint, ROOT, TrackState

FRAMES = 900
STAMPS_S = np.arange(FRAMES) / 30.0


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def swing(amplitude):
    """(F,): a limb that swings twice a second."""
    return amplitude * np.sin(2.0 * np.pi * 2.0 * STAMPS_S)


def told(values, score=None, stamps_s=STAMPS_S, default=9.0):
    """Noise of one keypoint with one axis, (F,)."""
    score = np.full(len(values), 0.85) if score is None else score
    return noise_std(stamps_s, values[:, None, None], score[:, None],
                     np.full((1, 1), default))[:, 0, 0]


def test_noise_is_told_from_movement(rng):
    # The swing's own third difference is (2 sin(0.21))^3 = 0.072 of its amplitude, 1.4 px.
    noisy = swing(20.0) + rng.normal(0.0, 2.0, FRAMES)
    assert told(noisy) == pytest.approx(np.full(FRAMES, 2.0), rel=0.1)


def test_outliers_hardly_move_it(rng):
    values = rng.normal(0.0, 2.0, FRAMES)
    values[::50] += 300.0
    assert told(values)[0] == pytest.approx(2.0, rel=0.2)


def test_what_scores_less_is_noisier(rng):
    score = rng.uniform(0.5, 0.9, FRAMES // 60).repeat(60)
    true = 1.5 * np.exp(-4.0 * (score - 0.85))
    assert np.median(np.abs(told(rng.normal(0.0, true), score) / true - 1.0)) < 0.15


def test_missing_values_and_uneven_steps_are_left_out(rng):
    values = rng.normal(0.0, 2.0, FRAMES)
    values[::7] = np.nan
    assert told(values)[0] == pytest.approx(2.0, rel=0.15)
    # Between takes of 10 frames the limb went elsewhere.
    stamps_s = STAMPS_S + 5.0 * (np.arange(FRAMES) // 10)
    jumping = rng.normal(0.0, 2.0, FRAMES) + 100.0 * (np.arange(FRAMES) // 10 % 3)
    assert told(jumping, stamps_s=stamps_s)[0] == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize('count', [0, 1, 3, 20])
def test_a_short_recording_gets_the_default(count):
    values = np.linspace(0.0, 1.0, count)
    assert told(values, stamps_s=STAMPS_S[:count]) == pytest.approx(np.full(count, 9.0))


def recorded_rows(rng, root_noise_m=0.02, noise_m=0.003, noise_px=1.5):
    """A body at rest at 1 m whose root trembles more than the rest about it."""
    rows = empty_rows(FRAMES)
    rows['u'] = 300.0 + rng.normal(0.0, noise_px, (FRAMES, 16))
    rows['v'] = 200.0 + rng.normal(0.0, noise_px, (FRAMES, 16))
    root = rng.normal(0.0, root_noise_m, (FRAMES, 3)) + [0.0, 0.0, 1.0]
    about = rng.normal(0.0, noise_m, (FRAMES, 16, 3))
    about[:, ROOT] = 0.0
    for axis, name in enumerate('xyz'):
        rows[name] = root[:, None, axis] + about[:, :, axis]
        rows[f's{name}'] = 0.04
    rows['score'], rows['state'], rows['track'] = 0.85, TrackState.MEASURED, 1
    return rows


def test_poses_carry_the_noise_of_root_and_limbs(rng):
    pose_2d, pose_3d = reader_of_rows(STAMPS_S, recorded_rows(rng), 640)(17)
    assert pose_2d.noise_px2[:, 0, 0] == pytest.approx(np.full(16, 1.5**2), rel=0.3)
    std_m = np.sqrt(pose_3d.noise_m2[:, [0, 1, 2], [0, 1, 2]])
    assert std_m[ROOT] == pytest.approx(np.full(3, 0.02), rel=0.15)
    assert std_m[Joint.L_WRIST] == pytest.approx(np.full(3, 0.003), rel=0.15)
    assert pose_3d.covariance_m2[3] == pytest.approx(np.eye(3) * 0.04**2)
    assert pose_3d.is_absolute


def test_the_whole_error_in_the_picture_is_that_in_space_at_its_distance(rng):
    rows = recorded_rows(rng, noise_px=0.5)
    # 600 px a metre: a grid of 16 keypoints, 0.1 m apart, in both spaces.
    grid = np.stack([np.arange(16) % 4, np.arange(16) // 4], axis=-1) * 0.1
    for axis, (space, picture) in enumerate((('x', 'u'), ('y', 'v'))):
        rows[space] = grid[:, axis] + 0.3
        rows[picture] = 600.0 * grid[:, axis] + 50.0
    rows['sx'], rows['sy'] = 0.02, 0.01
    pose_2d, _ = reader_of_rows(STAMPS_S, rows, 640)(9)
    np.testing.assert_allclose(pose_2d.covariance_px2,
                               np.tile(np.diag([12.0**2, 6.0**2]), (16, 1, 1)), rtol=1e-4)


def test_noise_stays_between_its_limits(rng):
    still, wild = recorded_rows(rng, 0.0, 0.0, 0.0), recorded_rows(rng, 0.5, 0.5, 0.0)
    pose_2d, pose_3d = reader_of_rows(STAMPS_S, still, 1280)(0)
    assert pose_2d.noise_px2[0, 0, 0] == pytest.approx(0.4**2)       # 0.2 px of 640
    assert pose_3d.noise_m2[0, 0, 0] == pytest.approx((0.01 * 0.04)**2)
    _, pose_3d = reader_of_rows(STAMPS_S, wild, 640)(0)
    assert pose_3d.noise_m2[0] == pytest.approx(pose_3d.covariance_m2[0])


def test_relative_poses_and_missing_ones(rng):
    rows = recorded_rows(rng)
    for name in 'xyz':
        rows[name] -= rows[name][:, [ROOT]]
    rows[5] = empty_rows(1)[0]
    rows['state'][6, Joint.R_KNEE] = TrackState.LOST
    read = reader_of_rows(STAMPS_S, rows, 640)
    assert read(5) == (None, None)
    assert not read(4)[1].is_absolute
    assert np.isnan(read(6)[0].keypoints_px[Joint.R_KNEE]).all()
    assert read(6)[0].score[Joint.R_KNEE] == 0.0


def test_a_pose_without_depth_is_one_of_the_picture_alone(rng):
    rows = recorded_rows(rng)
    for name in ('x', 'y', 'z', 'sx', 'sy', 'sz'):
        rows[name] = np.nan
    pose_2d, pose_3d = reader_of_rows(STAMPS_S, rows, 640)(0)
    assert pose_3d is None
    np.testing.assert_allclose(pose_2d.covariance_px2, np.tile(np.eye(2) * 25.0, (16, 1, 1)))


def test_other_arrays_are_refused():
    with pytest.raises(InvalidInputError, match=r'expected \(3, 16\) keypoints, got \(2, 16\)'):
        reader_of_rows(np.arange(3.0), empty_rows(2), 640)
