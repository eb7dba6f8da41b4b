"""A private MuJoCo simulation as pure functions of state, controls and forces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from pcctrl.arrays import Array
from pcctrl.models.mujoco.guards import or_nan, quiet, sane, usable
from pcctrl.models.mujoco.names import Reading
from pcctrl.models.mujoco.structure import exerted_forces, known_rows, quaternions

__all__ = ["Simulator"]

EPSILON = 1e-7
_KEPT_BATCHES = 4
# So many rows take less one by one than setting up a batch does.
_FEW = 4
_POSITIONS, VELOCITIES, ACCELERATIONS = 1, 2, 3  # mjtStage
# Those that end a step by h times the new velocity, see `finish`; differences of others are taken of whole steps.
_NATIVE = tuple(int(getattr(mujoco.mjtIntegrator, f"mjINT_{name}")) for name in ("EULER", "IMPLICIT", "IMPLICITFAST"))
_FIELDS = ("sensordata", "qpos", "qvel", "xpos", "xmat")


class Simulator:
    """Steps and reads ``model``, which it owns; rows (k, …) in, rows out. Not for several threads at once.

    Args:
        model: the physics; native delays, the clamping of controls and automatic resets are switched off in it.
        qpos: (nq,) whose quaternions are the reference of the states' rotation vectors.
        ctrl: (nu,) of the actuators that are no inputs.
        inputs: indices of those that are.
        readings: what is read.
        general: (q, nv) what the q forces add to qfrc_applied.
        cartesian: (q, 6 nbody) what they add to xfrc_applied.
        substeps: physics steps a sample.
        threads: of a batch, 0 for all cores.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        qpos: Array,
        ctrl: Array,
        inputs: Sequence[int],
        readings: Sequence[Reading],
        general: Array,
        cartesian: Array,
        substeps: int,
        threads: int,
    ) -> None:
        model.actuator_delay[:] = 0.0
        model.sensor_delay[:] = 0.0
        # Limits are told, not applied: an input disturbance adds to a control that is at its limit.
        model.actuator_ctrllimited[:] = 0
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self.model, self.ctrl, self.inputs, self.readings = model, ctrl, list(inputs), tuple(readings)
        # Indexing by a slice costs a fifth of that by a list.
        self.driven = slice(model.nu) if self.inputs == list(range(model.nu)) else self.inputs
        self.general, self.cartesian, self.substeps, self.threads = general, cartesian, substeps, threads
        self.nv, self.n = model.nv, 2 * model.nv + model.na
        self.flat = model.nq == model.nv
        euler = model.opt.integrator == mujoco.mjtIntegrator.mjINT_EULER
        self.integrator = mujoco.mj_Euler if euler else mujoco.mj_implicit
        # Positions count from 0, so that they are absolute; only rotations count from the reference.
        self.base = np.where(quaternions(model), qpos, 0.0)
        self.exerted = exerted_forces(model, general)
        self._forced = (bool(general.any()), bool(cartesian.any()))
        # Where a step is h (M + h D)⁻¹ of the forces on it, if nothing is in contact or at a limit.
        explicit = mujoco.mjtDisableBit.mjDSBL_EULERDAMP | mujoco.mjtDisableBit.mjDSBL_DAMPER
        self._euler = euler and self.flat and not cartesian.any() and not model.dof_dampingpoly.any()
        self._euler = self._euler and not int(model.opt.disableflags) & int(explicit)
        self._direct = np.array([-1 if r.state is None else r.state for r in readings])
        self._state_only = bool((self._direct >= 0).all())
        self._groups = [
            (name, np.array(rows), np.array([readings[i].index for i in rows]))
            for name in _FIELDS
            if (rows := [i for i, r in enumerate(readings) if r.field == name])
        ]
        self.rows, self.stage = known_rows(model, readings), self._stage()
        self._reset()

    def _reset(self) -> None:
        data = self.data = mujoco.MjData(self.model)
        # MuJoCo prints and logs the first warning of each kind: here NaN is the answer, and enough.
        for warning in data.warning:
            warning.number = 1
        self.views = (data.qpos, data.qvel, data.act, data.ctrl, data.qacc_warmstart)
        self._forces = (data.qfrc_applied, data.xfrc_applied.reshape(-1))
        self._read = [(getattr(data, name).reshape(-1), rows, entries) for name, rows, entries in self._groups]
        self._batches: dict[int, tuple[Any, dict[str, Array]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Views and batches are of this process; the rest is the model.
        return {k: v for k, v in self.__dict__.items() if k not in ("data", "views", "_forces", "_read", "_batches")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _stage(self) -> int:
        """Return up to which stage the physics must be worked out for the readings; 0 for none."""
        stage = 0
        for reading in self.readings:
            if reading.state is None and reading.field == "sensordata":
                sensor = int(np.searchsorted(self.model.sensor_adr, reading.index, side="right")) - 1
                stage = max(stage, int(self.model.sensor_needstage[sensor]))
            elif reading.state is None:
                stage = max(stage, _POSITIONS)
        return stage

    @property
    def unconstrained(self) -> bool:
        """Whether, at what is worked out, a step's derivative by forces is that of the inertia alone."""
        return self._euler and not self.data.nefc

    @cached_property
    def native(self) -> bool:
        """Whether MuJoCo differentiates the model itself, by steps that `finish` takes."""
        if int(self.model.opt.integrator) not in _NATIVE:
            return False
        try:
            mujoco.mjd_transitionFD(self.model, mujoco.MjData(self.model), EPSILON, True, None, None, None, None)
        except mujoco.FatalError:  # history buffers
            return False
        return True

    def positions(self, x: Array) -> Array:
        """Return qpos (nq,) of a state x (n,)."""
        if self.flat:
            return x[: self.nv]
        qpos = self.base.copy()
        mujoco.mj_integratePos(self.model, qpos, x[: self.nv], 1.0)
        return qpos

    def coordinates(self, qpos: Array) -> Array:
        """Return the positions (nv,) of a state with qpos (nq,)."""
        return qpos if self.flat else self.moved(self.base, qpos)

    def moved(self, before: Array, after: Array) -> Array:
        """Return the move (nv,) from qpos ``before`` to qpos ``after``."""
        move = np.empty(self.nv)
        mujoco.mj_differentiatePos(self.model, move, 1.0, before, after)
        return move

    def integrate(self, x: Array, move: Array) -> Array:
        """Return the state (n,) after a move (n,) from x (n,)."""
        after = x + move
        if self.flat:
            return after
        qpos = self.positions(x)
        mujoco.mj_integratePos(self.model, qpos, move[: self.nv], 1.0)
        after[: self.nv] = self.coordinates(qpos)
        return after

    def difference(self, x: Array, base: Array) -> Array:
        """Return the move (n,) from ``base`` to x (n,)."""
        move = x - base
        if self.flat:
            return move
        move[: self.nv] = self.moved(self.positions(base), self.positions(x))
        return move

    def set(self, x: Array, u: Array, w: Array) -> None:
        """Put `data` at a state x (n,), controls u (p,) and forces w (q,); nothing is worked out yet."""
        qpos, qvel, act, ctrl, warm = self.views
        nv = self.nv
        qpos[:], qvel[:] = self.positions(x), x[nv : 2 * nv]
        if len(act):
            act[:] = x[2 * nv :]
        ctrl[:] = self.ctrl
        ctrl[self.driven] = u
        # The solver starts from nothing, so that the answer depends on the arguments alone.
        warm[:] = 0.0
        self.push(w)

    def push(self, w: Array) -> None:
        """Apply the forces w (q,)."""
        if self._forced[0]:
            np.dot(w, self.general, out=self._forces[0])
        if self._forced[1]:
            np.dot(w, self.cartesian, out=self._forces[1])

    def _batch(self, x: Array, u: Array, w: Array) -> tuple[Any, dict[str, Array]]:
        size = len(x)
        if size not in self._batches:
            while len(self._batches) >= _KEPT_BATCHES:
                del self._batches[next(iter(self._batches))]
            batch = Batch(self.model, size, self.threads)
            names = ("act", "ctrl", "qacc_warmstart", "qfrc_applied", "xfrc_applied", *_FIELDS)
            self._batches[size] = batch, {name: batch.bind(name) for name in names}
        batch, views = self._batches[size]
        nv = self.nv
        views["qpos"][:] = x[:, :nv] if self.flat else [self.positions(row) for row in x]
        views["qvel"][:], views["act"][:] = x[:, nv : 2 * nv], x[:, 2 * nv :]
        views["ctrl"][:] = self.ctrl
        views["ctrl"][:, self.driven] = u
        views["qacc_warmstart"][:] = 0.0
        views["qfrc_applied"][:] = w @ self.general
        views["xfrc_applied"][:] = (w @ self.cartesian).reshape(size, -1, 6)
        return batch, views

    def step(self, x: Array, u: Array, w: Array) -> Array:
        """Return `advance` of one state x (n,), u (p,) and w (q,), for less."""
        if not sane(x, u, w):
            return np.full(self.n, np.nan)
        self.set(x, u, w)
        mujoco.mj_step(self.model, self.data, self.substeps)
        return or_nan(self._state())

    def finish(self) -> Array:
        """Return the state (n,) after a physics step of which all but its end is worked out, and leave what is set."""
        qpos, qvel, act, _, warm = self.views
        before = [(view, view.copy()) for view in (qpos, qvel, act, warm)]
        self.integrator(self.model, self.data)
        ahead = self._state()
        for view, value in before:
            view[:] = value
        return ahead

    def _state(self) -> Array:
        qpos, qvel, act, *_ = self.views
        return np.concatenate((self.coordinates(qpos), qvel, act))

    def sense(self, x: Array, u: Array, w: Array) -> Array:
        """Return `read` of one state x (n,), u (p,) and w (q,), for less."""
        if not sane(x, u, w):
            return np.full(len(self.readings), np.nan)
        if self._state_only:
            return np.asarray(x[self._direct])
        self.set(x, u, w)
        self._forward()
        return self.present()

    def _forward(self) -> None:
        model, data = self.model, self.data
        if self.stage == ACCELERATIONS:
            mujoco.mj_forward(model, data)
            return
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_sensorPos(model, data)
        if self.stage == VELOCITIES:
            mujoco.mj_fwdVelocity(model, data)
            mujoco.mj_sensorVel(model, data)

    def advance(self, x: Array, u: Array, w: Array) -> Array:
        """Return the states (k, n) one sample after x (k, n), with u (k, p) and w (k, q) held; NaN where physics is."""
        if len(x) <= _FEW:
            return np.array([self.step(*row) for row in zip(x, u, w, strict=True)]).reshape(x.shape)
        good = usable(x, u, w)
        ahead = np.full(x.shape, np.nan)
        if good.any():
            batch, views = self._batch(*(np.where(good[:, None], a, 0.0) for a in (x, u, w)))
            with quiet():
                batch.step(nstep=self.substeps)
            qpos = views["qpos"]
            positions = qpos if self.flat else [self.coordinates(row) for row in qpos]
            ahead[good] = np.concatenate([positions, views["qvel"], views["act"]], axis=1)[good]
        ahead[~usable(ahead)] = np.nan
        return ahead

    def read(self, x: Array, u: Array, w: Array) -> Array:
        """Return the readings (k, m) of x (k, n) under u (k, p) and w (k, q), NaN where physics is."""
        if len(x) <= _FEW:
            return np.array([self.sense(*row) for row in zip(x, u, w, strict=True)]).reshape(len(x), len(self.readings))
        good = usable(x, u, w)
        y = np.full((len(x), len(self.readings)), np.nan)
        if self._state_only:
            y[good] = x[good][:, self._direct]
        elif good.any():
            batch, views = self._batch(*(np.where(good[:, None], a, 0.0) for a in (x, u, w)))
            with quiet():
                batch.forward(stage=self.stage)
            y[good] = self.gather(views)[good]
        y[~np.isfinite(y).all(axis=-1)] = np.nan
        return y

    def present(self) -> Array:
        """Return the readings (m,) as `data` has them, NaN where physics is."""
        y = np.empty(len(self.readings))
        for view, rows, entries in self._read:
            y[rows] = view[entries]
        return y if np.isfinite(y).all() else np.full(len(y), np.nan)

    def gather(self, fields: dict[str, Array]) -> Array:
        """Return the readings (k, m) in arrays (k, …) of MuJoCo's."""
        size = len(fields["qpos"])
        y = np.empty((size, len(self.readings)))
        for name, rows, entries in self._groups:
            y[:, rows] = fields[name].reshape(size, -1)[:, entries]
        return y
