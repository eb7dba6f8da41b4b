"""A search whose starts move together, for costs that are cheap only in a batch: simulated episodes, not exact ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pcctrl.arrays import Array
from pcctrl.errors import ParameterError
from pcctrl.tuning import Tuned

__all__ = ["lockstep"]


def lockstep(cost: Callable[[Array], Array], points: Sequence[Array], rounds: int, stride: float = 1.0) -> Tuned:
    """Minimise ``cost`` by compass search from each of ``points``, all of them in one batch.

    In every round each start tries a stride up and down every coordinate and takes the best; where none is better its
    stride is halved.

    Args:
        cost: (N,) of parameters (N, d); what is not finite counts as worse than all else.
        points: the starting points, each (d,).
        rounds: how many batches.
        stride: the first, in every coordinate.

    Raises:
        ParameterError: no points or rounds.
    """
    if rounds < 1 or not len(points):
        raise ParameterError(name="rounds, points", expected="at least 1", received=(rounds, len(points)))

    def safe(values: Array) -> Array:
        with np.errstate(all="ignore"):
            found = np.asarray(cost(values), float)
        return np.where(np.isfinite(found), found, np.inf)

    at = np.array(points, float)
    starts, d = at.shape
    best, strides = safe(at), np.full(starts, stride)
    moves = np.concatenate([np.eye(d), -np.eye(d)])
    for _ in range(rounds):
        tried = at[:, None] + strides[:, None, None] * moves
        found = safe(tried.reshape(-1, d)).reshape(starts, 2 * d)
        choice = found.argmin(axis=1)
        lowest = found[np.arange(starts), choice]
        better = lowest < best
        at = np.where(better[:, None], tried[np.arange(starts), choice], at)
        best, strides = np.where(better, lowest, best), np.where(better, strides, strides / 2.0)
    winner = int(best.argmin())
    evaluations = starts * (1 + 2 * d * rounds)
    return Tuned(at[winner], float(best[winner]), starts, evaluations, tuple(float(c) for c in best))
