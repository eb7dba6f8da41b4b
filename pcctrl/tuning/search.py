"""The search that all tuning shares: Nelder-Mead from several starting points, and once more from the best.

Exact costs have local minima: from two starts a tuned LQG in gusts can look 1.7 × worse than it is (DESIGN §5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.optimize

from pcctrl.arrays import Array
from pcctrl.errors import ModelError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["UNSTABLE", "Tuned", "scattered", "search"]

# Beyond any cost: an unstable loop is worse than every stable one, and nothing at all is worse still.
UNSTABLE = 1e100
_NOWHERE = 1e200


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Args:
        values: the tuned parameters.
        cost: exact cost there: of a loop a sample, of a filter `SampleCovariance.score`.
        starts: number of starting points.
        evaluations: number of costs computed in all.
        costs: the cost that each start reached.
    """

    values: Array
    cost: float
    starts: int
    evaluations: int
    costs: tuple[float, ...]

    def budget(self) -> str:
        """Return the tuning budget as a table states it."""
        return f"{self.starts} starts, {self.evaluations} exact costs"


def scattered(centre: Array, starts: int, seed: int) -> list[Array]:
    """Return ``centre`` and normal deviates around it (standard deviation 2), ``starts`` points in all, at least 1."""
    rng = np.random.default_rng(seed)
    return [centre, *(centre + rng.normal(0.0, 2.0, (max(starts, 1) - 1, len(centre))))]


def search(cost: Callable[[Array], float], points: Sequence[Array], evaluations: int) -> Tuned:
    """Minimise ``cost`` from each of ``points``.

    Args:
        cost: of parameters; where no filter or feedback exists it may raise ModelError, ParameterError or LinAlgError,
            or return what is not finite.
        points: the starting points.
        evaluations: at most so many from each start (Nelder-Mead), and so many again from the best.

    Raises:
        ModelError: no start leads to a cost below `UNSTABLE`.
        ParameterError: no starts or evaluations.
    """
    if evaluations < 1 or not points:
        raise ParameterError(name="evaluations, starts", expected="at least 1", received=(evaluations, len(points)))

    def safe(values: Array) -> float:
        try:
            value = cost(values)
        except (ModelError, ParameterError, np.linalg.LinAlgError):
            return _NOWHERE
        return value if np.isfinite(value) else _NOWHERE

    def descend(x0: Array) -> scipy.optimize.OptimizeResult:
        options = {"maxfev": evaluations, "xatol": 1e-3, "fatol": 1e-9, "adaptive": True}
        return scipy.optimize.minimize(safe, x0, method="Nelder-Mead", options=options)

    with np.errstate(all="ignore"):
        found = [descend(x0) for x0 in points]
        # A simplex may have collapsed on its way: once more, from the best.
        found.append(descend(min(found, key=lambda r: float(r.fun)).x))
    best = min(found, key=lambda r: float(r.fun))
    if best.fun >= UNSTABLE:
        raise ModelError(
            name="starts", expected="one that leads to a stable loop or filter", received=f"none of {len(points)}"
        )
    return Tuned(
        values=np.asarray(best.x),
        cost=float(best.fun),
        starts=len(points),
        evaluations=int(sum(r.nfev for r in found)),
        costs=tuple(float(r.fun) for r in found[:-1]),
    )
