"""Agents by name, built for an environment's task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium as gym

from pcctrl.agents import linear, planning
from pcctrl.agents.agent import Agent
from pcctrl.arrays import choose
from pcctrl.errors import ModelError
from pcctrl.models import LinearModel, Task

__all__ = ["PRESETS", "Preset", "describe", "make", "task_of"]


class Preset(NamedTuple):
    """What a name stands for, by the kind of the task's model; None where it stands for nothing.

    Args:
        linear: for a linear model.
        nonlinear: for any other.
    """

    linear: Callable[[Task], Agent] | None = None
    nonlinear: Callable[[Task], Agent] | None = None


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "aif": Preset(linear.aif, planning.aif),
        "aif-reflex": Preset(linear.aif_reflex),
        "aif-pid": Preset(linear.aif_pid),
        "lqg": Preset(linear.lqg, planning.lqg),
        "lqg-tuned": Preset(linear.lqg_tuned),
        "lqg-integral": Preset(linear.lqg_integral),
        "pid": Preset(linear.pid),
        "ilqr": Preset(None, planning.ilqr),
    }
)


def make(name: str, env: gym.Env[Any, Any] | Task) -> Agent:
    """Return the preset agent ``name`` for the task of an environment behind `Sensors`, or for a `Task`.

    Raises:
        UnknownNameError: no such preset; see `PRESETS`.
        ModelError: the environment has no task, or its model cannot be estimated or controlled.
    """
    preset = PRESETS[choose("agent", name, PRESETS)]
    task = env if isinstance(env, Task) else task_of(env)
    kind = "linear" if isinstance(task.model, LinearModel) else "nonlinear"
    build = getattr(preset, kind)
    if build is None:
        fit = ", ".join(other for other, known in PRESETS.items() if getattr(known, kind) is not None)
        raise ModelError(name="agent", expected=f"one for a {kind} model: {fit}", received=name)
    return build(task)  # type: ignore[no-any-return]


def task_of(env: gym.Env[Any, Any]) -> Task:
    """Return the task of an environment.

    Raises:
        ModelError: it has none.
    """
    try:
        build = env.get_wrapper_attr("task")
    except AttributeError:
        raise ModelError(
            name="env", expected="an environment with a model, behind pcctrl.envs.Sensors", received=env
        ) from None
    try:
        task = build()
    except TypeError:
        # The plant itself has a task only once its sensors are known.
        raise ModelError(name="env", expected="an environment behind pcctrl.envs.Sensors", received=env) from None
    if not isinstance(task, Task):
        raise ModelError(
            name="env", expected="a task() that returns a pcctrl.models.Task", received=type(task).__name__
        )
    return task


def describe(name: str) -> str:
    """Return one line on the preset ``name``."""
    builders = [build for build in PRESETS[choose("agent", name, PRESETS)] if build is not None]
    return " Nonlinear: ".join((build.__doc__ or "").partition("\n")[0] for build in builders)
