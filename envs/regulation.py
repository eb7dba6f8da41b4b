"""Regulation of a MuJoCo plant that is disturbed by a coloured force and seen through position sensors."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import Array
from pcctrl.envs.actions import as_action
from pcctrl.errors import ParameterError
from pcctrl.models import LinearModel, Task, linearise
from pcctrl.noise import Noise, NoiseStream, Smooth

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CartPoleEnv", "MassSpringDamperEnv", "RegulationEnv", "render_metadata"]

# Sensors and cost are bounded only so that the space is; a plant that gets here has failed long before.
_READING_LIMIT = 1e3


def render_metadata(fps: int) -> dict[str, Any]:
    """Return the render modes that this machine has: without a display or MUJOCO_GL=egl, GLFW aborts the process."""
    display = sys.platform in ("win32", "darwin") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    offscreen = display or os.environ.get("MUJOCO_GL", "").lower() in ("egl", "osmesa")
    modes = [*(["rgb_array", "depth_array"] if offscreen else []), *(["human"] if display else [])]
    return {"render_modes": modes, "render_fps": fps}


class RegulationEnv(MujocoEnv):
    """Keep a plant at its rest. A subclass names the file and the constants.

    Observations are the exact sensor readings (m, rad); wrap in `Sensors` for real ones. Actions are forces in N. The
    reward is −(xᵀWx + ρu²) of the state in which the action was taken. ``info`` has the true ``state`` (positions, then
    velocities), the ``cost``, the mean ``disturbance`` force over the step in N, and whether the plant ``failed``.

    Args:
        process_noise: the disturbing force in N; by default smooth, of two samples.
        render_mode: ``rgb_array`` or ``depth_array`` (headless: set MUJOCO_GL=egl first), ``human`` with a display.

    Raises:
        ParameterError: ``process_noise`` has no power as a process.
    """

    file: ClassVar[str]
    frame_skip_: ClassVar[int]
    disturbed: ClassVar[str]
    process_std: ClassVar[tuple[float, ...]] = (1.0,)
    sensor_std: ClassVar[tuple[float, ...]]
    weight: ClassVar[tuple[float, ...]]
    action_weight: ClassVar[float] = 0.01
    start_std: ClassVar[tuple[float, ...]]
    bounds: ClassVar[tuple[float, ...]]

    def __init__(self, process_noise: Noise | None = None, render_mode: str | None = None) -> None:
        super().__init__(
            str(Path(__file__).with_name(self.file)),
            self.frame_skip_,
            observation_space=Box(-_READING_LIMIT, _READING_LIMIT, (len(self.sensor_std),), np.float64),
            render_mode=render_mode,
            camera_name="side",
        )
        low, high = self.model.actuator_ctrlrange.T
        self.action_space = self._box = Box(low, high, dtype=np.float64)
        self.process_noise = self.default_noise(self.process_std[0]) if process_noise is None else process_noise
        if not isinstance(self.process_noise, Noise) or not self.process_noise.is_process:
            raise ParameterError(
                name="process_noise", expected="White(density=…) or a coloured noise", received=self.process_noise
            )
        self._dof = int(self.model.joint(self.disturbed).dofadr[0])
        self._stream: NoiseStream | None = None
        self._forces = np.zeros(0)

    @classmethod
    def sample_time(cls) -> float:
        """Return the control interval in seconds."""
        step = mujoco.MjModel.from_xml_path(str(Path(__file__).with_name(cls.file))).opt.timestep
        return float(step) * cls.frame_skip_

    @classmethod
    def default_noise(cls, std: float) -> Smooth:
        """Return the environment's own colour, smooth over two samples with a floor of 1e-3, at a given std."""
        return Smooth(std, s=2.0 * cls.sample_time(), floor=1e-3)

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

    def linear_model(self, sensor_noise: Sequence[Noise]) -> LinearModel:
        """Return the plant linearised at rest with this environment's disturbance and the given sensor noises."""
        return linearise(
            self.model,
            self.init_qpos,
            self.init_qvel,
            np.zeros(self.model.nu),
            dt=self.dt,
            noise_input=[self.disturbed],
            process_noise=[self.process_noise],
            sensor_noise=sensor_noise,
            prior=np.diag(np.square(self.start_std)),
        )

    def reset_model(self) -> Array:
        """Draw a start and a new disturbance."""
        n = len(self.start_std) // 2
        start = self.np_random.standard_normal(2 * n) * self.start_std
        self.data.qpos[:], self.data.qvel[:] = self.init_qpos + start[:n], self.init_qvel + start[n:]
        mujoco.mj_forward(self.model, self.data)
        self._stream = self.process_noise.stream(self.np_random, float(self.model.opt.timestep))
        self._forces = np.zeros(0)
        return self._readings()

    def _get_reset_info(self) -> dict[str, Any]:
        return {"state": self._state(), "cost": 0.0, "disturbance": 0.0, "failed": False}

    def step(self, action: ArrayLike) -> tuple[Array, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Hold ``action`` (N) for one sample; see the class for what comes back.

        Raises:
            ShapeError: the action has another size.
            ParameterError: the action is not finite.
        """
        if self._stream is None:
            raise ParameterError(name="step", expected="reset() first", received="a new environment")
        u = as_action(action, self._box)
        state = self._state()
        effort = self.action_weight * float(u @ u)
        cost = float(state @ (np.asarray(self.weight) * state)) + effort
        forces = self._draw()
        self.data.ctrl[:] = u
        for force in forces:
            self.data.qfrc_applied[self._dof] = force
            mujoco.mj_step(self.model, self.data)
        mujoco.mj_forward(self.model, self.data)
        after = self._state()
        failed = not bool((np.abs(after) < self.bounds).all())
        if failed:
            # A lost plant costs what it has come to, not what it was a sample before.
            cost = max(cost, float(after @ (np.asarray(self.weight) * after)) + effort)
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]
        info = {"state": after, "cost": cost, "disturbance": float(forces.mean()), "failed": failed}
        return self._readings(), -cost, failed, False, info

    def _draw(self) -> Array:
        """Return the forces of the next sample, one a physics step, drawn in blocks."""
        if not len(self._forces):
            self._forces = self._stream.draw(256 * self.frame_skip)  # type: ignore[union-attr]
        forces, self._forces = self._forces[: self.frame_skip], self._forces[self.frame_skip :]
        return forces

    def _readings(self) -> Array:
        return np.array(self.data.sensordata)

    def _state(self) -> Array:
        return np.concatenate([self.data.qpos, self.data.qvel])


class CartPoleEnv(RegulationEnv):
    """Balance a pole on a cart from the cart's position and the pole's angle, pushed by a force.

    Cart 1 kg, pole 0.1 kg of half length 0.5 m, dt 0.02 s, force at most 20 N. State: position, angle, velocity,
    angular velocity (m, rad, 1/s). W = diag(1, 10, 0, 0), ρ = 0.01. Fails beyond 2.4 m or 0.5 rad.
    """

    metadata = render_metadata(50)
    file = "cartpole.xml"
    frame_skip_ = 4
    disturbed = "cart"
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
    disturbed = "mass"
    sensor_std = (0.1,)
    weight = (1.0, 0.0)
    start_std = (0.2, 0.2)
    bounds = (10.0, np.inf)
