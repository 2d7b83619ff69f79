"""Kalman filters of all keypoints of all tracks, stepped together.

Each keypoint has a velocity that white-noise acceleration drives and that dies away
(`motion.motion_model`), and is measured with a covariance of its own in every frame. On top of
the textbook filter:

- A *gate*: a measurement further than `gate_sigma` from the prediction, judged by the
  measurement's whole covariance, is left out. A second filter begins at it; when that one has
  taken `RECOVERY_COUNT` measurements in a row while the first took none, it takes over.
- *Robust weights* (Huber 1964): within the gate, the noise of a measurement grows with its
  squared distance beyond `HUBER_SIGMA`.
- *Manoeuvres*: innovations that keep pointing the same way mean that the filter lags. The
  process noise is raised by how far their running mean exceeds what noise explains, in the same
  frame (after Bar-Shalom, Li and Kirubarajan 2001, section 11.2).
- A *calm output*: what is published follows the filter through one pole of `lag_s`, which
  shortens as the keypoint moves (as the cut-off of Casiez et al.'s One-Euro filter, 2012). The
  poles of a Kalman filter let a share of every measurement's noise through at once; this one
  takes it away, for a fraction of a frame of delay.

`reference.ReferenceFilter` is the same for one keypoint, written with filterpy's `KalmanFilter`:
the tests compare the two, and `infant-pose bench` times them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.filtering.motion import (
    Calm,
    check_step,
    DRIFT_TIME_S,
    FIRST_SPEED_TIME_S,
    HUBER_SIGMA,
    manoeuvre_factor,
    MotionSettings,
    noise_factors,
    NOISE_FLOOR_S2,
    RECOVERY_COUNT,
    rise,
    velocity_step,
)


@dataclass(eq=False)
class _Hypotheses:
    """States of the filters of a keypoint: the believed one, then the one that waits.

    Arrays lead with (2 or 1, N, K). `mean` (..., 2, D) holds position and velocity, `blocks`
    (..., 3, D, D) the covariances position-position, position-velocity, velocity-velocity.
    """

    mean: np.ndarray
    blocks: np.ndarray

    def predict(self, dt_s: float, density: np.ndarray) -> None:
        """Move on by `dt_s`; `density` (..., N, K) drives the velocity."""
        reach_s, kept = velocity_step(dt_s)
        self.mean[..., 0, :] += reach_s * self.mean[..., 1, :]
        self.mean[..., 1, :] *= kept
        position, crossed, velocity = (self.blocks[..., i, :, :] for i in range(3))
        position += reach_s * (crossed + crossed.swapaxes(-1, -2)) + reach_s**2 * velocity
        crossed[:] = kept * (crossed + reach_s * velocity)
        velocity *= kept**2
        self.add_noise(dt_s, density)

    def add_noise(self, dt_s: float | np.ndarray, density: np.ndarray) -> None:
        """Process noise of a step, a number or (N, 1) s, of (..., N, K) spectral density."""
        axes = np.arange(self.mean.shape[-1])
        for block, factor in enumerate(noise_factors(dt_s)):
            self.blocks[..., block, axes, axes] += (factor * density)[..., None]

    def corrected(self, innovation: np.ndarray, noise: np.ndarray) -> _Hypotheses:
        """Updated by `innovation` (..., N, K, D) with `noise` (..., N, K, D, D)."""
        position, crossed, velocity = (self.blocks[..., i, :, :] for i in range(3))
        inverse = np.linalg.inv(position + noise)
        gains = np.stack([position @ inverse, crossed.swapaxes(-1, -2) @ inverse], axis=-3)
        mean = self.mean + (gains @ innovation[..., None, :, None])[..., 0]
        blocks = np.stack([_symmetric(position - gains[..., 0, :, :] @ position),
                           crossed - gains[..., 0, :, :] @ crossed,
                           _symmetric(velocity - gains[..., 1, :, :] @ crossed)], axis=-3)
        return _Hypotheses(mean, blocks)


@dataclass(frozen=True, eq=False)
class Moments:
    """States of the believed filters: `mean` (N, K, 2 D), `covariance` (N, K, 2 D, 2 D).

    Positions come first, then velocities; NaN where a filter sleeps.
    """

    mean: np.ndarray
    covariance: np.ndarray


class KalmanBank:
    """Filters of K keypoints of N tracks in one space; rows are tracks.

    Args:
        ndim: 2 (px) or 3 (m).
        settings: how they move.
        shares: (K,) how hard each keypoint accelerates, against `settings.acceleration_std`.

    Raises:
        InvalidInputError: ndim is neither 2 nor 3.
    """

    def __init__(self, ndim: int, settings: MotionSettings, shares: np.ndarray):
        if ndim not in (2, 3):
            raise InvalidInputError(f'ndim: expected 2 or 3, got {ndim}')
        self.ndim = ndim
        self.settings = settings
        self._shares = np.asarray(shares, float)
        size = len(self._shares)
        self._states = _Hypotheses(np.full((2, 0, size, 2, ndim), np.nan),
                                   np.full((2, 0, size, 3, ndim, ndim), np.nan))
        #: Whether each keypoint's believed and waiting filters run.
        self._awake = np.zeros((2, 0, size), bool)
        self._agreed = np.zeros((0, size), int)
        self._unseen_s = np.zeros((0, size))
        self._step_s = np.zeros(0)
        self._boost = np.zeros((0, size))
        self._drift = np.zeros((0, size, ndim))
        self._calm = Calm.empty(size, ndim)
        #: (N, K) bool: the filters that the last `correct` began, or moved to another place.
        self.began = np.zeros((0, size), bool)
        #: States before the last `correct`'s measurements, for a smoother; None: not kept.
        self.prior: Moments | None = None
        self.keeps_prior = False

    def __len__(self) -> int:
        """Rows."""
        return len(self._unseen_s)

    def add_row(self) -> int:
        """Append a row of sleeping filters; its number."""
        size = len(self._shares)
        self._states = _Hypotheses(*(
            np.concatenate([array, np.full((2, 1, *array.shape[2:]), np.nan)], axis=1)
            for array in (self._states.mean, self._states.blocks)))
        self._awake = np.concatenate([self._awake, np.zeros((2, 1, size), bool)], axis=1)
        self._agreed = np.vstack([self._agreed, np.zeros((1, size), int)])
        self._unseen_s = np.vstack([self._unseen_s, np.full((1, size), np.inf)])
        self._step_s = np.append(self._step_s, 0.0)
        self._boost = np.vstack([self._boost, np.ones((1, size))])
        self._drift = np.concatenate([self._drift, np.zeros((1, size, self.ndim))])
        self._calm.add_row()
        return len(self) - 1

    def remove_row(self, row: int) -> None:
        """Take a row out; those behind it move up."""
        self._states = _Hypotheses(np.delete(self._states.mean, row, axis=1),
                                   np.delete(self._states.blocks, row, axis=1))
        self._awake = np.delete(self._awake, row, axis=1)
        for name in ('_agreed', '_unseen_s', '_step_s', '_boost', '_drift'):
            setattr(self, name, np.delete(getattr(self, name), row, axis=0))
        self._calm.remove_row(row)

    def reorder(self, row: int, order: np.ndarray) -> None:
        """Keypoint k of a row becomes what `order[k]` (K,) was."""
        for array in (self._states.mean, self._states.blocks, self._awake):
            array[:, row] = array[:, row][:, order]
        for array in (self._agreed, self._unseen_s, self._boost, self._drift,
                      self._calm.positions, self._calm.velocities):
            array[row] = array[row][order]

    # What it knows

    @property
    def positions(self) -> np.ndarray:
        """(N, K, D) now, without the output's lag; NaN where asleep."""
        return self._states.mean[0, :, :, 0].copy()

    @property
    def calm_positions(self) -> np.ndarray:
        """(N, K, D) to publish; NaN where asleep."""
        return self._calm.positions.copy()

    @property
    def covariances(self) -> np.ndarray:
        """(N, K, D, D) of `positions`; NaN where asleep."""
        return self._states.blocks[0, :, :, 0].copy()

    @property
    def unseen_s(self) -> np.ndarray:
        """(N, K) seconds since a measurement was last believed; inf where asleep."""
        return self._unseen_s.copy()

    @property
    def moments(self) -> Moments:
        """Full states, for a smoother."""
        mean, blocks = self._states.mean[0], self._states.blocks[0]
        upper = np.concatenate([blocks[..., 0, :, :], blocks[..., 1, :, :]], axis=-1)
        lower = np.concatenate([blocks[..., 1, :, :].swapaxes(-1, -2), blocks[..., 2, :, :]],
                               axis=-1)
        return Moments(mean.reshape(*mean.shape[:2], -1).copy(),
                       np.concatenate([upper, lower], axis=-2))

    # What happens to it

    def predict(self, dt_s: float) -> None:
        """Move all rows on.

        Raises:
            InvalidInputError: dt_s is negative or not finite.
        """
        check_step(dt_s)
        states = self._running()
        density = np.broadcast_to(self._density(), states.mean.shape[:3]).copy()
        density[0] *= self._boost
        states.predict(dt_s, density)
        self._unseen_s += dt_s
        self._step_s += dt_s

    def correct(self, points: np.ndarray, noise: np.ndarray, spread: np.ndarray,
                seen: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Take one frame's measurements in, and let the output follow.

        Args:
            points: (N, K, D) px or m.
            noise: (N, K, D, D) covariance of what is drawn anew in each frame; raised to a
                small floor where it is less or not positive definite.
            spread: (N, K, D, D) covariance of the whole error, for the gate; where it is
                missing, the noise stands in.
            seen: (N, K) bool; a keypoint that is not seen, or has a point or noise that is
                not finite, is left to its prediction.
            rows: (N,) bool: which rows this frame is for; the others are left alone. Left
                out: all.

        Returns:
            (N, K) bool: whose measurement was believed.
        """
        rows = np.ones(len(self), bool) if rows is None else rows
        usable = (np.asarray(seen, bool) & rows[:, None] & np.isfinite(points).all(axis=-1)
                  & np.isfinite(noise).all(axis=(-2, -1)))
        deep = usable[..., None, None]
        noise = np.where(deep, noise, np.eye(self.ndim))
        noise, spread = self._definite(np.stack(
            [noise, np.where(deep & np.isfinite(spread), spread, noise)]))
        points = np.where(usable[..., None], points, 0.0)
        fits = self._update(points, noise, spread, usable)
        begins = usable & ~self._awake[0]
        self._begin(0, begins, points, noise)
        self._dispute(fits, usable & ~begins & ~fits[0], points, noise)
        self.began = begins | self._recovered()
        taken = fits[0] | self.began
        self._unseen_s[taken] = 0.0
        self._calm.follow(self._states.mean[0, :, :, 0], self._states.mean[0, :, :, 1],
                          np.where(rows, self._step_s, 0.0), self.settings)
        self._step_s[rows] = 0.0
        return taken

    def reset(self, which: np.ndarray) -> None:
        """Put the filters where (N, K) bool `which` is set to sleep."""
        for state in (self._states.mean, self._states.blocks):
            state[:, which] = np.nan
        self._awake[:, which] = False
        self._agreed[which] = 0
        self._unseen_s[which] = np.inf
        self._drift[which], self._boost[which] = 0.0, 1.0
        self._calm.reset(which)

    # Inside of a step

    def _running(self) -> _Hypotheses:
        """Views of both filters a keypoint; of the believed ones alone while no other runs."""
        count = 1 + bool(self._awake[1].any())
        return _Hypotheses(self._states.mean[:count], self._states.blocks[:count])

    def _density(self) -> np.ndarray:
        return self.settings.density * self._shares**2

    def _update(self, points: np.ndarray, noise: np.ndarray, spread: np.ndarray,
                usable: np.ndarray) -> np.ndarray:
        """Correct the filters that points fit; (2, N, K) bool: which."""
        states = self._running()
        runs = usable & self._awake[:len(states.mean)]
        deep = runs[..., None, None]
        innovation = np.where(runs[..., None], points - states.mean[..., 0, :], 0.0)
        position = np.where(deep, states.blocks[..., 0, :, :], 0.0)
        far = _squared_distance(innovation, position + spread)
        fits = np.zeros(self._awake.shape, bool)
        fits[:len(runs)] = runs & (far <= self.settings.gate_sigma**2)
        near = _squared_distance(innovation, position + noise) / self.ndim
        weight = np.maximum(near / HUBER_SIGMA**2, 1.0)[..., None, None]
        self._manoeuvre(fits[0], innovation[0], position[0] + noise)
        self.prior = self.moments if self.keeps_prior else None
        corrected = states.corrected(innovation, weight * noise)
        for old, new in ((states.mean, corrected.mean), (states.blocks, corrected.blocks)):
            old[fits[:len(runs)]] = new[fits[:len(runs)]]
        return fits

    def _manoeuvre(self, fits: np.ndarray, innovation: np.ndarray, covariance: np.ndarray
                   ) -> None:
        """Raise the process noise of this step where believed filters lag behind what fits."""
        fits = fits & (self._step_s > 0.0)[:, None]
        gain = np.broadcast_to(rise(self._step_s, DRIFT_TIME_S)[:, None], fits.shape)
        drift = self._drift + gain[..., None] * (innovation - self._drift)
        boost = manoeuvre_factor(_squared_distance(drift, covariance) / self.ndim, gain)
        self._drift = np.where(fits[..., None], drift, self._drift)
        more = np.where(fits, np.maximum(boost - self._boost, 0.0), 0.0) * self._density()
        self._boost = np.where(fits, boost, self._boost)
        if more.any():
            _Hypotheses(self._states.mean[:1], self._states.blocks[:1]).add_noise(
                self._step_s[:, None], more)

    def _begin(self, hypothesis: int, which: np.ndarray, points: np.ndarray, noise: np.ndarray
               ) -> None:
        """Begin filters at rest at `points` where (N, K) `which` is set."""
        if not which.any():
            return
        mean, blocks = self._states.mean[hypothesis], self._states.blocks[hypothesis]
        mean[which, 0], mean[which, 1] = points[which], 0.0
        blocks[which, 0], blocks[which, 1] = noise[which], 0.0
        first_speed = self.settings.acceleration_std * FIRST_SPEED_TIME_S
        blocks[which, 2] = first_speed**2 * np.eye(self.ndim)
        self._awake[hypothesis][which] = True

    def _dispute(self, fits: np.ndarray, refused: np.ndarray, points: np.ndarray,
                 noise: np.ndarray) -> None:
        """Keep the waiting filters: dropped where the believed one fits, begun where not."""
        if not (refused.any() or self._awake[1].any()):
            return
        self._awake[1] &= ~fits[0]
        agrees = refused & fits[1]
        self._agreed = np.where(agrees, self._agreed + 1, np.where(fits[0], 0, self._agreed))
        begins = refused & ~fits[1]
        self._begin(1, begins, points, noise)
        self._agreed[begins] = 1

    def _recovered(self) -> np.ndarray:
        """(N, K) bool: where the waiting filter takes over."""
        over = self._awake[1] & (self._agreed >= RECOVERY_COUNT)
        if not over.any():
            return over
        for state in (self._states.mean, self._states.blocks):
            state[0][over] = state[1][over]
        self._awake[1] &= ~over
        self._agreed[over] = 0
        self._drift[over], self._boost[over] = 0.0, 1.0
        self._calm.reset(over)
        return over

    def _definite(self, noise: np.ndarray) -> np.ndarray:
        noise = _symmetric(noise)
        floor = (self.settings.acceleration_std * NOISE_FLOOR_S2)**2
        lack = np.maximum(floor - np.linalg.eigvalsh(noise)[..., 0], 0.0)
        return noise + lack[..., None, None] * np.eye(self.ndim)


def _symmetric(matrices: np.ndarray) -> np.ndarray:
    return 0.5 * (matrices + matrices.swapaxes(-1, -2))


def _squared_distance(innovation: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distance over the last axes."""
    return (innovation * (np.linalg.inv(covariance) @ innovation[..., None])[..., 0]).sum(-1)
