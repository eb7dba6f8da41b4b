"""A nonlinear agent for real time: the same arithmetic, in the fewest calls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.lapack import dgesv

from pcctrl.arrays import Array
from pcctrl.errors import ModelError
from pcctrl.filters import Belief, NonlinearPCFilter, Status
from pcctrl.filters.belief import ABSURD
from pcctrl.models.lean import lean

if TYPE_CHECKING:
    from pcctrl.agents.agent import Agent
    from pcctrl.controllers import Goal

__all__ = ["RealTimeAgent"]

# Samples after which a covariance is made symmetric again.
_SYMMETRIC = 20


class RealTimeAgent:
    """Steps one `Agent` on a simulator's model in about a third of its time; mutable, for one plant.

    It is the agent's own arithmetic but for the correction, which takes all sensors at once (Joseph's form one by one
    costs twice as much, and is what the agent's filter does). The derivatives of the dynamics are worked out
    anew every ``refresh`` samples, as the filter says.

    A belief that is lost, for it is not finite, begins anew at the prior, and ``status`` says so for that sample. No
    action follows from a prior: the last one is held once, then the one at the operating point is taken, as where the
    controller's is not finite. The controller's memory is kept unless it is not finite itself.

    Args:
        agent: with a `NonlinearPCFilter` of one iteration, without outlier rule and redundant groups, on a model that
            advances by one simulator step a sample and whose sensors read its state linearly.

    Raises:
        ModelError: another agent.
    """

    def __init__(self, agent: Agent) -> None:
        filter_ = agent.filter
        if not isinstance(filter_, NonlinearPCFilter) or filter_.iterations > 1 or filter_.prediction != "jacobian":
            raise ModelError(name="agent", expected="a NonlinearPCFilter of one iteration", received=filter_)
        fixed = filter_.joint.model.sensor_factors(filter_.joint.mean[: filter_.joint.plant]) is None
        watched = filter_.outlier_threshold is not None or filter_.redundant or filter_.probe
        if watched or not fixed or filter_.model.substeps != 1:
            expected = "no outlier rule, redundant groups, probe or varying precision; one simulator step a sample"
            raise ModelError(name="agent.filter", expected=expected, received=filter_)
        self._agent, self._filter, self._joint = agent, filter_, filter_.joint
        joint = self._joint
        mean, u = np.array(joint.mean), joint.input
        self._C = joint.readout_jacobian(mean, u)
        self._offset = joint.readout(mean, u) - self._C @ mean
        rng = np.random.default_rng(0)
        other = mean + 0.1 * rng.standard_normal(len(mean))
        if not np.allclose(joint.readout(other, u + 1.0), self._offset + self._C @ other):
            raise ModelError(name="agent.filter.model", expected="sensors linear in its state", received=filter_.model)
        self._R = np.diag(joint.R_at(mean))
        self._one = np.eye(len(self._R))
        self._lean = lean(joint)
        self._low, self._high = agent.limits
        self.reset()

    def reset(self) -> None:
        """Forget all."""
        belief = self._filter.init()
        self._mean, self._P = belief.mean.copy(), np.array(belief.covariance)
        self._suspicion = belief.suspicion
        self._memory = self._agent.controller.init()
        self._u: Array | None = None
        self._F: Array | None = None
        self._Ft = self._Q = self._P
        self._age = 0
        self._status, self._faults, self._resets = Status.OK, 0, 0

    @property
    def status(self) -> Status:
        """How the last sample was used; `Status.OK` before the first."""
        return self._status

    @property
    def faults(self) -> int:
        """How many decisions running had no action of the controller's to follow."""
        return self._faults

    @property
    def resets(self) -> int:
        """How many times the belief was lost since `reset`."""
        return self._resets

    @property
    def belief(self) -> Belief:
        """After the last sample."""
        u = self._joint.input if self._u is None else self._u
        return Belief(self._mean, self._P, u, self._joint.plant, suspicion=self._suspicion)

    def act(self, y: ArrayLike, goal: Goal = None) -> Array:
        """Return the action (p,) for one sample (m,); see `Agent.act`.

        Args:
            y: readings, NaN where there is none.
            goal: passed to the controller.
        """
        with np.errstate(all="ignore"):
            if self._u is not None:
                self._predict(self._u)
            self._correct(np.asarray(y, dtype=np.float64))
            if self._status == Status.DIVERGED:
                return self._safely(np.full_like(self._low, np.nan))
            memory, u, _ = self._agent.controller.act(self._memory, self.belief, goal)
        u = np.minimum(np.maximum(u, self._low), self._high)
        if not math.isfinite(math.hypot(*u.tolist())):
            return self._safely(u)
        self._memory, self._u, self._faults = memory, u, 0
        return u

    def _safely(self, u: Array) -> Array:
        """Return u with the last action in the place of what is not finite, from the second time running on rest."""
        held = self._agent.rest if self._u is None or self._faults else self._u
        self._u, self._faults = np.where(np.isfinite(u), u, held), self._faults + 1
        if not _finite(self._memory):
            self._memory = self._agent.controller.init()
        return self._u

    def _predict(self, u: Array) -> None:
        if self._F is None or self._age >= self._filter.refresh:
            self._mean, self._F, self._Q = self._lean.linearised(self._mean, u)
            # A product with a transpose that lies as a matrix does takes two thirds of the time.
            self._Ft = np.ascontiguousarray(self._F.T)
            self._age = 0
        else:
            self._mean = self._lean.ahead(self._mean, u)
        self._age += 1
        self._P = self._F.dot(self._P).dot(self._Ft)
        self._P += self._Q
        if self._age % _SYMMETRIC == 1:
            # In between rounding does not add up to anything.
            self._P = 0.5 * (self._P + self._P.T)
        if self._suspicion is not None and self._filter.jumping is not None:
            self._suspicion = self._filter.jumping.ahead(self._suspicion, self._F)

    def _correct(self, y: Array) -> None:
        C, P = self._C, self._P
        error = y - self._offset - C.dot(self._mean)
        R, self._status = self._R, Status.OK
        if not math.hypot(*error.tolist()) < ABSURD:
            there = np.abs(error) < ABSURD
            error, C = np.where(there, error, 0.0), C * there[:, None]
            R = np.where(there, R, 1.0) * np.eye(len(error))
            self._status = Status.PARTIAL if there.any() else Status.BLIND
        PC = P.dot(C.T)
        # LAPACK's own call: that of NumPy costs more than its arithmetic.
        precision = dgesv(C.dot(PC) + R, self._one)[2]
        K = PC.dot(precision)
        self._P = P - K.dot(PC.T)
        self._mean = self._lean.integrate(self._mean, K.dot(error))
        if self._suspicion is not None and self._filter.jumping is not None:
            weigh = self._filter.jumping.weigh
            self._suspicion, shift = weigh(self._suspicion, self._mean, error, C, K, precision)
            if shift is not None:
                self._mean, self._P = self._lean.integrate(self._mean, shift.move), self._P + shift.spread
                if self._status != Status.BLIND:
                    self._status = Status.JUMP
        # By sums of squares, which a number that is missing breaks, and one beyond 1e154.
        spread = self._P.reshape(-1)
        if not math.isfinite(self._mean.dot(self._mean) + spread.dot(spread)):
            belief = self._filter.init()
            self._mean, self._P, self._F = belief.mean.copy(), np.array(belief.covariance), None
            self._suspicion = belief.suspicion
            self._status, self._resets = Status.DIVERGED, self._resets + 1


def _finite(memory: Any) -> bool:
    """Return whether all numbers in a controller's memory are finite."""
    if isinstance(memory, tuple):
        return all(_finite(part) for part in memory)
    return not isinstance(memory, np.ndarray | float) or bool(np.isfinite(memory).all())
