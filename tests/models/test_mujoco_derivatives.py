"""Derivatives by forces that actuators exert too, and values that come with derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from robots import pendulum, points, robot

from pcctrl.models import AdaptiveModel, Delayed, MujocoModel, MujocoParameters, Parameter, generalise
from pcctrl.models.differences import differentiate_readout, differentiate_transition
from pcctrl.noise import OrnsteinUhlenbeck

LEG = """<mujoco><option timestep="0.002" integrator="{integrator}" cone="elliptic">{option}</option>
<worldbody><geom type="plane" size="2 2 .1" friction="1"/>
<body name="trunk" pos="0 0 .56"><joint name="lift" type="slide" axis="0 0 1"/>
<joint name="slide" type="slide" axis="1 0 0"/><geom size=".1" mass="3"/><site name="imu"/>
<body name="thigh"><joint name="hip" axis="0 1 0" damping=".3" {hip}/>
<geom type="capsule" size=".03" fromto="0 0 0 0 0 -.3" mass="1"/>
<body name="shank" pos="0 0 -.3"><joint name="knee" axis="0 1 0" damping=".3"/>
<geom type="capsule" size=".04" fromto="0 0 0 0 0 -.225" mass=".5"/></body></body></body></worldbody>
<tendon><fixed name="string"><joint joint="hip" coef="1"/></fixed></tendon>
<actuator>{actuators}<motor name="knee" joint="knee" gear="-30"/></actuator>
<sensor><accelerometer name="acceleration" site="imu"/><gyro site="imu"/><jointpos name="angle" joint="knee"/>
<actuatorfrc name="torque" actuator="knee"/><jointactuatorfrc name="hip torque" joint="hip"/></sensor></mujoco>"""
MOTOR = '<motor name="hip" joint="hip" gear="40"/>'
PUSHED = ("slide", "hip", "knee", "trunk:z")


def leg(actuators: str, hip: str = "", integrator: str = "Euler", option: str = "", **more: Any) -> MujocoModel:
    """Return a leg that stands on its foot, which slips, pushed on its trunk and on both of its hinges."""
    xml = LEG.format(actuators=actuators, hip=hip, integrator=integrator, option=option)
    pushed = more.setdefault("noise_input", PUSHED)
    noise = [OrnsteinUhlenbeck(std=1.0, tau=0.1)] * len(pushed)
    return MujocoModel(xml, qpos=np.array([-0.001, 0.0, 0.1, -0.2]), process_noise=noise, **more)


@pytest.mark.parametrize(
    ("exerted", "how"),
    [
        ([1, 2], {"actuators": MOTOR}),
        ([1, 2], {"actuators": MOTOR, "integrator": "implicitfast"}),
        ([1, 2], {"actuators": '<position joint="hip" kp="50" kv="2"/>'}),
        ([2], {"actuators": '<motor joint="hip" gear="40" forcerange="-1 1"/>'}),
        ([2], {"actuators": MOTOR, "hip": 'actuatorfrcrange="-1 1"'}),
        ([2], {"actuators": '<motor joint="hip" gear="9"/>'}),
        ([2], {"actuators": '<general joint="hip" gear="40" dyntype="filter" dynprm=".1"/>'}),
        ([2], {"actuators": '<general joint="hip" gear="40" gaintype="affine" gainprm="1 3 0"/>'}),
        ([2], {"actuators": '<motor tendon="string" gear="40"/>'}),
        ([], {"actuators": MOTOR, "option": '<flag actuation="disable"/>'}),
    ],
)
def test_a_force_that_an_actuator_exerts_is_differentiated_as_that(exerted: list[int], how: dict[str, str]) -> None:
    model = leg(**how)
    assert model._sim.exerted.forces == exerted
    x, u = model.start[0], np.array([0.4, -0.3])
    x[4:8] = 0.1, 0.3, -0.4, 0.5
    w = np.array([2.0, -1.0, 0.5, -3.0])
    _, _, G, _, _, E = model.jacobians(x, u, w)
    assert model._sim.data.nefc, "the foot is on the ground"
    for name, got, want in (
        ("G", G, differentiate_transition(model, x, u, w)[2]),
        ("E", E, differentiate_readout(model, x, u, w)[2]),
    ):
        np.testing.assert_allclose(got, want, atol=2e-4 * np.abs(want).max(), err_msg=name)
        assert np.abs(want[:, exerted]).max(initial=1.0) > 1e-3


def test_controls_that_are_not_one_for_each_actuator_are_counted() -> None:
    # A motor that is given nothing, and one that is given two numbers.
    before = '<dcmotor joint="hip" motorconst="1" resistance="1" input="none"/>'
    model = leg(before + MOTOR + '<pid name="pid" joint="hip" kp="3"/>', integrator="implicitfast")
    assert model._sim.model.nu == len(model._sim.model.actuator_gear)
    assert model.inputs == ("hip", "pid_0", "pid_1", "knee")
    x, u, w = points(model, 1, 0.0)
    want = differentiate_transition(model, x[0], u[0], w[0])[2]
    np.testing.assert_allclose(model.jacobians(x[0], u[0], w[0]).G, want, atol=2e-4 * np.abs(want).max())


def test_what_reads_an_actuator_does_not_read_a_force_beside_it() -> None:
    model = leg(MOTOR, sensors=["torque", "hip torque", "acceleration"])
    E = model.jacobians(*model.start[:2]).E
    assert model._sim.exerted.forces == [1, 2]
    np.testing.assert_array_equal(E[:2], 0.0)
    assert np.abs(E[2:, 1:3]).max() > 1e-3


def test_far_from_the_origin_positions_are_differentiated_by_velocities() -> None:
    model = leg(MOTOR)
    x, u, _ = model.start
    x[1] = 1000.0
    G = model.jacobians(x, u).G
    np.testing.assert_allclose(G[:4, 1:3], 0.002 * G[4:8, 1:3], rtol=1e-12)


def test_integrators_that_end_a_step_otherwise_fall_back() -> None:
    model = leg(MOTOR, integrator="discrete")
    assert not model.native
    x, u, w = model.start[0], model.start[1], np.ones(4)
    ahead, F, *_ = model.linearised_transition(x, u, w)
    np.testing.assert_array_equal(ahead, model.transition(x, u, w))
    np.testing.assert_array_equal(F, differentiate_transition(model, x, u, w)[0])


def test_values_come_with_derivatives_as_they_are_alone() -> None:
    friction = [Parameter("viscous:hip", 0.5, 20.0, low=0.0, high=3.0)]
    plain = leg(MOTOR, sensors=["angle"], noise_input=PUSHED[1:3])
    adaptive = AdaptiveModel(MujocoParameters(plain, friction), friction)
    late = Delayed(leg(MOTOR), [0.0] * 6 + [0.004, 0.0, 0.0])
    models: list[Any] = [robot(), robot(0.1), pendulum("RK4", dt=0.01), leg(MOTOR), adaptive, late]
    for model in models:
        x, u, w = points(model, 5, 0.05)
        for at in ((x, u, w), (x[0], u[0], w[0])):
            ahead, *by_step = model.linearised_transition(*at)
            y, *by_read = model.linearised_readout(*at)
            np.testing.assert_array_equal(ahead, model.transition(*at))
            np.testing.assert_array_equal(y, model.readout(*at))
            for got, want in zip((*by_step, *by_read), model.jacobians(*at), strict=True):
                np.testing.assert_array_equal(got, want)
        joint: Any = generalise(model, 2)
        mean = np.zeros((3, joint.size)) + joint.mean
        mean[:, : joint.plant] = x[:3]
        y, C = joint.linearised_readout(mean, joint.input)
        np.testing.assert_array_equal(y, joint.readout(mean, joint.input))
        np.testing.assert_array_equal(C, joint.readout_jacobian(mean, joint.input))
        np.testing.assert_array_equal(joint.linearised(mean, joint.input)[0], joint.ahead(mean, joint.input))


def test_what_breaks_down_is_nan_in_values_and_derivatives() -> None:
    model = leg(MOTOR)
    x, u, w = points(model, 3, 0.05)
    x[1, 4] = np.inf
    for results in (model.linearised_transition(x, u, w), model.linearised_readout(x, u, w)):
        for result in results:
            assert np.isnan(result[1]).all()
            assert np.isfinite(result[[0, 2]]).all()
