"""What plans through any model aim at: states, or what the sensors read of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy.optimize import least_squares

from pcctrl.arrays import Array, choose
from pcctrl.errors import ModelError
from pcctrl.linalg import riccati
from pcctrl.models import GenerativeModel

__all__ = ["Aim"]

_STEP = 1e-6
# What a sensor goal leaves open, such as the posture of an arm with more joints than it needs, stays as it is: by this
# part of a curvature. And a state that drifts by a unit a second is as bad as one that misses by so many.
_STAY, _DRIFT = 1e-3, 10.0
# Steps of a search, and its rounds; and how many more there are from how far around, where the first leads nowhere.
_SEARCH, _ROUNDS, _STARTS, _AROUND = 50, 2, 6, 0.6


@dataclass(frozen=True, eq=False)
class Aim:
    """How far plans miss their goals, and how that follows from their states.

    Args:
        model: of the plant.
        over: what goals are over: ``"states"``, or ``"sensors"`` as they read a state under the input at the start.

    Raises:
        UnknownNameError: goals over something else.
    """

    model: GenerativeModel
    over: Literal["states", "sensors"] = "states"

    def __post_init__(self) -> None:
        choose("goals", self.over, ("states", "sensors"))

    @property
    def home(self) -> Array:
        """The goal (g,) that asks for the operating point."""
        return self.model.start[0 if self.over == "states" else 2]

    @cached_property
    def ending(self) -> Aim:
        """What a plan's last state aims at: a state."""
        return self if self.over == "states" else Aim(self.model)

    @cached_property
    def flat(self) -> bool:
        """Whether differences of states are those of vectors, by trial."""
        n = len(self.model.start[0])
        a, b = np.random.default_rng(0).uniform(-4.0, 4.0, (2, 20, n))
        return bool(np.allclose(self.model.difference(a, b), a - b) and np.allclose(self.model.integrate(a, b), a + b))

    def miss(self, states: Array, goals: Array) -> Array:
        """Return by what states (..., n) miss goals (..., g): (..., g)."""
        if self.over == "states":
            return self.model.difference(states, np.broadcast_to(goals, states.shape))
        return self.model.readout(states) - goals

    def slopes(self, states: Array, goals: Array, weights: Array) -> tuple[Array, Array]:
        """Return gradients (k, n) and curvatures (k, n, n), Gauss and Newton's, of ½|miss|².

        Args:
            states: (k, n).
            goals: (k, g).
            weights: (k, g, g).
        """
        pull = (weights @ self.miss(states, goals)[..., None])[..., 0]
        if self.over == "states":
            if self.flat:
                return pull, weights
            J = _moved(self.model, states, goals)
        else:
            C, _, _ = self.model.readout_jacobians(states, self.model.start[1])
            J = np.swapaxes(C, -1, -2)
        return (J @ pull[..., None])[..., 0], J @ weights @ np.swapaxes(J, -1, -2)

    def end(self, goal: Array, weight: Array, near: Array) -> Array:
        """Return a state (n,) near ``near`` that holds a goal (g,) for good: the goal itself if it is a state.

        For sensors it is a state at rest, under whatever input holds it, that misses least by ``weight`` (g, g), and
        of many such states one nearby. The search is local, from ``near`` and, where that leads nowhere (an arm that
        points away from its goal), from a few states around it; what it finds is finite if ``near`` is.
        """
        if self.over == "states":
            return goal
        model, n, rest = self.model, len(near), self.model.start[1]
        level, axes = np.linalg.eigh(weight)
        root = np.sqrt(np.maximum(level, 0.0) / max(level[-1], np.finfo(float).tiny))[:, None] * axes.T

        def residual(moves: Array, free: Array) -> Array:
            x = model.integrate(near, moves)
            drift = free @ model.difference(model.transition(x, rest), x) / model.dt
            r = np.concatenate([_DRIFT * drift, root @ self.miss(x, goal), _STAY * moves])
            # A finite wall, from which the search turns back.
            return np.where(np.abs(r) < 1e9, r, 1e9)

        starts = [np.zeros(n), *np.random.default_rng(0).normal(0.0, _AROUND, (_STARTS, n))]
        best: Any = None
        for start in starts:
            moves = start
            # What the inputs can hold, in the posture found so far, is no drift.
            for _ in range(_ROUNDS):
                _, B, _ = model.transition_jacobians(model.integrate(near, moves), rest)
                span, size, _ = np.linalg.svd(np.where(np.isfinite(B), B, 0.0), full_matrices=False)
                span = span[:, size > 1e-9 * size.max(initial=1e-300)]
                found = least_squares(residual, moves, max_nfev=_SEARCH, args=(np.eye(n) - span @ span.T,))
                moves = found.x
            best = found if best is None or found.cost < best.cost else best
            # Where the way from ``near`` itself leads to the goal, moving is all that it costs, by a turn at most.
            if start is starts[0] and best.cost <= (_STAY * np.pi) ** 2:
                break
        return model.integrate(near, best.x)

    def value(self, end: Array, weight: Array, rho: Array, horizon: int) -> tuple[Array, Array]:
        """Return the curvature S (n, n) of the value about the state ``end``, and the feedback L (p, n) that holds it.

        They are of the linearisation there; where it cannot be stabilised, S is that of ``horizon`` samples elsewhere.

        Args:
            end: (n,).
            weight: Π (g, g).
            rho: ρ (p, p).
            horizon: H.
        """
        model, rest = self.model, self.model.start[1]
        if self.over == "sensors":
            C, _, _ = model.readout_jacobians(end, rest)
            C = np.where(np.isfinite(C), C, 0.0)
            weight = C.T @ weight @ C
        F, B, _ = model.transition_jacobians(end, rest)
        S = horizon * weight
        if not (np.isfinite(F).all() and np.isfinite(B).all()):
            return S, np.zeros_like(B.T)
        with contextlib.suppress(ModelError, np.linalg.LinAlgError):
            S = riccati(F, B, weight, rho, name="model")
        return S, np.asarray(np.linalg.solve(rho + B.T @ S @ B, B.T @ S @ F))


def _moved(model: GenerativeModel, states: Array, goals: Array) -> Array:
    """Return how the move i of a state changes the difference j from its goal, [..., i, j]."""
    moves = _STEP * np.eye(states.shape[-1])
    here, there = states[..., None, :], goals[..., None, :]
    ends = [model.difference(model.integrate(here, move), there) for move in (moves, -moves)]
    return np.asarray(ends[0] - ends[1]) / (2.0 * _STEP)
