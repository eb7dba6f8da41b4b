"""The engine of all filters on a nonlinear model: predict, correct by Bayes' rule, in a batch at once."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.arrays import Array, as_array, as_covariance, frozen, matvec, per_item, product, stretched, vectors
from pcctrl.errors import ParameterError
from pcctrl.filters.belief import ABSURD, Belief, Held, Info
from pcctrl.filters.doubt import PATIENCE, weigh
from pcctrl.filters.jumps import WINDOW, Jump, Jumping, Suspicion
from pcctrl.filters.recording import readings
from pcctrl.filters.recursive import SmoothingFilter
from pcctrl.filters.sample import Found, Sample, Sensed
from pcctrl.filters.trust import TRUST_TIME, Redundancy
from pcctrl.free_energy import Correction, correct
from pcctrl.models import PastModel, generalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.models import GeneralisedModel, GenerativeModel

__all__ = ["NonlinearFilter", "added"]

# A covariance this many times the prior's is no longer arithmetic but overflow.
_LOST = 1e12


def added(model: GenerativeModel, variances: Array | float) -> Array:
    """Return the variances (n,) a sample that are added to the states of ``model``, given so or as one number.

    Raises:
        ShapeError, ParameterError: another size, or a negative variance.
    """
    noise = per_item("state_noise", variances, len(model.states or ()))
    if (noise < 0.0).any():
        raise ParameterError(name="state_noise", expected="variances of at least 0", received=noise)
    return noise


class NonlinearFilter(SmoothingFilter):
    """Gaussian filtering on a generalised model, by its derivatives at the mean; others say how they differ.

    The interface is that of `LinearFilter`. Every member of a batch has its own covariance; one that is lost is reset
    and leaves the others alone. Moves and covariances are in the tangent space at the mean, which on its way from prior
    to posterior is taken to turn no further.
    """

    model: GenerativeModel
    order: int | None
    state_noise: Array | float
    outlier_threshold: float | None = None
    outlier_patience: int = PATIENCE
    refresh: int = 1
    redundant: Sequence[Sequence[str]] = ()
    trust_time: float = TRUST_TIME
    jumps: Sequence[Jump] = ()
    jump_window: int = WINDOW

    def __post_init__(self) -> None:
        _ = self._prior, self._redundancy, self.jumping  # what has no prior says so now, not in the loop

    @cached_property
    def joint(self) -> GeneralisedModel:
        """The generalised model that the filter believes."""
        return generalise(self.model, self.order, state_noise=self.state_noise)

    @cached_property
    def _resampled(self) -> dict[float, GeneralisedModel]:
        return {}

    @cached_property
    def _prior(self) -> Array:
        """Covariance of the joint state before any data."""
        return frozen(self.joint.prior(self.model.prior))

    @cached_property
    def _redundancy(self) -> Redundancy | None:
        """The groups of sensors whose precisions are learned."""
        if not self.redundant:
            return None
        return Redundancy(self.joint, self.model.sensors or (), self.redundant, self.model.dt / self.trust_time)

    @cached_property
    def jumping(self) -> Jumping | None:
        """The states that may jump."""
        return Jumping(self.joint, self.jumps, self.jump_window) if self.jumps else None

    @property
    def is_plain(self) -> bool:
        """Whether an update may be one product with a steady gain: never."""
        return False

    def init(
        self, batch: tuple[int, ...] = (), mean: ArrayLike | None = None, covariance: ArrayLike | None = None
    ) -> Belief:
        """Return the prior at the first sample, to be updated (not predicted) with it.

        Args:
            batch: leading dimensions.
            mean: of the physical states, (n,) or (*batch, n); the operating point by default.
            covariance: of the physical states, (n, n), in tangent space; by default the model's prior, or that of
                `GeneralisedModel.prior`.

        Raises:
            ShapeError, ParameterError: an array of another size, or not finite; an indefinite covariance.
        """
        n = self.joint.plant
        joint_mean = np.broadcast_to(self.joint.mean, (*batch, self.joint.size)).copy()
        if mean is not None:
            joint_mean[..., :n] = as_array("mean", mean, (n,) if np.ndim(mean) == 1 else (*batch, n))
        P = self._prior
        if covariance is not None:
            P = frozen(self.joint.prior(as_covariance("covariance", covariance, n)))
        suspicion = None if self.jumping is None else self.jumping.init(batch, self.joint.size)
        return Belief(joint_mean, P, self.joint.input, n, suspicion=suspicion)

    def predict(self, belief: Belief, u: ArrayLike | None = None, dt: float | None = None) -> Belief:
        """Return the belief one sample later. Physics that breaks down gives NaN, and the next update resets it.

        Args:
            belief: after the last update.
            u: the input (..., p) that was really applied throughout, after saturation; the operating one if None.
            dt: seconds since then, if not the model's sample time.

        Raises:
            ShapeError: u of another size.
            ParameterError: a dt that the model cannot take.
        """
        usual = dt is None or dt == self.model.dt
        joint = self.joint if usual else self._over(dt or 0.0)
        u = joint.input if u is None else vectors("u", u, len(joint.input))
        batch = np.broadcast_shapes(belief.mean.shape[:-1], u.shape[:-1])
        mean = stretched(belief.mean, (*batch, joint.size))
        with np.errstate(all="ignore"):
            later, covariance, held = self._ahead(joint, mean, belief.covariance, u, belief.held if usual else None)
            covariance = 0.5 * (covariance + np.swapaxes(covariance, -1, -2))
            trust, suspicion = belief.trust, self._suspicion(belief)
            if trust is not None or suspicion is not None:
                F, Q = joint.linearised(mean, u)[1:] if held is None else held[:2]
                if trust is not None and self._redundancy is not None:
                    trust = self._redundancy.ahead(joint, trust, u, F, Q)
                if suspicion is not None and self.jumping is not None:
                    suspicion = self.jumping.ahead(suspicion, F)
        return Belief(later, covariance, u, belief.plant, belief.doubt, held if usual else None, trust, suspicion)

    def _suspicion(self, belief: Belief) -> Suspicion | None:
        """Return what is remembered of jumps, from now on if it is another filter's belief."""
        if self.jumping is None or belief.suspicion is not None:
            return belief.suspicion
        return self.jumping.init(belief.mean.shape[:-1], self.joint.size)

    def _over(self, dt: float) -> GeneralisedModel:
        if dt not in self._resampled:
            self._resampled[dt] = self.joint.resampled(dt)
        return self._resampled[dt]

    def _ahead(
        self, joint: GeneralisedModel, mean: Array, P: Array, u: Array, held: Held | None
    ) -> tuple[Array, Array, Held | None]:
        """Return mean and covariance one sample later, and the derivatives if they are to be used again."""
        if held is not None and held.age < self.refresh and held.F.shape[:-1] == mean.shape:
            later, (F, Q, age) = joint.ahead(mean, u), held
        else:
            (later, F, Q), age = joint.linearised(mean, u), 0
        covariance = F @ P @ np.swapaxes(F, -1, -2) + Q
        return later, covariance, Held(F, Q, age + 1) if self.refresh > 1 or self.redundant or self.jumps else None

    def _across(self, belief: Belief, u: Array) -> Array:
        _, F, _ = self.joint.linearised(belief.mean, u)
        return np.asarray(belief.covariance @ np.swapaxes(F, -1, -2))

    def _way(self, mean: Array, base: Array) -> Array:
        return self.joint.difference(mean, base)

    def _moved(self, mean: Array, way: Array) -> Array:
        return self.joint.integrate(mean, way)

    def remembering(self, lag: int) -> Self:
        """Return the same filter on its joint model with so many past states before it, see `PastModel`."""
        other = copy.copy(self)
        for name in ("_prior", "_resampled", "_redundancy", "jumping", "_whole", "_summed"):
            vars(other).pop(name, None)
        vars(other)["joint"] = PastModel.of(self.joint, lag)
        return other

    def update(self, belief: Belief, y: ArrayLike, sensors: Sequence[str] | None = None) -> tuple[Belief, Info]:
        """Return the posterior after the sample ``y`` (..., m), and what it said. A non-finite entry is missing.

        Args:
            belief: the prediction for the sample.
            y: readings of all sensors, or of those in ``sensors`` (..., len(sensors)).
            sensors: names of the sensors that were read, if not all were.

        Raises:
            ShapeError: the last dimension of y is not the number of sensors.
            UnknownNameError: no sensor has that name.
        """
        y = readings(y, sensors, self.model.sensors or ())
        with np.errstate(all="ignore"):
            return self._update(belief, y)

    def _update(self, belief: Belief, y: Array) -> tuple[Belief, Info]:
        sensed = self._sense(belief)
        usable = np.abs(y) < ABSURD
        there = None if usable.all() else usable
        # Where the noise depends on the state, it is that of the prediction.
        R, doubt, doubted = self.joint.R_at(belief.mean), belief.doubt, None
        sample = Sample(y, there, R if there is None else np.where(there, R, 1.0))
        innovation = sample.error(sensed.reading)
        sensed = sensed._replace(rows=sample.masked(sensed.rows))
        trust = belief.trust
        if self._redundancy is not None:
            prior = belief.mean, belief.covariance, belief.input
            trust = self._redundancy.compare(y, prior, trust, sample.present)
            sample = sample._replace(R=sample.R * np.exp(trust.level))
        if self.outlier_threshold is not None:
            spread = sensed.spread if sample.present is None else np.where(sample.present, sensed.spread, 0.0)
            threshold, patience = self.outlier_threshold, self.outlier_patience
            doubt, doubted, R = weigh(innovation, spread, sample.R, threshold, patience, doubt, sample.present)
            sample = sample._replace(R=R)
        correction = self._bayes(sensed.prior, sensed.rows, sample.R)
        found = self._descend(belief, sample, innovation, sensed.rows, correction)
        mean, covariance, suspicion = found.mean, found.correction.covariance, self._suspicion(belief)
        if suspicion is not None and self.jumping is not None:
            gain, precision = found.correction.gain, found.correction.innovation_precision
            suspicion, shift = self.jumping.weigh(suspicion, mean, innovation, sensed.rows, gain, precision)
            if shift is not None:
                mean, covariance = self.joint.integrate(mean, shift.move), covariance + shift.spread
        reset = self._lost(mean, covariance)
        if reset is not None:
            mean = np.where(reset[..., None], self.joint.mean, mean)
            covariance = np.where(reset[..., None, None], self._prior, covariance)
            suspicion = None if suspicion is None else suspicion.forget(reset)
        info = Info(innovation, sample.present, correction, reset, doubt, doubted, *found[2:], trust, suspicion)
        held = belief.held if reset is None else None
        return Belief(mean, covariance, belief.input, belief.plant, doubt, held, trust, suspicion), info

    def _sense(self, belief: Belief) -> Sensed:
        """Return what the prior expects: here by the derivatives C at its mean."""
        joint, P = self.joint, belief.covariance
        reading, C = joint.linearised_readout(belief.mean, belief.input)
        spread = (product(C, P) * C).sum(axis=-1) if self.outlier_threshold is not None else C[..., 0]
        return Sensed(P, reading, C, spread)

    def _bayes(self, prior: Array, rows: Array, R: Array) -> Correction:
        """Return the correction of what `_sense` returned."""
        return correct(prior, rows, R)

    def _descend(
        self,
        belief: Belief,
        sample: Sample,  # noqa: ARG002 (for those that iterate, as are the rows)
        innovation: Array,
        rows: Array,  # noqa: ARG002
        correction: Correction,
    ) -> Found:
        """Return the posterior: here by the gain alone."""
        way = matvec(correction.gain, innovation)
        return Found(self.joint.integrate(belief.mean, way), correction)

    def _lost(self, mean: Array, covariance: Array) -> NDArray[np.bool_] | None:
        """Tell which members of the batch are no longer finite, or None for none."""
        limit = _LOST * max(1.0, float(self._prior.max()))
        # No variance may be finite beside an entry that is not.
        sums = np.abs(np.diagonal(covariance, axis1=-2, axis2=-1)).max(axis=-1) + 0.0 * covariance.sum(axis=(-2, -1))
        lost = ~(sums < limit) | ~(np.abs(mean).max(axis=-1) < ABSURD)
        return np.asarray(lost) if lost.any() else None
