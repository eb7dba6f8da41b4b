r"""Slow precision: which of several sensors of one quantity is faulty, and when it has healed.

A sensor i is compared with its fellows alone: :math:`c_i = y_i - \bar y_{-i}`, their mean weighted by precision. A
push moves all of them, and no :math:`c_i`; a fault moves its own. Where :math:`\overline{c_i^2 / \nu_i}`, averaged over
a time :math:`\tau`, is large, :math:`\nu_i` the variance expected of :math:`c_i`, the sensor contradicts them. With the
probability :math:`p_i` that it is to blame, its precision is the expected one,

.. math:: \Pi_i = e^{-s_i} / V_i,\qquad e^{-s_i} = (1 - p_i) + p_i \big/ \overline{c_i^2 / \nu_i},

for :math:`s_i = \ln \overline{c_i^2 / \nu_i}` is the log-variance that minimises the free energy
:math:`\tfrac12 e^{-s}\,\overline{c_i^2/\nu_i} + \tfrac12 s` of a faulty one. Of three sensors two agree, and p is 0
or 1. Of two, each contradicts the other, and only the dynamics can tell which is wrong: so each of a pair has a belief
of its own, which never sees its fellow. (The common belief cannot tell: it goes with the more precise of the two, right
or wrong.) Its innovations' squares :math:`z = \epsilon^2 / S` are the evidence, accumulated as a log Bayes factor,

.. math:: \ln\frac{p_1}{p_2} = W_1 - W_2 + f_1 - f_2,\qquad
          W_i \leftarrow \max\left(0,\ W_i + \tfrac12 (1 - \tfrac1M) \frac{z_i}{\bar z_i} - \tfrac12\ln M\right),

against a fault that multiplies the variance by M, in units of what z is while the two agree, since a wrong model
surprises all. It is Page's test: silence is no evidence of health, hence the 0, for a frozen sensor is silent. That is
a fault with a likelihood of its own, :math:`f_i`: so much for every sample that repeats the last one exactly, after its
fellow has moved on beyond doubt, and while W has not decided against that fellow; one other reading, and it is nothing.
The W of one that is blamed does not fall while they contradict each other: a sensor that has run away surprises at
first and never again.

Where neither has surprised, as for an error that creeps in as slowly as the plant might be pushed, both are *disputed*,
and stay. Of a single sensor nothing can be said: its fault and a push that explains it are the same to a filter.
Source: Page 1954, from Wald's sequential test; on the innovations of a filter, Willsky & Jones 1976.
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
# M, and the most that a sample's z counts for, in units of the usual.
_FAULT, _OUTLIER = 8.0, 25.0
# What is usual is averaged over so many times the time, of samples that count for so much at most.
_LONGER, _USUAL = 10.0, 9.0
# Log evidence of a repeated reading, and of all of them; and the most that is remembered of surprises: more, since a
# sensor of a plant at rest repeats itself too, while its fellow runs away.
_REPEATED, _FROZEN, _SURE = 0.5, 30.0, 60.0
# Log odds from which on a sensor is called faulty: 150 to 1.
_DECIDED = 5.0
# Part of the random walk's rate that the beliefs of one sensor are left: what they may put down to it is no surprise.
_CALM = 0.1
# A contradiction counts for no more, so that a sensor that has healed is believed after 7 times the time constant.
_MOST = 1e4


class Trust(NamedTuple):
    """What a filter remembers of sensors that have fellows; of the others nothing is ever learned.

    Args:
        contrast: mean square of what contradicts a sensor's fellows, in variances (..., m).
        usual: mean square of what surprises its own belief while they agree, in variances (..., m).
        surprise: W, log evidence of what surprised its own belief (..., m).
        frozen: log evidence f of repeated readings (..., m).
        last: readings (..., m).
        since: what the fellow read when a sensor's reading changed last (..., m).
        odds: log odds that a sensor is to blame for what contradicts it (..., m).
        level: what is added to the logarithm of its variance (..., m).
        mean: (..., 2, N) of the beliefs that see but the first of each pair, and but the second; (..., 0, N) if there
            are no pairs.
        covariance: theirs, (..., 2, N, N).
    """

    contrast: Array
    usual: Array
    surprise: Array
    frozen: Array
    last: Array
    since: Array
    odds: Array
    level: Array
    mean: Array
    covariance: Array

    @property
    def faulty(self) -> NDArray[np.bool_]:
        """Which sensors are disbelieved, (..., m)."""
        return np.asarray((self.contrast > _CONTRADICTION) & (self.odds > _DECIDED))

    @property
    def disputed(self) -> NDArray[np.bool_]:
        """Which sensors contradict their fellows without a culprit being found, (..., m)."""
        return np.asarray((self.contrast > _CONTRADICTION) & (np.abs(self.odds) <= _DECIDED))


class Redundancy:
    """Groups of sensors that read the same, and what is made of their contradictions.

    Args:
        joint: what the filter believes.
        names: of all m sensors.
        groups: names of those that read the same.
        rate: part of the time constant that a sample takes.

    Raises:
        UnknownNameError: no sensor has that name.
        ParameterError: a group of one, or of sensors that do not read the same of the plant; or one in two groups.
    """

    def __init__(
        self, joint: GeneralisedModel, names: Sequence[str], groups: Sequence[Sequence[str]], rate: float
    ) -> None:
        known = list(names)
        self.joint, self.rate = joint, min(rate, 1.0)
        self.groups = [np.array([known.index(choose("redundant", s, known)) for s in group]) for group in groups]
        everyone = [s for group in groups for s in group]
        if len(set(everyone)) < len(everyone):
            raise ParameterError(name="redundant", expected="each sensor in one group at most", received=groups)
        rows = joint.readout_jacobian(joint.mean, joint.input)[:, : joint.plant]
        for group, given in zip(self.groups, groups, strict=True):
            if len(group) < 2 or not np.allclose(rows[group], rows[group[0]]):
                expected = "groups of two or more sensors that read the same of the state"
                raise ParameterError(name="redundant", expected=expected, received=given)
        self.variance = joint.R_at(joint.mean) + (joint.sensor_chains.H**2).sum(axis=1)
        self.pairs = np.array([group for group in self.groups if len(group) == 2], dtype=int).reshape(-1, 2)
        # Which sensors each of the two beliefs sees, and where among these a sensor finds itself in its own.
        two = 2 if len(self.pairs) else 0
        self.seen = np.array([np.setdiff1d(range(len(known)), self.pairs[:, 1 - i]) for i in range(two)], dtype=int)
        self.own = np.isin(range(len(known)), self.pairs[:, 1]).astype(int)
        self.place = np.array([list(self.seen[b]).index(i) for i, b in enumerate(self.own)] if two else [], dtype=int)

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
            one, none = np.ones(y.shape), np.zeros(y.shape)
            memory = Trust(one, one, none, none, np.full(y.shape, np.nan), none, none, none, own, P)
        shock, mean, covariance = self._alone(y, prior, memory, here)
        memory = memory._replace(mean=mean, covariance=covariance)
        contrast, odds = memory.contrast.copy(), memory.odds.copy()
        for group in self.groups:
            there = here[..., group]
            # A pair goes by what it is told: whoever is to blame, the contradiction is the same.
            level = memory.level[..., group] if len(group) > 2 else 0.0
            weight = np.where(there, np.exp(-level) / self.variance[group], 0.0)
            total = weight.sum(axis=-1, keepdims=True)
            rest = total - weight
            # A sensor is compared only where it and a fellow were read.
            fit = there & (rest > 1e-9 * total)
            reading = np.where(there, y[..., group], 0.0)
            others = np.where(fit, rest, 1.0)
            fellows = ((weight * reading).sum(axis=-1, keepdims=True) - weight * reading) / others
            off = np.minimum((reading - fellows) ** 2 / (self.variance[group] + 1.0 / others), _MOST)
            contrast[..., group] += np.where(fit, self.rate * (off - contrast[..., group]), 0.0)
            if len(group) > 2:
                odds[..., group] = _outvote(contrast[..., group], odds[..., group])
        memory = memory._replace(contrast=contrast, odds=odds)
        if len(self.pairs):
            memory = self._weigh(y, shock, memory, here)
        p = 1.0 / (1.0 + np.exp(-memory.odds))
        level = np.where(contrast > _CONTRADICTION, -np.log(1.0 - p + p / np.maximum(contrast, 1.0)), 0.0)
        return memory._replace(level=level)

    def _weigh(self, y: Array, shock: Array, memory: Trust, here: NDArray[np.bool_]) -> Trust:
        """Return what to remember of the pairs (..., k, 2) by the evidence of a sample."""
        pairs = self.pairs
        fit = here[..., pairs].all(axis=-1, keepdims=True)
        z, reading, apart = shock[..., pairs], y[..., pairs], memory.contrast[..., pairs] > _CONTRADICTION
        usual = memory.usual[..., pairs]
        usual = usual + self.rate / _LONGER * np.where(fit & ~apart, np.minimum(z, _USUAL) - usual, 0.0)
        z = np.minimum(z / np.maximum(usual, 1.0), _OUTLIER)
        held = memory.surprise[..., pairs]
        surprise = np.clip(held + 0.5 * ((1.0 - 1.0 / _FAULT) * z - np.log(_FAULT)), 0.0, _SURE)
        blamed = apart & (memory.odds[..., pairs] > _DECIDED)
        surprise = np.where(blamed, np.maximum(surprise, held), surprise)
        ahead = surprise - surprise[..., ::-1]
        # Of readings that are the last ones again, while the fellow's are not any more what they were then, and its own
        # belief doesn't give that the lie: it may have run away from a plant at rest.
        same = reading == memory.last[..., pairs]
        since = np.where(same, memory.since[..., pairs], reading[..., ::-1])
        both = self.variance[pairs].sum(axis=-1, keepdims=True)
        moved = ((reading[..., ::-1] - since) ** 2 > _CONTRADICTION * both) & (ahead > -_DECIDED)
        frozen = np.where(same, np.minimum(memory.frozen[..., pairs] + _REPEATED * moved, _FROZEN), 0.0)
        odds = ahead + frozen - frozen[..., ::-1]
        new = {"usual": usual, "surprise": surprise, "frozen": frozen, "last": reading, "since": since, "odds": odds}
        found = {}
        for name, value in new.items():
            found[name] = getattr(memory, name).copy()
            found[name][..., pairs] = np.where(fit, value, found[name][..., pairs])
        return memory._replace(**found)

    def _alone(
        self, y: Array, prior: tuple[Array, Array, Array], memory: Trust, here: NDArray[np.bool_]
    ) -> tuple[Array, Array, Array]:
        """Return how much each sensor surprises its own belief (..., m), in variances, and these beliefs after it."""
        mean, P = memory.mean, memory.covariance
        if not len(self.seen):
            return np.zeros(y.shape), mean, P
        u, joint, seen, which = prior[2][..., None, :], self.joint, self.seen, np.arange(2)[:, None]
        there, shape = here[..., seen], (*y.shape[:-1], 2, y.shape[-1])
        C = np.broadcast_to(joint.readout_jacobian(mean, u), (*shape, mean.shape[-1]))[..., which, seen, :]
        C = C * there[..., None]
        expected = np.broadcast_to(joint.readout(mean, u), shape)[..., which, seen]
        error = np.where(there, y[..., seen] - expected, 0.0)
        spread = ((C @ P) * C).sum(axis=-1)
        R = np.broadcast_to(joint.R_at(mean), shape)[..., which, seen]
        shock = np.minimum(error**2 / (spread + R), _MOST)
        correction = correct(P, C, np.where(there, R, 1.0))
        moved = joint.integrate(mean, (correction.gain @ error[..., None])[..., 0])
        # One that is lost starts again from the common belief.
        lost = ~np.isfinite(moved.sum(axis=-1) + correction.covariance.sum(axis=(-2, -1)))
        covariance = np.where(lost[..., None, None], prior[1][..., None, :, :], correction.covariance)
        moved, shock = np.where(lost[..., None], prior[0][..., None, :], moved), np.nan_to_num(shock, nan=_MOST)
        return shock[..., self.own, self.place], moved, covariance


def _outvote(contrast: Array, odds: Array) -> Array:
    """Return the log odds (..., k) of three or more: the worst goes first, since it spoils its fellows' mean."""
    blamed = odds > 0.0
    healthy = np.where(blamed, -np.inf, contrast)
    worst = np.arange(odds.shape[-1]) == healthy.argmax(axis=-1)[..., None]
    # One sensor must remain.
    left = (~blamed).sum(axis=-1, keepdims=True) > 1
    blamed = (blamed | (worst & left)) & (contrast > _CONTRADICTION)
    return np.where(blamed, _SURE, -_SURE)
