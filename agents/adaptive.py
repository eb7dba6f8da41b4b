"""An agent for torque-controlled mechanisms whose model is told wrongly: it learns by acting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pcctrl.agents.agent import Agent, Card
from pcctrl.controllers import AdaptedTorque, LowPass, ModalBandwidth
from pcctrl.errors import ModelError
from pcctrl.filters import Jump, NonlinearPCFilter
from pcctrl.models import AdaptiveModel, MujocoMechanics, MujocoModel, MujocoParameters, Parameter, Task
from pcctrl.noise import White

__all__ = ["CREEP", "PRIORS", "aif_adaptive", "jumping", "learning"]

# Of parameters by kind: spread, seconds over which it changes by that, start, least and greatest; in kg, a factor,
# N·m·s/rad and N·m. Friction changes as an arm becomes warm; bodies stay as heavy as they are, but for loads, which
# jump; and nothing is believed for good.
PRIORS = {
    "load": (0.5, 1e3, 0.0, 0.0, 5.0),
    "scale": (0.3, 1e4, 0.0, -0.5, 2.0),
    "viscous": (0.2, 1e3, 0.0, 0.0, 5.0),
    "coulomb": (0.3, 1e3, 0.0, 0.0, 3.0),
}
# Spread of a load that is picked up or put down, kg, and how many there are a second.
_LOADS = (1.0, 0.1)
# rad/s at which dry friction is believed to have reached 3/4 of its level, and samples between derivatives.
CREEP, _REFRESH = 0.1, 20
# The fastest mode of the law, rad a sample.
_FASTEST = 0.4


def learning(
    model: MujocoModel, names: Sequence[str], times: Mapping[str, float] | None = None
) -> tuple[MujocoParameters, AdaptiveModel]:
    """Return a model with parameters, and that with them as slow states, of `PRIORS`.

    Args:
        model: of the plant, as it is told.
        names: of the parameters, as in `MujocoParameters`.
        times: in seconds by kind, in place of those of `PRIORS`: a filter that expects no jumps must let a load drift.

    Raises:
        ModelError, UnknownNameError: see `MujocoParameters`.
    """
    parameters = [Parameter(name, *PRIORS[name.partition(":")[0]]) for name in names]
    parameters = [replace(one, time=(times or {}).get(one.name.partition(":")[0], one.time)) for one in parameters]
    plant = MujocoParameters(model, parameters, CREEP)
    return plant, AdaptiveModel(plant, parameters)


def jumping(names: Sequence[str]) -> list[Jump]:
    """Return the jumps that are expected of parameters of these names: of loads, which are picked up and put down."""
    return [Jump(name, *_LOADS, *PRIORS["load"][3:]) for name in names if name.startswith("load:")]


def aif_adaptive(
    task: Task, bandwidth: float = 70.0, rate: float = 0.03, loads: tuple[str, ...] = ("payload",)
) -> Agent:
    """Predictive coding that adapts payload, scale of the masses and friction of each joint, and torque by all that.

    Which is a joint extended Kalman filter, and computed torque by what it believes, see `AdaptiveModel` and `LowPass`.
    Loads may be picked up and put down at any moment, see `filters.Jump`.

    Args:
        task: with a MuJoCo model of one motor a joint, in Euler steps, and no delays.
        bandwidth: ω of the law in rad/s, of a mode of mean mass; heavier ones are slower, see `ModalBandwidth`.
        rate: of the random walk that answers for the rest, of a joint's greatest torque, per √s.
        loads: bodies that may be heavier.

    Raises:
        ModelError: a model of another kind.
        UnknownNameError: no such body.
    """
    model = task.model
    if not isinstance(model, MujocoModel):
        raise ModelError(name="task", expected="a MuJoCo model without delays", received=type(model).__name__)
    # The coloured torques of a simulated arm are as fast as its samples; gravity that is told wrongly walks.
    pushes = [White(density=float(np.sqrt(w.spectral_density(0.0)))) for w in model.process_noise]
    model = replace(model, process_noise=pushes, disturbance=rate * np.abs(task.high))
    plant, believed = learning(model, MujocoMechanics(model, loads=loads, scale=True).parameters)
    jumps = jumping([one.name for one in believed.parameters])
    filter_ = NonlinearPCFilter(believed, 1, iterations=1, refresh=_REFRESH, jumps=jumps)
    omega = ModalBandwidth(MujocoMechanics(model), bandwidth, model.start[0], most=_FASTEST / model.dt)
    law = AdaptedTorque(plant, filter_.joint, omega, (task.low, task.high))
    return Agent(
        filter_,
        LowPass(law, model.dt, 0.25 / bandwidth),
        card=Card("model and noise told, parameters learned", learns=tuple(one.name for one in believed.parameters)),
        rest=model.start[1],
    )
