"""A pendulum in noise of any colour, simulated on a fine grid, many seeds at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.stats

from pcctrl.arrays import Array
from pcctrl.filters import NonlinearFilter
from pcctrl.models import LinearModel, NonlinearModel
from pcctrl.scripts.benchmarks.systems import smooth_or_white

__all__ = ["CASES", "Case", "Recording", "rates", "ratio", "rmse"]

DT, SAMPLES, SETTLE, FINE, SEEDS = 0.2, 200, 50, 20, 60
GRAVITY, DAMPING, FLOOR = 9.81, 0.5, 1e-2


def rates(x: Array, u: Array, w: Array) -> Array:
    """Return the rates of angle and angular velocity (..., 2) per second, under a torque per inertia in rad/s²."""
    fall = -GRAVITY * np.sin(x[..., 0]) - DAMPING * x[..., 1]
    return np.stack([x[..., 1], fall + u[..., 0] + w[..., 0]], axis=-1)


def angle(x: Array, u: Array) -> Array:
    """Return the angle, (..., 1)."""
    return np.asarray(x[..., :1] + 0.0 * u)


def sine(x: Array, u: Array) -> Array:
    """Return the sine of the angle, (..., 1)."""
    return np.asarray(np.sin(x[..., :1]) + 0.0 * u)


@dataclass(frozen=True)
class Case:
    """What disturbs the pendulum, in rad/s², what is read of it, and with what noise."""

    force: float
    sensor: float
    sine: bool

    def model(self, samples: float) -> NonlinearModel:
        """Return the pendulum with all noise smooth over so many samples, or white for 0."""
        process, sensor = smooth_or_white(samples, DT, self.force, self.sensor, FLOOR)
        return NonlinearModel(
            rates,
            sine if self.sine else angle,
            dt=DT,
            operating_point=(np.zeros(2), np.zeros(1)),
            process_noise=[process],
            sensor_noise=[sensor],
            substeps=2,
            prior=1e-4 * np.eye(2),
        )

    def twin(self, samples: float) -> LinearModel:
        """Return the pendulum of infinitely small swings."""
        process, sensor = smooth_or_white(samples, DT, self.force, self.sensor, FLOOR)
        return LinearModel(
            np.array([[0.0, 1.0], [-GRAVITY, -DAMPING]]),
            np.array([[0.0], [1.0]]),
            np.array([[1.0, 0.0]]),
            dt=DT,
            noise_input=np.array([[0.0], [1.0]]),
            process_noise=[process],
            sensor_noise=[sensor],
        )


CASES = {
    "angle": Case(2.0, 0.24, sine=False),
    "sine": Case(1.0, 0.12, sine=True),
    "sine, wide": Case(2.0, 0.12, sine=True),
    "tumbling": Case(4.0, 0.12, sine=True),
}


@dataclass(frozen=True, eq=False)
class Recording:
    """Seeds simulated together: states (k, T, 2) on a fine grid of the true noise, and what was read (k, T, 1)."""

    case: Case
    samples: float
    first: int = 0
    seeds: int = SEEDS
    length: int = SAMPLES

    @cached_property
    def data(self) -> tuple[Array, Array]:
        """States and readings, from rest."""
        model = self.case.model(self.samples)
        h, steps = DT / FINE, self.length * FINE
        forces, noises = [], []
        for seed in range(self.first, self.first + self.seeds):
            rng = np.random.default_rng(seed)
            # Read at half steps too, for the middle stages of Runge-Kutta.
            forces.append(model.process_noise[0].sample(rng, 2 * steps + 1, 0.5 * h))
            noises.append(model.sensor_noise[0].sample(rng, self.length, DT, sensor=True))
        w, u, x = np.array(forces)[..., None], np.zeros(1), np.zeros((self.seeds, 2))
        if self.samples == 0.0:
            # White noise has no value in a middle: held over the step.
            w[:, 1::2] = w[:, :-1:2] = (w[:, 1::2] + w[:, :-1:2]) / 2.0
        states = []
        for k in range(steps):
            if k % FINE == 0:
                states.append(x)
            a, b, c = w[:, 2 * k], w[:, 2 * k + 1], w[:, 2 * k + (2 if self.samples else 1)]
            k1 = rates(x, u, a)
            k2 = rates(x + 0.5 * h * k1, u, b)
            k3 = rates(x + 0.5 * h * k2, u, b)
            k4 = rates(x + h * k3, u, c)
            x = x + (h / 6.0) * (k1 + 2.0 * (k2 + k3) + k4)
        truth = np.stack(states, axis=1)
        return truth, model.readout(truth, u) + np.array(noises)[..., None]

    def errors(self, filter_: NonlinearFilter) -> Array:
        """Return the mean squared error (k,) of each seed in rad², the rate's over g / l."""
        truth, y = self.data
        error = (filter_.run(y).mean - truth)[:, SETTLE:] / [1.0, np.sqrt(GRAVITY)]
        return np.asarray(np.mean(np.sum(error**2, axis=-1), axis=-1))


def rmse(errors: Array) -> float:
    """Return the root of the mean over seeds."""
    return float(np.sqrt(errors.mean()))


def ratio(errors: Array, others: Array) -> tuple[float, float, float]:
    """Return the ratio of two root mean square errors, and its 95 % interval by resampling the seeds in pairs."""

    def statistic(a: Array, b: Array, axis: int) -> Array:
        return np.asarray(np.sqrt(a.mean(axis=axis) / b.mean(axis=axis)))

    found = scipy.stats.bootstrap(
        (errors, others), statistic, paired=True, vectorized=True, method="percentile", rng=np.random.default_rng(0)
    )
    ends = found.confidence_interval
    return rmse(errors) / rmse(others), float(ends.low), float(ends.high)
