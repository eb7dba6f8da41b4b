"""Linear generative models: matrices, and the noise of every disturbance and sensor."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, as_covariance, as_names, positive, whole
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.linalg import compose, discretise
from pcctrl.models.checks import as_delays, as_noises, as_rates
from pcctrl.models.joint import JointModel, build_joint
from pcctrl.models.protocol import Flat, Jacobians
from pcctrl.models.report import ModelReport, report
from pcctrl.models.storage import read_model, write_model
from pcctrl.noise import Noise, White

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LinearModel"]


@dataclass(frozen=True, eq=False)
class LinearModel(Flat):
    r"""A plant with coloured disturbances and coloured sensors, in continuous time.

    .. math:: \dot x = A x + B (u + d) + G w,\qquad y = C x + D u + E w + z

    with u held over each sample; every w has its own noise object, every z too (and a white floor). About an operating
    point x, u and y stand for their deviations from it. With a D, a sensor reads the input that is still held when the
    sample is taken. See `from_discrete` for a simulator's matrices. Source: DESIGN §2.2.

    Args:
        A: (n, n) in 1/s.
        B: (n, p).
        C: (m, n).
        D: (m, p), zero by default.
        dt: sample time in seconds.
        noise_input: G (n, q).
        noise_output: E (m, q), what accelerometers and force sensors feel of a disturbance; none by default. Its column
            of a white one is zero: that has no value at a moment.
        process_noise: q noises, one a column of G; white ones by density.
        sensor_noise: m noises, one a row of C; white ones by std.
        disturbance: rate of the random walk d of each input disturbance, in its unit per √s, one number or (p,); None
            for no disturbance. It is what gives a controller integral action.
        delay: seconds that each sensor's reading is old, one number or (m,), a whole number of samples; its noise is
            that of the moment it is read. None for no delay.
        prior: covariance (n, n) of the state before the first sample; by default the stationary one, and for a plant
            that has none the filter's steady prediction.
        operating_point: (state, input, sensor) values at rest, zeros by default.
        states: n names; x0, x1, … by default.
        inputs: p names; u0, … by default.
        sensors: m names; y0, … by default.
        substeps: None for continuous-time matrices, else the number of simulator steps in ``dt`` (see
            `from_discrete`).

    Raises:
        ShapeError: a matrix, a list of noises or of names has the wrong size.
        ParameterError: a non-finite entry, a non-positive dt, an indefinite prior, or a noise of the wrong kind.
    """

    A: Array
    B: Array
    C: Array
    D: Array | None = None
    dt: float = field(kw_only=True)
    noise_input: Array = field(kw_only=True)
    noise_output: Array | None = field(default=None, kw_only=True)
    process_noise: Sequence[Noise] = field(kw_only=True)
    sensor_noise: Sequence[Noise] = field(kw_only=True)
    disturbance: Array | float | None = field(default=None, kw_only=True)
    delay: Array | float | None = field(default=None, kw_only=True)
    prior: Array | None = field(default=None, kw_only=True)
    operating_point: tuple[Array, Array, Array] | None = field(default=None, kw_only=True)
    states: Sequence[str] | None = field(default=None, kw_only=True)
    inputs: Sequence[str] | None = field(default=None, kw_only=True)
    sensors: Sequence[str] | None = field(default=None, kw_only=True)
    substeps: int | None = field(default=None, kw_only=True)
    _joints: dict[int, JointModel] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        A = as_array("A", self.A, ("n", "n"))
        n = len(A)
        if A.shape != (n, n):
            raise ShapeError(name="A", expected="a square matrix", received=f"shape {A.shape}")
        B = as_array("B", self.B, (n, "p"))
        C = as_array("C", self.C, ("m", n))
        m, p = len(C), B.shape[1]
        G = as_array("noise_input", self.noise_input, (n, "q"))
        q = G.shape[1]
        at: Any = (np.zeros(n), np.zeros(p), np.zeros(m)) if self.operating_point is None else self.operating_point
        if not isinstance(at, tuple | list) or len(at) != 3:
            expected = "three arrays (state, input, sensor)"
            raise ShapeError(name="operating_point", expected=expected, received=self.operating_point)
        checked: dict[str, Any] = {
            "A": A,
            "B": B,
            "C": C,
            "D": as_array("D", np.zeros((m, p)) if self.D is None else self.D, (m, p)),
            "dt": positive("dt", self.dt),
            "noise_input": G,
            "noise_output": None if self.noise_output is None else as_array("noise_output", self.noise_output, (m, q)),
            "process_noise": as_noises("process_noise", self.process_noise, q, sensor=False),
            "sensor_noise": as_noises("sensor_noise", self.sensor_noise, m, sensor=True),
            "disturbance": as_rates("disturbance", self.disturbance, p),
            "delay": as_delays("delay", self.delay, self.dt, m),
            "prior": None if self.prior is None else as_covariance("prior", self.prior, n),
            "operating_point": tuple(
                as_array(f"operating_point[{i}]", value, (size,))
                for i, (value, size) in enumerate(zip(at, (n, p, m), strict=True))
            ),
            "substeps": None if self.substeps is None else whole("substeps", self.substeps, 1),
            "states": as_names("states", self.states, "x", n),
            "inputs": as_names("inputs", self.inputs, "u", p),
            "sensors": as_names("sensors", self.sensors, "y", m),
        }
        for key, value in checked.items():
            object.__setattr__(self, key, value)
        white = [w.density > 0.0 for w in self.process_noise]
        if np.any(self.noise_outputs[:, white]):
            raise ParameterError(name="noise_output", expected="0 of white disturbances", received=self.noise_output)

    @classmethod
    def from_discrete(
        cls, A: ArrayLike, B: ArrayLike, C: ArrayLike, D: ArrayLike | None = None, *, substeps: int = 1, **named: Any
    ) -> LinearModel:
        r"""Return the model whose matrices advance the state by one step of a simulator, :math:`h` = dt / substeps.

        .. math:: x_{j+1} = A x_j + B u + G w_j

        The input is held over the sample, each disturbance over a step, as a physics engine does it. The other
        arguments are those of the class, with its errors.
        """
        return cls(A, B, C, D, substeps=substeps, **named)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> LinearModel:
        """Return the model in a TOML file written by `save`, or by hand.

        Raises:
            FileError: the file is missing, damaged, or lacks a key.
            PcctrlError: a key or value in it is wrong.
        """
        return cls(**read_model(path))

    def save(self, path: str | Path) -> None:
        """Write the model to a TOML file.

        Raises:
            FileError: the file cannot be written.
        """
        write_model(self, path)

    def report(self) -> ModelReport:
        """Return what can be estimated and controlled, and by what margins."""
        return report(self)

    def joint(self, order: int) -> JointModel:
        """Return the joint discrete model with every coloured noise as a chain of ``order`` + 1 states."""
        if order not in self._joints:
            self._joints[order] = build_joint(self, order)
        return self._joints[order]

    @property
    def start(self) -> tuple[Array, Array, Array]:
        """State (n,), input (p,) and reading (m,) before any data: the operating point."""
        return self.operating_point  # type: ignore[return-value]

    @property
    def limits(self) -> tuple[Array, Array]:
        """Least and greatest input (p,): none, of a linear model."""
        most = np.full(self.B.shape[1], np.inf)
        return -most, most

    def resampled(self, dt: float) -> LinearModel:
        """Return the model with another sample time.

        Raises:
            ParameterError: dt is not positive, or for a model of simulator steps not a multiple of the step.
        """
        if self.substeps is None:
            return replace(self, dt=dt)
        ratio = positive("dt", dt) / (self.dt / self.substeps)
        if abs(ratio - round(ratio)) > 1e-6 * ratio or round(ratio) < 1:
            expected = f"a multiple of the simulator's step {self.dt / self.substeps:g} s"
            raise ParameterError(name="dt", expected=expected, received=dt)
        return replace(self, dt=dt, substeps=round(ratio))

    @cached_property
    def white(self) -> LinearModel:
        """The model with each noise replaced by white noise of the same marginal variance.

        What sensors feel of the disturbances counts as noise of theirs.
        """
        felt = self.noise_outputs**2 @ [w.variance for w in self.process_noise]
        floors = [z.variance + z.sensor_floor for z in self.sensor_noise]
        return replace(
            self,
            process_noise=[w.whitened(self.dt, sensor=False) for w in self.process_noise],
            sensor_noise=[White(std=float(np.sqrt(v))) for v in floors + felt],
            noise_output=None,
        )

    @property
    def noise_outputs(self) -> Array:
        """E (m, q), of zeros where there is none."""
        return np.zeros((len(self.C), self.noise_input.shape[1])) if self.noise_output is None else self.noise_output

    @cached_property
    def rates(self) -> tuple[Array, Array, Array]:
        """A, B and the noise input G per second; of a simulator's model they are difference quotients of its step."""
        G = np.asarray(self.noise_input)
        if self.substeps is None:
            return self.A, self.B, G
        h = self.dt / self.substeps
        return (self.A - np.eye(len(self.A))) / h, self.B / h, G / h

    def transition(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Array:
        """Return the state (..., n) one sample after x (..., n), with the input u (..., p) held, and forces w (..., q).

        Args:
            x: state.
            u: input.
            w: process noise, held over the sample like the input; none by default.
        """
        state, rest, _ = self.start
        F, B, G = self._jacobians[:3]
        ahead = state + (np.asarray(x) - state) @ F.T + (np.asarray(u) - rest) @ B.T
        return ahead if w is None else ahead + np.asarray(w) @ G.T

    def readout(self, x: ArrayLike, u: ArrayLike | None = None, w: ArrayLike | None = None) -> Array:
        """Return what the sensors (..., m) read of a state x (..., n) under u (..., p), without noise or delay.

        Args:
            x: state.
            u: the input still held when the sample is taken; the operating one by default.
            w: process noise then (..., q), none by default.
        """
        state, rest, reading = self.start
        y = reading + (np.asarray(x) - state) @ np.asarray(self.C).T
        y = y if w is None else y + np.asarray(w) @ self.noise_outputs.T
        return y if u is None else y + (np.asarray(u) - rest) @ np.asarray(self.D).T

    def jacobians(
        self, x: ArrayLike | None = None, u: ArrayLike | None = None, w: ArrayLike | None = None
    ) -> Jacobians:
        """Return the derivatives of `transition` and `readout`, which are the same at every x, u and w.

        Args:
            x: a state (..., n), of which only the batch matters, as of the others.
            u: an input (..., p).
            w: process noise (..., q).
        """
        batch = np.broadcast_shapes(*(np.shape(a)[:-1] for a in (x, u, w) if a is not None))
        return (
            Jacobians(*(np.broadcast_to(J, (*batch, *J.shape)) for J in self._jacobians)) if batch else self._jacobians
        )

    def transition_jacobians(
        self, x: ArrayLike | None = None, u: ArrayLike | None = None, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array]:
        """Return F, B and G of `jacobians`."""
        return self.jacobians(x, u, w)[:3]

    def readout_jacobians(
        self, x: ArrayLike | None = None, u: ArrayLike | None = None, w: ArrayLike | None = None
    ) -> tuple[Array, Array, Array]:
        """Return C, D and E of `jacobians`."""
        return self.jacobians(x, u, w)[3:]

    @cached_property
    def _jacobians(self) -> Jacobians:
        n, p = self.B.shape
        inputs = np.hstack([self.B, self.noise_input])
        if self.substeps is None:
            F, held, _ = discretise(self.A, inputs, np.zeros((n, n)), self.dt)
        else:
            F, held, _ = compose(self.A, inputs, np.zeros((n, n)), self.substeps)
        return Jacobians(F, held[:, :p], held[:, p:], self.C, np.asarray(self.D), self.noise_outputs)
