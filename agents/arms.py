"""Agents for torque-controlled mechanisms: tasks whose model has one motor a joint, and a reference to follow.

Each takes a number or two that a benchmark may tune; the defaults suit an arm of the size of a Panda at 1 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pcctrl.agents.agent import Agent, Card
from pcctrl.arrays import Array
from pcctrl.controllers import (
    ComputedTorque,
    Controller,
    Disturbance,
    ExpectedFreeEnergy,
    GainScheduledLQR,
    InverseDynamics,
    ModelReferenceAdaptive,
    ReflexArc,
    SlotineLi,
    UnbiasedInference,
)
from pcctrl.errors import ModelError
from pcctrl.filters import JointFilter, KalmanFilter, PCFilter
from pcctrl.models import (
    Delayed,
    LinearModel,
    MujocoMechanics,
    MujocoModel,
    Task,
    free_joints,
)

__all__ = [
    "aif",
    "aif_reflex",
    "aif_unbiased",
    "computed_torque",
    "lqg",
    "lqg_integral",
    "mrac",
    "slotine_li",
]

# Poles of the errors in rad/s, and the rate of the random walk of what pushes the joints, rad/s² per √s.
_BANDWIDTH, _RATE = 40.0, 5.0
# The same where nothing is told of the inputs or little of the inertia: both cost bandwidth.
_SLOW, _BLIND = 30.0, 200.0
# Of generalised coordinates: higher ones cost more time than they save error at 1 kHz. Encoders smooth over two samples
# are more predictable than one derivative says: NIS is 8 where 14 is expected, 13.5 by two, and the errors 2 % less.
_ORDER = 1
_COLOUR, _WHITE = "model and noise told, with its colour", "model and noise variances told, taken for white"


@dataclass(frozen=True, eq=False)
class _Arm:
    """A task, and what controllers of mechanisms want to know of it."""

    task: Task
    loads: tuple[str, ...] = ()

    @cached_property
    def model(self) -> MujocoModel:
        model = self.task.model
        # What comes late is the filter's to remember.
        model = model.model if isinstance(model, Delayed) else model
        if not isinstance(model, MujocoModel):
            raise ModelError(name="task", expected="a MuJoCo model of a mechanism", received=type(model).__name__)
        return model

    @cached_property
    def mechanics(self) -> MujocoMechanics:
        return MujocoMechanics(self.model, loads=self.loads, scale=bool(self.loads))

    @property
    def rest(self) -> Array:
        return self.model.start[0]

    @cached_property
    def inertia(self) -> Array:
        return self.mechanics.mass_matrix(self.rest)

    @property
    def limits(self) -> tuple[Array, Array]:
        return self.task.low, self.task.high

    def joints(self, rate: float | None) -> LinearModel:
        return free_joints(self.task.model, self.mechanics, rate)

    def watched(self, rate: float | None) -> JointFilter:
        """Return a Kalman filter of the joints, which suspects a disturbance that walks at a rate, or none."""
        return JointFilter(self.mechanics, KalmanFilter(self.joints(rate)))

    @property
    def pushed(self) -> Disturbance:
        """Where that filter's belief has the disturbance."""
        return Disturbance(len(self.rest), accelerates=True)

    def agent(self, filter_: JointFilter, controller: Controller, told: str) -> Agent:
        return Agent(filter_, controller, self.limits, Card(told), rest=self.model.start[1])

    @property
    def common(self) -> dict[str, Any]:
        return {"dt": self.model.dt, "rest": self.rest, "limits": self.limits}


def aif(task: Task, rate: float = _RATE, order: int = _ORDER) -> Agent:
    """Predictive coding on the joints, acting on expected free energy through the inverse dynamics.

    The goal is a prior over the coming states, of the task's weights for precision; see `InverseDynamics` for how the
    law follows from expected free energy.

    Args:
        task: with a MuJoCo model of one motor a joint.
        rate: of the random walk that answers for all that the model gets wrong, rad/s² per √s.
        order: of the generalised coordinates of the noises.

    Raises:
        ModelError: a model of another kind.
    """
    arm = _Arm(task)
    joints, M = arm.joints(rate), arm.inertia
    law = ExpectedFreeEnergy(joints, task.state_weight, M @ task.action_weight @ M, order, offset_free=True)
    return arm.agent(
        JointFilter(arm.mechanics, PCFilter(joints, order)), InverseDynamics(arm.mechanics, law, **arm.common), _COLOUR
    )


def aif_reflex(task: Task, bandwidth: float = _BANDWIDTH, speed: float = 1000.0, rate: float = _RATE) -> Agent:
    """Predictive coding on the joints, and a reflex arc for all, their accelerations by the inputs from the masses.

    Args:
        task: with a MuJoCo model of one motor a joint.
        bandwidth: 1/τ of the goal's attractor in rad/s.
        speed: κ_a of action in 1/s.
        rate: see `aif`.

    Raises:
        ModelError: a model of another kind.
    """
    arm = _Arm(task)
    joints = arm.joints(rate)
    nv = len(task.low)
    arc = ReflexArc(joints, 1.0 / bandwidth, speed, output=np.eye(nv, 2 * nv), order=_ORDER)
    return arm.agent(
        JointFilter(arm.mechanics, PCFilter(joints, _ORDER)), InverseDynamics(arm.mechanics, arc, **arm.common), _COLOUR
    )


def aif_unbiased(task: Task, bandwidth: float = _SLOW, rate: float = _BLIND) -> Agent:
    """Unbiased active inference as published, a PID of a fast belief, with the model's gravity and inertia at home.

    Args:
        task: with a MuJoCo model of one motor a joint.
        bandwidth: of the error in rad/s.
        rate: of the accelerations' random walk, by which the belief follows what no model predicts.

    Raises:
        ModelError: a model of another kind.
    """
    arm = _Arm(task)
    law = UnbiasedInference(arm.mechanics, arm.inertia, bandwidth=bandwidth, **arm.common)
    return arm.agent(_blind(arm, rate), law, _WHITE)


def mrac(task: Task, bandwidth: float = _SLOW, rate: float = _BLIND, leak: float = 3.0) -> Agent:
    """Model-reference adaptive control, told only the inertia and the torques at home.

    Args:
        task: with a MuJoCo model of one motor a joint.
        bandwidth: of the error, and of the adaptation, in rad/s.
        rate: see `aif_unbiased`.
        leak: of what is learned, 1/s.

    Raises:
        ModelError: a model of another kind.
    """
    arm = _Arm(task)
    bias = arm.mechanics.bias(arm.rest)
    law = ModelReferenceAdaptive(arm.inertia, bandwidth=bandwidth, bias=bias, rate=bandwidth, leak=leak, **arm.common)
    return arm.agent(_blind(arm, rate), law, _WHITE)


def computed_torque(task: Task, bandwidth: float = _BANDWIDTH, rate: float = _RATE) -> Agent:
    """Kalman filter of the joints and computed torque with PD; the disturbance is estimated and cancelled.

    Args:
        task: with a MuJoCo model of one motor a joint.
        bandwidth: of the error in rad/s.
        rate: see `aif`.

    Raises:
        ModelError: a model of another kind.
    """
    arm = _Arm(task)
    law = ComputedTorque(arm.mechanics, bandwidth=bandwidth, disturbance=arm.pushed, **arm.common)
    return arm.agent(arm.watched(rate), law, _WHITE)


def slotine_li(
    task: Task, bandwidth: float = _BANDWIDTH, gain: float = 3.0, loads: tuple[str, ...] = ("payload",)
) -> Agent:
    """Kalman filter of the joints and adaptive computed torque: payload, scale of the masses, friction of each joint.

    Args:
        task: with a MuJoCo model of one motor a joint.
        bandwidth: of the error in rad/s.
        gain: factor on all rates of adaptation.
        loads: bodies that may be heavier.

    Raises:
        ModelError: a model of another kind.
        UnknownNameError: no such body.
    """
    arm = _Arm(task, loads)
    names = arm.mechanics.parameters
    # By kind: rates, and the most, of a payload in kg, all masses, viscous (N·m·s/rad) and Coulomb friction (N·m).
    kinds = {"load": (30.0, 5.0), "scale": (1.0, 1.0), "viscous": (10.0, 10.0), "coulomb": (10.0, 5.0)}
    rates, high = np.array([kinds[name.partition(":")[0]] for name in names]).T
    low = np.where([name == "scale" for name in names], -0.5, 0.0)
    law = SlotineLi(arm.mechanics, bandwidth=bandwidth, rates=gain * rates, low=low, high=high, **arm.common)
    return arm.agent(arm.watched(_RATE), law, _WHITE)


def lqg(task: Task, factor: float = 1.0) -> Agent:
    """Kalman filter of the joints and an LQR scheduled along the reference, told that all noise is white.

    Args:
        task: with a MuJoCo model of one motor a joint.
        factor: on ρ.

    Raises:
        ModelError: a model of another kind, or one that cannot be stabilised.
    """
    arm = _Arm(task)
    return arm.agent(arm.watched(None), _scheduled(arm, factor), _WHITE)


def lqg_integral(task: Task, rate: float = _RATE, factor: float = 1.0) -> Agent:
    """Kalman filter of the joints and a scheduled LQR with integral action, which cancels each joint's disturbance.

    Args:
        task: with a MuJoCo model of one motor a joint.
        rate: see `aif`.
        factor: on ρ.

    Raises:
        ModelError: a model of another kind, or one that cannot be stabilised.
    """
    arm = _Arm(task)
    return arm.agent(arm.watched(rate), _scheduled(arm, factor, arm.pushed), _WHITE)


def _scheduled(arm: _Arm, factor: float, disturbance: Disturbance | None = None) -> GainScheduledLQR:
    W, rho = arm.task.state_weight, factor * arm.task.action_weight
    return GainScheduledLQR(arm.model, arm.mechanics, W, rho, disturbance=disturbance, limits=arm.limits)


def _blind(arm: _Arm, rate: float) -> JointFilter:
    """Return a Kalman filter that knows no inputs: accelerations walk."""
    return JointFilter(None, KalmanFilter(arm.joints(rate)))
