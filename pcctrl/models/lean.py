"""A joint model for one belief at a time, in the fewest calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array
from pcctrl.models.adaptive import AdaptiveModel
from pcctrl.models.mujoco import MujocoModel, MujocoParameters

if TYPE_CHECKING:
    from pcctrl.models.generalised import GeneralisedModel

__all__ = ["LeanModel", "lean"]


def lean(joint: GeneralisedModel) -> LeanModel | GeneralisedModel:
    """Return a model that does as ``joint`` does for less, or ``joint`` itself where there is none.

    There is one where a `MujocoModel`, or an `AdaptiveModel` of one, takes one simulator step a sample, and where its
    moves add up: of hinges and slides.

    Args:
        joint: what a filter believes.
    """
    plain = joint.model.plain if isinstance(joint.model, AdaptiveModel) else joint.model
    if not isinstance(plain, MujocoModel) or plain.substeps != 1 or joint.over is not None:
        return joint
    return LeanModel(joint) if plain.source.nq == plain.source.nv else joint


class LeanModel:
    """What `GeneralisedModel` is, where the plant moves in a plain vector and all beside it is linear.

    Args:
        joint: see `lean`.
    """

    def __init__(self, joint: GeneralisedModel) -> None:
        self._joint = joint
        self._adaptive = joint.model if isinstance(joint.model, AdaptiveModel) else None
        self._model = joint.model if self._adaptive is None else self._adaptive.plain
        n = self._n = len(self._model.states or ())
        pushes = len(self._model.process_noise)
        self._low, self._high = np.full((2, joint.size), [[-np.inf], [np.inf]])
        if self._adaptive is not None:
            self._low[n : joint.plant] = [one.low for one in self._adaptive.parameters]
            self._high[n : joint.plant] = [one.high for one in self._adaptive.parameters]
        self._theta, self._chains = slice(n, joint.plant), slice(joint.plant, joint.plant + joint.process)
        self._walks = slice(joint.walks.start, joint.walks.stop)
        self._H, self._still = joint.process_chains.H[:pushes], np.zeros(pushes)
        self._white = joint.density[:pushes] / np.sqrt(joint.model.dt)
        mean, u = np.array(joint.mean), joint.input
        ahead, F, Q = joint.linearised(mean, u)
        # All but what depends on the plant's state.
        self._F, self._Q, self._D = F.copy(), Q.copy(), F[n:, n:].copy()
        self._offset = ahead[n:] - self._D.dot(mean[n:])
        G = self._plant(mean, u)[3] * self._white
        self._Q[:n, :n] -= G.dot(G.T)

    def ahead(self, mean: Array, u: Array) -> Array:
        """Return the state (N,) one sample after ``mean`` (N,), as `GeneralisedModel.ahead`."""
        x, u, w = self._arguments(mean, u)
        if self._adaptive is None:
            return self._joined(self._model.transition(x, u, w), mean)
        return self._joined(self._adaptive.plant.transition(x, u, w, mean[self._theta]), mean)

    def linearised(self, mean: Array, u: Array) -> tuple[Array, Array, Array]:
        """Return `ahead`, and its F and Q (N, N), as `GeneralisedModel.linearised`."""
        n, F, Q = self._n, self._F.copy(), self._Q.copy()
        x, A, B, G, T = self._plant(mean, u)
        F[:n, :n], F[:n, self._theta], F[:n, self._chains] = A, T, G.dot(self._H)
        F[:n, self._walks] = B[:, : self._joint.disturbances]
        G = G * self._white
        Q[:n, :n] += G.dot(G.T)
        return self._joined(x, mean), F, Q

    def integrate(self, mean: Array, move: Array) -> Array:
        """Return the state (N,) reached from ``mean`` (N,) by a move (N,), as `GeneralisedModel.integrate`."""
        after: Array = mean + move
        np.maximum(after, self._low, out=after)
        np.minimum(after, self._high, out=after)
        return after

    def _arguments(self, mean: Array, u: Array) -> tuple[Array, Array, Array]:
        """Return the plant's state, input and disturbances."""
        joint = self._joint
        w = self._H.dot(mean[self._chains]) if joint.process else self._still
        return mean[: self._n], u + mean[self._walks] if joint.disturbances else u, w

    def _joined(self, x: Array, mean: Array) -> Array:
        """Return the state (N,) one sample after ``mean`` (N,), of which the plant's (n,) is x then."""
        beside = self._D.dot(mean[self._n :])
        beside += self._offset
        return np.concatenate((x, beside))

    def _plant(self, mean: Array, u: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Return the plant's state (n,) one sample on, and its derivatives (n, ·) by x, u, w and θ."""
        x, u, w = self._arguments(mean, u)
        if self._adaptive is None:
            return *self._model.linearised_transition(x, u, w), np.zeros((self._n, 0))
        plant, theta = self._adaptive.plant, mean[self._theta]
        if isinstance(plant, MujocoParameters):
            return plant.linearised(x, u, w, theta)
        return plant.transition(x, u, w, theta), *plant.transition_jacobians(x, u, w, theta)
