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
# kg or a factor: a step is nearly linear in a mass, so that of a derivative of rates the error is of this part; of
# positions, which hardly move within a step, that of rounding is some 1e-5.
_MASS = 1e-6
# rad/s or m/s, next to a rate of 0.
_NEXT = np.array(1e-15)


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
        return self.linearised(x, u, w, theta)[1:]

    def linearised(self, x: Array, u: Array, w: Array, theta: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Return `transition` and its `transition_jacobians`, for less than both."""
        ahead, F, B, G, T = _each(self._physics.linearised, (x, u, w, theta))
        return ahead, F, B, G, T

    def torque(self, x: ArrayLike, acceleration: ArrayLike, theta: ArrayLike) -> Array:
        """Return the generalised forces (..., nv) that an acceleration takes: inverse dynamics, linear in θ.

        Args:
            x: (..., n) state.
            acceleration: (..., nv).
            theta: (..., k) parameters.
        """
        x, a, theta = np.asarray(x, dtype=float), np.asarray(acceleration, dtype=float), np.asarray(theta, dtype=float)
        if theta.ndim == 1 and x.ndim == 2 and x.shape[:-1] == a.shape[:-1]:
            return self._physics.inverse(x, a, theta)
        return _each(lambda x, a, theta: (self._physics.inverse(x[None], a[None], theta)[0],), (x, a, theta))[0]


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
        # An array, since NumPy takes twice as long over a plain number.
        self.creep, self.steps, self.general = np.array(creep), model.substeps, own.general
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
            friction = _secant(x[self.sim.nv : 2 * self.sim.nv], self.creep)
            friction *= self.dry.dot(theta)
            friction += self.viscous.dot(theta)
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
        if not sane(theta):
            return np.full(self.sim.n, np.nan)
        for _ in range(self.steps):
            self.set(x, theta)
            x = self.sim.step(x, u, force)
        return x

    def inverse(self, x: Array, acceleration: Array, theta: Array) -> Array:
        """Return the forces (k, nv) for accelerations (k, nv) at x (k, n), without those of limits and contacts."""
        model, data, nv = self.sim.model, self.sim.data, self.sim.nv
        if not sane(x.ravel(), acceleration.ravel(), theta):
            if len(x) < 2:
                return np.full((len(x), nv), np.nan)
            rows = [slice(i, i + 1) for i in range(len(x))]
            return np.concatenate([self.inverse(x[i], acceleration[i], theta) for i in rows])
        needed = np.empty((len(x), nv))
        if self.heavy:
            self._weigh(theta)
        # No friction as damping: it is added as it is.
        self.fields[2][:] = self.nominal[2]
        qpos, qvel, bias, passive = self.forces
        for i, force in enumerate(needed):
            qpos[:], qvel[:] = x[i, :nv], x[i, nv : 2 * nv]
            mujoco.mj_fwdPosition(model, data)
            mujoco.mj_fwdVelocity(model, data)
            mujoco.mj_mulM(model, data, force, acceleration[i])
            force += bias
            force -= passive
        if self.rubbing:
            speed = x[:, nv : 2 * nv]
            needed += self.viscous.dot(theta) * speed
            needed += self.dry.dot(theta) * np.tanh(speed / self.creep)
        return needed

    def linearised(self, x: Array, u: Array, w: Array, theta: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Return the state (n,) one sample on, and its derivatives (n, ·) by x, u, w and θ."""
        sim, force = self.sim, w.dot(self.general)
        nv = sim.nv
        for k in range(self.steps):
            if not sane(x, u, force, theta):
                F, B, G, T = (np.full((sim.n, len(a)), np.nan) for a in (x, u, w, theta))
                return np.full(sim.n, np.nan), F, B, G, T
            self.set(x, theta)
            ahead, A, by_u, by_force = step_derivatives(sim, x, u, force)
            secant, slope = _secant_and_slope(x[nv : 2 * nv], self.creep)
            # By the damping of each joint.
            by_damping = -by_force * ahead[nv : 2 * nv]
            A[:, nv : 2 * nv] += by_damping * (slope * self.dry.dot(theta))
            by_theta = by_damping.dot(self.viscous + secant[:, None] * self.dry)
            for i in self.heavy:
                moved = theta.copy()
                moved[i] += _MASS
                self._weigh(moved)
                by_theta[:, i] += (sim.step(x, u, force) - ahead) / _MASS
            by_w = by_force.dot(self.general.T)
            if k == 0:
                F, B, G, T = A, by_u, by_w, by_theta
            else:
                F, B, G, T = A @ F, A @ B + by_u, A @ G + by_w, A @ T + by_theta
            x = ahead
        return ahead, F, B, G, T


def _secant(speed: Array, creep: Array) -> Array:
    """Return tanh(v / v₀) / v."""
    # It is even, and a rate of 0 is as one that is next to it.
    v = np.abs(speed)
    v += _NEXT
    part: Array = v / creep
    np.tanh(part, out=part)
    part /= v
    return part


def _secant_and_slope(speed: Array, creep: Array) -> tuple[Array, Array]:
    """Return `_secant` and its derivative by v."""
    v = speed + (np.abs(speed) < 1e-6 * creep) * (2e-6 * creep)
    tanh = np.tanh(v / creep)
    secant = tanh / v
    return secant, ((1.0 - tanh * tanh) / creep - secant) / v


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
