"""A guided particle filter on any generalised model: a reference where its linear twin vouches for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcctrl.arrays import Array
from pcctrl.filters import NonlinearPCFilter
from pcctrl.filters.sigma import root
from pcctrl.models import GeneralisedModel, generalise
from pcctrl.scripts.benchmarks.swings import CASES, GRAVITY, Recording

__all__ = ["ParticleRow", "particle_means", "particle_row"]

PARTICLES, SEEDS, SAMPLES, SETTLE, ORDER = 100_000, 12, 70, 20, 4


def particle_means(joint: GeneralisedModel, y: Array, particles: int, seed: int = 0) -> Array:
    """Return the mean (T, n) of the physical states after each sample of y (T, m), without inputs.

    Each particle draws its next state given the sample, exactly for a linear sensor and else by its derivative there,
    and is weighed by what is left over (the optimal proposal; Doucet, Godsill & Andrieu 2000). What drives the state is
    taken at the particles' mean. Particles are drawn anew, systematically, when fewer than half of them count.
    """
    rng, u, R = np.random.default_rng(seed), joint.input, joint.R
    X = np.broadcast_to(joint.mean, (particles, joint.size))
    Q, log_weight, means = joint.prior(joint.model.prior), np.zeros(particles), []
    for k, reading in enumerate(y):
        if k:
            weight = _shares(log_weight)
            Q = joint.driven(weight @ X, u)
            X = joint.ahead(X, u)
        expected, C = joint.readout(X, u), joint.readout_jacobian(X, u)
        spread = C @ Q @ np.swapaxes(C, -1, -2) + np.diag(R)
        gain = np.swapaxes(np.linalg.solve(spread, C @ Q), -1, -2)
        # The posterior's sample is the prior's, corrected by what a sample of the sensor makes of it.
        drawn = rng.standard_normal(X.shape) @ root(Q).T
        missed = (C @ drawn[..., None])[..., 0] + np.sqrt(R) * rng.standard_normal(expected.shape)
        move = drawn + (gain @ (reading - expected - missed)[..., None])[..., 0]
        X = X + move
        log_weight = log_weight + _log_normal(reading - expected, spread)
        # How the sensor differs from its derivative.
        linear = expected + (C @ move[..., None])[..., 0]
        squares = (reading - linear) ** 2 - (reading - joint.readout(X, u)) ** 2
        log_weight = log_weight + 0.5 * (squares / R).sum(axis=-1)
        weight = _shares(log_weight)
        means.append(weight @ X[:, : joint.plant])
        if 0.5 * particles * (weight**2).sum() > 1.0:
            places = (np.arange(particles) + rng.random()) / particles
            X, log_weight = X[np.minimum(np.searchsorted(np.cumsum(weight), places), particles - 1)], 0.0 * log_weight
    return np.array(means)


def _shares(log_weight: Array) -> Array:
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def _log_normal(error: Array, spread: Array) -> Array:
    squared = (error * np.linalg.solve(spread, error[..., None])[..., 0]).sum(axis=-1)
    return np.asarray(-0.5 * (squared + np.linalg.slogdet(spread)[1]))


@dataclass(frozen=True)
class ParticleRow:
    """Ratios of root mean square errors.

    Args:
        case: key of `CASES`.
        samples: smoothness of all noise.
        coding: predictive coding over particles.
        twin: particles over Kalman on the linear twin, which is what the particles are worth.
    """

    case: str
    samples: float
    coding: float
    twin: float


def particle_row(name: str, samples: float, particles: int = PARTICLES, seeds: int = SEEDS) -> ParticleRow:
    """Return one row."""
    case = CASES[name]
    model, twin = case.model(samples), case.twin(samples)
    truth, y = Recording(case, samples, 0, seeds, SAMPLES).data
    joint, linear = generalise(model, ORDER), generalise(twin, ORDER)
    coding = NonlinearPCFilter(model, ORDER).run(y).mean
    drawn = np.array([particle_means(joint, reading, particles, seed) for seed, reading in enumerate(y)])
    states, readings = _linear_recording(linear, seeds)
    kalman = NonlinearPCFilter(twin, ORDER, iterations=1).run(readings).mean
    worth = np.array([particle_means(linear, reading, particles, seed) for seed, reading in enumerate(readings)])
    return ParticleRow(
        name,
        samples,
        _rms(coding - truth) / _rms(drawn - truth),
        _rms(worth - states) / _rms(kalman - states),
    )


def _linear_recording(joint: GeneralisedModel, seeds: int) -> tuple[Array, Array]:
    """Return states (seeds, T, n) and readings (seeds, T, m) of a linear model, from its own prior on."""
    rng, u = np.random.default_rng(1), joint.input
    mu = joint.mean + rng.standard_normal((seeds, joint.size)) @ root(joint.prior(joint.model.prior)).T
    drive, states, readings = root(joint.driven(joint.mean, u)).T, [], []
    for _ in range(SAMPLES):
        states.append(mu[:, : joint.plant])
        readings.append(joint.readout(mu, u) + np.sqrt(joint.R) * rng.standard_normal((seeds, len(joint.R))))
        mu = joint.ahead(mu, u) + rng.standard_normal(mu.shape) @ drive
    return np.stack(states, axis=1), np.stack(readings, axis=1)


def _rms(error: Array) -> float:
    scaled = error[:, SETTLE:] / [1.0, np.sqrt(GRAVITY)]
    return float(np.sqrt((scaled**2).sum(axis=-1).mean()))
