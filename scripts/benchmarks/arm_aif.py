"""Active inference on the two-joint arm: its nonlinear model in a filter, and expected free energy of its motion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from pcctrl.arrays import Array
from pcctrl.controllers import ExpectedFreeEnergy
from pcctrl.filters import Belief, NonlinearPCFilter, Status
from pcctrl.models import LinearModel, NonlinearModel
from pcctrl.noise import White
from pcctrl.scripts.benchmarks.two_joint import DT, HANGING, NOISE, acceleration, torque_for

__all__ = ["AIF", "arm_model"]

# What a surprise says of rates and of torques: they may be off by this standard deviation, rad/s and N·m.
_RATE, _TORQUE = 1.0, 100.0


def _next(x: Array, u: Array, w: Array, scale: float) -> Array:  # noqa: ARG001 (nothing but the torques is disturbed)
    q, rate = x[..., :2], x[..., 2:]
    return np.concatenate([q + DT * rate, rate + DT * acceleration(q, rate, u, scale)], axis=-1)


def _read(x: Array, u: Array) -> Array:  # noqa: ARG001
    return x + 0.0


def arm_model(walk: float, scale: float = 1.0) -> NonlinearModel:
    """Return the arm as it is simulated, seen in both angles and rates.

    Args:
        walk: rate of the torques' random walk, N·m/√s.
        scale: factor on all masses and inertias, to be wrong in them.
    """
    return NonlinearModel(
        partial(_next, scale=scale),
        _read,
        dt=DT,
        time="discrete",
        operating_point=(np.concatenate([HANGING, np.zeros(2)]), np.zeros(2)),
        process_noise=[],
        sensor_noise=[White(std=NOISE)] * 4,
        disturbance=walk,
        prior=NOISE**2 * np.eye(4),
    )


def _motion() -> LinearModel:
    """Return two angles under accelerations that are ours to choose."""
    none, one = np.zeros((2, 2)), np.eye(2)
    return LinearModel(
        np.block([[none, one], [none, none]]),
        np.vstack([none, one]),
        np.eye(4),
        dt=DT,
        noise_input=np.vstack([none, one]),
        process_noise=[White(density=1.0)] * 2,
        sensor_noise=[White(std=NOISE)] * 4,
    )


@dataclass(frozen=True, eq=False)
class AIF:
    """Predictive coding on the arm's own equations, and the torques that its least expected free energy asks for.

    The belief is of angles, rates and what disturbs the torques. It is taken one sample on, to where the next torque
    acts. There the accelerations of least expected free energy are those of two double integrators, and the equations
    say which torques bring them about, less the disturbance. A goal is approached at ``speed`` at most.

    The walk of the disturbance is slow, so that in the end the angles are known better than by their sensors alone.
    A collision is told by its surprise: sensors that surprise are doubted for three samples, and if they go on, they
    are right. Then what may have jumped, rates and disturbance, is taken for unknown.

    Args:
        tau: time constant in seconds; the precisions of goal and action are those that lead to a double pole 1/τ.
        speed: rad/s.
        walk: rate of the torques' random walk, N·m/√s.
        limit: of each torque, N·m.
        threshold: of a surprise, in variances; None for no rule.
        scale: factor on all masses and inertias that it is told, 1 for the truth.
    """

    tau: float
    speed: float
    walk: float
    limit: float
    threshold: float | None = 12.0
    scale: float = 1.0

    @cached_property
    def _filter(self) -> NonlinearPCFilter:
        return NonlinearPCFilter(arm_model(self.walk, self.scale), 0, iterations=1, outlier_threshold=self.threshold)

    @cached_property
    def _controller(self) -> ExpectedFreeEnergy:
        return ExpectedFreeEnergy(_motion(), [1.0, 1.0, *[2.0 * self.tau**2] * 2], self.tau**4, order=0)

    def init(self, batch: int) -> Belief:
        """Return the belief before the first sample, hanging at rest."""
        return self._filter.init((batch,))

    def act(self, memory: Belief, y: Array, torque: Array, goal: Array) -> tuple[Belief, Array, Array]:
        """Return the belief one sample on, the torque, and the angles believed now."""
        belief, info = self._filter.update(memory, y)
        surprised = info.status == Status.SURPRISE
        if surprised.any():
            unknown = np.diag([0.0, 0.0, *[_RATE**2] * 2, *[_TORQUE**2] * 2])
            belief = replace(belief, covariance=belief.covariance + surprised[:, None, None] * unknown)
        ahead = self._filter.predict(belief, torque)
        state, disturbance = ahead.state, ahead.mean[:, 4:]
        # What is seen of a far goal is so far away that it calls for no more than the speed.
        reach = 2.0 * self.tau * self.speed
        near = state[:, :2] + np.clip(goal - state[:, :2], -reach, reach)
        motion = Belief(state, np.eye(4), np.zeros(2), 4)
        _, wanted, _ = self._controller.act(None, motion, np.hstack([near, np.zeros_like(near)]))
        u = torque_for(state[:, :2], state[:, 2:], wanted, self.scale) - disturbance
        return ahead, np.clip(u, -self.limit, self.limit), belief.state[:, :2]
