from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray
from robots import WIND, pendulum, points, robot
from scipy.integrate import solve_ivp

from pcctrl.models import GenerativeModel, Mismatch, MujocoModel, linearise
from pcctrl.noise import White


def differences(model: GenerativeModel, x: Any, u: Any, w: Any) -> list[NDArray[np.float64]]:
    """Finite differences in tangent space, one entry at a time: F, B, G, C, D, E."""
    eps, out = 1e-6, []
    for which, size in enumerate((len(x), len(u), len(w))):
        by_state, by_sensor = [], []
        for e in np.eye(size) * eps:
            ends = [
                (model.integrate(x, s * e), u, w)
                if which == 0
                else (x, u + s * e, w)
                if which == 1
                else (x, u, w + s * e)
                for s in (1.0, -1.0)
            ]
            ahead, behind = (model.transition(*end) for end in ends)
            by_state.append(model.difference(ahead, behind) / (2 * eps))
            by_sensor.append((model.readout(*ends[0]) - model.readout(*ends[1])) / (2 * eps))
        out += [np.array(by_state).T, np.array(by_sensor).T]
    return out[::2] + out[1::2]


def test_pendulum_follows_its_equation_of_motion() -> None:
    model = pendulum(dt=0.2)
    inertia = 0.01 + 2.0 * 0.25

    def rates(_: float, x: Any) -> list[float]:
        return [x[1], (0.7 + 0.4 - 0.1 * x[1] - 2.0 * 9.81 * 0.5 * np.sin(x[0])) / inertia]

    exact = solve_ivp(rates, (0.0, 0.2), [1.0, -0.5], rtol=1e-10, atol=1e-12).y[:, -1]
    errors = [
        np.abs(pendulum(dt=0.2, step=step).transition([1.0, -0.5], [0.7], [0.4]) - exact).max()
        for step in (0.002, 0.001)
    ]
    assert errors[1] < 2e-3
    assert errors[1] < 0.6 * errors[0], "first order in the physics step"
    np.testing.assert_allclose(pendulum("RK4", dt=0.2).transition([1.0, -0.5], [0.7], [0.4]), exact, atol=1e-9)
    assert (model.states, model.inputs, model.sensors) == (("hinge_pos", "hinge_vel"), ("torque",), ("angle",))
    assert (model.substeps, model.limits[1][0]) == (200, 1.0)


def test_moves_of_rotations_go_there_and_back() -> None:
    model = robot()
    x, *_ = points(model, 6, scale=1.0)
    move = np.random.default_rng(0).standard_normal(x.shape)
    moved = model.integrate(x, move)
    np.testing.assert_allclose(model.difference(moved, x), move, atol=1e-10)
    np.testing.assert_allclose(model.integrate(x, model.difference(moved, x)), moved, atol=1e-10)
    # A state is what mj_differentiatePos says of it, and comes back from MuJoCo's own numbers.
    for row, other in zip(x, moved, strict=True):
        qpos, qvel, act = model.configuration(row)
        np.testing.assert_allclose(model.state(qpos, qvel, act), row, atol=1e-12)
        expected = np.zeros(len(qvel))
        mujoco.mj_differentiatePos(model.source, expected, 1.0, qpos, model.configuration(other)[0])
        np.testing.assert_allclose(model.difference(other, row)[: len(qvel)], expected, atol=1e-12)
    # Positions are absolute, rotations are from the reference.
    np.testing.assert_allclose(model.start[0][:6], [0.1, 0.2, 1.0, 0.0, 0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("height", "integrator"), [(1.0, "implicitfast"), (1.0, "Euler"), (1.0, "RK4"), (0.1, "Euler")]
)
def test_jacobians_are_finite_differences_in_tangent_space(height: float, integrator: str) -> None:
    model = robot(height, integrator)
    assert model.native == (integrator != "RK4")
    # Over the floor it stands in contact, where differences of the solver are rougher.
    contact = height < 0.5
    x, u, w = points(model, 2, 0.0 if contact else 0.3)
    jacobians = model.jacobians(x, u, w)
    for k in range(2):
        for name, got, want in zip("FBGCDE", jacobians, differences(model, x[k], u[k], w[k]), strict=True):
            scale = max(1.0, np.abs(want).max())
            np.testing.assert_allclose(got[k] / scale, want / scale, atol=2e-4 if contact else 2e-6, err_msg=name)
    assert np.abs(jacobians.E).max() > 0.1, "an accelerometer feels a push"


def test_a_batch_is_its_rows_and_nothing_is_remembered() -> None:
    for model in (robot(), robot(0.1), pendulum("RK4", dt=0.01)):
        x, u, w = points(model, 6)
        for method in (model.transition, model.readout):
            first = method(x, u, w)
            rows = np.array([method(*row) for row in zip(x, u, w, strict=True)])
            np.testing.assert_array_equal(first, rows)
            np.testing.assert_array_equal(method(x.reshape(2, 3, -1), u.reshape(2, 3, -1), w[0]).shape[:2], (2, 3))
            np.testing.assert_array_equal(method(x, u, w), first)
        np.testing.assert_allclose(model.jacobians(x, u, w).F[2], model.jacobians(x[2], u[2], w[2]).F, atol=1e-9)
        assert model.transition(x[:0], u[:0]).shape == x[:0].shape
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.transition(x, u, w), model.transition(x, u, w))


def test_rk4_and_delays_fall_back() -> None:
    x, u, w = [0.7, -0.3], [0.5], [0.2]
    plain = pendulum("Euler", dt=0.01).jacobians(x, u, w)
    delayed = pendulum("Euler", dt=0.01, delay=' nsample="4" delay="0.002"')
    assert not delayed.native
    for got, want in zip(delayed.jacobians(x, u, w), plain, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-7)


def test_jacobians_at_rest_are_the_linearised_model() -> None:
    mjmodel = pendulum().source
    linear = linearise(
        mjmodel, [0.0], [0.0], [0.0], dt=0.02, noise_input=["hinge"], process_noise=[WIND], prior=np.eye(2)
    )
    model = MujocoModel(mjmodel, dt=0.02, noise_input=["hinge"], process_noise=[WIND], disturbance=0.1, prior=np.eye(2))
    for got, want in zip(model.jacobians(*model.start[:2]), linear.jacobians(), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-7)
    assert (model.states, model.inputs, model.sensors) == (linear.states, linear.inputs, linear.sensors)
    assert model.sensor_noise == linear.sensor_noise == (White(std=1e-3),)
    # Both are what a filter asks for.
    either: GenerativeModel
    for either in (model, linear):
        np.testing.assert_array_equal(either.start[0], np.zeros(2))
        np.testing.assert_array_equal(
            either.difference(either.integrate([1.0, 2.0], [0.5, 0.0]), [1.0, 2.0]), [0.5, 0.0]
        )
        assert either.limits[0].shape == (1,)


def test_steps_of_resampled_models_chain_to_a_sample() -> None:
    model = robot()
    fine = model.resampled(model.dt / model.substeps)
    x, u, w = (a[0] for a in points(model, 1))
    ahead = fine.transition(fine.transition(x, u, w), u, w)
    np.testing.assert_allclose(ahead, model.transition(x, u, w), atol=1e-9)


def test_gymnasium_tasks_load_and_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, native, sensors in (
        ("Reacher-v5", False, ["qpos:joint0", "qvel:joint1", "xpos:fingertip"]),
        ("HalfCheetah-v5", True, ["qpos:rooty", "xpos:torso"]),
    ):
        env: Any = gym.make(name)
        env.reset(seed=1)
        inside = env.unwrapped
        before = [
            np.array(getattr(inside.data, f)) for f in ("qpos", "qvel", "ctrl", "qacc", "sensordata", "xfrc_applied")
        ]
        mass = inside.model.body_mass.copy()
        model = MujocoModel(env, sensors=sensors, wrong=Mismatch(mass=1.3))
        assert (model.dt, model.native) == (inside.dt, native)
        np.testing.assert_array_equal(model.configuration(model.start[0])[0], inside.init_qpos)
        x, u, w = points(model, 3, 0.05)
        model.jacobians(x, u, w)
        after = [
            np.array(getattr(inside.data, f)) for f in ("qpos", "qvel", "ctrl", "qacc", "sensordata", "xfrc_applied")
        ]
        for old, new in zip(before, after, strict=True):
            np.testing.assert_array_equal(old, new)
        np.testing.assert_array_equal(inside.model.body_mass, mass)
        # The right model predicts the environment; the wrong one does not.
        state = model.state(inside.data.qpos, inside.data.qvel)
        env.action_space.seed(0)
        action = env.action_space.sample()
        env.step(action)
        reached = model.state(inside.data.qpos, inside.data.qvel)
        np.testing.assert_allclose(replace(model, wrong=None).transition(state, action), reached, atol=1e-6)
        assert np.abs(model.transition(state, action) - reached).max() > 5e-5
        env.close()


KINDS = ("body_", "geom_", "dof_", "jnt_", "actuator_", "pair_", "qpos")
ARRAYS = [n for n in dir(mujoco.MjModel) if n.startswith(KINDS)]


@pytest.mark.parametrize(
    ("wrong", "changed"),
    [
        (Mismatch(), set()),
        (Mismatch(friction=1.3), {"geom_friction"}),
        (Mismatch(damping=0.5), {"dof_damping"}),
        (Mismatch(frictionloss=2.0), {"dof_frictionloss"}),
        (Mismatch(mass=1.1, bodies=["hand"]), {"body_mass"}),
        (Mismatch(inertia=1.1, bodies="hand"), {"body_inertia"}),
        (Mismatch(payload={"hand": 1.0}), {"body_mass"}),
    ],
)
def test_a_wrong_model_is_wrong_in_that_alone(wrong: Mismatch, changed: set[str]) -> None:
    right, model = robot(), robot(wrong=wrong)
    mine, theirs = model._sim.model, right._sim.model
    found = {n for n in ARRAYS if not np.array_equal(getattr(mine, n), getattr(theirs, n))}
    derived = {"body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0", "actuator_acc0", "dof_length"}
    assert changed <= found <= changed | derived
    if changed & {"body_mass"}:
        factor = 1.1 if wrong.mass == 1.1 else 6.0
        np.testing.assert_allclose(mine.body("hand").mass, factor * theirs.body("hand").mass)
    if changed & {"dof_damping"}:
        np.testing.assert_allclose(mine.dof_damping, 0.5 * theirs.dof_damping)


def test_estimation_without_inputs_and_single_readings() -> None:
    model = robot(inputs=(), sensors=["gyro_2", "qpos:root_2", "qvel:slider"])
    x, u, _ = model.start
    assert (model.inputs, model.sensors, u.shape) == ((), ("gyro_2", "qpos:root_2", "qvel:slider"), (0,))
    assert model.jacobians(x, u).B.shape == (21, 0)
    assert replace(model, dt=0.02).sensors == model.sensors
    np.testing.assert_allclose(model.readout(x, u), [0.0, 1.0, 0.0], atol=1e-12)
