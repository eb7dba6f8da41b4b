"""Agents by name, built for an environment's task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import gymnasium as gym

from pcctrl.agents import adaptive, arms, linear, planning
from pcctrl.agents.agent import Agent
from pcctrl.arrays import choose
from pcctrl.errors import ModelError
from pcctrl.models import LinearModel, Task

__all__ = ["PRESETS", "Preset", "describe", "make", "rivals", "task_of"]


class Preset(NamedTuple):
    """What a name stands for, by the kind of the task's model; None where it stands for nothing.

    Args:
        linear: for a linear model.
        nonlinear: for any other.
        arm: where joints with one motor each are to follow a motion; None for the nonlinear one.
    """

    linear: Callable[[Task], Agent] | None = None
    nonlinear: Callable[[Task], Agent] | None = None
    arm: Callable[[Task], Agent] | None = None


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "aif": Preset(linear.aif, planning.aif, arms.aif),
        "aif-adaptive": Preset(None, None, adaptive.aif_adaptive),
        "aif-reflex": Preset(linear.aif_reflex, None, arms.aif_reflex),
        "aif-pid": Preset(linear.aif_pid),
        "aif-unbiased": Preset(None, None, arms.aif_unbiased),
        "lqg": Preset(linear.lqg, planning.lqg, arms.lqg),
        "lqg-tuned": Preset(linear.lqg_tuned),
        "lqg-integral": Preset(linear.lqg_integral, None, arms.lqg_integral),
        "pid": Preset(linear.pid),
        "ilqr": Preset(None, planning.ilqr),
        "mppi": Preset(None, planning.mppi),
        "excite": Preset(planning.excite, planning.excite),
        "computed-torque": Preset(None, None, arms.computed_torque),
        "slotine-li": Preset(None, None, arms.slotine_li),
        "mrac": Preset(None, None, arms.mrac),
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
    kind = _kind(task)
    build = _chosen(preset, kind)
    if build is None:
        fit = ", ".join(other for other, known in PRESETS.items() if _chosen(known, kind) is not None)
        raise ModelError(name="agent", expected=f"one for this task, of kind {kind}: {fit}", received=name)
    return build(task)


def rivals(env: gym.Env[Any, Any] | Task) -> tuple[str, ...]:
    """Return the presets that are usually compared on the task of an environment.

    Raises:
        ModelError: the environment has no task.
    """
    return _RIVALS[_kind(env if isinstance(env, Task) else task_of(env))]


_RIVALS = {
    "linear": ("aif", "lqg-tuned", "lqg", "pid"),
    "nonlinear": ("aif", "ilqr", "mppi"),
    "arm": ("aif", "aif-reflex", "lqg-integral", "computed-torque"),
}


def _kind(task: Task) -> str:
    if isinstance(task.model, LinearModel):
        return "linear"
    return "arm" if task.tracks else "nonlinear"


def _chosen(preset: Preset, kind: str) -> Callable[[Task], Agent] | None:
    if kind == "linear":
        return preset.linear
    return preset.arm if kind == "arm" and preset.arm is not None else preset.nonlinear


_TASKED = (
    "an environment with a model behind pcctrl.envs.Sensors "
    "(pcctrl.envs.make makes one of any Gymnasium MuJoCo id or MJCF file)"
)


def task_of(env: gym.Env[Any, Any]) -> Task:
    """Return the task of an environment.

    Raises:
        ModelError: it has none.
    """
    try:
        build = env.get_wrapper_attr("task")
    except AttributeError:
        raise ModelError(name="env", expected=_TASKED, received=env) from None
    try:
        task = build()
    except TypeError:
        # The plant itself has a task only once its sensors are known.
        raise ModelError(name="env", expected=_TASKED, received=env) from None
    if not isinstance(task, Task):
        raise ModelError(
            name="env", expected="a task() that returns a pcctrl.models.Task", received=type(task).__name__
        )
    return task


def describe(name: str) -> str:
    """Return one line on the preset ``name``."""
    preset = PRESETS[choose("agent", name, PRESETS)]
    said = zip(("", "Nonlinear: ", "Arms: "), preset, strict=True)
    lines = [kind + (build.__doc__ or "").partition("\n")[0] for kind, build in said if build is not None]
    return " ".join(lines)
