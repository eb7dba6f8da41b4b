"""The predictive-coding filter on nonlinear models."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pcctrl.arrays import Array, choose, matvec, non_negative, positive, whole
from pcctrl.errors import ParameterError
from pcctrl.filters.doubt import PATIENCE, THRESHOLD
from pcctrl.filters.jumps import WINDOW, Jump
from pcctrl.filters.mixture import Sum, surprising
from pcctrl.filters.nonlinear import NonlinearFilter, added
from pcctrl.filters.sample import Found, Sample
from pcctrl.filters.sigma import Spread, across_points, mixed, predict_points
from pcctrl.filters.trust import TRUST_TIME
from pcctrl.free_energy import Correction, correct, energy, minimum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcctrl.filters.belief import Belief, Held, Info
    from pcctrl.models import GeneralisedModel, GenerativeModel

__all__ = ["NonlinearPCFilter"]

# A step is accepted if F falls by this part of what its slope promises (Armijo), and is halved this often at most.
_ARMIJO, _HALVINGS = 1e-4, 10


@dataclass(frozen=True, eq=False)
class NonlinearPCFilter(NonlinearFilter):
    r"""Estimates state, disturbance and coloured sensor noise of a nonlinear model together, by minimising free energy.

    The belief is over [x; ŵ; d; ẑ], see `GeneralisedModel`. After a prediction μ⁻, P⁻ it descends

    .. math:: F(\mu) = \tfrac12\epsilon_y^\top\Pi_y\epsilon_y + \tfrac12\epsilon_x^\top\Pi_x\epsilon_x,\qquad
              \epsilon_y = y - g(\mu),\quad \epsilon_x = \mu - \mu^-,\quad \Pi_x = (P^-)^{-1}

    by Gauss-Newton steps, each halved until F falls enough. The prior stays μ⁻ throughout: fed back, the posterior
    would count the sample once for every iteration. The posterior covariance is the inverse curvature where F was
    linearised last. All is in covariance form, ε_x = P⁻a with a in place of Π_x ε_x, since P⁻ may be singular.

    With one iteration, which is taken whole, this is the extended Kalman filter on the same model. For a linear model
    it is `PCFilter` at every number of iterations. Source: DESIGN §2.3; Bell & Cathey 1993 for the iterated filter.

    Args:
        model: plant and noise.
        order: highest generalised coordinate of each coloured noise; None to take all noise for white.
        iterations: at most so many steps a sample; if they run out the status is `Status.CAPPED`.
        tolerance: descent ends with a step shorter than so many posterior standard deviations.
        prediction: ``"jacobian"``, by derivatives at the mean; or ``"sigma"``, by sigma points in one batch.
        outlier_threshold: a sensor whose squared innovation exceeds so many times its variance (12 is usual) is given
            less precision, for ``outlier_patience`` samples running, then believed (`Status.SURPRISE`) unless it has
            more than doubled, see `doubt`. None for no such rule.
        outlier_patience: samples.
        refresh: the derivatives of the dynamics, by ``"jacobian"``, are used for so many samples before they are worked
            out anew: at 1 kHz an arm hardly turns in 5 of them. The mean follows the model itself at every sample.
        redundant: groups of names of sensors that read the same quantity, whose precisions are learned: see `trust`.
        trust_time: seconds over which they are learned.
        state_noise: variance a sample added to each state's, one number or (n,): for what the model leaves out.
        straightness: descent also ends where the sensors read what their last linearisation promised, to within so many
            of their standard deviations in all: it saves the Jacobian that would find nothing new. 0 for never.
        probe: names of states, such as a height over ground, along which ``"jacobian"`` goes by how the model ends with
            them √3 standard deviations up and down, not by derivatives, see `sigma.mixed`. A foot that may touch down
            has derivatives that know nothing of the ground.
        parts: with more than 1 (5 is usual), a sample that is not to be explained near the prediction is explained
            anew by a sum of so many Gaussians along the probed state, see `mixture`: of a foot that may have struck or
            not, one descent finds the nearest answer, and takes itself to be sure of it.
        jumps: states that may change at once, as a gripper's load: see `jumps`.
        jump_window: samples that a jump may be back when it is found, rounded up to a multiple of 8.

    Raises:
        ModelError: the model has no prior, and neither a stationary state nor a steady filter at its start.
        ParameterError: a negative order, no iterations or parts, a tolerance or threshold that is not positive,
            a negative variance or straightness; parts without exactly one probe, or beside ``redundant`` or ``jumps``.
        ShapeError: ``state_noise`` of another size.
        UnknownNameError: another kind of prediction, or no such state to probe or to jump.
    """

    model: GenerativeModel
    order: int | None = 4
    iterations: int = 10
    tolerance: float = 1e-3
    prediction: Literal["jacobian", "sigma"] = "jacobian"
    outlier_threshold: float | None = None
    outlier_patience: int = PATIENCE
    refresh: int = 1
    redundant: Sequence[Sequence[str]] = ()
    trust_time: float = TRUST_TIME
    state_noise: Array | float = 0.0
    straightness: float = 0.0
    probe: Sequence[str] = ()
    parts: int = 1
    jumps: Sequence[Jump] = ()
    jump_window: int = WINDOW

    def __post_init__(self) -> None:
        whole("jump_window", self.jump_window, 1)
        whole("iterations", self.iterations, 1)
        positive("tolerance", self.tolerance)
        non_negative("straightness", self.straightness)
        object.__setattr__(self, "probe", (self.probe,) if isinstance(self.probe, str) else tuple(self.probe))
        for name in self.probe:
            choose("probe", name, self.model.states or ())
        object.__setattr__(self, "jumps", (self.jumps,) if isinstance(self.jumps, Jump) else tuple(self.jumps))
        whole("parts", self.parts, 1)
        if self.parts > 1 and (len(self.probe) != 1 or self.redundant or self.jumps):
            expected = "1, or else one probe and neither redundant sensors nor jumps"
            raise ParameterError(name="parts", expected=expected, received=self.parts)
        choose("prediction", self.prediction, ("jacobian", "sigma"))
        if self.outlier_threshold is not None:
            positive("outlier_threshold", self.outlier_threshold)
        whole("outlier_patience", self.outlier_patience)
        whole("refresh", self.refresh, 1)
        positive("trust_time", self.trust_time)
        object.__setattr__(self, "state_noise", added(self.model, self.state_noise))
        super().__post_init__()

    def _probed(self, joint: GeneralisedModel) -> list[int]:
        return [joint.now + list(self.model.states or ()).index(name) for name in self.probe]

    def _ahead(
        self, joint: GeneralisedModel, mean: Array, P: Array, u: Array, held: Held | None
    ) -> tuple[Array, Array, Held | None]:
        if self.prediction == "sigma":
            later, spread = predict_points(joint, mean, P, u, Spread())
            return later, spread + joint.driven(mean, u), None
        if self.probe:
            return *mixed(joint, mean, P, u, self._probed(joint), Spread())[:2], None
        return super()._ahead(joint, mean, P, u, held)

    def _across(self, belief: Belief, u: Array) -> Array:
        joint, mean, P = self.joint, belief.mean, belief.covariance
        if self.prediction == "sigma":
            return across_points(joint, mean, P, u, Spread())
        if self.probe:
            return mixed(joint, mean, P, u, self._probed(joint), Spread()).across
        return super()._across(belief, u)

    def _descend(self, belief: Belief, sample: Sample, innovation: Array, rows: Array, correction: Correction) -> Found:
        if self.iterations == 1:
            return super()._descend(belief, sample, innovation, rows, correction)
        joint, P, R = self.joint, belief.covariance, sample.R
        mean, error, C = belief.mean, innovation, rows
        # The way from the prior is ε_x = P⁻ a.
        a = way = np.zeros(mean.shape)
        F = energy(error, R, np.zeros(mean.shape[:-1]))
        # A member of a batch that has arrived stays, whatever the others need, as does one that parts are to explain.
        moving, iterations = np.ones(F.shape, dtype=bool), 0
        if self.parts > 1:
            moving = ~self._summed.halved(P, correction.covariance)
        descended = moving
        while True:
            iterations += 1
            # Bayes' rule for the sensors linearised here, from the prior.
            read = error + matvec(C, way)
            to_a = matvec(C.swapaxes(-1, -2), matvec(correction.innovation_precision, read)) - a
            to = matvec(correction.gain, read) - way
            # δᵀF''δ, and minus the slope of F along δ.
            change = matvec(C, to)
            decrement = (to * to_a).sum(axis=-1) + (change**2 / R).sum(axis=-1)
            left = ~(decrement <= self.tolerance**2)
            promised = error - change
            part, F, error = self._search(belief, sample, (a, to_a), (way, to), F, error, decrement, moving)
            a, way = a + part * to_a, way + part * to
            mean = joint.integrate(belief.mean, way)
            if self.straightness:
                # Then a step by the same derivatives is no longer than that, and others would hardly differ.
                left = left & ~(((error - promised) ** 2 / R).sum(axis=-1) <= self.straightness**2)
            # One that no step improves has come as far as it can.
            moving = moving & left & (part[..., 0] > 0.0)
            if iterations == self.iterations or not moving.any():
                break
            C = self._turned(C, mean, belief.input, sample, moving)
            correction = correct(P, C, R)
        present = R.shape[-1] if sample.present is None else sample.present.sum(axis=-1)
        laplace = minimum(2.0 * F, correction, present)
        residual = float(np.sqrt(np.max(decrement, initial=0.0, where=descended & (decrement > 0.0))))
        return Found(mean, correction, iterations, residual, left if left.any() else None, laplace)

    @cached_property
    def _whole(self) -> Self:
        """The same filter without parts."""
        other = copy.copy(self)
        object.__setattr__(other, "parts", 1)
        return other

    @cached_property
    def _summed(self) -> Sum:
        along, threshold = self._probed(self.joint)[0], self.outlier_threshold or THRESHOLD
        std = float(np.sqrt(self._prior[along, along]))
        return Sum(along, self.parts, std, threshold, surprising(threshold, len(self.joint.R)))

    def _update(self, belief: Belief, y: Array) -> tuple[Belief, Info]:
        after, info = super()._update(belief, y)
        return (after, info) if self.parts == 1 else self._summed.update(self._whole, belief, y, after, info)

    def _turned(self, C: Array, mean: Array, u: Array, sample: Sample, moving: NDArray[np.bool_]) -> Array:
        """Return C with the sensors' derivatives at the mean, for those members of a batch that still move."""
        if moving.all():
            return sample.masked(self.joint.readout_jacobian(mean, u))
        C = np.broadcast_to(C, (*mean.shape[:-1], *C.shape[-2:])).copy()
        C[moving] = self.joint.readout_jacobian(mean[moving], np.broadcast_to(u, (*moving.shape, u.shape[-1]))[moving])
        return sample.masked(C)

    def _search(
        self,
        belief: Belief,
        sample: Sample,
        a: tuple[Array, Array],
        way: tuple[Array, Array],
        F: Array,
        error: Array,
        decrement: Array,
        moving: NDArray[np.bool_],
    ) -> tuple[Array, Array, Array]:
        """Return what part (..., 1) of each step to take (0 if none improves), with F and the errors there."""
        part, best, best_error, waiting = moving[..., None].astype(np.float64), F, error, moving
        for _ in range(_HALVINGS + 1):
            there = way[0] + part * way[1]
            reading = self.joint.readout(self.joint.integrate(belief.mean, there), belief.input)
            tried_error = sample.error(reading)
            tried = energy(tried_error, sample.R, ((a[0] + part * a[1]) * there).sum(axis=-1))
            # Beyond rounding, which at the minimum is all that is left of the slope.
            good = waiting & (tried <= F - _ARMIJO * part[..., 0] * decrement + 1e-12 * (1.0 + np.abs(F)))
            if good.all():
                return part, tried, tried_error
            best = np.where(good, tried, best)
            best_error = np.where(good[..., None], tried_error, best_error)
            waiting = waiting & ~good
            if not waiting.any():
                break
            part = np.where(waiting[..., None], 0.5 * part, part)
        return np.where(waiting[..., None], 0.0, part), best, best_error
