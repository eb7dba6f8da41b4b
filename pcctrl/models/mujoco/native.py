"""A model that MuJoCo differentiates itself, for planners, which need many derivatives and no fourth order."""

from __future__ import annotations

import copy
from dataclasses import replace

import mujoco

from pcctrl.models.mujoco.model import MujocoModel

__all__ = ["with_native_derivatives"]


def with_native_derivatives(model: MujocoModel) -> MujocoModel:
    """Return ``model`` itself where its Jacobians are MuJoCo's own, else a copy with another integrator.

    The copy takes one implicit step where RK4 takes four evaluations, and differs from the model by the error of a
    first-order step.
    """
    if model.native:
        return model
    physics = copy.deepcopy(model.source)
    physics.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    return replace(model, source=physics)
