r"""A sum of Gaussians in place of one, for a sample that one Gaussian does not explain.

With :math:`m = P_{\cdot s} P_{ss}^{-1/2}`, what goes with one standard deviation of a state s,

.. math:: \mathcal N(\mu, P) \approx \sum_i w_i\,\mathcal N(\mu + z_i m,\; P - (1 - f^2)\,m m^\top),

where z and w are the nodes and weights of a Gauss-Hermite rule for :math:`\mathcal N(0, 1 - f^2)`: along m the sum has
the moments of the Gaussian up to the (2K - 1)-th, for K parts. Each part descends its own free energy F_i and is then
as probable as :math:`w_i e^{-F_i}`; the posterior is the one Gaussian with the moments of their sum. It is a Gaussian
sum filter (Alspach & Sorenson 1972) whose components live for one sample.

A part that doubts a sensor explains it by noise, at :math:`\ln(|\epsilon| / \sigma)` in F_i, which is less than what it
costs to believe one that only just is. So that no doubt is a bargain, each costs what makes F continuous where it
begins, at a squared innovation of t variances: :math:`\tfrac12(t - 1 - \ln t)` more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.special
import scipy.stats
from numpy.typing import NDArray

from pcctrl.arrays import Array
from pcctrl.filters.belief import Belief
from pcctrl.filters.doubt import Doubt
from pcctrl.free_energy import minimum

if TYPE_CHECKING:
    from pcctrl.filters.belief import Info
    from pcctrl.filters.nonlinear import NonlinearFilter
    from pcctrl.models import GeneralisedModel

__all__ = ["Sum", "joined", "parted", "surprising"]

# f² times the number of parts: five overlap as far as their nodes are apart.
_WIDTH = 1.5
# Below this part of what it was before any data, a standard deviation has room for one answer alone.
_SMALL = 0.3


def parted(joint: GeneralisedModel, mean: Array, P: Array, along: int, count: int) -> tuple[Array, Array, Array]:
    """Return the Gaussian of ``mean`` (..., N) and P (..., N, N) as ``count`` parts along one of its states.

    These are their means (..., K, N), the covariance (..., N, N) of each, and the logarithms of their weights (K,).
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    rest = 1.0 - min(1.0, _WIDTH / count)
    m = P[..., along] / np.sqrt(P[..., along, along])[..., None]
    moves = np.sqrt(rest) * nodes[:, None] * m[..., None, :]
    means = joint.integrate(np.broadcast_to(mean[..., None, :], moves.shape), moves)
    return means, P - rest * m[..., :, None] * m[..., None, :], np.log(weights / weights.sum())


def joined(joint: GeneralisedModel, means: Array, P: Array, weights: Array) -> tuple[Array, Array]:
    """Return mean (..., N) and covariance (..., N, N) of the sum of Gaussians means (..., K, N), P (..., K, N, N).

    Args:
        joint: in whose tangent space, at the heaviest part, they are added.
        means: of the parts.
        P: of the parts.
        weights: (..., K), which add up to 1; what has none may be NaN.
    """
    some = weights > 0.0
    base = np.take_along_axis(means, np.argmax(weights, axis=-1)[..., None, None], axis=-2)
    moves = joint.difference(np.where(some[..., None], means, base), np.broadcast_to(base, means.shape))
    shift = (weights[..., None] * moves).sum(axis=-2)
    moves = moves - shift[..., None, :]
    within = (weights[..., None, None] * np.where(some[..., None, None], P, 0.0)).sum(axis=-3)
    return joint.integrate(base[..., 0, :], shift), within + np.swapaxes(moves, -1, -2) @ (weights[..., None] * moves)


def surprising(threshold: float, sensors: int) -> Array:
    """Return the sum of squares that is as rare, of 0 to ``sensors`` of them, as one of ``threshold`` of a single one.

    It is infinite for none of them.
    """
    rare = scipy.stats.chi2.sf(threshold, 1)
    return np.asarray(np.r_[np.inf, scipy.stats.chi2.isf(rare, np.arange(1, sensors + 1))])


def _told(flags: NDArray[np.bool_] | None, batch: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.zeros(batch, dtype=bool) if flags is None else flags


@dataclass(frozen=True, eq=False)
class Sum:
    """How a sample is explained by parts.

    Args:
        along: which state of the joint one they are spread along.
        count: K.
        std: of that state before any data.
        threshold: of a squared innovation, in variances, where doubt begins.
        most: the largest misfit of so many sensors (m + 1,) that one Gaussian explains, see `surprising`.
    """

    along: int
    count: int
    std: float
    threshold: float
    most: Array

    def halved(self, before: Array, after: Array) -> NDArray[np.bool_]:
        """Tell of which members (...) a sample takes more than half of a variance that is not small.

        Args:
            before: covariance (..., N, N).
            after: the same after the sample, as linearised.
        """
        variance = before[..., self.along, self.along]
        return np.asarray((after[..., self.along, self.along] < 0.5 * variance) & (variance > (_SMALL * self.std) ** 2))

    def cost(self, info: Info) -> Array:
        """Return F (...) with what doubt costs."""
        doubts = 0.0 if info.doubted is None else info.doubted.sum(axis=-1)
        return np.asarray(info.free_energy + 0.5 * (self.threshold - 1.0 - np.log(self.threshold)) * doubts)

    def misfits(self, info: Info) -> NDArray[np.bool_]:
        """Tell which members (...) of a batch fit their sample no better than by rare chance, or not at all."""
        count = np.array(info.innovation.shape[-1]) if info.present is None else info.present.sum(axis=-1)
        misfit = 2.0 * (self.cost(info) - minimum(0.0, info.correction, count))
        return np.asarray(~(misfit <= self.most[count]))

    def update(
        self, filter_: NonlinearFilter, belief: Belief, y: Array, after: Belief, info: Info
    ) -> tuple[Belief, Info]:
        """Return the posterior and what the sample said, by parts where one Gaussian is not to be trusted.

        That is where its variance is halved, and where it misfits. The free energy that is told is without what doubt
        costs, and the gain that of the one Gaussian.

        Args:
            filter_: without parts.
            belief: the prediction.
            y: readings (..., m).
            after: the posterior of one Gaussian.
            info: what it said.
        """
        who = np.array(self.halved(belief.covariance, info.correction.covariance) | self.misfits(info))
        if not who.any():
            return after, info
        joint, batch = filter_.joint, after.mean.shape[:-1]

        def of(a: Any, core: int) -> Any:
            return np.broadcast_to(a, (*batch, *a.shape[a.ndim - core :]))[who]

        means, P, log_weights = parted(joint, of(belief.mean, 1), of(belief.covariance, 2), self.along, self.count)
        memory = None if belief.doubt is None else Doubt(*(of(a, 1)[:, None] for a in belief.doubt))
        P = np.broadcast_to(P[:, None], (*means.shape, joint.size))
        parts = Belief(means, P, of(belief.input, 1)[:, None], belief.plant, memory)
        parts, said = filter_._update(parts, of(y, 1)[:, None])
        evidence = log_weights - self.cost(said)
        evidence = np.where(np.isfinite(evidence) & ~_told(said.reset, evidence.shape), evidence, -np.inf)
        # Where no part is left it is as without parts.
        good = np.isfinite(evidence).any(axis=-1)
        if not good.all():
            after, info = filter_._update(belief, y)
        who[who] = good
        if not who.any():
            return after, info
        evidence, heaviest = evidence[good], np.argmax(evidence[good], axis=-1)
        weights = scipy.special.softmax(evidence, axis=-1)
        mean, covariance = joined(joint, parts.mean[good], parts.covariance[good], weights)
        energy = np.where(np.isfinite(evidence), said.free_energy[good], np.inf)

        def put(old: Any, new: Any, core: int) -> Any:
            out = np.broadcast_to(old, (*batch, *old.shape[old.ndim - core :])).copy()
            out[who] = new
            return out

        def best(old: Any, new: Any, core: int) -> Any:
            return put(old, new[good][range(len(heaviest)), heaviest], core)

        covariance = put(after.covariance, covariance, 2)
        doubt, doubted = after.doubt, info.doubted
        if doubt is not None and parts.doubt is not None:
            doubt = Doubt(*(best(a, b, 1) for a, b in zip(doubt, parts.doubt, strict=True)))
        if doubted is not None:
            doubted = best(doubted, said.doubted, 1)
        capped = best(_told(info.capped, batch), _told(said.capped, means.shape[:2]), 0)
        info = info._replace(
            correction=info.correction._replace(covariance=covariance),
            reset=None if info.reset is None else put(info.reset, False, 0),
            energy=put(info.free_energy, -scipy.special.logsumexp(log_weights - energy, axis=-1), 0),
            iterations=max(info.iterations, said.iterations),
            residual=max(info.residual, said.residual),
            doubt=doubt,
            doubted=doubted,
            capped=capped if capped.any() else None,
        )
        return replace(after, mean=put(after.mean, mean, 1), covariance=covariance, doubt=doubt), info
