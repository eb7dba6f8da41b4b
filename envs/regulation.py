"""Regulation of a MuJoCo plant that is disturbed by coloured forces and seen through sensors."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import Array
from pcctrl.envs.actions import as_action
from pcctrl.envs.own_file import OwnFile
from pcctrl.errors import ParameterError
from pcctrl.models import LinearModel, Task, linearise
from pcctrl.models.checks import as_noises
from pcctrl.models.mujoco.names import choose_forces
from pcctrl.noise import Noise, NoiseStream

__all__ = ["CartPoleEnv", "MassSpringDamperEnv", "RegulationEnv", "check_rendering", "render_metadata"]

# Sensors and cost are bounded only so that the space is; a plant that gets here has failed long before.
_READING_LIMIT = 1e3


def render_metadata(fps: int) -> dict[str, Any]:
    """Return the render modes that this machine has: without a display or MUJOCO_GL=egl, GLFW aborts the process."""
    display = sys.platform in ("win32", "darwin") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    offscreen = display or os.environ.get("MUJOCO_GL", "").lower() in ("egl", "osmesa")
    modes = [*(["rgb_array", "depth_array"] if offscreen else []), *(["human"] if display else [])]
    return {"render_modes": modes, "render_fps": fps}


def check_rendering(render_mode: str | None) -> None:
    """Raise an error if this machine has no such render mode: to go on would end the process.

    Raises:
        ParameterError: no display, and no MUJOCO_GL for one.
    """
    if render_mode is not None and render_mode not in render_metadata(1)["render_modes"]:
        expected = "a display, or off the screen MUJOCO_GL=egl (or osmesa) in the environment before Python starts"
        raise ParameterError(name="render_mode", expected=expected, received=render_mode)


class RegulationEnv(OwnFile, MujocoEnv):
    """Keep a plant at its rest. A subclass names the file and the constants.

    Observations are the exact sensor readings (m, rad); wrap in `Sensors` for real ones. Actions are forces in N. The
    reward is −(xᵀWx + uᵀρu), about rest, of the state in which the action was taken. ``info`` has the true ``state``
    (positions, velocities, then the actuators' own; of a free joint the way from rest), the ``cost``, the mean
    ``disturbance`` forces (q,) over the step in N, and whether the plant ``failed``.

    Args:
        process_noise: the q disturbing forces in N, or the only one; by default smooth, of two samples.
        render_mode: ``rgb_array`` or ``depth_array`` (headless: set MUJOCO_GL=egl first), ``human`` with a display.

    Raises:
        ParameterError: ``process_noise`` has no power as a process.
        ShapeError: it is of another number.
    """

    has_own_noise: ClassVar[bool] = False
    disturbed: ClassVar[tuple[str, ...]]
    process_std: ClassVar[tuple[float, ...]] = (1.0,)
    sensor_std: ClassVar[tuple[float, ...]]
    weight: ClassVar[tuple[float, ...]]
    action_weight: ClassVar[float] = 0.01
    start_std: tuple[float, ...]
    bounds: ClassVar[tuple[float, ...]]

    def __init__(self, process_noise: Noise | Sequence[Noise] | None = None, render_mode: str | None = None) -> None:
        check_rendering(render_mode)
        super().__init__(
            self.path(),
            self.frame_skip_,
            observation_space=Box(-_READING_LIMIT, _READING_LIMIT, (len(self.reading_std),), np.float64),
            render_mode=render_mode,
            camera_name="side",
        )
        low, high = self.model.actuator_ctrlrange.T
        self.action_space = self._box = Box(low, high, dtype=np.float64)
        noises = self.default_process() if process_noise is None else process_noise
        self.process_noise = as_noises("process_noise", noises, len(self.disturbed), sensor=False)
        _, self._general, self._cartesian = choose_forces(self.model, self.disturbed)
        self._streams: list[NoiseStream] = []
        self._forces = np.zeros((0, len(self.disturbed)))
        self.rest = np.zeros(self.model.nu)

    @property
    def reading_std(self) -> tuple[float, ...]:
        """Standard deviation of each reading's noise, if none is given."""
        return self.sensor_std

    def default_process(self) -> list[Noise]:
        """Return the disturbances that there are if none are given."""
        return [self.default_noise(std) for std in self.process_std]

    def default_sensors(self) -> list[Noise]:
        """Return the noise that the sensors have if none is given."""
        return [self.default_noise(std) for std in self.reading_std]

    def task(self, sensor_noise: Sequence[Noise]) -> Task:
        """Return the regulation task with its model linearised at rest, given the noise of each sensor."""
        low, high = self.model.actuator_ctrlrange.T
        return Task(
            self.linear_model(sensor_noise),
            np.diag(self.weight),
            np.eye(self.model.nu) * self.action_weight,
            low.copy(),
            high.copy(),
        )

    def linear_model(self, sensor_noise: Sequence[Noise], sensors: Sequence[str] | None = None) -> LinearModel:
        """Return the plant linearised at rest with this environment's disturbances and the given sensor noises.

        Args:
            sensor_noise: one a reading.
            sensors: names of the MJCF's that are read, all by default.
        """
        return linearise(
            self.model,
            self.init_qpos,
            self.init_qvel,
            self.rest,
            sensors,
            dt=self.dt,
            noise_input=self.disturbed,
            process_noise=self.process_noise,
            sensor_noise=sensor_noise,
            prior=np.diag(np.square(self.start_std)),
        )

    def reset_model(self) -> Array:
        """Draw a start and a new disturbance."""
        nv = self.model.nv
        start = self.np_random.standard_normal(len(self.start_std)) * self.start_std
        self.data.qpos[:], self.data.qvel[:] = self.init_qpos, self.init_qvel + start[nv : 2 * nv]
        mujoco.mj_integratePos(self.model, self.data.qpos, start[:nv], 1.0)
        self.data.ctrl[:] = self.rest
        self.data.act[:] = self.rest[: self.model.na] + start[2 * nv :]
        mujoco.mj_forward(self.model, self.data)
        h = float(self.model.opt.timestep)
        self._streams = [noise.stream(self.np_random, h) for noise in self.process_noise]
        self._forces = self._forces[:0]
        return self._readings()

    def _get_reset_info(self) -> dict[str, Any]:
        return {"state": self._state(), "cost": 0.0, "disturbance": np.zeros(len(self.disturbed)), "failed": False}

    def step(self, action: ArrayLike) -> tuple[Array, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Hold ``action`` (N) for one sample; see the class for what comes back.

        Raises:
            ShapeError: the action has another size.
            ParameterError: the action is not finite.
        """
        if not self._streams:
            raise ParameterError(name="step", expected="reset() first", received="a new environment")
        u = as_action(action, self._box)
        effort = self.action_weight * float(np.sum(np.square(u - self.rest)))
        cost = self._distance() + effort
        forces = self._draw()
        self.data.ctrl[:] = u
        for now in forces:
            self._push(now)
            mujoco.mj_step(self.model, self.data)
        # A white force has no value at a moment that an accelerometer could feel.
        self._push(forces[-1] * [w.density == 0.0 for w in self.process_noise])
        mujoco.mj_forward(self.model, self.data)
        after = self._state()
        failed = not bool((np.abs(after) < self.bounds).all())
        if failed:
            # A lost plant costs what it has come to, not what it was a sample before.
            cost = max(cost, self._distance() + effort)
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]
        info = {"state": after, "cost": cost, "disturbance": forces.mean(axis=0), "failed": failed}
        return self._readings(), -cost, failed, False, info

    def _push(self, forces: Array) -> None:
        self.data.qfrc_applied[:] = forces @ self._general
        self.data.xfrc_applied[:] = (forces @ self._cartesian).reshape(-1, 6)

    def _draw(self) -> Array:
        """Return the forces (frame_skip, q) of the next sample, drawn in blocks."""
        if not len(self._forces):
            self._forces = np.stack([stream.draw(256 * self.frame_skip) for stream in self._streams], axis=-1)
        forces, self._forces = self._forces[: self.frame_skip], self._forces[self.frame_skip :]
        return forces

    def _readings(self) -> Array:
        return np.array(self.data.sensordata)

    def _state(self) -> Array:
        return np.concatenate([self.data.qpos, self.data.qvel, self.data.act])

    def _distance(self) -> float:
        """Return xᵀWx of the present state."""
        state = self._state()
        return float(state @ (np.asarray(self.weight) * state))


class CartPoleEnv(RegulationEnv):
    """Balance a pole on a cart from the cart's position and the pole's angle, pushed by a force.

    Cart 1 kg, pole 0.1 kg of half length 0.5 m, dt 0.02 s, force at most 20 N. State: position, angle, velocity,
    angular velocity (m, rad, 1/s). W = diag(1, 10, 0, 0), ρ = 0.01. Fails beyond 2.4 m or 0.5 rad.
    """

    metadata = render_metadata(50)
    file = "cartpole.xml"
    frame_skip_ = 4
    disturbed = ("cart",)
    sensor_std = (0.01, 0.005)
    weight = (1.0, 10.0, 0.0, 0.0)
    start_std = (0.1, 0.05, 0.05, 0.05)
    bounds = (2.4, 0.5, np.inf, np.inf)


class MassSpringDamperEnv(RegulationEnv):
    """Hold a mass on a spring still from its position alone, pushed by a force.

    Mass 1 kg, spring 4 N/m, damper 0.4 N·s/m, dt 0.1 s, force at most 20 N. State: position, velocity (m, m/s).
    W = diag(1, 0), ρ = 0.01. Fails beyond 10 m.
    """

    metadata = render_metadata(10)
    file = "mass_spring_damper.xml"
    frame_skip_ = 10
    disturbed = ("mass",)
    sensor_std = (0.1,)
    weight = (1.0, 0.0)
    start_std = (0.2, 0.2)
    bounds = (10.0, np.inf)
