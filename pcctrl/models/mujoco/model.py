"""The full nonlinear model of a MuJoCo simulation."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, as_covariance, as_names, positive, vectors, whole
from pcctrl.errors import ModelError, ParameterError
from pcctrl.models.checks import as_noises, as_rates, together
from pcctrl.models.differences import differentiate_readout, differentiate_transition
from pcctrl.models.mujoco.derivatives import read_derivatives, step_derivatives
from pcctrl.models.mujoco.guards import sane, usable
from pcctrl.models.mujoco.mismatch import Mismatch, misfit
from pcctrl.models.mujoco.names import choose_actuators, choose_forces, choose_readings, state_names
from pcctrl.models.mujoco.simulator import Simulator
from pcctrl.models.mujoco.source import load
from pcctrl.models.protocol import Steady
from pcctrl.noise import Noise, White

__all__ = ["MujocoModel"]

# Matrices are dense.
_MOST_STATES = 1000


@dataclass(frozen=True, eq=False)
class MujocoModel(Steady):
    r"""A MuJoCo simulation as a `GenerativeModel`: any joints, contacts, actuators with states.

    The n states are the positions of all degrees of freedom (nv), their velocities (nv), and the actuators' own states:
    m, rad and SI units. Positions are absolute but for a quaternion, which is the rotation vector from the reference
    ``qpos`` (beyond half a turn it wraps round: use `integrate` and `difference`, which do not mind).

    The physics is a private copy: nothing given is read again or changed. Controls and forces are held over the sample;
    for forces that change at every physics step, as a simulated disturbance does, chain the transitions of
    ``model.resampled(model.dt / model.substeps)``. Sensors read the state as it is, not as it was a physics step ago
    (MuJoCo's own ``sensordata`` after ``mj_step``). Native delays are left out. Controls are not clipped: pass what was
    applied, for a disturbance adds to it even at a limit. Not for several threads at once. Batches go through
    ``mujoco.batch``, bit for bit as one by one.

    Args:
        source: an ``mjModel``, the path of an MJCF file (whose files must lie within its folder), an XML string without
            files, or a Gymnasium MuJoCo environment, whose sample time and start are then the defaults.
        dt: sample time in seconds, a whole number of physics steps; one of them by default.
        qpos: (nq,) position at the start, the reference of rotations.
        qvel: (nv,) velocity at the start, zero by default.
        ctrl: (nu,) controls at the start, zero by default; those that are no inputs stay so.
        inputs: names of the actuators, all by default; ``()`` for estimation only.
        sensors: names: of MJCF sensors (all by default), or ``qpos:JOINT``, ``qvel:JOINT``, ``xpos:BODY`` (m, of its
            frame) and ``xmat:BODY`` (its rotation matrix by rows), ``gyro:BODY`` and ``accelerometer:BODY`` (at its
            frame; not of an ``mjModel`` that has none). One number of several is ``NAME_0``, ….
        noise_input: names of what the q disturbances push: degrees of freedom (a joint, or ``JOINT_0``, … of several),
            or ``BODY:x``, ``y``, ``z`` for a force in N at its centre of mass along an axis of the world, and ``rx``,
            ``ry``, ``rz`` for a torque in N·m about one.
        process_noise: the q disturbances, in N or N·m.
        sensor_noise: one a reading; by default white with the ``noise`` that the MJCF states, or 1e-3.
        disturbance: rate of the random walk that adds to each input, in its unit per √s, one number or (p,), or None.
        prior: covariance (n, n) of the state before the first sample, in tangent space at the start, or None.
        wrong: in what the model is to be wrong, or None.
        threads: for a batch; 0 for all cores.

    Raises:
        FileError: the file or string is missing, malformed or hostile, or reaches out of its folder.
        ShapeError: an array or list of the wrong size.
        UnknownNameError: no such actuator, sensor, joint or body.
        ParameterError: a source that is none; no actuator or sensor; dt is not a multiple of the physics step; noise of
            the wrong kind; more than 1000 states.
        ModelError: the physics breaks down at the start.
    """

    source: Any
    dt: float = field(default=None, kw_only=True)  # type: ignore[assignment]
    qpos: Array | None = field(default=None, kw_only=True)
    qvel: Array | None = field(default=None, kw_only=True)
    ctrl: Array | None = field(default=None, kw_only=True)
    inputs: Sequence[str] | None = field(default=None, kw_only=True)
    sensors: Sequence[str] | None = field(default=None, kw_only=True)
    noise_input: Sequence[str] = field(default=(), kw_only=True)
    process_noise: Sequence[Noise] = field(default=(), kw_only=True)
    sensor_noise: Sequence[Noise] = field(default=None, kw_only=True)  # type: ignore[arg-type]
    disturbance: Array | float | None = field(default=None, kw_only=True)
    prior: Array | None = field(default=None, kw_only=True)
    wrong: Mismatch | None = field(default=None, kw_only=True)
    threads: int = field(default=1, kw_only=True)
    states: Sequence[str] = field(init=False)
    substeps: int = field(init=False)
    limits: tuple[Array, Array] = field(init=False)
    _sim: Simulator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        mjmodel, dt, qpos = load(self.source, self.sensors)
        given: dict[str, Any] = {name: getattr(self, name) for name in ("dt", "sensor_noise")}
        nv, nu = mjmodel.nv, mjmodel.nu
        n = 2 * nv + mjmodel.na
        if not 0 < n <= _MOST_STATES:
            raise ParameterError(name="source", expected=f"1 to {_MOST_STATES} states", received=n)
        dt = positive("dt", dt if given["dt"] is None else given["dt"])
        qpos = as_array("qpos", qpos if self.qpos is None else self.qpos, (mjmodel.nq,))
        qvel = as_array("qvel", np.zeros(nv) if self.qvel is None else self.qvel, (nv,))
        ctrl = as_array("ctrl", np.zeros(nu) if self.ctrl is None else self.ctrl, (nu,))
        inputs, actuators = choose_actuators(mjmodel, self.inputs)
        sensors, readings = choose_readings(mjmodel, self.sensors)
        forces, general, cartesian = choose_forces(mjmodel, self.noise_input)
        stated = [White(std=r.std) for r in readings]
        p, m, q = len(inputs), len(sensors), len(forces)
        substeps = _substeps(dt, float(mjmodel.opt.timestep))
        physics = copy.deepcopy(mjmodel)
        if self.wrong is not None:
            if not isinstance(self.wrong, Mismatch):
                raise ParameterError(name="wrong", expected="a Mismatch or None", received=self.wrong)
            misfit(physics, self.wrong)
        limited = mjmodel.actuator_ctrllimited.astype(bool)[:, None]
        limits = np.where(limited, mjmodel.actuator_ctrlrange, [-np.inf, np.inf])[actuators].T
        checked: dict[str, Any] = {
            "source": mjmodel,
            "dt": dt,
            "qpos": qpos,
            "qvel": qvel,
            "ctrl": ctrl,
            "inputs": as_names("inputs", inputs, "u", p),
            "sensors": as_names("sensors", sensors, "y", m),
            "noise_input": as_names("noise_input", forces, "w", q),
            "process_noise": as_noises("process_noise", self.process_noise, q, sensor=False),
            "sensor_noise": as_noises(
                "sensor_noise", stated if given["sensor_noise"] is None else given["sensor_noise"], m, sensor=True
            ),
            "disturbance": as_rates("disturbance", self.disturbance, p),
            "prior": None if self.prior is None else as_covariance("prior", self.prior, n),
            "threads": whole("threads", self.threads),
            "states": as_names("states", state_names(mjmodel), "x", n),
            "substeps": substeps,
            "limits": (limits[0].copy(), limits[1].copy()),
            "_sim": Simulator(physics, qpos, ctrl, actuators, readings, general, cartesian, substeps, self.threads),
        }
        for key, value in checked.items():
            object.__setattr__(self, key, value)
        x, u, y = self.start
        if not (np.isfinite(y).all() and np.isfinite(self.transition(x, u)).all()):
            expected = "physics that stays finite from the start"
            raise ModelError(name="source", expected=expected, received=f"NaN or more than 1e10 at qpos {qpos}")

    @cached_property
    def start(self) -> tuple[Array, Array, Array]:
        """State (n,), input (p,) and reading (m,) at the start."""
        sim = self._sim
        x = np.concatenate([sim.coordinates(np.asarray(self.qpos)), np.asarray(self.qvel), np.zeros(sim.model.na)])
        u = np.asarray(self.ctrl)[sim.inputs]
        return x, u, self.readout(x, u)

    @property
    def native(self) -> bool:
        """Whether Jacobians are MuJoCo's own; with RK4, discrete steps or delays they are central differences."""
        return self._sim.native

    def resampled(self, dt: float) -> MujocoModel:
        """Return the model with another sample time.

        Raises:
            ParameterError: dt is not a multiple of the physics step.
        """
        return replace(self, dt=dt)

    def state(self, qpos: ArrayLike, qvel: ArrayLike, act: ArrayLike = ()) -> Array:
        """Return the state (n,) of MuJoCo's positions (nq,), velocities (nv,) and actuator states (na,).

        Raises:
            ShapeError, ParameterError: an array of another size, or not finite.
        """
        sim = self._sim
        position = sim.coordinates(as_array("qpos", qpos, (sim.model.nq,)))
        return np.concatenate(
            [position, as_array("qvel", qvel, (sim.nv,)), as_array("act", act, (sim.model.na,))], dtype=np.float64
        )

    def configuration(self, x: ArrayLike) -> tuple[Array, Array, Array]:
        """Return qpos (nq,), qvel (nv,) and act (na,) of a state x (n,).

        Raises:
            ShapeError, ParameterError: x has another size, or is not finite.
        """
        sim = self._sim
        x = as_array("x", x, (sim.n,))
        return sim.positions(x).copy(), x[sim.nv : 2 * sim.nv].copy(), x[2 * sim.nv :].copy()

    def integrate(self, x: ArrayLike, move: ArrayLike) -> Array:
        """Return the state (..., n) after a move (..., n) from x (..., n): quaternions by ``mj_integratePos``."""
        return self._pairwise(self._sim.integrate, np.add, x, move)

    def difference(self, x: ArrayLike, base: ArrayLike) -> Array:
        """Return the move (..., n) from ``base`` to x (..., n): quaternions by ``mj_differentiatePos``."""
        return self._pairwise(self._sim.difference, np.subtract, x, base)

    def _pairwise(self, of_states: Any, of_vectors: Any, x: ArrayLike, other: ArrayLike) -> Array:
        first, second = vectors("x", x, self._sim.n), vectors("x", other, self._sim.n)
        if self._sim.flat:
            return np.asarray(of_vectors(first, second))
        first, second = np.broadcast_arrays(first, second)
        out = np.empty(first.shape)
        for index in np.ndindex(first.shape[:-1]):
            out[index] = of_states(first[index], second[index])
        return out

    def transition(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Array:
        """Return the state (..., n) one sample after x (..., n), with u (..., p) and forces w (..., q) held.

        Args:
            x: state.
            u: input as applied.
            w: process noise, none by default.

        Raises:
            ShapeError: another last dimension.
        """
        given = self._arguments(x, u, w)
        if given[0].ndim == 1:
            return self._sim.step(*given)
        batch, rows = _rows(given)
        return self._sim.advance(*rows).reshape(*batch, self._sim.n)

    def readout(self, x: ArrayLike, u: ArrayLike | None = None, w: ArrayLike | None = None) -> Array:
        """Return what the sensors (..., m) read of x (..., n), without noise.

        Args:
            x: state.
            u: (..., p) the input still held; that of the start by default.
            w: (..., q) process noise then, none by default; accelerometers and force sensors feel it.

        Raises:
            ShapeError: another last dimension.
        """
        given = self._arguments(x, np.asarray(self.ctrl)[self._sim.inputs] if u is None else u, w)
        if given[0].ndim == 1:
            return self._sim.sense(*given)
        batch, rows = _rows(given)
        return self._sim.read(*rows).reshape(*batch, len(self._sim.readings))

    def transition_jacobians(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array]:
        """Return F, B and G of `jacobians`."""
        return self.linearised_transition(x, u, w)[1:]

    def readout_jacobians(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> tuple[Array, Array, Array]:
        """Return C, D and E of `jacobians`."""
        return self.linearised_readout(x, u, w)[1:]

    def linearised_transition(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return `transition`, F, B and G, for less than both."""
        given = self._arguments(x, u, w)
        if not self.native:
            return self.transition(*given), *differentiate_transition(self, *given)
        return self._derivatives(step_derivatives, self._sim.n, given)

    def linearised_readout(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array]:
        """Return `readout`, C, D and E, for less than both."""
        given = self._arguments(x, u, w)
        if not self.native:
            return self.readout(*given), *differentiate_readout(self, *given)
        return self._derivatives(read_derivatives, len(self._sim.readings), given)

    def _derivatives(self, own: Any, height: int, given: tuple[Array, ...]) -> tuple[Array, Array, Array, Array]:
        if given[0].ndim == 1 and sane(*given):
            return own(self._sim, *given)  # type: ignore[no-any-return]
        batch, rows = _rows(given)
        values = np.full((len(rows[0]), height), np.nan)
        results = (values, *(np.full((*values.shape, a.shape[-1]), np.nan) for a in rows))
        for k in np.flatnonzero(usable(*rows)):
            for result, one in zip(results, own(self._sim, *(a[k] for a in rows)), strict=True):
                result[k] = one
        return tuple(one.reshape(*batch, *one.shape[1:]) for one in results)  # type: ignore[return-value]

    def _arguments(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None) -> tuple[Array, Array, Array]:
        sim, q = self._sim, len(self.noise_input)
        forces = np.zeros(q) if w is None else vectors("w", w, q)
        return together(vectors("x", x, sim.n), vectors("u", u, len(sim.inputs)), forces)


def _rows(arrays: tuple[Array, ...]) -> tuple[tuple[int, ...], list[Array]]:
    """Return the batch shape of x (..., n), u (..., p) and w (..., q), and each as rows."""
    batch = arrays[0].shape[:-1]
    return batch, [a.reshape(math.prod(batch), a.shape[-1]) for a in arrays]


def _substeps(dt: float, step: float) -> int:
    ratio = dt / step
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6 * ratio:
        raise ParameterError(name="dt", expected=f"a multiple of the physics step {step:g} s", received=dt)
    return round(ratio)
