"""Deliberately wrong models: what an adaptive agent must be able to live with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np

from pcctrl.arrays import choose, non_negative, positive
from pcctrl.errors import ParameterError

__all__ = ["Mismatch", "misfit"]


@dataclass(frozen=True)
class Mismatch:
    """Factors by which a model is wrong, named as in MJCF.

    Args:
        mass: on the mass of each body, not on its inertia.
        inertia: on the rotational inertia of each body about its centre of mass.
        friction: on the friction coefficients of contacts, all kinds.
        frictionloss: on the dry friction of joints.
        damping: on the viscous damping of joints.
        payload: kg added at the centre of mass of a body, by its name.
        bodies: names of those that ``mass`` and ``inertia`` are about, all by default.

    Raises:
        ParameterError: a factor of mass or inertia that is not positive, another one or a payload that is negative.
    """

    mass: float = 1.0
    inertia: float = 1.0
    friction: float = 1.0
    frictionloss: float = 1.0
    damping: float = 1.0
    payload: Mapping[str, float] = field(default_factory=dict)
    bodies: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("mass", "inertia"):
            object.__setattr__(self, name, positive(f"wrong.{name}", getattr(self, name)))
        for name in ("friction", "frictionloss", "damping"):
            object.__setattr__(self, name, non_negative(f"wrong.{name}", getattr(self, name)))
        if not isinstance(self.payload, Mapping):
            raise ParameterError(name="wrong.payload", expected="kg by name of body", received=self.payload)
        payload = {body: non_negative(f"wrong.payload[{body!r}]", kg) for body, kg in self.payload.items()}
        object.__setattr__(self, "payload", payload)
        if self.bodies is not None:
            bodies = (self.bodies,) if isinstance(self.bodies, str) else tuple(self.bodies)
            object.__setattr__(self, "bodies", bodies)


def misfit(mjmodel: mujoco.MjModel, wrong: Mismatch) -> None:
    """Change ``mjmodel`` in place to be wrong so, with the constants that MuJoCo derives from masses.

    Raises:
        UnknownNameError: no such body.
    """
    names = [mjmodel.body(i).name for i in range(mjmodel.nbody)]
    bodies = range(mjmodel.nbody) if wrong.bodies is None else [_index("wrong.bodies", b, names) for b in wrong.bodies]
    chosen = np.array(bodies, dtype=int)
    mjmodel.body_mass[chosen] *= wrong.mass
    mjmodel.body_inertia[chosen] *= wrong.inertia
    for body, kg in wrong.payload.items():
        mjmodel.body_mass[_index("wrong.payload", body, names)] += kg
    mjmodel.geom_friction *= wrong.friction
    mjmodel.pair_friction *= wrong.friction
    mjmodel.dof_frictionloss *= wrong.frictionloss
    mjmodel.dof_damping *= wrong.damping
    mjmodel.dof_dampingpoly *= wrong.damping
    if wrong.mass != 1.0 or wrong.inertia != 1.0 or wrong.payload:
        mujoco.mj_setConst(mjmodel, mujoco.MjData(mjmodel))


def _index(argument: str, body: str, names: Sequence[str]) -> int:
    return names.index(choose(argument, body, names))
