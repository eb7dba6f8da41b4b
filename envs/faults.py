"""Faults of a plant in mid-run that nobody is told of: a payload picked up, an actuator lost."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import mujoco
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import non_negative, per_item
from pcctrl.envs.actions import as_action
from pcctrl.errors import ParameterError
from pcctrl.models import Mismatch
from pcctrl.models.mujoco.mismatch import misfit

__all__ = ["ActuatorLoss", "Payload"]


class Payload(gym.Wrapper[Any, Any, Any, Any]):
    """A body of a MuJoCo plant gets heavier some time after reset; its task knows nothing of it.

    Args:
        env: an environment whose ``unwrapped.model`` is the `MjModel` that it steps.
        body: its name; the mass is added at its centre of mass.
        mass: kg.
        at: seconds after reset.

    Raises:
        ParameterError: no MuJoCo environment, a negative mass or time.
        UnknownNameError: no such body.
    """

    def __init__(self, env: gym.Env[Any, Any], body: str, mass: float, at: float = 0.0) -> None:
        super().__init__(env)
        self._plant: Any = env.unwrapped
        light = getattr(self._plant, "model", None)
        if not isinstance(light, mujoco.MjModel):
            raise ParameterError(name="env", expected="an environment with an MjModel", received=self._plant)
        self._light, self._heavy = light, copy.deepcopy(light)
        misfit(self._heavy, Mismatch(payload={body: non_negative("mass", mass)}))
        self._samples = self._left = _samples(env, at)

    def task(self, *told: Any) -> Any:
        """Return the task of the plant without the payload."""
        now, self._plant.model = self._plant.model, self._light
        try:
            return self.env.get_wrapper_attr("task")(*told)
        finally:
            self._plant.model = now

    def reset(self, **how: Any) -> Any:
        """Put the payload down, and reset."""
        self._plant.model, self._left = self._light, self._samples
        return self.env.reset(**how)

    def step(self, action: Any) -> Any:
        """Pick the payload up when it is time, and step."""
        if self._left <= 0:
            self._plant.model = self._heavy
        self._left -= 1
        return self.env.step(action)


class ActuatorLoss(gym.Wrapper[Any, Any, Any, Any]):
    """Actuators do only a part of what they are told, from some time after reset on.

    Args:
        env: an environment with a box of actions, where an actuator that does nothing has the action 0.
        effect: what is left of each action, 0 to 1; (p,), or one number for all.
        at: seconds after reset.

    Raises:
        ParameterError: an effect outside 0 to 1, a negative time, or actions that are no box.
        ShapeError: ``effect`` of another size.
    """

    def __init__(self, env: gym.Env[Any, Any], effect: ArrayLike, at: float = 0.0) -> None:
        super().__init__(env)
        space = env.action_space
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise ParameterError(name="env", expected="a one-dimensional Box of actions", received=space)
        self._box, self._effect = space, per_item("effect", effect, space.shape[0])
        if not ((self._effect >= 0.0) & (self._effect <= 1.0)).all():
            raise ParameterError(name="effect", expected="numbers from 0 to 1", received=effect)
        self._samples = self._left = _samples(env, at)

    def reset(self, **how: Any) -> Any:
        """Repair all, and reset."""
        self._left = self._samples
        return self.env.reset(**how)

    def step(self, action: ArrayLike) -> Any:
        """Step with what is left of the action, which is first limited: half an actuator has half the force.

        Raises:
            ShapeError: the action has another size.
            ParameterError: it is not finite.
        """
        told = as_action(action, self._box)
        lost = self._left <= 0
        self._left -= 1
        return self.env.step(told * self._effect if lost else told)


def _samples(env: gym.Env[Any, Any], at: float) -> int:
    return round(non_negative("at", at) / float(env.get_wrapper_attr("dt")))
