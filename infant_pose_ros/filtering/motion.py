"""How keypoints are taken to move, and how calm the published ones are.

Units are px or m, whatever the points are in, and seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS

#: The acceleration is held to be constant for so long, s. It turns a standard deviation into a
#: spectral density, so that smoothing doesn't hang on the frame rate.
ACCELERATION_TIME_S = 1.0 / 30.0
#: Without measurements a velocity dies away in this time, s: limbs swing back, and a hidden one
#: that were carried on at its last speed would fly off.
VELOCITY_TIME_S = 0.2
#: A keypoint's first speed has the standard deviation that its acceleration builds up in this
#: time, s.
FIRST_SPEED_TIME_S = 0.3
#: A measurement's standard deviation is at least the acceleration's times this, s^2
#: (0.035 px for 350 px/s^2, 0.08 mm for 0.8 m/s^2).
NOISE_FLOOR_S2 = 1e-4
#: So many gated measurements in a row that agree with each other are believed.
RECOVERY_COUNT = 3
#: A believed measurement further from its prediction than so many standard deviations an axis
#: weighs less.
HUBER_SIGMA = 3.0
#: Innovations are averaged over this time to see whether the filter lags, s.
DRIFT_TIME_S = 0.048
#: How many times what noise explains their mean may be, squared, before the process noise grows,
#: and by how much it grows for each time beyond.
DRIFT_FREE, DRIFT_GAIN = 2.2, 1.0
#: Velocities are averaged over this time to see whether a keypoint moves, s.
SPEED_TIME_S = 0.07
#: A fast keypoint's lag, as a share of a still one's.
FAST_LAG_SHARE = 0.42
#: The speed at which the lag is half way between the two; px/s in a picture 640 px wide.
LAG_SPEED_PX_S, LAG_SPEED_M_S = 100.0, 0.3


def _shares() -> np.ndarray:
    """Accelerations as in the generator's movements, tempered: trunks of real infants roll."""
    shares = np.empty(NUM_KEYPOINTS)
    for share, joints in (
            (1.0, (Joint.R_ANKLE, Joint.L_ANKLE, Joint.R_WRIST, Joint.L_WRIST)),
            (0.85, (Joint.R_KNEE, Joint.L_KNEE, Joint.R_ELBOW, Joint.L_ELBOW)),
            (0.75, (Joint.HEAD_TOP, Joint.UPPER_NECK)),
            (0.6, (Joint.THORAX, Joint.R_SHOULDER, Joint.L_SHOULDER)),
            (0.5, (Joint.R_HIP, Joint.L_HIP, Joint.PELVIS))):
        shares[list(joints)] = share
    shares.setflags(write=False)
    return shares


#: (16,) how hard each keypoint accelerates, as a share of the liveliest.
ACCELERATION_SHARES = _shares()


@dataclass(frozen=True)
class MotionSettings:
    """What a bank of filters is told.

    Attributes:
        acceleration_std: of the liveliest keypoint, px/s^2 or m/s^2; less is smoother.
        gate_sigma: standard deviations from the prediction that a measurement may lie away.
        lag_s: time constant of the calm output for a keypoint at rest; 0 leaves it out.
        lag_speed: px/s or m/s at which the lag is half way to a fast keypoint's.
    """

    acceleration_std: float
    gate_sigma: float
    lag_s: float = 0.0
    lag_speed: float = 1.0

    def __post_init__(self):
        for name in ('acceleration_std', 'gate_sigma', 'lag_speed'):
            if not 0.0 < getattr(self, name) < np.inf:
                raise InvalidInputError(
                    f'{name}: expected a positive number, got {getattr(self, name)}')
        if not 0.0 <= self.lag_s < np.inf:
            raise InvalidInputError(f'lag_s: expected 0 s or more, got {self.lag_s}')

    @property
    def density(self) -> float:
        """Spectral density of the liveliest keypoint's white acceleration."""
        return self.acceleration_std**2 * ACCELERATION_TIME_S


def motion_model(ndim: int, dt_s: float, density: float) -> tuple[np.ndarray, np.ndarray]:
    """Transition F and process noise Q of the state (positions, then velocities).

    A velocity that is driven by white acceleration of density q and dies away in T =
    `VELOCITY_TIME_S` (Singer 1970, one order lower: an Ornstein-Uhlenbeck process). Per axis,
    with e = exp(-dt / T),

        F = [1  T (1 - e)]    Q = q [T^2 (dt - 2 T (1 - e) + T (1 - e^2) / 2)  T^2 (1 - e)^2 / 2]
            [0       e   ]          [T^2 (1 - e)^2 / 2                         T (1 - e^2) / 2  ]

    Two steps of dt/2 give the same as one of dt. Where T is long against dt, that is the model
    of constant velocity, with F = [1 dt; 0 1] and Q = q [dt^3/3 dt^2/2; dt^2/2 dt].

    Args:
        ndim: 2 or 3 axes.
        dt_s: step, s, >= 0.
        density: spectral density of the acceleration, >= 0.

    Returns:
        Two arrays of (2 ndim, 2 ndim).

    Raises:
        InvalidInputError: dt_s is negative or not finite.
    """
    check_step(dt_s)
    reach_s, kept = velocity_step(dt_s)
    position, crossed, velocity = density * np.array(noise_factors(dt_s))
    axes = np.eye(ndim)
    return (np.kron([[1.0, reach_s], [0.0, kept]], axes),
            np.kron([[position, crossed], [crossed, velocity]], axes))


def velocity_step(dt_s: float) -> tuple[float, float]:
    """How far a velocity carries in a step, s, and the share of it that is left."""
    kept = np.exp(-dt_s / VELOCITY_TIME_S)
    return VELOCITY_TIME_S * (1.0 - kept), kept


def noise_factors(dt_s: float | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q of `motion_model` for a density of 1: position, position with velocity, velocity."""
    gone = -np.expm1(-np.asarray(dt_s, float) / VELOCITY_TIME_S)
    crossed = VELOCITY_TIME_S**2 * gone**2 / 2.0
    velocity = VELOCITY_TIME_S * gone * (2.0 - gone) / 2.0
    position = VELOCITY_TIME_S**2 * (dt_s - 2.0 * VELOCITY_TIME_S * gone + velocity)
    return np.maximum(position, 0.0), crossed, velocity


def check_step(dt_s: float) -> None:
    """Refuse a step that goes back.

    Raises:
        InvalidInputError: dt_s is negative or not finite.
    """
    if not 0.0 <= dt_s < np.inf:
        raise InvalidInputError(
            f'dt_s: expected a finite step of at least 0 s, got {dt_s}; reset the filter where '
            'time jumps back')


def rise(dt_s: np.ndarray, time_s: float | np.ndarray) -> np.ndarray:
    """Share of the way that a first-order lag of `time_s` goes in `dt_s`."""
    return 1.0 - np.exp(-np.asarray(dt_s) / np.maximum(time_s, 1e-9))


def manoeuvre_factor(drift_squared: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """How many times the process noise is raised, >= 1.

    Args:
        drift_squared: squared Mahalanobis distance an axis of the innovations' running mean,
            by the covariance of a single innovation.
        gain: 0..1, of the running mean. White innovations have gain / (2 - gain) of their
            variance left in it.
    """
    excess = drift_squared * (2.0 - gain) / np.maximum(gain, 1e-9) - DRIFT_FREE
    return 1.0 + DRIFT_GAIN * np.maximum(excess, 0.0)


@dataclass(eq=False)
class Calm:
    """The calm output of (N, K) filters: a first-order lag, shorter for what moves.

    Attributes:
        positions: (N, K, D), NaN where there is none.
        velocities: (N, K, D), averaged over `SPEED_TIME_S`.
    """

    positions: np.ndarray
    velocities: np.ndarray

    @classmethod
    def empty(cls, size: int, ndim: int) -> Calm:
        """No rows of `size` keypoints."""
        return cls(np.full((0, size, ndim), np.nan), np.zeros((0, size, ndim)))

    def add_row(self) -> None:
        """Append a row with nothing in it."""
        shape = (1, *self.positions.shape[1:])
        self.positions = np.concatenate([self.positions, np.full(shape, np.nan)])
        self.velocities = np.concatenate([self.velocities, np.zeros(shape)])

    def remove_row(self, row: int) -> None:
        """Take a row out."""
        self.positions = np.delete(self.positions, row, axis=0)
        self.velocities = np.delete(self.velocities, row, axis=0)

    def reset(self, which: np.ndarray) -> None:
        """Forget where (N, K) bool `which` is set; the next `follow` begins at the filter."""
        self.positions[which], self.velocities[which] = np.nan, 0.0

    def follow(self, positions: np.ndarray, velocities: np.ndarray, dt_s: np.ndarray,
               settings: MotionSettings) -> None:
        """Follow filters at (N, K, D) positions for (N,) seconds."""
        awake = np.isfinite(positions).all(axis=-1)
        step = rise(dt_s, SPEED_TIME_S)[:, None, None]
        moved = self.velocities + step * (velocities - self.velocities)
        self.velocities = np.where(awake[..., None], moved, 0.0)
        speed = np.sqrt((self.velocities**2).sum(axis=-1)) / settings.lag_speed
        lag_s = settings.lag_s * (
            FAST_LAG_SHARE + (1.0 - FAST_LAG_SHARE) / (1.0 + speed**2))
        followed = self.positions + rise(dt_s[:, None], lag_s)[..., None] * (
            positions - self.positions)
        self.positions = np.where(np.isfinite(followed), followed, positions)
