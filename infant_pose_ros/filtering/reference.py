"""One keypoint's filter as filterpy writes it: what `bank.KalmanBank` must equal.

Slow and plain. The tests compare the bank with it, and `infant-pose bench` times both.
"""

from __future__ import annotations

from filterpy.kalman import KalmanFilter
import numpy as np

from infant_pose_ros.filtering.motion import (
    Calm,
    DRIFT_TIME_S,
    FIRST_SPEED_TIME_S,
    HUBER_SIGMA,
    manoeuvre_factor,
    motion_model,
    MotionSettings,
    RECOVERY_COUNT,
    rise,
)


class ReferenceFilter:
    """As `KalmanBank`, for one keypoint of one track; see there for what it does.

    Args:
        ndim: 2 (px) or 3 (m).
        settings: how it moves.
        share: how hard, against `settings.acceleration_std`.
    """

    def __init__(self, ndim: int, settings: MotionSettings, share: float = 1.0):
        self.ndim, self.settings = ndim, settings
        self._density = settings.density * share**2
        self._main: KalmanFilter | None = None
        self._other: KalmanFilter | None = None
        self._agreed = 0
        self._boost, self._drift, self._step_s = 1.0, np.zeros(ndim), 0.0
        self._calm = Calm.empty(1, ndim)
        self._calm.add_row()

    @property
    def state(self) -> np.ndarray:
        """(2 ndim,) position and velocity; NaN while asleep."""
        return np.full(2 * self.ndim, np.nan) if self._main is None else self._main.x

    @property
    def state_covariance(self) -> np.ndarray:
        """(2 ndim, 2 ndim) of `state`; NaN while asleep."""
        size = 2 * self.ndim
        return np.full((size, size), np.nan) if self._main is None else self._main.P

    @property
    def calm_position(self) -> np.ndarray:
        """(ndim,) to publish; NaN while asleep."""
        return self._calm.positions[0, 0]

    def predict(self, dt_s: float) -> None:
        """Move on by `dt_s` >= 0 seconds."""
        for kalman, boost in ((self._main, self._boost), (self._other, 1.0)):
            if kalman is not None:
                transition, noise = motion_model(self.ndim, dt_s, boost * self._density)
                kalman.predict(F=transition, Q=noise)
        self._step_s += dt_s

    def correct(self, point: np.ndarray, noise: np.ndarray, spread: np.ndarray) -> bool:
        """Take a measurement in; NaN leaves it out. Whether it was believed."""
        believed = np.isfinite(point).all() and self._believe(point, noise, spread)
        state = self.state
        self._calm.follow(state[None, None, :self.ndim], state[None, None, self.ndim:],
                          np.array([self._step_s]), self.settings)
        self._step_s = 0.0
        return bool(believed)

    def _believe(self, point: np.ndarray, noise: np.ndarray, spread: np.ndarray) -> bool:
        if self._main is None:
            self._main = self._begun(point, noise)
            return True
        if self._fits(self._main, point, spread):
            near = self._distance(self._main, point, noise) / self.ndim
            self._manoeuvre(point, noise)
            self._main.update(point, R=max(near / HUBER_SIGMA**2, 1.0) * noise)
            self._other, self._agreed = None, 0
            return True
        if self._other is not None and self._fits(self._other, point, spread):
            near = self._distance(self._other, point, noise) / self.ndim
            self._other.update(point, R=max(near / HUBER_SIGMA**2, 1.0) * noise)
            self._agreed += 1
        else:
            self._other, self._agreed = self._begun(point, noise), 1
        if self._agreed < RECOVERY_COUNT:
            return False
        self._main, self._other, self._agreed = self._other, None, 0
        self._boost, self._drift = 1.0, np.zeros(self.ndim)
        self._calm.reset(np.ones((1, 1), bool))
        return True

    def _manoeuvre(self, point: np.ndarray, noise: np.ndarray) -> None:
        if self._step_s == 0.0:
            return
        gain = float(rise(self._step_s, DRIFT_TIME_S))
        position = slice(self.ndim)
        self._drift = self._drift + gain * (point - self._main.x[position] - self._drift)
        covariance = self._main.P[position, position] + noise
        squared = self._drift @ np.linalg.solve(covariance, self._drift) / self.ndim
        boost = float(manoeuvre_factor(squared, np.array(gain)))
        _, more = motion_model(
            self.ndim, self._step_s, max(boost - self._boost, 0.0) * self._density)
        self._main.P, self._boost = self._main.P + more, boost

    def _begun(self, point: np.ndarray, noise: np.ndarray) -> KalmanFilter:
        kalman = KalmanFilter(dim_x=2 * self.ndim, dim_z=self.ndim)
        kalman.H = np.eye(self.ndim, 2 * self.ndim)
        kalman.x = np.concatenate([point, np.zeros(self.ndim)])
        first_speed = self.settings.acceleration_std * FIRST_SPEED_TIME_S
        kalman.P = np.diag([first_speed**2] * 2 * self.ndim)
        kalman.P[:self.ndim, :self.ndim] = noise
        return kalman

    def _fits(self, kalman: KalmanFilter, point: np.ndarray, spread: np.ndarray) -> bool:
        return self._distance(kalman, point, spread) <= self.settings.gate_sigma**2

    def _distance(self, kalman: KalmanFilter, point: np.ndarray, noise: np.ndarray) -> float:
        innovation = point - kalman.x[:self.ndim]
        covariance = kalman.P[:self.ndim, :self.ndim] + noise
        return float(innovation @ np.linalg.solve(covariance, innovation))
