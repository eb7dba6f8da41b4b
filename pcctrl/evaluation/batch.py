"""Many episodes of an agent on a linear model at once: what is not linear in a loop, by simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array, positive, whole
from pcctrl.linalg import stationary_covariance

if TYPE_CHECKING:
    from pcctrl.models import JointModel, Task

__all__ = ["BatchPolicy", "Episodes", "simulate"]


class BatchPolicy(Protocol):
    """What a simulation needs: `agents.Agent` has it."""

    def init(self, batch: tuple[int, ...] = ()) -> Any:
        """Return the state before the first sample."""
        ...

    def step(self, state: Any, obs: Array) -> tuple[Any, Array, Any, Any]:
        """Return the next state, the action (..., p), and what sample and action were made of."""
        ...


class Episodes(NamedTuple):
    """What became of a batch of episodes.

    Args:
        cost: (batch,) mean of xᵀWx + uᵀρu a sample, about the operating point.
        worst: (batch, n) largest distance of each state from it.
    """

    cost: Array
    worst: Array

    def lost(self, bound: Array) -> NDArray[np.bool_]:
        """Return which episodes (batch,) left ±bound (n,)."""
        return np.asarray(~(self.worst < bound).all(axis=-1))


def simulate(
    truth: JointModel,
    policy: BatchPolicy,
    task: Task,
    *,
    steps: int,
    batch: int,
    seed: int,
    spoil: Callable[[int, Array, np.random.Generator], Array] | None = None,
    push: Callable[[int, Array, np.random.Generator], Array] | None = None,
    settle: int = 0,
) -> Episodes:
    """Run ``policy`` on ``batch`` realisations of ``truth`` from rest, noise chains stationary.

    The noise depends on the seed alone, whatever the policy, ``spoil`` and ``push`` do: these have their own source.

    Args:
        truth: the joint model that the loop really runs on.
        policy: whose action lies within its own limits.
        task: gives the cost.
        steps: samples an episode.
        batch: number of episodes.
        seed: of all randomness.
        spoil: from sample number, readings (batch, m) and a generator to what the policy reads.
        push: from sample number, states (batch, n) and a generator to what they are then.
        settle: first samples that are not scored.

    Raises:
        ParameterError: no steps or episodes, or nothing left to score.
    """
    whole("steps", steps, 1)
    whole("batch", batch, 1)
    positive("steps - settle", steps - whole("settle", settle))
    noise, other = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    n, away = truth.plant, np.zeros(batch)
    root = _root(truth.Q)
    x = np.tile(truth.mean, (batch, 1))
    # Noise that has been driven for ever; random walks start at 0, and delayed sensors with what they show at rest.
    for chain in (slice(n, n + truth.process), slice(truth.exogenous.stop, truth.size - sum(truth.lags))):
        start = _root(stationary_covariance(truth.F[chain, chain], truth.Q[chain, chain]))
        x[:, chain] += noise.standard_normal((batch, len(start))) @ start.T
    state, worst = policy.init((batch,)), np.zeros((batch, n))
    u = np.tile(truth.input, (batch, 1))
    for k in range(steps):
        if push is not None:
            x[:, :n] = push(k, x[:, :n], other)
        y = x @ truth.C.T + u @ truth.D.T + truth.sensor_offset
        y += noise.standard_normal(y.shape) * np.sqrt(truth.R)
        state, u, *_ = policy.step(state, y if spoil is None else spoil(k, y, other))
        deviation, effort = x[:, :n] - truth.mean[:n], u - truth.input
        worst = np.maximum(worst, np.abs(deviation))
        if k >= settle:
            away += np.einsum("bi,ij,bj->b", deviation, task.state_weight, deviation)
            away += np.einsum("bi,ij,bj->b", effort, task.action_weight, effort)
        x = x @ truth.F.T + u @ truth.B.T + truth.offset + noise.standard_normal(x.shape) @ root.T
    return Episodes(away / (steps - settle), worst)


def _root(covariance: Array) -> Array:
    """Return a root of a positive semi-definite matrix."""
    level, axes = np.linalg.eigh(covariance)
    return np.asarray(axes * np.sqrt(np.maximum(level, 0.0)))
