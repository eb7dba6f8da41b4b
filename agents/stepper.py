"""An agent for real time: one matrix-vector product a sample, no array allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers.quadratic import padded
from pcctrl.errors import ModelError
from pcctrl.filters import Belief, LinearFilter

if TYPE_CHECKING:
    from pcctrl.agents.agent import Agent

__all__ = ["Stepper"]

_LOST = 1e50


class Stepper:
    r"""A linear agent folded into one matrix, with the gain of steady state from the first sample on.

    .. math:: (\mu_k, u_k) = M\,(\mu_{k-1}, y_k, u^{applied}_{k-1}, 1)

    A missing sample is handled by the agent's own filter, until its gain is steady again. It is mutable and owns its
    buffers: one for each robot, none shared between threads. Source: DESIGN §3 and §4.

    Args:
        agent: a linear filter with a linear-quadratic controller.

    Raises:
        ModelError: the agent is another, or its filter has an outlier rule or a slower descent.
        ShapeError: the controller reads more joint states than the filter has.
    """

    def __init__(self, agent: Agent) -> None:
        filter_, gain = agent.filter, getattr(agent.controller, "gain", None)
        if not isinstance(filter_, LinearFilter) or not isinstance(gain, np.ndarray) or not filter_.is_plain:
            received = f"{type(filter_).__name__} and {type(agent.controller).__name__}"
            raise ModelError(
                name="agent", expected="a plain linear filter and a linear-quadratic controller", received=received
            )
        joint, K = filter_.joint, filter_.steady.gain
        N, p, m = joint.size, len(joint.input), len(joint.R)
        L = padded(gain, N)
        keep = np.eye(N) - K @ joint.C
        update = np.hstack(
            [
                keep @ joint.F,
                K,
                keep @ joint.B - K @ joint.D,
                (keep @ joint.offset - K @ joint.sensor_offset)[:, None],
            ]
        )
        action = -L @ update
        action[:, -1] += joint.input + L @ joint.mean
        self._matrix = np.ascontiguousarray(np.vstack([update, action]))
        self._filter, self._gain, self._agent = filter_, L, agent
        self._low, self._high = agent.limits
        # Floats: for a robot's few actuators a loop over them costs half of two calls into NumPy.
        self._limits = list(zip(self._low.tolist(), self._high.tolist(), strict=True))
        self._in, self._out = np.zeros(N + m + p + 1), np.zeros(N + p)
        self._in_mean, self._in_y, self._in_u = self._in[:N], self._in[N : N + m], self._in[N + m : -1]
        self._out_mean, self._out_u = self._out[:N], self._out[N:]
        self._in[-1] = 1.0
        self._dot = self._matrix.dot
        self.reset()

    def reset(self) -> None:
        """Forget all: the next sample is the first."""
        self._first = True
        self._doubt: Belief | None = None

    @property
    def mean(self) -> Array:
        """Mean of the joint belief (N,): a view, overwritten by the next step."""
        return self._in_mean

    def step_into(self, y: Array, u_applied: Array, out: Array) -> None:
        """Write the action for the sample ``y`` into ``out``.

        Args:
            y: (m,) readings; a non-finite one is missing.
            u_applied: (p,) the input applied since the last sample, ignored at the first.
            out: (p,) for the action, always finite and within the limits.
        """
        if self._first or self._doubt is not None:
            self._slowly(y, u_applied, out)
            return
        self._in_y[...] = y
        self._in_u[...] = u_applied
        self._dot(self._in, self._out)
        actions = self._out_u.tolist()
        # What is not finite in y is not finite in every output, and a belief as large as this the filter would reset.
        if not abs(actions[-1]) < _LOST:
            self._slowly(y, u_applied, out)
            return
        self._in_mean[...] = self._out_mean
        for i, (low, high) in enumerate(self._limits):
            u = actions[i]
            out[i] = low if u < low else high if u > high else u

    def _slowly(self, y: Array, u_applied: Array, out: Array) -> None:
        """Step with the agent's filter: at the first sample, and while its covariance is not the steady one."""
        filter_ = self._filter
        steady = filter_.steady.covariance
        if self._first:
            start = filter_.init()
            belief, _ = filter_.update(Belief(start.mean, filter_.steady_prior, start.input, start.plant), y)
            self._first = False
        else:
            known = self._doubt
            if known is None:
                known = Belief(self._in_mean.copy(), steady, np.asarray(u_applied), filter_.joint.plant)
            belief, _ = filter_.step(known, y, u_applied)
        self._doubt = None if belief.covariance is steady else belief
        self._in_mean[:] = belief.mean
        joint = filter_.joint
        u = joint.input - self._gain @ (belief.mean - joint.mean)
        # Finite, as the filter's belief always is.
        np.minimum(np.maximum(u, self._low), self._high, out=out)
