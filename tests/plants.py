"""Models that several tests use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.filters import Belief
from pcctrl.models import GenerativeModel, LinearModel, MujocoModel, NonlinearModel
from pcctrl.noise import Noise, OrnsteinUhlenbeck, Smooth, White
from pcctrl.scripts.benchmarks.systems import cart_pole, mass_spring_damper

Array = NDArray[np.float64]
# Two joints in a vertical plane, and a hand without mass, which may be loaded.
ARM = """
<mujoco>
  <option timestep="0.001"/>
  <default><joint type="hinge" axis="0 1 0" damping="0.3" armature="0.02"/></default>
  <worldbody>
    <body><joint name="shoulder"/><inertial pos="0 0 -0.2" mass="2" diaginertia="0.02 0.02 0.002"/>
      <body pos="0 0 -0.4"><joint name="elbow"/><inertial pos="0 0 -0.15" mass="1" diaginertia="0.01 0.01 0.001"/>
        <body name="hand" pos="0 0 -0.3"><inertial pos="0 0 0" mass="0" diaginertia="0 0 0"/></body></body></body>
  </worldbody>
  <actuator><motor name="t1" joint="shoulder"/><motor name="t2" joint="elbow"/></actuator>
  <sensor><jointpos name="q1" joint="shoulder"/><jointpos name="q2" joint="elbow"/></sensor>
</mujoco>
"""
ARM_MODEL = MujocoModel(
    ARM,
    noise_input=("shoulder", "elbow"),
    process_noise=[White(density=0.02)] * 2,
    sensor_noise=[White(std=1e-4)] * 2,
)
DT = 0.1
WHITE = (White(density=float(np.sqrt(DT))), White(std=0.1))


def smooth(samples: float, floor: float = 1e-4) -> tuple[Noise, Noise]:
    """Process and sensor noise of ``samples`` samples for the mass-spring-damper."""
    return Smooth(1.0, samples * DT, floor), Smooth(0.1, samples * DT, floor)


def white_msd() -> LinearModel:
    """The mass-spring-damper in white noise."""
    return mass_spring_damper(*WHITE)


def smooth_msd(samples: float = 2.0, floor: float = 1e-4) -> LinearModel:
    """The mass-spring-damper in smooth noise."""
    return mass_spring_damper(*smooth(samples, floor))


def smooth_cart_pole(samples: float, floor: float = 1e-3) -> LinearModel:
    """The linear cart-pole in smooth noise of ``samples`` samples, or white for 0."""
    dt = 0.02
    if samples == 0.0:
        return cart_pole(White(density=float(np.sqrt(dt))), (White(std=0.01), White(std=0.005)))
    s = samples * dt
    return cart_pole(Smooth(1.0, s, floor), (Smooth(0.01, s, floor), Smooth(0.005, s, floor)))


def as_nonlinear(model: LinearModel, substeps: int = 40) -> NonlinearModel:
    """The same plant, as functions."""
    state, rest, reading = model.start
    A, B, G, C, D = (np.asarray(M) for M in (model.A, model.B, model.noise_input, model.C, model.D))
    at = state if model.substeps else 0.0 * state

    def f(x: Array, u: Array, w: Array) -> Array:
        return np.asarray(at + (x - state) @ A.T + (u - rest) @ B.T + w @ G.T)

    def g(x: Array, u: Array) -> Array:
        return np.asarray(reading + (x - state) @ C.T + (u - rest) @ D.T)

    given: dict[str, Any] = {
        "dt": model.dt,
        "operating_point": (state, rest),
        "process_noise": model.process_noise,
        "sensor_noise": model.sensor_noise,
        "time": "discrete" if model.substeps else "continuous",
        "substeps": model.substeps or substeps,
        "disturbance": model.disturbance,
        "prior": model.prior,
    }
    return NonlinearModel(f, g, **given)


def simulator_model(**changes: Any) -> LinearModel:
    """Two noises, one of two colours, in five steps a sample."""
    given: dict[str, Any] = {
        "dt": 0.05,
        "noise_input": np.array([[0.0, 0.001], [0.01, 0.0]]),
        "process_noise": [Smooth(1.0, 0.06) + White(density=0.1), OrnsteinUhlenbeck(0.5, 0.2)],
        "sensor_noise": [Smooth(0.1, 0.1)],
        "disturbance": 0.3,
        "operating_point": (np.array([0.3, 0.0]), np.array([0.5]), np.array([2.0])),
    }
    step = np.array([[1.0, 0.01], [-0.04, 0.98]])
    force = np.array([[0.0], [0.01]])
    return LinearModel.from_discrete(step, force, np.eye(2)[:1], substeps=5, **{**given, **changes})


def continuous_model(**changes: Any) -> LinearModel:
    given = {"disturbance": 0.3, "process_noise": [Smooth(1.0, 0.03) + White(density=0.1)]}
    return replace(smooth_cart_pole(2.0), **{**given, **changes})


def pendulum(samples: float = 2.0, *, sine: bool = True, **changes: Any) -> NonlinearModel:
    """A damped pendulum in smooth noise of so many samples of 0.1 s (0: white), its angle's sine or itself read."""

    def f(x: Array, u: Array, w: Array) -> Array:
        return np.stack([x[..., 1], -9.81 * np.sin(x[..., 0]) - 0.3 * x[..., 1] + u[..., 0] + w[..., 0]], axis=-1)

    def g(x: Array, u: Array) -> Array:
        return (np.sin(x[..., :1]) if sine else x[..., :1]) + 0.0 * u

    noises = WHITE if samples == 0.0 else smooth(samples, 1e-2)
    given: dict[str, Any] = {
        "dt": DT,
        "operating_point": (np.zeros(2), np.zeros(1)),
        "process_noise": [noises[0]],
        "sensor_noise": [noises[1]],
        "substeps": 4,
    }
    return NonlinearModel(f, g, **{**given, **changes})


def swing_up(limits: tuple[float, float] = (-2.0, 2.0)) -> NonlinearModel:
    """Gymnasium's Pendulum-v1, in its own steps."""

    def f(x: Array, u: Array, w: Array) -> Array:
        rate = x[..., 1] + 0.05 * (15.0 * np.sin(x[..., 0]) + 3.0 * (u[..., 0] + w[..., 0]))
        return np.stack([x[..., 0] + 0.05 * rate, rate], axis=-1)

    return NonlinearModel(
        f,
        lambda x, u: x[..., :1],  # noqa: ARG005
        dt=0.05,
        time="discrete",
        operating_point=(np.zeros(2), np.zeros(1)),
        process_noise=[White(density=0.1)],
        sensor_noise=[White(std=0.01)],
        limits=limits,
    )


def belief_of(model: GenerativeModel, mean: ArrayLike) -> Belief:
    """Return a belief of a variance of 1 about all that is estimated, under no input."""
    mean = np.asarray(mean, dtype=np.float64)
    return Belief(mean, np.eye(mean.shape[-1]), np.zeros(1), len(model.start[0]))
