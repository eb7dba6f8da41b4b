r"""Expected free energy by sampling: plans weighted by how well they do, for where derivatives lead nowhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.arrays import Array, non_negative, whole
from pcctrl.controllers.base import ControlInfo, Goal, limited
from pcctrl.controllers.iterated import plan_cost
from pcctrl.controllers.receding import RecedingHorizon
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.filters import Belief
from pcctrl.models import GenerativeModel
from pcctrl.noise import Noise

__all__ = ["Policies", "SamplingHorizon", "SamplingInfo"]


class Policies(NamedTuple):
    """Memory of a sampling horizon.

    Args:
        inputs: (..., H, p) the plan that the next decision starts from.
        drawn: (..., 2) the seed, and how many decisions were made: together the key of the next one's random numbers.
        goal: (..., g) at the end, NaN before the first decision.
        end: (..., n) the state that holds it.
        terminal: (..., n, n) the terminal precision about that state.
        gain: (..., p, n) of the feedback about it, 0 without one.
    """

    inputs: Array
    drawn: NDArray[np.int64]
    goal: Array
    end: Array
    terminal: Array
    gain: Array


@dataclass(frozen=True, slots=True, eq=False)
class SamplingInfo(ControlInfo):
    """What a decision was made of, and what the last sample of plans was like.

    Args:
        unlimited: the input (..., p) before limits: it never leaves them.
        forecast: 0, (..., p): what is foreseen is part of every roll-out.
        cost: (..., 2) expected free energy of the plan so far and of the best one drawn, infinite if unknown.
        effective: (...) how many plans carry the weight, 1 / Σ q²; 0 where no plan led anywhere finite, so that the
            last one is carried on.
    """

    cost: Array
    effective: Array


@dataclass(frozen=True, eq=False)
class SamplingHorizon:
    r"""Active inference by sampling: the first input of the plans' mean under the posterior over policies.

    K plans π = u + ε around the last decision's are rolled out by the model in one batch. With G as `RecedingHorizon`
    has it, each is as probable as the prior, from which it is drawn, and its expected free energy say:

    .. math:: q(\pi_i) \propto \exp\left(-\gamma\,\frac{G_i - G_{(1)}}{G_{(E)} - G_{(1)}}\right),\qquad
              u \leftarrow \sum_i q(\pi_i)\,\pi_i,

    where G_(i) is the i-th lowest, so that γ has no unit and needs no tuning to the cost; with a γ in that unit instead
    it is model predictive path integral control. No derivative of the model is asked for but at the goal, for S:
    contacts may come and go. It explores only as far as ε reaches, and its action is noisy. On a linear model without
    bounds its mean converges to that of `ExpectedFreeEnergy`. Source: Friston et al. 2015 for q; Williams et al. 2017
    for path integrals.

    Args:
        model: of the plant.
        goal_precision: Π, as of `RecedingHorizon`.
        action_precision: ρ, (p, p), its diagonal (p,), or one number; positive, about the input at the start.
        exploration: the p noises ε, in units of the inputs; smooth ones reach far, as `Smooth` over some samples.
        horizon: H in samples.
        plans: K, at least 2; the first is the plan so far.
        elites: E, at least 2.
        precision: γ, of policies.
        iterations: of drawing and weighting in one decision.
        narrowing: each of them draws so many times as wide as the one before, to find first and then to be exact.
        first_iterations: in the first one, which has no plan to start from: as wide, as narrow, and as wide again.
        limits: (low, high) of the input, each one number or (p,); the model's by default.
        terminal_precision: S, as of `RecedingHorizon`.
        order: as of `RecedingHorizon`.
        feedback: draw plans about the linear feedback that holds the end: an open loop of an unstable plant leads away,
            whatever it was meant to do. Far from that end it may be a hindrance.
        goals: whether goals are over ``"states"`` or ``"sensors"``, as of `RecedingHorizon`.
        seed: of the random numbers, if `init` is given no other.

    Raises:
        ShapeError, ParameterError: a precision, limit, noise or number of the wrong shape or sign.
    """

    model: GenerativeModel
    goal_precision: ArrayLike
    action_precision: ArrayLike
    exploration: Sequence[Noise]
    horizon: int = 25
    plans: int = 128
    elites: int = 16
    precision: float = 3.0
    iterations: int = 2
    narrowing: float = 0.3
    first_iterations: int = 10
    limits: tuple[ArrayLike, ArrayLike] | None = None
    terminal_precision: ArrayLike | None = None
    order: int | None = None
    feedback: bool = False
    goals: Literal["states", "sensors"] = "states"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("plans", 2), ("elites", 2), ("iterations", 1), ("first_iterations", 1), ("seed", 0)):
            whole(name, getattr(self, name), least)
        if self.elites > self.plans:
            raise ParameterError(name="elites", expected=f"at most the {self.plans} plans", received=self.elites)
        non_negative("precision", self.precision)
        if not 0.0 < self.narrowing <= 1.0:
            raise ParameterError(name="narrowing", expected="above 0 and at most 1", received=self.narrowing)
        _ = self._roots
        object.__setattr__(self, "limits", self._functional.limits)

    @cached_property
    def _functional(self) -> RecedingHorizon:
        """What is minimised, of which this is another way to the minimum."""
        return RecedingHorizon(
            self.model,
            self.goal_precision,
            self.action_precision,
            self.horizon,
            limits=self.limits,
            terminal_precision=self.terminal_precision,
            order=self.order,
            goals=self.goals,
        )

    @cached_property
    def _roots(self) -> Array:
        """Return for each input a root (H, H) of its noise's covariance along the horizon, (p, H, H)."""
        p, lags = len(self.model.start[1]), np.arange(self.horizon) * self.model.dt
        noises = self.exploration
        if not isinstance(noises, Sequence) or len(noises) != p or not all(isinstance(e, Noise) for e in noises):
            raise ShapeError(name="exploration", expected=f"{p} noise objects", received=noises)
        roots = np.empty((p, self.horizon, self.horizon))
        for root, noise in zip(roots, noises, strict=True):
            covariance = noise.autocovariance(np.abs(lags[:, None] - lags))
            if not np.isfinite(covariance).all():
                raise ParameterError(name="exploration", expected="noises with a std", received=noise)
            values, vectors = np.linalg.eigh(covariance)
            root[:] = vectors * np.sqrt(np.maximum(values, 0.0))
        return roots

    def init(self, batch: tuple[int, ...] = (), seed: ArrayLike | None = None) -> Policies:
        """Return the memory before the first decision: at rest.

        Args:
            batch: leading dimensions.
            seed: of the random numbers, at least 0: one for all members of the batch, or one each (*batch,).
        """
        x, u, _ = self.model.start
        n, seeds = len(x), np.broadcast_to(np.asarray(self.seed if seed is None else seed, dtype=np.int64), batch)
        return Policies(
            np.broadcast_to(u, (*batch, self.horizon, len(u))),
            np.stack([seeds, np.zeros_like(seeds)], axis=-1),
            np.full((*batch, len(self._functional._aim.home)), np.nan),
            np.broadcast_to(x, (*batch, n)),
            np.zeros((*batch, n, n)),
            np.zeros((*batch, len(u), n)),
        )

    def act(self, state: Policies, belief: Belief, goal: Goal = None) -> tuple[Policies, Array, SamplingInfo]:
        """Return the memory for the next sample, the input within the limits (..., p), and how it was found.

        The input is finite whatever the belief: where no plan leads anywhere finite, the last one is carried on.

        Args:
            state: from `init` or the last call. The same state gives the same random numbers.
            belief: of a filter on the same model.
            goal: to hold, (..., n) states, or (..., m) sensors if goals are on those, or a `Preview` of how it moves;
                the start by default.

        Raises:
            ShapeError: the belief does not have the states that are read, or the goal's size is off.
        """
        x, e, goals, batch = self._functional._asked(belief, goal, state.goal.shape[:-1])
        count, shape = math.prod(batch), state.goal.ndim - 1
        rows: list[Any] = [np.broadcast_to(a, (*batch, *a.shape[shape:])) for a in state]
        rows = [a.reshape(count, *a.shape[len(batch) :]) for a in rows]
        x, e, goals = (a.reshape(count, *a.shape[len(batch) :]) for a in (x, e, goals))
        first = ~np.isfinite(Policies(*rows).goal).all(axis=-1)
        cost, effective = np.empty((count, 2)), np.empty(count)
        # What overflows is found in the cost.
        with np.errstate(all="ignore"):
            for chosen, iterations in ((first, self.first_iterations), (~first, self.iterations)):
                if chosen.any():
                    part = Policies(*(a[chosen] for a in rows))
                    found, said = self._decide(part, x[chosen], e[chosen], goals[chosen], iterations)
                    rows = [np.array(a) for a in rows]
                    for all_, own in zip(rows, found, strict=True):
                        all_[chosen] = own
                    cost[chosen], effective[chosen] = said
        memory = Policies(*rows)
        inputs = np.concatenate([memory.inputs[:, 1:], memory.inputs[:, -1:]], axis=1)
        u = self._applied(memory.inputs[:, 0], x, memory.end, memory.gain)
        u = np.where(np.isfinite(u), u, memory.inputs[:, 0])
        rows = [a.reshape(*batch, *a.shape[1:]) for a in memory._replace(inputs=inputs)]
        u = u.reshape(*batch, u.shape[-1])
        return Policies(*rows), u, SamplingInfo(u, np.zeros_like(u), cost.reshape(*batch, 2), effective.reshape(batch))

    def _decide(
        self, memory: Policies, x: Array, e: Array, goals: Array, iterations: int
    ) -> tuple[Policies, tuple[Array, Array]]:
        """Return the memory (k, …) with the new plan, not yet moved on, and the sample's costs and effective size."""
        functional, low, high = self._functional, *self._functional._limits
        end, terminal, gain = memory.end.copy(), memory.terminal.copy(), memory.gain.copy()
        for row in np.flatnonzero((memory.goal != goals[:, -1]).any(axis=-1)):
            near = end[row] if np.isfinite(memory.goal[row]).all() else x[row]
            end[row] = functional._end(goals[row, -1], near)
            terminal[row], L = functional._terminal(end[row])
            gain[row] = L if self.feedback else 0.0
        inputs = limited(memory.inputs, low, high)
        keys = [np.random.default_rng(key) for key in memory.drawn]
        for i in range(iterations):
            z = np.array([key.standard_normal((self.plans, *self._roots.shape[:2])) for key in keys])
            # The plan so far is one of them.
            z[:, 0] = 0.0
            width = self.narrowing ** (i % self.iterations)
            moves = width * np.swapaxes((self._roots @ z[..., None])[..., 0], -1, -2)
            plans = limited(inputs[:, None] + moves, low, high)
            G = self._expected(x, e, goals, plans, end, terminal, gain)
            best = G.min(axis=1, keepdims=True)
            gap = np.partition(G, self.elites - 1, axis=1)[:, self.elites - 1, None] - best
            # Where fewer than E plans lead anywhere, or all are as good, only the best count.
            q = np.where(np.isfinite(gap) & (gap > 0.0), np.exp(-self.precision * (G - best) / gap), best == G)
            q = np.where(np.isfinite(G), q, 0.0)
            total = q.sum(axis=1, keepdims=True)
            found = total[:, 0] > 0.0
            q = q / np.where(total > 0.0, total, 1.0)
            inputs = np.where(found[:, None, None], np.einsum("ki,kihp->khp", q, plans), inputs)
        drawn = memory.drawn + np.array([0, 1])
        # Where none led anywhere, the next decision starts afresh.
        goal = np.where(found[:, None], goals[:, -1], np.nan)
        effective = np.where(found, 1.0 / np.where(found, (q**2).sum(axis=1), 1.0), 0.0)
        return Policies(inputs, drawn, goal, end, terminal, gain), (np.stack([G[:, 0], best[:, 0]], axis=-1), effective)

    def _applied(self, v: Array, x: Array, end: Array, gain: Array) -> Array:
        """Return the inputs (k, …, p) of v at states x (k, …, n), with the ends (k, n) and gains (k, p, n)."""
        if not self.feedback:
            return v
        end = np.broadcast_to(end.reshape(len(end), *[1] * (x.ndim - 2), -1), x.shape)
        away = self.model.difference(x, end)
        return limited(v - np.einsum("kpn,k...n->k...p", gain, away), *self._functional._limits)

    def _expected(
        self, x: Array, e: Array, goals: Array, plans: Array, end: Array, terminal: Array, gain: Array
    ) -> Array:
        """Return G (k, K) of plans (k, K, H, p) from x (k, n), with what e (k, ·) foretells."""
        model, functional = self.model, self._functional
        ahead = functional._foreseen(e)
        w, d, push = (ahead.get(name) for name in ("w", "d", "push"))
        states = np.empty((*plans.shape[:2], self.horizon + 1, x.shape[-1]))
        states[:, :, 0] = now = np.broadcast_to(x[:, None], (*plans.shape[:2], x.shape[-1]))
        inputs = np.empty_like(plans)
        for k in range(self.horizon):
            inputs[:, :, k] = u = self._applied(plans[:, :, k], now, end, gain)
            now = model.transition(now, u if d is None else u + d[:, None], None if w is None else w[:, None, k])
            states[:, :, k + 1] = now = now if push is None else model.integrate(now, push[:, None, k])
        weight, rho, _ = functional._weights
        away = functional._aim.miss(states[:, :, :-1], goals[:, None, :-1])
        last = model.difference(now, np.broadcast_to(end[:, None], now.shape))
        return plan_cost(away, last, inputs - model.start[1], weight, rho, terminal[:, None])
