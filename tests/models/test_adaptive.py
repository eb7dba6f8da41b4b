from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pcctrl.arrays import Array
from pcctrl.errors import ModelError, ParameterError, ShapeError, UnknownNameError
from pcctrl.filters import ExtendedKalmanFilter, NonlinearFilter, NonlinearPCFilter, UnscentedKalmanFilter
from pcctrl.models import (
    AdaptiveModel,
    Forces,
    Mismatch,
    MujocoMechanics,
    MujocoModel,
    MujocoParameters,
    NonlinearModel,
    Parameter,
)
from pcctrl.models.differences import differentiate_transition
from pcctrl.noise import White

DT, DENSITY, STD = 0.01, 0.05, 1e-3

ARM = """
<mujoco>
  <option timestep="{step}"/>
  <default><joint type="hinge" axis="0 1 0" damping="0.3" armature="0.02"/></default>
  <worldbody>
    <body name="upper"><joint name="shoulder"/>
      <inertial pos="0 0 -0.2" mass="2" diaginertia="0.02 0.02 0.002"/>
      <body name="fore" pos="0 0 -0.4"><joint name="elbow"/>
        <inertial pos="0 0 -0.15" mass="1" diaginertia="0.01 0.01 0.001"/>
        <body name="hand" pos="0 0 -0.3"><inertial pos="0 0 0" mass="0" diaginertia="0 0 0"/></body></body></body>
  </worldbody>
  <actuator><motor name="t1" joint="shoulder"/><motor name="t2" joint="elbow"/></actuator>
  <sensor><jointpos name="q1" joint="shoulder"/><jointpos name="q2" joint="elbow"/>{more}</sensor>
</mujoco>
"""
NAMES = ("load:hand", "scale", "viscous:shoulder", "viscous:elbow", "coulomb:shoulder", "coulomb:elbow")
TWO = [White(density=0.1)] * 2


def arm(more: str = "", step: float = 0.002, **options: object) -> MujocoModel:
    settings = {"noise_input": ("shoulder", "elbow"), "process_noise": TWO, "prior": 1e-4 * np.eye(4)}
    return MujocoModel(ARM.format(more=more, step=step), **{**settings, **options})  # type: ignore[arg-type]


def adaptive(model: MujocoModel, names: tuple[str, ...] = NAMES, creep: float = 0.05) -> AdaptiveModel:
    parameters = [Parameter(name, 0.5, 20.0, low=-0.4 if name == "scale" else 0.0, high=3.0) for name in names]
    return AdaptiveModel(MujocoParameters(model, parameters, creep), parameters)


def mass() -> NonlinearModel:
    """A unit mass, pushed by u and by a force."""
    return NonlinearModel(
        lambda x, u, w: np.stack([x[..., 1], u[..., 0] + w[..., 0]], axis=-1),
        lambda x, u: x[..., :1],  # noqa: ARG005
        dt=DT,
        operating_point=(np.zeros(2), np.zeros(1)),
        process_noise=[White(density=DENSITY)],
        sensor_noise=[White(std=STD)],
        prior=0.01 * np.eye(2),
    )


def rubbed() -> AdaptiveModel:
    """The mass, with drag −b v and a constant push c unknown."""

    def basis(x: Array) -> Array:
        return np.stack([-x[..., 1], np.ones_like(x[..., 1])], axis=-1)[..., None, :]

    return AdaptiveModel(Forces(mass(), basis), [Parameter("drag", 1.0, 50.0, 0.2), Parameter("push", 0.5, np.inf)])


def recording(steps: int, b: float, c: float) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    x, u, y = np.zeros(2), 3.0 * np.sin(0.05 * np.arange(steps)), np.zeros((steps, 1))
    for k in range(steps):
        y[k] = x[:1] + STD * rng.standard_normal(1)
        push = u[k] - b * x[1] + c + DENSITY / np.sqrt(DT) * rng.standard_normal()
        x = x + DT * np.array([x[1] + 0.5 * DT * push, push])
    return y, u[:, None]


def test_linear_in_its_parameters_is_the_joint_extended_kalman_filter() -> None:
    model = rubbed()
    y, u = recording(300, 0.8, 0.3)
    ours = NonlinearPCFilter(model, None, iterations=1).run(y, u)
    # By hand: [p, v, b, c], the force held over the sample.
    m, P = np.array([0.0, 0.0, 0.2, 0.0]), np.diag([0.01, 0.01, 1.0, 0.25])
    a = np.exp(-DT / 50.0)
    g, C = np.array([0.5 * DT**2, DT]), np.eye(1, 4)
    for k in range(len(y)):
        S = C @ P @ C.T + STD**2
        K = P @ C.T / S
        m, P = m + K[:, 0] * (y[k, 0] - m[0]), P - K @ C @ P
        np.testing.assert_allclose(ours.mean[k], m, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(ours.std[k], np.sqrt(np.diag(P)), rtol=1e-8)
        F = np.eye(4)
        F[0, 1] = DT
        F[:2, 1] -= g * m[2]
        F[:2, 2], F[:2, 3] = -g * m[1], g
        F[2, 2] = a
        force = u[k, 0] - m[2] * m[1] + m[3]
        m = np.array([m[0] + DT * m[1] + g[0] * force, m[1] + g[1] * force, 0.2 + a * (m[2] - 0.2), m[3]])
        Q = np.diag([0.0, 0.0, 1.0 - a**2, 0.0])
        Q[:2, :2] = np.outer(g, g) * DENSITY**2 / DT
        P = F @ P @ F.T + Q


@pytest.mark.parametrize("make", [NonlinearPCFilter, ExtendedKalmanFilter, UnscentedKalmanFilter])
def test_any_filter_learns_the_parameters(make: Callable[[AdaptiveModel, None], NonlinearFilter]) -> None:
    y, u = recording(800, 0.8, 0.3)
    found = make(rubbed(), None).run(y, u)
    assert (np.abs(found.mean[-1, 2:] - [0.8, 0.3]) < 4.0 * found.std[-1, 2:]).all()
    # From where it started, the truth is many of them away.
    assert (np.abs([0.8 - 0.2, 0.3]) > 3.0 * found.std[-1, 2:]).all()


def test_without_excitation_no_variance_grows_beyond_its_own() -> None:
    y = np.full((600, 1), np.nan)
    std = ExtendedKalmanFilter(rubbed()).run(np.vstack([[[0.0]], y])).std
    assert std[:, 2].max() <= 1.0 + 1e-9
    # Negative control: a random walk as quick as that, from the same prior.
    walk = AdaptiveModel(rubbed().plant, [Parameter("drag", 1e3, 5e6), Parameter("push", 0.5, np.inf)])
    loose = ExtendedKalmanFilter(walk)
    belief = loose.init(covariance=np.diag([0.01, 0.01, 1.0, 0.25]))
    for _ in range(600):
        belief = loose.predict(belief)
    assert belief.std[2] > 1.5


def test_bounds_are_kept() -> None:
    y, u = recording(500, -2.0, 0.0)
    bounded = AdaptiveModel(rubbed().plant, [Parameter("drag", 1.0, 50.0, 0.2, low=0.0), Parameter("push", 1e-3)])
    found, free = (ExtendedKalmanFilter(model).run(y, u).mean for model in (bounded, rubbed()))
    assert found[:, 2].min() == 0.0
    assert free[:, 2].min() < -0.5


@pytest.mark.parametrize("substeps", [1, 3])
def test_derivatives_are_those_of_the_simulation(substeps: int) -> None:
    model = adaptive(arm(dt=0.002 * substeps))
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.standard_normal(2), 0.1 * rng.standard_normal(2), [0.3, -0.2, 0.2, 0.1, 0.4, 0.3]])
    u, w = rng.standard_normal(2), rng.standard_normal(len(model.process_noise))
    for ours, theirs in zip(model.transition_jacobians(x, u, w), differentiate_transition(model, x, u, w), strict=True):
        # Over several steps a damping is held that each step takes anew: exact to the first order in dt.
        np.testing.assert_allclose(ours, theirs, atol=1e-6 * np.abs(theirs).max())
    batch = model.transition_jacobians(np.stack([x, x]), u, w)[0]
    np.testing.assert_array_equal(batch[1], model.transition_jacobians(x, u, w)[0])


def test_parameters_are_those_of_the_mechanics() -> None:
    # Implicit damping takes the rate at the end of a step, all else that at its beginning: alike for a short one.
    plain = arm(step=1e-4)
    mechanics = MujocoMechanics(plain, ["hand"], scale=True, creep=0.05)
    model = adaptive(plain)
    assert mechanics.parameters == tuple(model.states)[4:]
    x, u = np.array([0.4, -0.7, 1.2, -0.8]), np.array([1.5, -0.5])
    theta = np.array([0.5, 0.3, 0.2, 0.1, 0.4, 0.3])
    moved = model.transition(np.concatenate([x, theta]), u)
    a = (moved[2:4] - x[2:]) / plain.dt
    needed = mechanics.inverse(x, a) + mechanics.regressor(x, a) @ theta
    np.testing.assert_allclose(needed, u, atol=5e-3)
    without = mechanics.inverse(x, a)
    assert np.abs(without - u).max() > 1.0


def test_load_and_scale_are_a_mismatch() -> None:
    x, u = np.array([0.4, -0.7, 1.2, -0.8]), np.array([1.5, -0.5])
    ours = adaptive(arm(), ("load:hand", "scale")).transition(np.array([*x, 0.5, -0.3]), u)[:4]
    other = arm(wrong=Mismatch(mass=0.7, inertia=0.7, payload={"hand": 0.5})).transition(x, u)
    np.testing.assert_allclose(ours, other, atol=1e-14)


def test_stiff_dry_friction_holds_a_joint() -> None:
    # Explicit, c h / (v₀ M) = 10 would blow up.
    model = adaptive(arm(), ("coulomb:shoulder", "coulomb:elbow"), creep=1e-3)
    x = np.array([0.05, 0.0, 0.01, -0.01, 3.0, 3.0])
    for _ in range(200):
        x = model.transition(x, np.zeros(2))
    assert (np.abs(x[2:4]) < 1e-3).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnknownNameError):
        adaptive(arm(), ("mass:hand",))
    with pytest.raises(UnknownNameError):
        adaptive(arm(), ("load:foot",))
    with pytest.raises(ShapeError):
        adaptive(arm(), ("scale", "scale"))
    with pytest.raises(ShapeError):
        AdaptiveModel(MujocoParameters(arm(), []), [])
    with pytest.raises(ParameterError):
        Parameter("scale", 0.0)
    with pytest.raises(ParameterError):
        Parameter("scale", 1.0, 0.0)
    with pytest.raises(ParameterError):
        Parameter("scale", 1.0, start=2.0, high=1.0)
    with pytest.raises(ParameterError):
        MujocoParameters(arm(), [], creep=0.0)
    with pytest.raises(ParameterError):
        MujocoParameters(mass(), [])  # type: ignore[arg-type]
    with pytest.raises(ModelError):
        adaptive(arm('<jointactuatorfrc name="f" joint="elbow"/>'))
    with pytest.raises(ModelError):
        adaptive(replace(arm(), noise_input=("hand:x", "elbow")))


def test_physics_that_breaks_down_is_nan() -> None:
    model = adaptive(arm())
    x = np.array(model.start[0])
    x[3] = np.nan
    assert np.isnan(model.transition(x, np.zeros(2))[:4]).all()
    assert all(np.isnan(J[:4]).any() for J in model.transition_jacobians(x, np.zeros(2)))
