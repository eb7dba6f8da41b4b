r"""Slow precision: which of several sensors of one quantity is faulty, and when it has healed.

A sensor i is compared with its fellows alone: :math:`c_i = y_i - \bar y_{-i}`, their mean weighted by precision. A push
moves all of them, and no :math:`c_i`; a fault moves its own. The sensor's log-variance :math:`s_i` beyond the told
:math:`V_i` minimises the free energy of that error, averaged over a time :math:`\tau`,

.. math:: \bar F(s_i) = \tfrac12 e^{-s_i}\,\overline{c_i^2 / \nu_i} + \tfrac12 s_i,\qquad
          s_i = \ln \overline{c_i^2 / \nu_i}\ \text{if the sensor is to blame, else}\ 0,

:math:`\nu_i` the variance expected of :math:`c_i`. Of three sensors two agree. Of two, each contradicts the other,
and only the prediction can tell which is wrong: the one to blame is that whose innovations have been larger, in
variances, by a margin. Where they are not, as for an error that creeps in slower than the plant might move by itself,
both are *disputed*, and stay. Of a single sensor nothing can be said: its fault and a disturbance that explains
it are one and the same to a filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array, choose
from pcctrl.errors import ParameterError

__all__ = ["TRUST_TIME", "Trust", "compare", "grouped"]

# Seconds over which contradictions are averaged.
TRUST_TIME = 0.02

# The mean square of a contradiction, in variances, from which on it is one; coloured noise gets that far seldom.
_CONTRADICTION = 12.0
# By what factor a sensor's innovations must surprise more than its fellows', in mean squares, for it to be to blame.
_MARGIN = 3.0
# A contradiction counts for no more, so that a sensor that has healed is believed after 7 times the time constant.
_MOST = 1e4


class Trust(NamedTuple):
    """What a filter remembers of sensors that have fellows; of the others nothing is ever learned.

    Args:
        contrast: mean square of what contradicts a sensor's fellows, in variances (..., m).
        surprise: mean square of its innovations, in variances (..., m).
        level: what is added to the logarithm of its variance (..., m).
    """

    contrast: Array
    surprise: Array
    level: Array

    @property
    def faulty(self) -> NDArray[np.bool_]:
        """Which sensors are disbelieved, (..., m)."""
        return np.asarray(self.level > 0.0)

    @property
    def disputed(self) -> NDArray[np.bool_]:
        """Which sensors contradict their fellows without a culprit being found, (..., m)."""
        return np.asarray((self.contrast > _CONTRADICTION) & (self.level == 0.0))


def grouped(redundant: Sequence[Sequence[str]], names: Sequence[str], rows: Array) -> list[NDArray[np.int64]]:
    """Return the indices of the sensors of each group.

    Args:
        redundant: names of those that read the same.
        names: of all m sensors.
        rows: how they depend on the state of the plant (m, n).

    Raises:
        UnknownNameError: no sensor has that name.
        ParameterError: a group of one, or of sensors that do not read the same.
    """
    known = list(names)
    groups = [np.array([known.index(choose("redundant", s, known)) for s in group]) for group in redundant]
    for group, given in zip(groups, redundant, strict=True):
        if len(group) < 2 or not np.allclose(rows[group], rows[group[0]]):
            expected = "groups of two or more sensors that read the same of the state"
            raise ParameterError(name="redundant", expected=expected, received=given)
    return groups


def compare(
    y: Array,
    innovation: Array,
    spread: Array,
    variance: Array,
    groups: Sequence[NDArray[np.int64]],
    rate: float,
    memory: Trust | None,
    present: NDArray[np.bool_] | None,
) -> Trust:
    """Return what to remember after a sample.

    Args:
        y: readings (..., m).
        innovation: (..., m).
        spread: their variances by the prior alone (..., m).
        variance: of the whole noise of each sensor (m,).
        groups: indices of sensors that read the same quantity.
        rate: part of the time constant that a sample takes.
        memory: from the last sample, None at the first.
        present: (..., m), or None for all.
    """
    if memory is None:
        memory = Trust(np.ones(y.shape), np.ones(y.shape), np.zeros(y.shape))
    contrast, surprise, level = (a.copy() for a in memory)
    here = np.ones(y.shape, dtype=bool) if present is None else present
    shock = np.minimum(innovation**2 / (spread + variance), _MOST)
    for group in groups:
        there = here[..., group]
        weight = np.where(there, np.exp(-level[..., group]) / variance[group], 0.0)
        total = weight.sum(axis=-1, keepdims=True)
        rest = total - weight
        # A sensor is compared only where it and a fellow were read.
        fit = there & (rest > 1e-9 * total)
        reading = np.where(there, y[..., group], 0.0)
        others = np.where(fit, rest, 1.0)
        fellows = ((weight * reading).sum(axis=-1, keepdims=True) - weight * reading) / others
        expected = variance[group] + 1.0 / others
        off = np.minimum((reading - fellows) ** 2 / expected, _MOST)
        contrast[..., group] += np.where(fit, rate * (off - contrast[..., group]), 0.0)
        surprise[..., group] += np.where(fit, rate * (shock[..., group] - surprise[..., group]), 0.0)
        level[..., group] = _judge(contrast[..., group], surprise[..., group], level[..., group], len(group) > 2)
    return Trust(contrast, surprise, level)


def _judge(contrast: Array, surprise: Array, level: Array, outvoted: bool) -> Array:
    """Return the levels of a group; the most suspicious sensor first, since it spoils its fellows' mean."""
    found = (contrast > _CONTRADICTION) & (level > 0.0)
    evidence = contrast if outvoted else surprise
    healthy = np.where(level > 0.0, -np.inf, evidence)
    first = healthy.argmax(axis=-1)[..., None]
    worst = np.take_along_axis(healthy, first, axis=-1)
    second = healthy.copy()
    np.put_along_axis(second, first, -np.inf, axis=-1)
    second_best = second.max(axis=-1, keepdims=True)
    # One sensor must remain.
    blamed = (worst > (1.0 if outvoted else _MARGIN) * second_best) & np.isfinite(second_best)
    chosen = (np.arange(level.shape[-1]) == first) & blamed & (contrast > _CONTRADICTION)
    return np.where(found | chosen, np.log(np.maximum(contrast, 1.0)), 0.0)
