r"""Slow precision: which of several sensors of one quantity is faulty, and when it has healed.

A sensor i is compared with its fellows alone: :math:`c_i = y_i - \bar y_{-i}`, their mean weighted by precision. A push
moves all of them, and no :math:`c_i`; a fault moves its own. The sensor's log-variance :math:`s_i` beyond the told
:math:`V_i` minimises the free energy of that error, averaged over a time :math:`\tau`,

.. math:: \bar F(s_i) = \tfrac12 e^{-s_i}\,\overline{c_i^2 / \nu_i} + \tfrac12 s_i,\qquad
          s_i = \ln \overline{c_i^2 / \nu_i}\ \text{if the sensor is to blame, else}\ 0,

:math:`\nu_i` the variance expected of :math:`c_i`. Of three sensors two agree. Of two, each contradicts the other, and
only the dynamics can tell which is wrong: so each of a pair has a belief of its own, which never sees its fellow, and
the one to blame is that whose own belief has been surprised more, by a margin. (The common belief cannot tell: it goes
with the more precise of the two, right or wrong.) Where neither was, as for an error that creeps in as slowly as the
plant might be pushed, both are *disputed*, and stay. Of a single sensor nothing can be said: its fault and a push that
explains it are one and the same to a filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array, choose
from pcctrl.errors import ParameterError
from pcctrl.free_energy import correct

if TYPE_CHECKING:
    from pcctrl.models import GeneralisedModel

__all__ = ["TRUST_TIME", "Redundancy", "Trust"]

# Seconds over which contradictions are averaged.
TRUST_TIME = 0.02
# The mean square of a contradiction, in variances, from which on it is one; coloured noise gets that far seldom.
_CONTRADICTION = 12.0
# A sensor is to blame if its innovations have surprised it more than its fellow by a factor, in mean squares, and more
# than so many variances: soon if by much, or if by less then over a time that is longer by a factor.
_SOON, _LATER, _LONGER = (2.0, 3.0), (1.3, 1.6), 5.0
# But a fellow that surprises less than this is no witness: a frozen sensor of a plant at rest is too quiet to be true.
_QUIET = 0.3
# Part of the random walk's rate that the beliefs of one sensor are left: what they may put down to it is no surprise.
_CALM = 0.1
# A contradiction counts for no more, so that a sensor that has healed is believed after 7 times the time constant.
_MOST = 1e4


class Trust(NamedTuple):
    """What a filter remembers of sensors that have fellows; of the others nothing is ever learned.

    Args:
        contrast: mean square of what contradicts a sensor's fellows, in variances (..., m).
        surprise: mean square of what surprises its own belief, in variances (..., m).
        lasting: the same over a longer time (..., m).
        level: what is added to the logarithm of its variance (..., m).
        mean: (..., 2, N) of the beliefs that see but the first of each pair, and but the second; (..., 0, N) if there
            are no pairs.
        covariance: theirs, (..., 2, N, N).
    """

    contrast: Array
    surprise: Array
    lasting: Array
    level: Array
    mean: Array
    covariance: Array

    @property
    def faulty(self) -> NDArray[np.bool_]:
        """Which sensors are disbelieved, (..., m)."""
        return np.asarray(self.level > 0.0)

    @property
    def disputed(self) -> NDArray[np.bool_]:
        """Which sensors contradict their fellows without a culprit being found, (..., m)."""
        return np.asarray((self.contrast > _CONTRADICTION) & (self.level == 0.0))


class Redundancy:
    """Groups of sensors that read the same, and what is made of their contradictions.

    Args:
        joint: what the filter believes.
        names: of all m sensors.
        groups: names of those that read the same.
        rate: part of the time constant that a sample takes.

    Raises:
        UnknownNameError: no sensor has that name.
        ParameterError: a group of one, or of sensors that do not read the same of the plant.
    """

    def __init__(
        self, joint: GeneralisedModel, names: Sequence[str], groups: Sequence[Sequence[str]], rate: float
    ) -> None:
        known = list(names)
        self.joint, self.rate = joint, min(rate, 1.0)
        self.groups = [np.array([known.index(choose("redundant", s, known)) for s in group]) for group in groups]
        rows = joint.readout_jacobian(joint.mean, joint.input)[:, : joint.plant]
        for group, given in zip(self.groups, groups, strict=True):
            if len(group) < 2 or not np.allclose(rows[group], rows[group[0]]):
                expected = "groups of two or more sensors that read the same of the state"
                raise ParameterError(name="redundant", expected=expected, received=given)
        self.variance = joint.R_at(joint.mean) + (joint.sensor_chains.H**2).sum(axis=1)
        pairs = [group for group in self.groups if len(group) == 2]
        # Which sensors each of the two beliefs sees, and which of the two is a sensor's own.
        self.seen, self.own = np.ones((2 if pairs else 0, len(known)), dtype=bool), np.zeros(len(known), dtype=int)
        for first, second in pairs:
            self.seen[0, second] = self.seen[1, first] = False
            self.own[second] = 1

    def ahead(self, joint: GeneralisedModel, trust: Trust, u: Array, F: Array, Q: Array) -> Trust:
        """Return what is remembered later, under u (..., p), by the filter's own F and Q (..., N, N) of ``joint``."""
        if not len(self.seen):
            return trust
        walks = joint.walks
        F, Q = F[..., None, :, :], Q[..., None, :, :].copy()
        Q[..., walks, walks] *= _CALM**2
        covariance = F @ trust.covariance @ np.swapaxes(F, -1, -2) + Q
        return trust._replace(mean=joint.ahead(trust.mean, u[..., None, :]), covariance=covariance)

    def compare(
        self,
        y: Array,
        prior: tuple[Array, Array, Array],
        memory: Trust | None,
        present: NDArray[np.bool_] | None,
    ) -> Trust:
        """Return what to remember after a sample.

        Args:
            y: readings (..., m).
            prior: mean (..., N) and covariance of the common prediction, and the input (..., p).
            memory: from the last sample, None at the first.
            present: (..., m), or None for all.
        """
        here = np.ones(y.shape, dtype=bool) if present is None else present
        if memory is None:
            mean, P, _ = prior
            own = np.repeat(mean[..., None, :], len(self.seen), axis=-2)
            P = np.broadcast_to(P[..., None, :, :], (*own.shape, own.shape[-1]))
            memory = Trust(*(np.ones(y.shape) for _ in range(3)), np.zeros(y.shape), own, P)
        contrast, surprise, lasting, level = (a.copy() for a in memory[:4])
        shock, mean, covariance = self._alone(y, prior, memory, here)
        for group in self.groups:
            there = here[..., group]
            weight = np.where(there, np.exp(-level[..., group]) / self.variance[group], 0.0)
            total = weight.sum(axis=-1, keepdims=True)
            rest = total - weight
            # A sensor is compared only where it and a fellow were read.
            fit = there & (rest > 1e-9 * total)
            reading = np.where(there, y[..., group], 0.0)
            others = np.where(fit, rest, 1.0)
            fellows = ((weight * reading).sum(axis=-1, keepdims=True) - weight * reading) / others
            off = np.minimum((reading - fellows) ** 2 / (self.variance[group] + 1.0 / others), _MOST)
            contrast[..., group] += np.where(fit, self.rate * (off - contrast[..., group]), 0.0)
            for average, rate in ((surprise, self.rate), (lasting, self.rate / _LONGER)):
                average[..., group] += np.where(fit, rate * (shock[..., group] - average[..., group]), 0.0)
            of = (a[..., group] for a in (contrast, surprise, lasting, level))
            level[..., group] = _outvote(*of) if len(group) > 2 else _blame(*of)
        return Trust(contrast, surprise, lasting, level, mean, covariance)

    def _alone(
        self, y: Array, prior: tuple[Array, Array, Array], memory: Trust, here: NDArray[np.bool_]
    ) -> tuple[Array, Array, Array]:
        """Return how much each sensor surprises its own belief (..., m), in variances, and these beliefs after it."""
        mean, P = memory.mean, memory.covariance
        if not len(self.seen):
            return np.zeros(y.shape), mean, P
        u, joint = prior[2][..., None, :], self.joint
        there = here[..., None, :] & self.seen
        C = joint.readout_jacobian(mean, u) * there[..., None]
        error = np.where(there, y[..., None, :] - joint.readout(mean, u), 0.0)
        spread = np.einsum("...ij,...jk,...ik->...i", C, P, C)
        R = joint.R_at(mean)
        shock = np.minimum(error**2 / (spread + R), _MOST)
        correction = correct(P, C, np.where(there, R, 1.0))
        moved = joint.integrate(mean, (correction.gain @ error[..., None])[..., 0])
        # One that is lost starts again from the common belief.
        lost = ~np.isfinite(moved.sum(axis=-1) + correction.covariance.sum(axis=(-2, -1)))
        covariance = np.where(lost[..., None, None], prior[1][..., None, :, :], correction.covariance)
        moved, shock = np.where(lost[..., None], prior[0][..., None, :], moved), np.nan_to_num(shock, nan=_MOST)
        own = np.take_along_axis(shock, np.broadcast_to(self.own, (*y.shape[:-1], 1, y.shape[-1])), axis=-2)
        return own[..., 0, :], moved, covariance


def _outvote(contrast: Array, surprise: Array, lasting: Array, level: Array) -> Array:
    """Return the levels (..., k) of three or more: the worst goes first, since it spoils its fellows' mean."""
    del surprise, lasting
    healthy = np.where(level > 0.0, -np.inf, contrast)
    worst = np.arange(level.shape[-1]) == healthy.argmax(axis=-1)[..., None]
    # One sensor must remain.
    left = (level == 0.0).sum(axis=-1, keepdims=True) > 1
    return _levels(contrast, (level > 0.0) | (worst & left & (level == 0.0)))


def _blame(contrast: Array, surprise: Array, lasting: Array, level: Array) -> Array:
    """Return the levels (..., 2) of a pair."""
    guilty = np.zeros(level.shape, dtype=bool)
    for average, (factor, least) in ((surprise, _SOON), (lasting, _LATER)):
        fellow = average[..., ::-1]
        guilty |= (average > np.maximum(factor * fellow, least)) & (fellow > _QUIET)
    # Once decided it stays so until they agree again.
    decided = (level > 0.0).any(axis=-1, keepdims=True)
    return _levels(contrast, np.where(decided, level > 0.0, guilty & ~guilty[..., ::-1]))


def _levels(contrast: Array, blamed: NDArray[np.bool_]) -> Array:
    return np.where(blamed & (contrast > _CONTRADICTION), np.log(np.maximum(contrast, 1.0)), 0.0)
