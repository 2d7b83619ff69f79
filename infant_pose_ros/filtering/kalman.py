"""Kalman filters of keypoints: constant velocity, driven by white-noise acceleration.

filterpy's `KalmanFilter` does the sums; this module says what moves, how uncertain it is and
which measurements are believed. Units are px or m, whatever the points are in, and seconds.
"""

from __future__ import annotations

from filterpy.common import Q_continuous_white_noise
from filterpy.kalman import KalmanFilter
import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import NUM_KEYPOINTS

#: The acceleration is held to be constant for so long, s. It turns a standard deviation into a
#: spectral density, so that smoothing doesn't hang on the frame rate.
ACCELERATION_TIME_S = 1.0 / 30.0
#: A keypoint's first speed has the standard deviation that its acceleration builds up in this
#: time, s.
FIRST_SPEED_TIME_S = 0.3
#: A measurement's standard deviation is at least the acceleration's times this, s^2
#: (0.05 px for 1500 px/s^2, 0.1 mm for 3 m/s^2).
NOISE_FLOOR_S2 = 3e-5
#: So many gated measurements in a row that agree with each other are believed.
RECOVERY_COUNT = 3


def motion_model(ndim: int, dt_s: float, acceleration_std: float
                 ) -> tuple[np.ndarray, np.ndarray]:
    """Transition F and process noise Q of the state (positions, then velocities).

    Per axis, with q = acceleration_std^2 * ACCELERATION_TIME_S,

        F = [1 dt]    Q = q [dt^3/3  dt^2/2]
            [0  1]          [dt^2/2  dt    ]

    (continuous white-noise acceleration: Bar-Shalom, Li and Kirubarajan 2001, section 6.2.2).
    Two steps of dt/2 give the same as one of dt.

    Args:
        ndim: 2 or 3 axes.
        dt_s: step, s, >= 0.
        acceleration_std: px/s^2 or m/s^2.

    Returns:
        Two arrays of (2 ndim, 2 ndim).

    Raises:
        InvalidInputError: dt_s is negative or not finite.
    """
    if not 0.0 <= dt_s < np.inf:
        raise InvalidInputError(
            f'dt_s: expected a finite step of at least 0 s, got {dt_s}; reset the filter where '
            'time jumps back')
    density = acceleration_std**2 * ACCELERATION_TIME_S
    noise = Q_continuous_white_noise(dim=2, dt=dt_s, spectral_density=density)
    axes = np.eye(ndim)
    return np.kron([[1.0, dt_s], [0.0, 1.0]], axes), np.kron(noise, axes)


class KeypointFilter:
    """One keypoint's Kalman filter, with a gate for outliers and a way back from it.

    It is asleep until its first measurement. A measurement whose Mahalanobis distance from the
    prediction exceeds `gate_sigma` is left out, but a second filter begins at it; when that one
    has taken `RECOVERY_COUNT` measurements while the first took none, it takes over.
    """

    def __init__(self, ndim: int, acceleration_std: float, gate_sigma: float):
        """Make a sleeping filter.

        Args:
            ndim: 2 (px) or 3 (m).
            acceleration_std: px/s^2 or m/s^2; less is smoother.
            gate_sigma: standard deviations from the prediction that a measurement may lie away.

        Raises:
            InvalidInputError: a value is out of range.
        """
        if ndim not in (2, 3):
            raise InvalidInputError(f'ndim: expected 2 or 3, got {ndim}')
        self.ndim = ndim
        self.configure(acceleration_std, gate_sigma)
        self.reset()

    def configure(self, acceleration_std: float, gate_sigma: float) -> None:
        """Change the settings of a filter that may be running.

        Raises:
            InvalidInputError: a value is not finite and positive.
        """
        for name, value in (('acceleration_std', acceleration_std), ('gate_sigma', gate_sigma)):
            if not 0.0 < value < np.inf:
                raise InvalidInputError(f'{name}: expected a positive number, got {value}')
        self.acceleration_std, self.gate_sigma = acceleration_std, gate_sigma

    def reset(self) -> None:
        """Forget everything and sleep until the next measurement."""
        self._main: KalmanFilter | None = None
        self._other: KalmanFilter | None = None
        self._other_count = 0

    @property
    def is_active(self) -> bool:
        """Whether a measurement has arrived since the last reset."""
        return self._main is not None

    @property
    def state(self) -> np.ndarray:
        """(2 ndim,) position and velocity; NaN while asleep."""
        return np.full(2 * self.ndim, np.nan) if self._main is None else self._main.x

    @property
    def state_covariance(self) -> np.ndarray:
        """(2 ndim, 2 ndim) covariance of `state`; NaN while asleep."""
        size = 2 * self.ndim
        return np.full((size, size), np.nan) if self._main is None else self._main.P

    def predict(self, dt_s: float) -> None:
        """Move on by `dt_s` >= 0 seconds; the covariance grows."""
        self.step(*motion_model(self.ndim, dt_s, self.acceleration_std))

    def step(self, transition: np.ndarray, process_noise: np.ndarray) -> None:
        """Move on by what `motion_model` returned."""
        for kalman in (self._main, self._other):
            if kalman is not None:
                kalman.predict(F=transition, Q=process_noise)

    def correct(self, point: np.ndarray, covariance: np.ndarray) -> bool:
        """Take a measurement in.

        Args:
            point: (ndim,); one that is not finite is not believed.
            covariance: (ndim, ndim) symmetric, positive definite; the same holds.

        Returns:
            Whether it was believed; False leaves the prediction as it was.
        """
        if not (np.isfinite(point).all() and np.isfinite(covariance).all()):
            return False
        if self._main is None:
            self._main = self._begun(point, covariance)
            return True
        if self._update(self._main, point, covariance):
            self._other = None
            return True
        if self._other is not None and self._update(self._other, point, covariance):
            self._other_count += 1
        else:
            self._other, self._other_count = self._begun(point, covariance), 1
        if self._other_count < RECOVERY_COUNT:
            return False
        self._main, self._other = self._other, None
        return True

    def _begun(self, point: np.ndarray, covariance: np.ndarray) -> KalmanFilter:
        kalman = KalmanFilter(dim_x=2 * self.ndim, dim_z=self.ndim)
        kalman.H = np.eye(self.ndim, 2 * self.ndim)
        kalman.x = np.concatenate([point, np.zeros(self.ndim)])
        kalman.P = np.diag([(self.acceleration_std * FIRST_SPEED_TIME_S)**2] * 2 * self.ndim)
        kalman.P[:self.ndim, :self.ndim] = covariance
        return kalman

    def _update(self, kalman: KalmanFilter, point: np.ndarray, covariance: np.ndarray) -> bool:
        before = kalman.x, kalman.P
        kalman.update(point, R=covariance)
        if kalman.y @ kalman.SI @ kalman.y <= self.gate_sigma**2:
            return True
        kalman.x, kalman.P = before
        return False


class KeypointFilterBank:
    """The filters of all keypoints of one track in one space; arrays in, arrays out.

    Whoever makes this faster keeps these methods, and this class as the reference to test with.
    """

    def __init__(self, ndim: int, acceleration_std: float, gate_sigma: float,
                 num_keypoints: int = NUM_KEYPOINTS):
        """Make K = `num_keypoints` sleeping filters; the rest is as in `KeypointFilter`."""
        self.ndim = ndim
        self.filters = tuple(
            KeypointFilter(ndim, acceleration_std, gate_sigma) for _ in range(num_keypoints))
        self._unseen_s = np.full(num_keypoints, np.inf)

    def configure(self, acceleration_std: float, gate_sigma: float) -> None:
        """Change the settings of running filters."""
        for keypoint in self.filters:
            keypoint.configure(acceleration_std, gate_sigma)

    @property
    def positions(self) -> np.ndarray:
        """(K, ndim) px or m; NaN where asleep."""
        return np.array([keypoint.state[:self.ndim] for keypoint in self.filters])

    @property
    def covariances(self) -> np.ndarray:
        """(K, ndim, ndim) of the positions, px^2 or m^2; NaN where asleep."""
        return np.array([
            keypoint.state_covariance[:self.ndim, :self.ndim] for keypoint in self.filters])

    @property
    def unseen_s(self) -> np.ndarray:
        """(K,) seconds since a measurement was last believed; inf where asleep."""
        return self._unseen_s.copy()

    def predict(self, dt_s: float) -> None:
        """Move all filters on by `dt_s` >= 0 seconds.

        Raises:
            InvalidInputError: dt_s is negative or not finite.
        """
        model = motion_model(self.ndim, dt_s, self.filters[0].acceleration_std)
        for keypoint in self.filters:
            keypoint.step(*model)
        self._unseen_s += dt_s

    def correct(self, points: np.ndarray, covariances: np.ndarray, seen: np.ndarray
                ) -> np.ndarray:
        """Take one frame's measurements in.

        Args:
            points: (K, ndim) px or m.
            covariances: (K, ndim, ndim) px^2 or m^2; raised to a small floor where they are
                less than it or not positive definite.
            seen: (K,) bool; a keypoint that is not seen, or has a NaN or infinite point or
                covariance, is left to its prediction.

        Returns:
            (K,) bool: whose measurement was believed.
        """
        usable = (np.asarray(seen, bool) & np.isfinite(points).all(axis=1)
                  & np.isfinite(covariances).all(axis=(1, 2)))
        noise = self._definite(covariances, usable)
        taken = np.zeros(len(self.filters), bool)
        for index in np.flatnonzero(usable):
            taken[index] = self.filters[index].correct(points[index], noise[index])
        self._unseen_s[taken] = 0.0
        return taken

    def reset(self, which: np.ndarray) -> None:
        """Put the filters where (K,) bool `which` is set to sleep."""
        for index in np.flatnonzero(which):
            self.filters[index].reset()
        self._unseen_s[which] = np.inf

    def _definite(self, covariances: np.ndarray, usable: np.ndarray) -> np.ndarray:
        noise = np.where(usable[:, None, None], covariances, np.eye(self.ndim))
        noise = 0.5 * (noise + noise.swapaxes(1, 2))
        floor = (self.filters[0].acceleration_std * NOISE_FLOOR_S2)**2
        lack = np.maximum(floor - np.linalg.eigvalsh(noise)[:, 0], 0.0)
        return noise + lack[:, None, None] * np.eye(self.ndim)
