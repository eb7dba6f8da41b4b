r"""Jumps: states that hold still but for moments at which they change at once, as the load of a gripper does.

A random walk that could follow a jump would never be calm. So jumps are models of their own: in one of the last moments
a state was moved by an unknown :math:`\nu \sim N(0, v)`. Under that model the belief has since been wrong by gν and the
innovations by hν,

.. math:: g_0 = e,\qquad g^- = Fg,\quad h = Cg^-,\quad g = g^- - Kh,\qquad
          J = \sum h^\top S^{-1}h,\quad j = \sum h^\top S^{-1}\epsilon,

and the free energy of all samples since is lower with the jump than without by the log Bayes factor

.. math:: \ln B = \tfrac12\frac{j^2}{J + 1/v} - \tfrac12\ln(1 + vJ).

Where the best of these models beats the prior odds, as many jumps as are expected in the time between two moments, the
belief becomes what it would be had the jump been believed in from the start:
:math:`\mu \leftarrow \mu + g\hat\nu,\ \Sigma \leftarrow \Sigma + gg^\top / (J + 1/v)`,
:math:`\hat\nu = j / (J + 1/v)`; of a linear model that is Bayes' rule, exactly. Where a state has bounds, ν̂ is the
likeliest jump that stays within, and the first term of ln B that of such a jump, :math:`j\hat\nu - \tfrac12(J +
1/v)\hat\nu^2`. What is left of a wrong decision is a belief that is too wide. The free energies that a
filter reports are those without the jump, up to the sample that finds it.

It is the generalised likelihood ratio test of Willsky & Jones 1976, with a prior for the size of the jump (Occam's
factor, which the log is) and g for their signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array, choose, positive, product
from pcctrl.errors import ParameterError

if TYPE_CHECKING:
    from pcctrl.models import GeneralisedModel

__all__ = ["WINDOW", "Jump", "Jumping", "Shift", "Suspicion"]

# Samples that a jump may be back when it is found, and the moments among them.
WINDOW, _MOMENTS = 32, 8
# Of a jump, what is left of it in the state itself: then bounds of the state are none of the jump's.
_NOTHING = 1e-9


@dataclass(frozen=True)
class Jump:
    """A state that may jump.

    Args:
        state: name of one of the model's states, or of an input whose disturbance walks.
        std: spread of a jump, in the state's unit.
        rate: jumps expected a second.
        low: the least value that it jumps to.
        high: the greatest.

    Raises:
        ParameterError: a std or rate that is not positive, or a low that is not below high.
    """

    state: str
    std: float
    rate: float = 0.1
    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self) -> None:
        positive("std", self.std)
        positive("rate", self.rate)
        if not self.low < self.high:
            raise ParameterError(name="low", expected=f"a number below high, {self.high}", received=self.low)


class Suspicion(NamedTuple):
    """What a filter remembers of jumps that may have been, W of them.

    Args:
        wrong: by how much the belief is wrong for each unit of a jump, g (..., N, W).
        information: J (..., W).
        score: j (..., W).
        age: samples since the first.
        found: sizes of the jumps that the last sample brought to light, by state (..., k); 0 for none.
    """

    wrong: Array
    information: Array
    score: Array
    age: int
    found: Array

    def forget(self, of: NDArray[np.bool_]) -> Suspicion:
        """Return the same without any suspicion in those members of the batch (...)."""
        J, j = (np.where(of[..., None], 0.0, a) for a in (self.information, self.score))
        return Suspicion(np.where(of[..., None, None], 0.0, self.wrong), J, j, self.age, np.zeros(self.found.shape))


class Shift(NamedTuple):
    """What a jump does to a belief.

    Args:
        move: of the mean (..., N).
        spread: added to the covariance (..., N, N).
    """

    move: Array
    spread: Array


class Jumping:
    """Compares models with and without a jump.

    Args:
        joint: what the filter believes.
        jumps: of states, each alone.
        window: samples that a jump may be back when it is found, rounded up to a multiple of 8.

    Raises:
        UnknownNameError: no such state or disturbance.
        ParameterError: more jumps expected than there are moments.
    """

    def __init__(self, joint: GeneralisedModel, jumps: Sequence[Jump], window: int) -> None:
        states, walks = list(joint.model.states or ()), joint.walks
        places = dict(zip(joint.model.inputs or (), walks, strict=False)) if walks else {}
        places |= {name: joint.now + i for i, name in enumerate(states)}
        self.places = np.array([places[choose("jumps", one.state, list(places))] for one in jumps])
        self.now, self.every = joint.now, -(-window // _MOMENTS)
        odds = np.array([one.rate for one in jumps]) * self.every * joint.model.dt
        if not (odds < 1.0).all():
            expected = f"less than one jump in the {self.every * joint.model.dt:g} s between two moments"
            raise ParameterError(name="jumps", expected=expected, received=[one.rate for one in jumps])
        # For each state at each moment, moment by moment.
        self.variance = np.tile(np.array([one.std**2 for one in jumps]), _MOMENTS)
        self.precision = 1.0 / self.variance
        self.needed = np.tile(-np.log(odds), _MOMENTS)
        self._twice = 2.0 * self.needed
        self.bounds = np.tile(np.array([(one.low, one.high) for one in jumps]).T, _MOMENTS)

    def init(self, batch: tuple[int, ...], size: int) -> Suspicion:
        """Return no suspicion of any jump, for a belief about so many joint states."""
        W, k = len(self.variance), len(self.places)
        none = np.zeros((*batch, W))
        return Suspicion(np.zeros((*batch, size, W)), none, none, 0, np.zeros((*batch, k)))

    def ahead(self, memory: Suspicion, F: Array) -> Suspicion:
        """Return what is remembered one sample later, by the belief's F (..., N, N)."""
        wrong, J, j, age, found = memory
        wrong = product(F, wrong)
        if age % self.every == 0:
            k = len(self.places)
            first = age // self.every % _MOMENTS * k
            J, j = J.copy(), j.copy()
            # A jump after the last sample, of which a past that is remembered knows nothing.
            wrong[..., first : first + k] = F[..., self.places]
            wrong[..., : self.now, first : first + k] = 0.0
            J[..., first : first + k] = j[..., first : first + k] = 0.0
        return Suspicion(wrong, J, j, age + 1, np.zeros(found.shape))

    def weigh(
        self, memory: Suspicion, mean: Array, innovation: Array, rows: Array, gain: Array, precision: Array
    ) -> tuple[Suspicion, Shift | None]:
        """Return what to remember after a sample, and what to do to the belief if there was a jump.

        Args:
            memory: from `ahead`.
            mean: posterior (..., N) without a jump.
            innovation: ε (..., m), 0 for a missing sensor.
            rows: C (..., m, N), of zeros for a missing sensor.
            gain: K (..., N, m) of the correction.
            precision: S⁻¹ (..., m, m).
        """
        wrong, J, j, age, found = memory
        h = product(rows, wrong)
        weighted = product(precision, h)
        J = J + np.add.reduce(h * weighted, axis=-2)
        # One belief may have had a batch of samples.
        j = j + (innovation.dot(weighted) if weighted.ndim == 2 else (innovation[..., None, :] @ weighted)[..., 0, :])
        wrong = wrong - product(gain, h)
        precision = J + self.precision
        memory = Suspicion(wrong, J, j, age, np.zeros(found.shape))
        # Without Occam's factor, which only adds to the price: of nearly all samples this is all that is asked.
        if not np.count_nonzero(j * j > self._twice * precision):
            return memory, None
        variance = 1.0 / precision
        price = self.needed + 0.5 * np.log1p(self.variance * J)
        variance, wrong = np.broadcast_to(variance, j.shape), np.broadcast_to(wrong, (*j.shape[:-1], *wrong.shape[-2:]))
        size = self._bounded(j * variance, mean, wrong)
        favour = size * (j - 0.5 * size / variance) - price
        at = favour.argmax(axis=-1)[..., None]
        jumped = (np.take_along_axis(favour, at, -1) > 0.0)[..., 0]
        if not jumped.any():
            return memory, None
        size = np.where(jumped, np.take_along_axis(size, at, -1)[..., 0], 0.0)
        left = np.where(jumped, np.take_along_axis(variance, at, -1)[..., 0], 0.0)
        g = np.take_along_axis(wrong, at[..., None], -1)[..., 0]
        what = Shift(g * size[..., None], g[..., :, None] * g[..., None, :] * left[..., None, None])
        which = at % len(self.places) == np.arange(len(self.places))
        # What other models have been gathering is explained now.
        return memory.forget(jumped)._replace(found=np.where(which, size[..., None], 0.0)), what

    def _bounded(self, size: Array, mean: Array, wrong: Array) -> Array:
        """Return the sizes (..., W) of jumps that end within bounds, the nearest ones."""
        places = np.tile(self.places, _MOMENTS)
        now, own = mean[..., places], wrong[..., places, range(len(places))]
        own = np.maximum(own, _NOTHING)
        low, high = self.bounds
        return np.asarray(np.clip(size, (np.minimum(low, now) - now) / own, (np.maximum(high, now) - now) / own))
