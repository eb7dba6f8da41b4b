"""The equations of motion of a MuJoCo model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, choose, positive, vectors
from pcctrl.errors import ModelError
from pcctrl.models.mujoco.model import MujocoModel

__all__ = ["MujocoMechanics"]


@dataclass(frozen=True, eq=False)
class MujocoMechanics:
    r"""The `Mechanics` of a MuJoCo model: one motor a joint, nothing that touches. Not for several threads at once.

    Parameters θ, whose columns of the regressor are, with a and r the acceleration and rate asked for:

    - ``load:BODY``, kg at the centre of mass p of a body: :math:`J_p^\top(J_p a + \dot J_p r - g)`.
    - ``scale``, the part by which all masses and moments of inertia of bodies are too small: their own M a + C r + g,
      where C r comes by polarisation of the Coriolis terms c, :math:`\tfrac12(c(\dot q + r) - c(\dot q) - c(r))`.
    - ``viscous:JOINT``, N·m·s/rad: r.
    - ``coulomb:JOINT``, N·m: tanh(r / creep).

    Source: Slotine & Li 1987.

    Args:
        model: its physics, wrong as it may be.
        loads: bodies that may be heavier.
        scale: whether all bodies may be.
        friction: kinds of friction, of ``"viscous"`` and ``"coulomb"``.
        creep: rate in rad/s at which Coulomb friction has reached 3/4 of its level.

    Raises:
        ModelError: the model is not of that kind.
        UnknownNameError: no such body or kind of friction.
    """

    model: MujocoModel
    loads: Sequence[str] = ()
    scale: bool = False
    friction: Sequence[str] = ("viscous", "coulomb")
    creep: float = 0.01
    degrees: int = field(init=False)
    parameters: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        mjmodel, nv = self._physics, self._physics.nv
        if mjmodel.nq != nv or mjmodel.na:
            raise ModelError(name="model", expected="hinges and slides, motors without states", received="another")
        data = mujoco.MjData(mjmodel)
        data.ctrl[:] = np.arange(1.0, mjmodel.nu + 1.0)
        mujoco.mj_forward(mjmodel, data)
        inputs = list(self.model.inputs or ())
        pushed = data.ctrl[self.model._sim.inputs]
        if len(pushed) != nv or not np.allclose(data.qfrc_actuator, pushed):
            raise ModelError(name="model", expected="one motor of gear 1 a joint, in their order", received=inputs)
        bodies = [mjmodel.body(i).name for i in range(mjmodel.nbody)]
        joints = [name.removesuffix("_pos") for name in self.model.states[:nv]]
        for body in self.loads:
            choose("loads", body, bodies)
        for kind in self.friction:
            choose("friction", kind, ("viscous", "coulomb"))
        positive("creep", self.creep)
        parameters = [f"load:{body}" for body in self.loads] + ["scale"] * self.scale
        parameters += [f"{kind}:{joint}" for kind in self.friction for joint in joints]
        object.__setattr__(self, "degrees", nv)
        object.__setattr__(self, "parameters", tuple(parameters))

    def __getstate__(self) -> dict[str, Any]:
        # MuJoCo's arrays are of this process.
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @cached_property
    def _physics(self) -> mujoco.MjModel:
        mjmodel = copy.deepcopy(self.model._sim.model)
        mjmodel.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
        return mjmodel

    @cached_property
    def _data(self) -> mujoco.MjData:
        return mujoco.MjData(self._physics)

    @cached_property
    def _places(self) -> tuple[Array, Array]:
        """Rows and columns of the entries of the sparse mass matrix."""
        mjmodel = self._physics
        counts = mjmodel.M_rownnz
        return np.repeat(np.arange(mjmodel.nv), counts), np.array(mjmodel.M_colind)

    @cached_property
    def _unarmed(self) -> mujoco.MjModel:
        """The bodies alone: no armature, no damping, no springs."""
        mjmodel = copy.deepcopy(self._physics)
        mjmodel.dof_armature[:] = 0.0
        mjmodel.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_DAMPER | mujoco.mjtDisableBit.mjDSBL_SPRING
        return mjmodel

    def terms(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return M (..., nv, nv) and the rest, C q̇ + g + D q̇ (..., nv), at x (..., 2 nv)."""
        nv = self.degrees
        both = self._each(self._terms, (nv + 1, nv), x)
        return both[..., :nv, :], both[..., nv, :]

    def mass_matrix(self, x: ArrayLike) -> Array:
        """Return M (..., nv, nv)."""
        return self.terms(x)[0]

    def bias(self, x: ArrayLike) -> Array:
        """Return C q̇ + g + D q̇ (..., nv)."""
        return self.terms(x)[1]

    def inverse(self, x: ArrayLike, acceleration: ArrayLike, rate: ArrayLike | None = None) -> Array:
        """Return M a + C r + g + D r (..., nv) for an acceleration a and a rate r (..., nv), by default q̇ itself.

        Raises:
            ShapeError: another last dimension.
        """
        return self._each(self._inverse, (self.degrees,), x, acceleration, rate)

    def regressor(self, x: ArrayLike, acceleration: ArrayLike, rate: ArrayLike | None = None) -> Array:
        """Return Y (..., nv, k), for the same a and r.

        Raises:
            ShapeError: another last dimension.
        """
        return self._each(self._regressor, (self.degrees, len(self.parameters)), x, acceleration, rate)

    def _each(
        self, function: Callable[..., Array], shape: tuple[int, ...], x: ArrayLike, *others: ArrayLike | None
    ) -> Array:
        """Return what ``function`` makes of each state and what goes with it; NaN of what is not finite."""
        nv = self.degrees
        x = vectors("x", x, 2 * nv)
        given = [x[..., nv:] if o is None else vectors("acceleration, rate", o, nv) for o in others]
        if x.ndim == 1 and all(o.ndim == 1 for o in given):
            return function(x, *given) if np.isfinite(x.sum()) else np.full(shape, np.nan)
        batch = np.broadcast_shapes(x.shape[:-1], *(o.shape[:-1] for o in given))
        arrays = [np.broadcast_to(a, (*batch, a.shape[-1])) for a in (x, *given)]
        out = np.full((*batch, *shape), np.nan)
        for index in np.ndindex(batch):
            row = [a[index] for a in arrays]
            if np.isfinite(row[0].sum()):
                out[index] = function(*row)
        return out

    def _set(self, mjmodel: mujoco.MjModel, q: Array, rate: Array) -> mujoco.MjData:
        data = self._data
        data.qpos[:], data.qvel[:] = q, rate
        mujoco.mj_fwdPosition(mjmodel, data)
        mujoco.mj_fwdVelocity(mjmodel, data)
        return data

    def _terms(self, x: Array) -> Array:
        nv = self.degrees
        data = self._set(self._physics, x[:nv], x[nv:])
        out = np.zeros((nv + 1, nv))
        rows, columns = self._places
        out[rows, columns] = out[columns, rows] = data.M
        out[nv] = data.qfrc_bias - data.qfrc_passive
        return out

    def _inverse(self, x: Array, acceleration: Array, rate: Array) -> Array:
        return self._required(self._physics, x, acceleration, rate)

    def _required(self, mjmodel: mujoco.MjModel, x: Array, acceleration: Array, rate: Array) -> Array:
        """Return M a + C r + g + D r of ``mjmodel``."""
        nv = self.degrees
        q, own = x[:nv], x[nv:]
        data = self._set(mjmodel, q, rate)
        required = np.zeros(nv)
        mujoco.mj_mulM(mjmodel, data, required, acceleration)
        required += data.qfrc_bias - data.qfrc_passive
        if rate is own or (rate == own).all():
            return required
        # Of c(r) + g make C r + g.
        theirs = data.qfrc_bias.copy()
        both, ours = (self._moving(mjmodel, q, v) for v in (own + rate, own))
        rest = self._moving(mjmodel, q, np.zeros(nv))
        return np.asarray(required + 0.5 * (both - ours - theirs + rest) - (theirs - rest))

    def _moving(self, mjmodel: mujoco.MjModel, q: Array, rate: Array) -> Array:
        return np.array(self._set(mjmodel, q, rate).qfrc_bias)

    def _regressor(self, x: Array, acceleration: Array, rate: Array) -> Array:
        nv = self.degrees
        columns = []
        if self.loads:
            mjmodel, data = self._physics, self._set(self._physics, x[:nv], x[nv:])
            J, turned = np.zeros((3, nv)), np.zeros((3, nv))
            for name in self.loads:
                body = mjmodel.body(name).id
                point = data.xipos[body]
                mujoco.mj_jac(mjmodel, data, J, None, point, body)
                mujoco.mj_jacDot(mjmodel, data, turned, None, point, body)
                columns.append(J.T @ (J @ acceleration + turned @ rate - mjmodel.opt.gravity))
        if self.scale:
            columns.append(self._required(self._unarmed, x, acceleration, rate))
        for kind in self.friction:
            columns += list(np.diag(rate if kind == "viscous" else np.tanh(rate / self.creep)))
        return np.column_stack(columns) if columns else np.zeros((nv, 0))
