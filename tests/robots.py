"""MuJoCo models that tests of models use: a pendulum, and a free body with every kind of joint."""

from __future__ import annotations

from typing import Any

import numpy as np

from pcctrl.models import MujocoModel
from pcctrl.noise import OrnsteinUhlenbeck

WIND = OrnsteinUhlenbeck(std=1.0, tau=0.5)

PENDULUM = """
<mujoco>
  <option timestep="{step}" integrator="{integrator}"/>
  <worldbody>
    <body name="bob"><joint name="hinge" type="hinge" axis="0 1 0" damping="0.1"/>
      <inertial pos="0 0 -0.5" mass="2" diaginertia="0.01 0.01 0.01"/></body>
  </worldbody>
  <actuator><motor name="torque" joint="hinge" ctrlrange="-1 1" ctrllimited="true"/></actuator>
  <sensor><jointpos name="angle" joint="hinge"{delay}/></sensor>
</mujoco>
"""

# A free body that carries a ball-jointed arm and a servo with a state of its own, over a floor.
ROBOT = """
<mujoco>
  <option timestep="0.005" integrator="{integrator}"/>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 0.1"/>
    <body name="base" pos="0 0 {height}">
      <freejoint name="root"/>
      <geom type="box" size="0.2 0.15 0.1" mass="3"/>
      <site name="imu" pos="0.1 0 0"/>
      <body name="arm" pos="0.2 0 0.1">
        <joint name="shoulder" type="ball" damping="0.1"/>
        <geom type="capsule" fromto="0 0 0 0.1 0 0.3" size="0.03" mass="0.5"/>
        <body name="hand" pos="0.1 0 0.3">
          <joint name="slider" type="slide" axis="1 0 0" stiffness="5" damping="0.2" frictionloss="0.01"/>
          <geom type="sphere" size="0.05" mass="0.2"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <general name="servo" joint="slider" dyntype="filter" dynprm="0.05" gainprm="2"/>
    <motor name="twist" joint="shoulder" gear="0 1 0"/>
  </actuator>
  <sensor>
    <accelerometer name="acc" site="imu"/><gyro name="gyro" site="imu"/>
    <framepos name="tip" objtype="body" objname="hand"/><jointvel name="slide" joint="slider" noise="0.02"/>
  </sensor>
</mujoco>
"""
READ = ("acc", "gyro", "tip", "slide", "qpos:root", "qvel:shoulder", "xpos:arm", "xmat:arm_5", "qpos:shoulder")


def pendulum(integrator: str = "implicitfast", step: float = 0.001, delay: str = "", **named: Any) -> MujocoModel:
    xml = PENDULUM.format(integrator=integrator, step=step, delay=delay)
    return MujocoModel(xml, noise_input=["hinge"], process_noise=[WIND], **named)


def robot(height: float = 1.0, integrator: str = "implicitfast", **named: Any) -> MujocoModel:
    given: dict[str, Any] = {
        "sensors": READ,
        "noise_input": ["base:x", "hand:ry", "slider", "shoulder_1"],
        "process_noise": [WIND] * 4,
        "dt": 0.01,
        "qpos": [0.1, 0.2, height, *np.array([0.8, 0.2, -0.4, 0.4]), *np.array([0.6, 0.0, 0.8, 0.0]), 0.05],
    }
    return MujocoModel(ROBOT.format(height=height, integrator=integrator), **{**given, **named})


def points(model: MujocoModel, count: int, scale: float = 0.3) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(3)
    x0, u0, _ = model.start
    x = model.integrate(x0, scale * rng.standard_normal((count, len(x0))))
    return x, u0 + rng.uniform(-1, 1, (count, len(u0))), rng.standard_normal((count, len(model.process_noise)))
