from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest

from pcctrl.errors import ModelError, ParameterError, UnknownNameError
from pcctrl.models import linearise
from pcctrl.noise import OrnsteinUhlenbeck, White

XML = """
<mujoco>
  <option timestep="0.005" integrator="{integrator}"/>
  <worldbody>
    <body>
      <joint name="hinge" type="hinge" axis="0 1 0" damping="0.05"/>
      <geom type="capsule" fromto="0 0 0 0 0 -1" size="0.03" mass="1"/>
      <body pos="0 0 -1">
        <joint name="elbow" type="hinge" axis="0 1 0" damping="0.02"/>
        <geom type="capsule" fromto="0 0 0 0 0 -0.7" size="0.03" mass="0.5"/>
      </body>
    </body>
  </worldbody>
  <actuator><motor name="torque" joint="hinge"/></actuator>
  <sensor>
    <jointpos name="angle" joint="hinge"{delay}/>
    <jointvel name="rate" joint="elbow" noise="0.02"/>
  </sensor>
</mujoco>
"""


def pendulum(integrator: str = "Euler", delay: str = "") -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(XML.format(integrator=integrator, delay=delay))


def step(model: mujoco.MjModel, state: np.ndarray, u: float, force: float) -> tuple[np.ndarray, np.ndarray]:
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:], data.ctrl[:] = state[:2], state[2:], u
    mujoco.mj_forward(model, data)
    sensors = np.array(data.sensordata)
    data.qfrc_applied[1] = force
    mujoco.mj_step(model, data)
    return np.concatenate([data.qpos, data.qvel]), sensors


def test_matrices_equal_finite_differences_of_the_simulator() -> None:
    model = pendulum()
    linear = linearise(
        model, [0, 0], [0, 0], [0], ["rate", "angle"], noise_input=["elbow"], process_noise=[White(density=1.0)]
    )
    eps = 1e-5
    for i in range(4):
        moved = np.eye(4)[i] * eps
        (ahead, y_ahead), (behind, y_behind) = step(model, moved, 0, 0), step(model, -moved, 0, 0)
        np.testing.assert_allclose(linear.A[:, i], (ahead - behind) / (2 * eps), atol=1e-7)
        np.testing.assert_allclose(linear.C[:, i], (y_ahead - y_behind)[::-1] / (2 * eps), atol=1e-7)
    zero = np.zeros(4)
    by_control = (step(model, zero, eps, 0)[0] - step(model, zero, -eps, 0)[0]) / (2 * eps)
    by_force = (step(model, zero, 0, eps)[0] - step(model, zero, 0, -eps)[0]) / (2 * eps)
    np.testing.assert_allclose(linear.B[:, 0], by_control, atol=1e-7)
    np.testing.assert_allclose(linear.noise_input[:, 0], by_force, atol=1e-6)
    assert linear.states == ("hinge_pos", "elbow_pos", "hinge_vel", "elbow_vel")
    assert (linear.inputs, linear.sensors) == (("torque",), ("rate", "angle"))
    assert [z.std for z in linear.sensor_noise] == [0.02, 1e-3]  # type: ignore[attr-defined]


def test_equals_mujocos_own_derivatives() -> None:
    model = pendulum()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    A, B, C, D = np.zeros((4, 4)), np.zeros((4, 1)), np.zeros((2, 4)), np.zeros((2, 1))
    mujoco.mjd_transitionFD(model, data, 1e-6, True, A, B, C, D)
    linear = linearise(model, [0, 0], [0, 0], [0])
    got: Any
    want: Any
    for got, want in zip((linear.A, linear.B, linear.C, linear.D), (A, B, C, D), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-7)


def test_rk4_and_delays_which_mujoco_cannot_differentiate() -> None:
    model = pendulum("RK4", ' nsample="4" delay="0.01"')
    linear = linearise(model, [0, 0], [0, 0], [0])
    assert model.sensor_delay[0] == pytest.approx(0.01)
    np.testing.assert_allclose(linear.C, linearise(pendulum(), [0, 0], [0, 0], [0]).C, atol=1e-9)
    moved = np.array([1e-5, 0.0, 0.0, 0.0])
    ahead, behind = step(model, moved, 0, 0)[0], step(model, -moved, 0, 0)[0]
    np.testing.assert_allclose(linear.A[:, 0], (ahead - behind) / 2e-5, atol=1e-7)


def test_control_interval_composes_physics_steps() -> None:
    one = linearise(pendulum(), [0, 0], [0, 0], [0]).joint(0)
    four = linearise(pendulum(), [0, 0], [0, 0], [0], dt=0.02).joint(0)
    np.testing.assert_allclose(four.F, np.linalg.matrix_power(one.F, 4), atol=1e-12)


def test_bad_arguments_are_named() -> None:
    model = pendulum()
    with pytest.raises(ModelError, match="at rest"):
        linearise(model, [1.0, 0], [0, 0], [0])
    with pytest.raises(UnknownNameError, match="angle, rate"):
        linearise(model, [0, 0], [0, 0], [0], ["gyro"])
    with pytest.raises(UnknownNameError, match="hinge, elbow"):
        linearise(model, [0, 0], [0, 0], [0], noise_input=["knee"], process_noise=[White(density=1.0)])
    with pytest.raises(ParameterError, match="multiple"):
        linearise(model, [0, 0], [0, 0], [0], dt=0.012)
    with pytest.raises(ParameterError, match="MjModel"):
        linearise("model.xml", [0, 0], [0, 0], [0])


LAGGED = """
<mujoco>
  <option timestep="0.005" gravity="0 0 -9.81"/>
  <worldbody>
    <body name="craft">
      <freejoint name="free"/>
      <inertial pos="0 0 0" mass="2" diaginertia="0.1 0.2 0.3"/>
      <site name="left" pos="0 0.5 0"/>
      <site name="right" pos="0 -0.5 0"/>
    </body>
  </worldbody>
  <actuator>
    <general name="left" site="left" gear="0 0 1 0 0 0" dyntype="filterexact" dynprm="0.05" gainprm="1"/>
    <general name="right" site="right" gear="0 0 1 0 0 0" dyntype="filter" dynprm="0.05" gainprm="1"/>
  </actuator>
  <sensor><accelerometer name="acc" site="left"/><gyro name="gyro" site="left"/></sensor>
</mujoco>
"""


def test_lagging_actuators_and_forces_on_a_free_body() -> None:
    model = mujoco.MjModel.from_xml_string(LAGGED)
    data = mujoco.MjData(model)
    hover = np.full(2, 9.81)
    data.ctrl[:] = data.act[:] = hover
    mujoco.mj_forward(model, data)
    A, B, C, D = np.zeros((14, 14)), np.zeros((14, 2)), np.zeros((6, 14)), np.zeros((6, 2))
    mujoco.mjd_transitionFD(model, data, 1e-6, True, A, B, C, D)
    slow, quick = OrnsteinUhlenbeck(1.0, 1.0), White(density=1.0)
    linear = linearise(
        model, model.qpos0, np.zeros(6), hover, noise_input=["craft:x", "free_5", "craft:x"],
        process_noise=[slow, slow, quick],
    )  # fmt: skip
    got: Any
    for got, want in zip((linear.A, linear.B, linear.C, linear.D), (A, B, C, D), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)
    assert linear.states[-2:] == ("left_act", "right_act")  # type: ignore[index]
    np.testing.assert_allclose(linear.start[0][-2:], hover)
    # A newton on 2 kg, and a newton metre on 0.3 kg m² half a metre away; a white force has no value to be felt.
    felt = np.zeros((6, 3))
    felt[0, :2] = 1.0 / 2.0, -0.5 / 0.3
    np.testing.assert_allclose(linear.noise_outputs, felt, atol=1e-9)
    np.testing.assert_allclose(linear.noise_input[6] / 0.005, [0.5, 0.0, 0.5], atol=1e-9)
    with pytest.raises(ModelError, match="at rest"):
        linearise(model, model.qpos0, np.zeros(6), 0.9 * hover)
