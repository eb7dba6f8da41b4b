r"""What of a MuJoCo simulation may be adapted: loads, inertia, viscous and dry friction.

Friction is :math:`-b v - c \tanh(v / v_0)` on a degree of freedom. It enters a physics step as damping
:math:`D = b + c \tanh(v / v_0) / v`, which MuJoCo's Euler integrator takes implicitly: so a joint's dry friction may be
as large, and :math:`v_0` as small, as they are. A step's derivatives by it follow from that by forces,
:math:`\partial v_{k+1} / \partial D_j = -G_j v_{k+1,j}`; those by masses are differences of two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, choose, positive
from pcctrl.errors import ModelError, ParameterError
from pcctrl.models.mujoco.derivatives import step_derivatives
from pcctrl.models.mujoco.guards import sane
from pcctrl.models.mujoco.model import MujocoModel
from pcctrl.models.mujoco.simulator import ACCELERATIONS, Simulator
from pcctrl.models.parametric import Parameter
from pcctrl.noise import White

__all__ = ["MujocoParameters"]

KINDS = ("load", "scale", "viscous", "coulomb")
# kg or a factor: exact for any size where a step is linear in a mass, and it is nearly.
_MASS = 1e-3


@dataclass(frozen=True, eq=False)
class MujocoParameters:
    """A `MujocoModel` as a plant with parameters, for `AdaptiveModel`.

    They are known by their names, and 0 where the model is right, as in `MujocoMechanics`: ``load:BODY``, kg at the
    centre of mass of a body; ``scale`` or ``scale:BODY``, the part by which masses and moments of inertia of all bodies
    or one are too small; ``viscous:JOINT``, N·m·s/rad, and ``coulomb:JOINT``, N·m, of hinges and slides.

    Args:
        model: the plant, in Euler steps, with sensors that feel no acceleration.
        parameters: of `AdaptiveModel`.
        creep: rate v₀ in rad/s (or m/s) at which dry friction has reached 3/4 of its level.

    Raises:
        UnknownNameError: no such kind, body or joint.
        ModelError: another integrator, an accelerometer or force sensor, a ball joint with friction.
        ParameterError: a creep that is not positive.
    """

    model: MujocoModel
    parameters: Sequence[Parameter]
    creep: float = 0.01
    _physics: _Physics = field(init=False, repr=False)

    def __post_init__(self) -> None:
        positive("creep", self.creep)
        if not isinstance(self.model, MujocoModel):
            raise ParameterError(name="model", expected="a MujocoModel", received=type(self.model).__name__)
        if self.model._sim.stage == ACCELERATIONS:
            raise ModelError(name="sensors", expected="none that feels accelerations", received=self.model.sensors)
        object.__setattr__(self, "_physics", _Physics(self.model, [one.name for one in self.parameters], self.creep))

    def resampled(self, dt: float) -> MujocoParameters:
        """Return the plant with another sample time in seconds."""
        return replace(self, model=self.model.resampled(dt))

    def transition(self, x: Array, u: Array, w: Array, theta: Array) -> Array:
        """Return the state (..., n) one sample after x (..., n), with u (..., p), w (..., q) and θ (..., k) held."""
        return _each(lambda *a: (self._physics.step(*a),), (x, u, w, theta))[0]

    def transition_jacobians(self, x: Array, u: Array, w: Array, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Return its derivatives (..., n, ·) by x, u, w and θ."""
        F, B, G, T = _each(self._physics.differentiate, (x, u, w, theta))
        return F, B, G, T

    def torque(self, x: ArrayLike, acceleration: ArrayLike, theta: ArrayLike) -> Array:
        """Return the generalised forces (..., nv) that an acceleration takes: inverse dynamics, linear in θ.

        Args:
            x: (..., n) state.
            acceleration: (..., nv).
            theta: (..., k) parameters.
        """
        x, a, theta = np.asarray(x, dtype=float), np.asarray(acceleration, dtype=float), np.asarray(theta, dtype=float)
        return _each(lambda *given: (self._physics.inverse(*given),), (x, a, theta))[0]


class _Physics:
    """A private simulation, one physics step at a time, whose masses and damping are set before each."""

    def __init__(self, model: MujocoModel, names: Sequence[str], creep: float) -> None:
        mjmodel = model.source
        own, h = model._sim, float(mjmodel.opt.timestep)
        euler = int(mjmodel.opt.integrator) == mujoco.mjtIntegrator.mjINT_EULER
        if not (euler and own.flat and not own.cartesian.any()):
            expected = "Euler steps, hinges and slides, forces on joints alone"
            raise ModelError(name="model", expected=expected, received="others")
        joints = [mjmodel.joint(i).name or f"joint{i}" for i in range(mjmodel.njnt)]
        every = [White(density=1.0)] * len(joints)
        self.creep, self.steps, self.general = creep, model.substeps, own.general
        self.sim: Simulator = replace(model, dt=h, noise_input=joints, process_noise=every)._sim
        physics = self.sim.model
        self._look()
        self.nominal = tuple(a.copy() for a in self.fields)
        bodies = [physics.body(i).name for i in range(physics.nbody)]
        # What a parameter adds to a mass, and by what factor: (nbody, k) each; and to friction: (nv, k) each.
        self.added, self.scaled = np.zeros((2, physics.nbody, len(names)))
        self.viscous, self.dry = np.zeros((2, physics.nv, len(names)))
        for i, name in enumerate(names):
            kind, _, of = name.partition(":")
            choose("parameters", kind, KINDS)
            if kind == "load":
                self.added[bodies.index(choose(name, of, bodies)), i] = 1.0
            elif kind == "scale":
                self.scaled[bodies.index(choose(name, of, bodies)) if of else slice(None), i] = 1.0
            else:
                dof = int(physics.jnt_dofadr[joints.index(choose(name, of, joints))])
                (self.viscous if kind == "viscous" else self.dry)[dof, i] = 1.0
        self.scales, self.rubbing = bool(self.scaled.any()), bool(self.viscous.any() or self.dry.any())
        self.heavy = [int(i) for i in np.flatnonzero(self.added.any(axis=0) | self.scaled.any(axis=0))]

    def __getstate__(self) -> dict[str, Any]:
        # Views into a model do not survive a copy.
        return {k: v for k, v in vars(self).items() if k not in ("fields", "forces")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._look()

    def _look(self) -> None:
        """Take views of what is set and read, since each costs as much as its arithmetic."""
        physics, data = self.sim.model, self.sim.data
        self.fields = physics.body_mass, physics.body_inertia, physics.dof_damping
        self.forces = data.qpos, data.qvel, data.qfrc_bias, data.qfrc_passive

    def set(self, x: Array, theta: Array) -> None:
        """Make the simulation that of θ (k,) at x (n,)."""
        if self.heavy:
            self._weigh(theta)
        if self.rubbing:
            speed = x[self.sim.nv : 2 * self.sim.nv]
            friction = self.viscous.dot(theta) + self.dry.dot(theta) * _secant(speed, self.creep)
            np.add(self.nominal[2], friction, out=self.fields[2])

    def _weigh(self, theta: Array) -> None:
        (mass, inertia, _), (m, moments, _) = self.fields, self.nominal
        added = self.added.dot(theta)
        if not self.scales:
            np.add(m, added, out=mass)
            return
        factor = 1.0 + self.scaled.dot(theta)
        mass[:] = m * factor + added
        inertia[:] = moments * factor[:, None]

    def step(self, x: Array, u: Array, w: Array, theta: Array) -> Array:
        """Return the state (n,) one sample on."""
        force = w.dot(self.general)
        if not sane(x, theta):
            return np.full(self.sim.n, np.nan)
        for _ in range(self.steps):
            self.set(x, theta)
            x = self.sim.step(x, u, force)
        return x

    def inverse(self, x: Array, acceleration: Array, theta: Array) -> Array:
        """Return the forces (nv,) for an acceleration (nv,), without those of limits and contacts."""
        sim = self.sim
        if not sane(x, acceleration, theta):
            return np.full(sim.nv, np.nan)
        self.set(x, theta)
        model, data = sim.model, sim.data
        qpos, qvel, bias, passive = self.forces
        qpos[:], qvel[:] = x[: sim.nv], x[sim.nv : 2 * sim.nv]
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_fwdVelocity(model, data)
        needed = np.empty(sim.nv)
        mujoco.mj_mulM(model, data, needed, acceleration)
        needed += bias
        needed -= passive
        return needed

    def differentiate(self, x: Array, u: Array, w: Array, theta: Array) -> tuple[Array, Array, Array, Array]:
        """Return the derivatives (n, ·) of a sample by x, u, w and θ."""
        sim, force = self.sim, w.dot(self.general)
        n, nv = sim.n, sim.nv
        F, B, G, T = np.eye(n), np.zeros((n, len(u))), np.zeros((n, len(w))), np.zeros((n, len(theta)))
        for _ in range(self.steps):
            if not sane(x, u, force, theta):
                return tuple(np.full(J.shape, np.nan) for J in (F, B, G, T))  # type: ignore[return-value]
            self.set(x, theta)
            A, by_u, by_force = step_derivatives(sim, x, u, force)
            ahead = sim.step(x, u, force)
            secant, slope = _secant(x[nv : 2 * nv], self.creep), _slope(x[nv : 2 * nv], self.creep)
            # By the damping of each joint.
            by_damping = -by_force * ahead[nv : 2 * nv]
            A[:, nv : 2 * nv] += by_damping * (slope * self.dry.dot(theta))
            by_theta = by_damping.dot(self.viscous + secant[:, None] * self.dry)
            for i in self.heavy:
                by_theta[:, i] += self._by_mass(i, x, u, force, theta)
            if self.steps == 1:
                return A, by_u, by_force.dot(self.general.T), by_theta
            F, B, G, T = A @ F, A @ B + by_u, A @ G + by_force @ self.general.T, A @ T + by_theta
            x = ahead
        return F, B, G, T

    def _by_mass(self, i: int, x: Array, u: Array, force: Array, theta: Array) -> Array:
        moved, ends = theta.copy(), []
        for step in (_MASS, -_MASS):
            moved[i] = theta[i] + step
            self._weigh(moved)
            ends.append(self.sim.step(x, u, force))
        self._weigh(theta)
        return np.asarray((ends[0] - ends[1]) / (2.0 * _MASS))


def _secant(speed: Array, creep: float) -> Array:
    """Return tanh(v / v₀) / v."""
    # It is even, and a rate of 0 is as one that is next to it.
    v = np.abs(speed)
    v += 1e-12 * creep
    return np.asarray(np.tanh(v / creep) / v)


def _slope(speed: Array, creep: float) -> Array:
    """Return the derivative of `_secant` by v."""
    v = speed + (np.abs(speed) < 1e-6 * creep) * (2e-6 * creep)
    tanh = np.tanh(v / creep)
    return np.asarray(((1.0 - tanh**2) / creep - tanh / v) / v)


def _each(function: Callable[..., tuple[Array, ...]], arguments: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the results of a function of vectors for each member of a batch, side by side."""
    for a in arguments:
        if a.ndim != 1:
            break
    else:
        return function(*arguments)
    batch = np.broadcast_shapes(*(a.shape[:-1] for a in arguments))
    given = [np.broadcast_to(a, (*batch, a.shape[-1])) for a in arguments]
    rows = [function(*(a[index] for a in given)) for index in np.ndindex(batch)]
    return tuple(
        np.reshape(np.array(J), (*batch, *np.shape(rows[0][i]))) for i, J in enumerate(zip(*rows, strict=True))
    )
