"""What filters pass around: a belief, what was learned from a sample, and the estimate of a whole recording."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array
from pcctrl.filters.doubt import Doubt
from pcctrl.filters.jumps import Suspicion
from pcctrl.filters.trust import Trust
from pcctrl.free_energy import Correction, minimum

__all__ = ["ABSURD", "Belief", "Estimate", "Held", "Info", "Status"]
# A sensor value beyond this is missing.
ABSURD = 1e100


class Status(enum.IntEnum):
    """How a sample was used; data never raises."""

    OK = 0
    PARTIAL = 1
    """Some sensors were missing; the others were used."""
    OUTLIER = 2
    """A sensor was too surprising to be believed, and was given less precision."""
    SURPRISE = 3
    """A sensor has surprised too often running to be wrong: something has pushed the plant, and it was believed."""
    BLIND = 4
    """No sensor was there: prediction only."""
    DIVERGED = 5
    """The belief was no longer finite and has been reset to the prior."""
    CAPPED = 6
    """Its iterations ran out before the descent on the free energy had converged; it is where it got to."""
    FAULT = 7
    """A sensor contradicts others of the same quantity, and has lost its precision until it agrees with them again."""
    JUMP = 8
    """A state has jumped, some samples ago, and the belief with it."""


class Held(NamedTuple):
    """Derivatives of the dynamics, kept for some samples.

    Args:
        F: by the joint state (..., N, N).
        Q: covariance of what drives it (..., N, N).
        age: samples that they have been used for.
    """

    F: Array
    Q: Array
    age: int


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """A Gaussian belief over the joint state; leading dimensions are a batch.

    Args:
        mean: (..., N), physical states first, then the generalised coordinates of the noises.
        covariance: (N, N), shared by the batch, or (..., N, N).
        input: the input held until now (p,) or (..., p), which a sensor with a D reads.
        plant: number n of physical states.
        doubt: what is remembered of each sensor's surprises, None if they are not watched.
        held: the linearised dynamics that are used again, None if they are not.
        trust: what is remembered of redundant sensors, None if none are watched.
        suspicion: what is remembered of jumps that may have been, None if none are expected.
    """

    mean: Array
    covariance: Array
    input: Array
    plant: int
    doubt: Doubt | None = None
    held: Held | None = None
    trust: Trust | None = None
    suspicion: Suspicion | None = None

    @property
    def state(self) -> Array:
        """Mean of the physical states, (..., n), in their own units."""
        return self.mean[..., : self.plant]

    def marginal(self, states: int) -> Belief:
        """Return the belief about the first so many physical states, and the noises: slow parameters are left out.

        Args:
            states: of the plant alone, at most n.
        """
        kept = np.r_[:states, self.plant : self.mean.shape[-1]]
        covariance = self.covariance[..., kept[:, None], kept]
        return Belief(self.mean[..., kept], covariance, self.input, states)

    @property
    def std(self) -> Array:
        """Standard deviation of the physical states, (..., n)."""
        variance = np.diagonal(self.covariance, axis1=-2, axis2=-1)[..., : self.plant]
        return np.broadcast_to(np.sqrt(variance), self.state.shape)


class Info(NamedTuple):
    """What one sample said. Everything beyond the innovation is computed when asked for.

    Args:
        innovation: y minus its prediction, (..., m), 0 for a missing sensor.
        present: which sensors were used, (..., m), or None for all of them.
        correction: the gain and covariances of this update.
        reset: whether the belief was reset, (...), or None for nowhere.
        doubt: of each sensor's surprises after this one, None if they are not watched.
        doubted: which sensors were given less precision (..., m), None if none are watched.
        iterations: steps of descent on the free energy.
        residual: distance of the mean from the minimum, in posterior standard deviations, the largest of the batch. A
            nonlinear filter gives that before its last step, an upper bound where it converges.
        capped: whether the iterations ran out (...), or None for nowhere.
        energy: the free energy, where it is not that of the innovation under a linear readout (...).
        trust: of redundant sensors after this sample, None if none are watched.
        suspicion: of jumps after this sample, None if none are expected; its ``found`` tells those that were.
    """

    innovation: Array
    present: NDArray[np.bool_] | None
    correction: Correction
    reset: NDArray[np.bool_] | None
    doubt: Doubt | None = None
    doubted: NDArray[np.bool_] | None = None
    iterations: int = 1
    residual: float = 0.0
    capped: NDArray[np.bool_] | None = None
    energy: Array | None = None
    trust: Trust | None = None
    suspicion: Suspicion | None = None

    @property
    def innovation_covariance(self) -> Array:
        """Covariance S that the filter expected of the innovation, (..., m, m); 1 for a missing sensor."""
        return self.correction.innovation_covariance

    @property
    def nis(self) -> Array:
        """Normalised innovation squared, (...): chi-squared with as many degrees of freedom as sensors present."""
        e = self.innovation
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.einsum("...i,...ij,...j->...", e, self.correction.innovation_precision, e))

    @property
    def free_energy(self) -> Array:
        """Free energy at its minimum with the Laplace term, −ln p(y | past) in nats, (...)."""
        if self.energy is not None:
            return self.energy
        count = self.innovation.shape[-1] if self.present is None else self.present.sum(axis=-1)
        return minimum(self.nis, self.correction, count)

    @property
    def status(self) -> NDArray[np.int64]:
        """A `Status` for each member of the batch, (...)."""
        status = np.full(self.innovation.shape[:-1], int(Status.OK))
        if self.capped is not None:
            status = np.where(self.capped, int(Status.CAPPED), status)
        if self.doubt is not None and self.doubted is not None:
            status = np.where(self.doubted.any(axis=-1), int(Status.OUTLIER), status)
            status = np.where(self.doubt.believed.any(axis=-1), int(Status.SURPRISE), status)
        if self.suspicion is not None:
            status = np.where(self.suspicion.found.any(axis=-1), int(Status.JUMP), status)
        if self.trust is not None:
            status = np.where(self.trust.faulty.any(axis=-1), int(Status.FAULT), status)
        if self.present is not None:
            partial = ~self.present.all(axis=-1) & np.isin(status, (Status.OK, Status.CAPPED))
            status = np.where(partial, int(Status.PARTIAL), status)
            status = np.where(self.present.any(axis=-1), status, int(Status.BLIND))
        return status if self.reset is None else np.where(self.reset, int(Status.DIVERGED), status)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A filter's answer to a recording of T samples; leading dimensions are a batch.

    ``std``, ``innovation_std`` and ``status`` may be read-only views of what the batch shares; copy them to write.

    Args:
        mean: (..., T, n) estimate of the physical states.
        std: (..., T, n) its standard deviation.
        innovation: (..., T, m).
        innovation_std: (..., T, m) expected of it.
        nis: (..., T) normalised innovation squared.
        free_energy: (..., T) −ln p(y | past) in nats.
        status: (..., T) of `Status`.
    """

    mean: Array
    std: Array
    innovation: Array
    innovation_std: Array
    nis: Array
    free_energy: Array
    status: NDArray[np.int64]
