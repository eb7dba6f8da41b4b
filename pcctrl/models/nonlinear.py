"""Nonlinear generative models from Python functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, as_covariance, as_names, choose, positive, vectors, whole
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.models.checks import (
    as_limits,
    as_noises,
    as_rates,
    check_matrices,
    in_rows,
    matrices_of,
    takes_batches,
    together,
)
from pcctrl.models.differences import (
    chain_rule,
    differentiate_rates,
    differentiate_readout,
    differentiate_transition,
)
from pcctrl.models.protocol import Flat
from pcctrl.models.symbolic import Derivatives, derivatives
from pcctrl.noise import Noise

__all__ = ["NonlinearModel"]

Dynamics: TypeAlias = Callable[[Array, Array, Array], ArrayLike]
Sensors: TypeAlias = Callable[[Array, Array], ArrayLike]


@dataclass(frozen=True, eq=False)
class NonlinearModel(Flat):
    r"""A plant and its sensors as functions.

    .. math:: \dot x = f(x, u, w)\ \text{ or }\ x_{j+1} = f(x_j, u, w_j),\qquad y = g(x, u) + z

    The functions take vectors x (n,), u (p,), w (q,) and may take batches (..., n), (..., p), (..., q) of one shape as
    well: with all components written as ``x[..., 0]`` they do, and batches are quick. Whether they do is found out by
    trial, so they must be pure. A continuous f is integrated by the classical fourth-order Runge-Kutta method, u and w
    held.

    Args:
        f: rates (..., n) per second, or if discrete the state one step later.
        g: readings (..., m), without noise.
        dt: sample time in seconds.
        operating_point: state (n,) and input (p,) before any data. (A third entry, the reading, is worked out anew.)
        process_noise: the q disturbances w, in the units that f takes; white ones by density.
        sensor_noise: the m noises; white ones by std.
        time: ``"continuous"`` or ``"discrete"``.
        substeps: steps in ``dt``: of the integrator, or of a discrete f.
        f_jacobians: function of x, u, w that returns the derivatives (n, n), (n, p), (n, q) of f, perhaps of batches;
            or ``"casadi"`` to derive it, see `pcctrl.models.symbolic` (the extra ``codegen``); by default the sample is
            differentiated by central differences.
        g_jacobians: function of x, u that returns the derivatives (m, n), (m, p) of g; likewise.
        sensor_scale: function of x (n,) that returns positive factors (m,) on the sensors' white variances there, where
            they depend on the state: a sensor may see worse from afar.
        disturbance: rate of the random walk that adds to each input, in its unit per √s, one number or (p,), or None.
        limits: least and greatest input, one number or (p,) each; none by default.
        prior: covariance (n, n) of the state before the first sample, or None.
        states: n names; x0, x1, … by default.
        inputs: p names; u0, … by default.
        sensors: m names; y0, … by default.

    Raises:
        ShapeError: a function returns, or an argument has, another size.
        ParameterError: f or g is not a function, or not finite at the operating point; a non-positive dt; limits
            that are none; a noise of the wrong kind.
        UnknownNameError: another ``time``, or other Jacobians than those of CasADi.
        ModelError: CasADi is not there, or f or g is not for it.
    """

    f: Dynamics
    g: Sensors
    dt: float = field(kw_only=True)
    operating_point: Sequence[Array] = field(kw_only=True)
    process_noise: Sequence[Noise] = field(kw_only=True)
    sensor_noise: Sequence[Noise] = field(kw_only=True)
    time: Literal["continuous", "discrete"] = field(default="continuous", kw_only=True)
    substeps: int = field(default=1, kw_only=True)
    f_jacobians: Derivatives | Literal["casadi"] | None = field(default=None, kw_only=True)
    g_jacobians: Derivatives | Literal["casadi"] | None = field(default=None, kw_only=True)
    sensor_scale: Callable[[Array], ArrayLike] | None = field(default=None, kw_only=True)
    disturbance: Array | float | None = field(default=None, kw_only=True)
    limits: tuple[Any, Any] = field(default=(-np.inf, np.inf), kw_only=True)
    prior: Array | None = field(default=None, kw_only=True)
    states: Sequence[str] | None = field(default=None, kw_only=True)
    inputs: Sequence[str] | None = field(default=None, kw_only=True)
    sensors: Sequence[str] | None = field(default=None, kw_only=True)
    _sizes: tuple[int, int, int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("f", "g", "f_jacobians", "g_jacobians", "sensor_scale"):
            value: Any = getattr(self, name)
            if not callable(value) and (not (value is None or isinstance(value, str)) or name in ("f", "g")):
                raise ParameterError(name=name, expected="a function", received=f"{type(value).__name__}")
        at: Any = self.operating_point
        if not isinstance(at, tuple | list) or len(at) not in (2, 3):
            raise ShapeError(name="operating_point", expected="two arrays (state, input)", received=at)
        x = as_array("operating_point[0]", at[0], ("n",))
        u = as_array("operating_point[1]", at[1], ("p",))
        n, p = len(x), len(u)
        noises: Any = self.process_noise
        q = len(noises) if isinstance(noises, Sequence) else 1
        w = np.zeros(q)
        rate = as_array("f(x, u, w) at the operating point", self.f(x, u, w), (n,))
        reading = as_array("g(x, u) at the operating point", self.g(x, u), ("m",))
        m = len(reading)
        if not n or not m:
            raise ParameterError(name="f, g", expected="at least one state and one sensor", received=(rate, reading))
        by_f = derivatives("f_jacobians", self.f_jacobians, self.f, (n, p, q))
        by_g = derivatives("g_jacobians", self.g_jacobians, self.g, (n, p))
        if by_f is not None:
            check_matrices("f_jacobians", by_f(x, u, w), n, (n, p, q))
        if by_g is not None:
            check_matrices("g_jacobians", by_g(x, u), m, (n, p))
        if self.sensor_scale is not None:
            factors = as_array("sensor_scale(x) at the operating point", self.sensor_scale(x), (m,))
            if not (factors > 0.0).all():
                raise ParameterError(name="sensor_scale", expected="positive factors", received=factors)
        checked: dict[str, Any] = {
            "f_jacobians": by_f,
            "g_jacobians": by_g,
            "dt": positive("dt", self.dt),
            "operating_point": (x, u, reading),
            "process_noise": as_noises("process_noise", noises, q, sensor=False),
            "sensor_noise": as_noises("sensor_noise", self.sensor_noise, m, sensor=True),
            "time": choose("time", self.time, ("continuous", "discrete")),
            "substeps": whole("substeps", self.substeps, 1),
            "disturbance": as_rates("disturbance", self.disturbance, p),
            "limits": as_limits("limits", self.limits, p),
            "prior": None if self.prior is None else as_covariance("prior", self.prior, n),
            "states": as_names("states", self.states, "x", n),
            "inputs": as_names("inputs", self.inputs, "u", p),
            "sensors": as_names("sensors", self.sensors, "y", m),
            "_sizes": (n, p, q, m),
        }
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    @property
    def start(self) -> tuple[Array, Array, Array]:
        """State (n,), input (p,) and reading (m,) before any data."""
        x, u, y = self.operating_point
        return x, u, y

    def resampled(self, dt: float) -> NonlinearModel:
        """Return the model with another sample time, in steps no longer than now.

        Raises:
            ParameterError: dt is not positive, or for a discrete f not a multiple of its step.
        """
        ratio = positive("dt", dt) / (self.dt / self.substeps)
        if self.time == "continuous":
            return replace(self, dt=dt, substeps=max(1, int(np.ceil(ratio * (1.0 - 1e-9)))))
        if abs(ratio - round(ratio)) > 1e-6 * ratio or round(ratio) < 1:
            expected = f"a multiple of the step {self.dt / self.substeps:g} s"
            raise ParameterError(name="dt", expected=expected, received=dt)
        return replace(self, dt=dt, substeps=round(ratio))

    @cached_property
    def _batched(self) -> tuple[bool, bool, bool, bool, bool]:
        """Return whether f, g, their derivatives and ``sensor_scale`` take batches, answering one as its rows."""
        n, p, q, m = self._sizes
        rng = np.random.default_rng(0)
        x, u, w = (rng.uniform(-1e-3, 1e-3, (2, 5, size)) for size in (n, p, q))
        x, u = x + self.operating_point[0], u + self.operating_point[1]
        of_f, of_g = (x, u, w), (x, u)
        return (
            takes_batches(self.f, n, *of_f),
            takes_batches(self.g, m, *of_g),
            callable(self.f_jacobians) and takes_batches(in_rows(self.f_jacobians), n * (n + p + q), *of_f),
            callable(self.g_jacobians) and takes_batches(in_rows(self.g_jacobians), m * (n + p), *of_g),
            self.sensor_scale is not None and takes_batches(self.sensor_scale, m, x),
        )

    def _evaluate(self, function: Callable[..., ArrayLike], batched: bool, size: int, *arguments: Array) -> Array:
        batch = arguments[0].shape[:-1]
        # What overflows is the filter's to find: data in a loop raise nothing.
        with np.errstate(all="ignore"):
            if batched or not batch:
                return np.asarray(function(*arguments), dtype=np.float64)
            out = np.empty((*batch, size))
            for index in np.ndindex(batch):
                out[index] = function(*(a[index] for a in arguments))
            return out

    def _step(self, x: Array, u: Array, w: Array) -> Array:
        def f(x: Array) -> Array:
            return self.derivative(x, u, w)

        if self.time == "discrete":
            return f(x)
        h = self.dt / self.substeps
        with np.errstate(all="ignore"):
            k1 = f(x)
            k2 = f(x + 0.5 * h * k1)
            k3 = f(x + 0.5 * h * k2)
            k4 = f(x + h * k3)
            return np.asarray(x + (h / 6.0) * (k1 + 2.0 * (k2 + k3) + k4))

    def derivative(self, x: Array, u: Array, w: Array) -> Array:
        """Return f (..., n) itself, at x (..., n), u (..., p) and w (..., q) of one batch."""
        return self._evaluate(self.f, x.ndim == 1 or self._batched[0], self._sizes[0], x, u, w)

    def derivative_jacobians(self, x: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
        """Return the derivatives (..., n, n), (..., n, p) and (..., n, q) of f at points of one batch."""
        if not callable(self.f_jacobians):
            return differentiate_rates(self, x, u, w)
        n, p, q, _ = self._sizes
        A, B, G = matrices_of(self.f_jacobians, ((n, n), (n, p), (n, q)), x.ndim == 1 or self._batched[2], x, u, w)
        return A, B, G

    def transition(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Array:
        """Return the state (..., n) one sample after x (..., n), with u (..., p) and w (..., q) held.

        Args:
            x: state.
            u: input as applied.
            w: process noise, none by default.

        Raises:
            ShapeError: another last dimension.
        """
        x, u, w = self._arguments(x, u, w)
        for _ in range(self.substeps):
            x = self._step(x, u, w)
        return x

    def readout(self, x: ArrayLike, u: ArrayLike | None = None, w: ArrayLike | None = None) -> Array:
        """Return what the sensors (..., m) read of x (..., n) under u (..., p), without noise.

        Args:
            x: state.
            u: the input still held; the operating one by default.
            w: (..., q) without meaning here but for its batch.

        Raises:
            ShapeError: another last dimension.
        """
        x, u, w = self._arguments(x, self.operating_point[1] if u is None else u, w)
        return self._evaluate(self.g, x.ndim == 1 or self._batched[1], self._sizes[3], x, u)

    def sensor_factors(self, x: ArrayLike) -> Array | None:
        """Return ``sensor_scale`` at x (..., n), (..., m), or None without one.

        Raises:
            ShapeError: another last dimension.
        """
        if self.sensor_scale is None:
            return None
        x = vectors("x", x, self._sizes[0])
        return self._evaluate(self.sensor_scale, x.ndim == 1 or self._batched[4], self._sizes[3], x)

    def transition_jacobians(
        self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array]:
        """Return F, B and G of `jacobians`."""
        x, u, w = self._arguments(x, u, w)
        if not callable(self.f_jacobians):
            return differentiate_transition(self, x, u, w)
        n, p, _, _ = self._sizes
        whole_step = chain_rule(self, x, u, w)
        return whole_step[..., :n], whole_step[..., n : n + p], whole_step[..., n + p :]

    def readout_jacobians(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> tuple[Array, Array, Array]:
        """Return C, D and E of `jacobians`."""
        x, u, w = self._arguments(x, u, w)
        if not callable(self.g_jacobians):
            return differentiate_readout(self, x, u, w)
        n, p, q, m = self._sizes
        C, D = matrices_of(self.g_jacobians, ((m, n), (m, p)), x.ndim == 1 or self._batched[3], x, u)
        return C, D, np.zeros((*C.shape[:-1], q))

    def _arguments(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None) -> tuple[Array, Array, Array]:
        n, p, q, _ = self._sizes
        return together(vectors("x", x, n), vectors("u", u, p), np.zeros(q) if w is None else vectors("w", w, q))
