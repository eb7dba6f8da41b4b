"""A quadrotor that hovers in gusts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import mujoco
import numpy as np

from pcctrl.arrays import Array, choose, non_negative
from pcctrl.envs.regulation import RegulationEnv, render_metadata
from pcctrl.errors import ParameterError
from pcctrl.models import LinearModel
from pcctrl.noise import Noise, White, dryden

__all__ = ["QuadrotorEnv"]


class QuadrotorEnv(RegulationEnv):
    """Hover in Dryden gusts by four rotors that lag, from position and attitude.

    0.716 kg, dt 0.01 s, 0 to 6 N a rotor with a lag of 0.02 s, drag of 0.15 N·s/m. The state is the way from hover:
    position (m, world), rotation vector (rad, body), their rates, then the thrusts (N). W = 1 on position and 0.1 on
    yaw, ρ = 0.01. Fails beyond 5 m or 1 rad. `ActuatorLoss` takes a part of a rotor's thrust away.

    Hover leans into the mean wind, which blows along x, so that only the gusts disturb it: by forces along x, y and z
    (world) through the drag. The rotors' ripple is a torque about each axis of the body.

    Args:
        process_noise: the three forces (N) and torques (N·m); by default Dryden gusts of moderate turbulence at 6 m,
            and white torques of 0.005 N·m a sample.
        render_mode: see `RegulationEnv`.
        sensing: ``"motion capture"`` reads the first six states, with 2 mm and 0.01 rad; ``"imu"`` position and yaw, by
            radio and compass (0.02 m, 0.02 rad), then a gyroscope (0.005 rad/s) and an accelerometer (0.05 m/s²).
        wind: mean wind in m/s, at least 0; the gusts pass by at that speed, or at 5 m/s if there is none.

    Raises:
        ParameterError, ShapeError: a noise of the wrong kind or number, or a wind too strong to hover in.
        UnknownNameError: another sensing.
    """

    metadata = render_metadata(100)
    file = "quadrotor.xml"
    frame_skip_ = 5
    has_own_noise = True
    disturbed = tuple(f"quadrotor_{dof}" for dof in range(6))
    process_std = (0.45, 0.45, 0.23, 0.005, 0.005, 0.005)
    sensor_std = (0.002, 0.002, 0.002, 0.01, 0.01, 0.01)
    weight = (1.0, 1.0, 1.0, 0.0, 0.0, 0.1, *(0.0,) * 10)
    start_std: tuple[float, ...] = (*(0.05,) * 3, *(0.02,) * 3, *(0.02,) * 6, *(0.01,) * 4)
    bounds = (*(5.0,) * 3, *(1.0,) * 3, *(np.inf,) * 10)

    def __init__(
        self,
        process_noise: Noise | Sequence[Noise] | None = None,
        render_mode: str | None = None,
        *,
        sensing: Literal["motion capture", "imu"] = "motion capture",
        wind: float = 5.0,
    ) -> None:
        self.sensing = choose("sensing", sensing, ("motion capture", "imu"))
        self.wind = non_negative("wind", wind)
        super().__init__(process_noise, render_mode)
        self._hover()

    @property
    def reading_std(self) -> tuple[float, ...]:
        """Standard deviation of each reading's noise, if none is given."""
        return (*(0.02,) * 4, *(0.005,) * 3, *(0.05,) * 3) if self.sensing == "imu" else self.sensor_std

    @classmethod
    def drag(cls) -> float:
        """Return D of the force −D (velocity − wind), in N·s/m."""
        model = mujoco.MjModel.from_xml_path(cls.path())
        return float(_resistance(model, 1.0)[0])

    def default_process(self) -> list[Noise]:
        """Return the forces of Dryden gusts at 6 m in moderate turbulence, and white torques."""
        torques = [White(density=std * float(np.sqrt(self.dt))) for std in self.process_std[3:]]
        return [*dryden(6.0, self.wind or 5.0, scale=self.drag()), *torques]

    def _hover(self) -> None:
        """Lean into the wind so that thrust balances it and gravity, and remember that as the rest."""
        force = float(self.model.body("quadrotor").mass[0]) * self.model.opt.gravity + _resistance(
            self.model, self.wind
        )
        thrust = float(np.linalg.norm(force))
        self.model.opt.wind[0] = self.wind
        up, axis = -force / thrust, np.zeros(3)
        mujoco.mju_cross(axis, np.array([0.0, 0.0, 1.0]), up)
        lean = float(np.arctan2(np.linalg.norm(axis), up[2]))
        mujoco.mju_axisAngle2Quat(self.init_qpos[3:7], axis / max(float(np.linalg.norm(axis)), 1e-12), lean)
        self.rest = np.full(self.model.nu, thrust / self.model.nu)
        if not (self.rest < 0.9 * self._box.high).all():
            raise ParameterError(name="wind", expected="one that leaves some thrust to control", received=self.wind)

    def linear_model(self, sensor_noise: Sequence[Noise], sensors: Sequence[str] | None = None) -> LinearModel:
        """Return the plant linearised at hover; see `RegulationEnv.linear_model`."""
        if sensors is not None:
            return super().linear_model(sensor_noise, sensors)
        # Attitude is read as the states have it, by no MJCF sensor.
        poses: tuple[int, ...]
        names: tuple[str, ...]
        noises: Sequence[Noise]
        if self.sensing == "imu":
            poses, names, noises = (0, 1, 2, 5), (*"xyz", "yaw"), (*sensor_noise[:3], *sensor_noise[4:])
        else:
            poses, names, noises = tuple(range(6)), (*"xyz", "roll", "pitch", "yaw"), sensor_noise[:3]
        plant = super().linear_model(noises, ("position", *self._inertial))
        (x, u, y), k = plant.start, len(poses)
        felt = np.vstack([np.zeros((k, len(self.disturbed))), plant.noise_outputs[3:]])
        return replace(
            plant,
            C=np.vstack([np.eye(len(x))[list(poses)], plant.C[3:]]),
            D=np.vstack([np.zeros((k, len(u))), np.asarray(plant.D)[3:]]),
            noise_output=felt if felt.any() else None,
            sensor_noise=sensor_noise,
            sensors=(*names, *(plant.sensors or ())[3:]),
            operating_point=(x, u, np.concatenate([np.zeros(k), y[3:]])),
        )

    def _state(self) -> Array:
        way = np.zeros(self.model.nv)
        mujoco.mj_differentiatePos(self.model, way, 1.0, self.init_qpos, self.data.qpos)
        return np.concatenate([way, self.data.qvel, self.data.act])

    @property
    def _inertial(self) -> tuple[str, ...]:
        return ("gyro", "accelerometer") if self.sensing == "imu" else ()

    def _readings(self) -> Array:
        state = self._state()
        if self.sensing != "imu":
            return state[:6]
        inertial = [self.data.sensor(name).data for name in self._inertial]
        return np.concatenate([state[:3], state[5:6], *inertial])


def _resistance(model: mujoco.MjModel, wind: float) -> Array:
    """Return the force (3,) of a wind (m/s) along x on the model at rest."""
    data = mujoco.MjData(model)
    before = model.opt.wind[0]
    model.opt.wind[0] = wind
    mujoco.mj_forward(model, data)
    model.opt.wind[0] = before
    return np.array(data.qfrc_passive[:3])
