"""Tasks in Gymnasium's MuJoCo environments: what is wanted, how dearly, how far ahead, and from which start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from pcctrl.arrays import Array
from pcctrl.envs.plant_options import PlantOptions, SensedOptions
from pcctrl.envs.simulation import SimulatedPlant
from pcctrl.errors import UnknownNameError

__all__ = ["SIMULATIONS", "simulated"]


def _reach(task: Any, start: Array) -> Array:
    """Return the joint angles of Reacher-v5, nearest to those at the start, that bring its finger to the target."""
    x, y = task.data.body("target").xpos[:2]
    upper, lower = 0.1, 0.11
    bend = np.arccos(np.clip((x**2 + y**2 - upper**2 - lower**2) / (2.0 * upper * lower), -1.0, 1.0))
    goals = []
    for elbow in (bend, -bend):
        shoulder = np.arctan2(y, x) - np.arctan2(lower * np.sin(elbow), upper + lower * np.cos(elbow))
        shoulder = start[0] + np.remainder(shoulder - start[0] + np.pi, 2.0 * np.pi) - np.pi
        goals.append(np.concatenate([[shoulder, elbow], start[2:4], np.zeros(4)]))
    return min(goals, key=lambda goal: float(np.abs(goal - start)[:2].sum()))


def _unstop(task: Any) -> None:
    """Take the stops of a pole's hinge off, so that it can hang and turn."""
    task.model.joint("hinge").range[:] = -100.0, 100.0


def _upright(task: Any, start: Array) -> Array:  # noqa: ARG001
    return np.zeros(len(start))


SIMULATIONS: Mapping[str, SimulatedPlant] = MappingProxyType(
    {
        "Reacher-v5": SimulatedPlant(
            "Reacher-v5",
            PlantOptions(weight=(1.0, 1.0, 0.0, 0.0, 0.01, 0.01, 0.0, 0.0), action_weight=0.001),
            target=_reach,
            purpose="Bring the finger of a two-joint arm to a target, from its joints' angles.",
        ),
        "InvertedPendulum-v5": SimulatedPlant(
            "InvertedPendulum-v5",
            PlantOptions(weight=(1.0, 3.0, 0.1, 0.1)),
            bound=(1.0, 0.5),
            purpose="Balance a pole on a cart.",
        ),
        "pcctrl/SwingUp-v0": SimulatedPlant(
            "InvertedPendulum-v5",
            # The cart dear enough to plan no blow against its rail's stops. The plan shall end upright: where it ends
            # as Riccati's equation has it, 3 of 100 rock to and fro for seconds.
            PlantOptions(weight=(4.0, 3.0, 0.1, 0.1), horizon=20, end_weight=30.0),
            bound=(1.2, 100.0),
            prepare=_unstop,
            shift=(0.0, np.pi),
            target=_upright,
            purpose="Swing the pole of InvertedPendulum-v5 up from hanging, and balance it.",
        ),
        "InvertedDoublePendulum-v5": SimulatedPlant(
            "InvertedDoublePendulum-v5",
            PlantOptions(weight=(1.0, 10.0, 10.0, 0.1, 0.1, 0.1), action_weight=0.1, horizon=15),
            bound=(1.0, 0.6, 0.6),
            purpose="Balance two poles on a cart.",
        ),
        "pcctrl/DoubleSwingUp-v0": SimulatedPlant(
            "InvertedDoublePendulum-v5",
            # Cart and force dear enough to keep rail and force for what disturbs the way up.
            PlantOptions(weight=(40.0, 3.0, 6.0, 3.0, 1.0, 1.0), action_weight=100.0, horizon=60, end_weight=100.0),
            bound=(1.2, 100.0, 100.0),
            shift=(0.0, np.pi, 0.0),
            target=_upright,
            purpose="Swing both poles of InvertedDoublePendulum-v5 up from hanging, and balance them.",
        ),
    }
)


def simulated(source: str, options: SensedOptions | None = None) -> SimulatedPlant:
    """Return a simulation as a plant, one of `SIMULATIONS` with what they say unless ``options`` say otherwise.

    Raises:
        UnknownNameError: another version of one of them.
    """
    known = SIMULATIONS.get(source, SimulatedPlant(source))
    kin = [
        other
        for other in SIMULATIONS
        if other.rpartition("-v")[0] == source.rpartition("-v")[0] or other.rpartition("-v")[0] == source
    ]
    if source not in SIMULATIONS and kin:
        raise UnknownNameError(name="env", expected=f"{kin[0]}, the version with a task here", received=source)
    said = {f.name: value for f in fields(PlantOptions) if (value := getattr(options, f.name, None)) is not None}
    return replace(known, options=replace(known.options, **said))
