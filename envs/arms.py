"""Torque-controlled arms that track a reference, seen through encoders on both sides of their transmissions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, choose, frozen, non_negative, whole
from pcctrl.controllers import Preview
from pcctrl.envs.actions import as_action
from pcctrl.envs.friction import LAWS, rubbing
from pcctrl.envs.own_file import OwnFile
from pcctrl.envs.regulation import check_rendering, render_metadata
from pcctrl.envs.trajectories import Limits, Moves, Sinusoids, rest
from pcctrl.errors import ParameterError
from pcctrl.models import Mismatch, MujocoModel, Task
from pcctrl.models.checks import as_noises
from pcctrl.noise import Noise, NoiseStream

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Arm2Env", "Arm7Env", "ArmEnv", "Trajectory"]

Trajectory: TypeAlias = Literal["reach", "track", "hold", "press"]

# Samples for which the reference and the disturbances are worked out at a time.
_BLOCK = 1024
# Seconds of moves that are drawn; then the last point is held.
_LONGEST = 120.0
# A joint further than this (rad) from its reference is lost.
_LOST = 0.5
_READING_LIMIT = 1e3
_ENCODERS = ("link", "motor")


class ArmEnv(OwnFile, MujocoEnv):
    """Make the joints of an arm follow a reference by torques. A subclass names the file and the constants.

    Observations are the exact readings in rad: the link-side encoders, then the motor-side ones; wrap in `Sensors` for
    real ones. Actions are torques in N·m. Each sample ``info`` has the true ``state`` (2 nv,): positions, then
    velocities; the ``goal``, a `Preview` of the reference states from this sample on; the mean ``disturbance`` (nv,)
    over the step in N·m; whether the arm ``failed``, that is came 0.5 rad away from its reference; and the ``cost``
    eᵀWe + ρ|u − u_d|² of the state in which the action was taken: e is from the reference, u_d what it takes of the
    arm as built, without friction, payload and disturbance. The reward is its negative.

    Args:
        trajectory: ``"reach"``, minimum-jerk moves from one random point to the next; ``"track"``, sinusoids;
            ``"hold"``, at home, pushed at the tip for a second; or ``"press"``, at home, the tip 4 mm deep in a springy
            pad that pushes back with some 20 N. The told model knows nothing of the pad.
        process_noise: torque that disturbs each joint in N·m, one for all or one each; by default smooth, of two
            samples.
        friction: ``"published"``, the smooth law of §12 for a Panda; ``"coulomb"``, of the same level whatever the
            speed; or ``"none"``. The told model knows none of it, only the damping.
        encoders: which are there, of ``"link"`` and ``"motor"``.
        mismatch: in what the told model is wrong, or None.
        horizon: samples of the preview, at least 2.
        push: N at the tip in a random direction, in ``"hold"``; the arm's own by default.
        render_mode: ``rgb_array`` or ``depth_array`` (headless: set MUJOCO_GL=egl first), ``human`` with a display.

    Raises:
        UnknownNameError: another trajectory, friction or encoder.
        ShapeError: a number of noises that is not the number of joints.
        ParameterError: no encoder, a horizon below 2, or a noise without power as a process.
    """

    has_own_noise: ClassVar[bool] = False
    home: ClassVar[tuple[float, ...]]
    reach: ClassVar[float]
    speed: ClassVar[tuple[float, ...]]
    acceleration: ClassVar[tuple[float, ...]]
    friction: ClassVar[tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]]
    process_std: ClassVar[tuple[float, ...]]
    sensor_std: ClassVar[tuple[float, ...]]
    tip: ClassVar[str] = "payload"
    push: ClassVar[float]
    weight: ClassVar[tuple[float, float]] = (1e4, 0.0)
    action_weight: ClassVar[float] = 1e-3
    start_std: ClassVar[float] = 0.01

    def __init__(
        self,
        trajectory: Trajectory = "track",
        process_noise: Noise | Sequence[Noise] | None = None,
        friction: Literal["published", "coulomb", "none"] = "published",
        encoders: Sequence[str] = ("link", "motor"),
        mismatch: Mismatch | None = None,
        horizon: int = 20,
        push: float | None = None,
        render_mode: str | None = None,
    ) -> None:
        check_rendering(render_mode)
        nv = len(self.home)
        self.trajectory = choose("trajectory", trajectory, get_args(Trajectory))
        self._law = choose("friction", friction, LAWS)
        chosen = (encoders,) if isinstance(encoders, str) else tuple(encoders)
        for encoder in chosen:
            choose("encoders", encoder, _ENCODERS)
        if not chosen or len(set(chosen)) < len(chosen):
            raise ParameterError(name="encoders", expected="link, motor or both", received=encoders)
        self.encoders = tuple(e for e in _ENCODERS if e in chosen)
        told = dict(zip(_ENCODERS, np.split(np.array(self.sensor_std), 2), strict=True))
        self.reading_std = tuple(float(std) for e in self.encoders for std in told[e])
        self.mismatch, self.horizon = mismatch, whole("horizon", horizon, 2)
        self._push = self.push if push is None else non_negative("push", push)
        super().__init__(
            self.path(),
            self.frame_skip_,
            observation_space=Box(-_READING_LIMIT, _READING_LIMIT, (len(self.reading_std),), np.float64),
            render_mode=render_mode,
            camera_name="side",
        )
        low, high = self.model.actuator_ctrlrange.T
        self.action_space = self._box = Box(low, high, dtype=np.float64)
        if process_noise is None:
            process_noise = [self.default_noise(std) for std in self.process_std]
        noises = [process_noise] * nv if isinstance(process_noise, Noise) else process_noise
        self.process_noise = as_noises("process_noise", noises, nv, sensor=False)
        self.init_qpos[:] = self.home
        # The arm as built, whatever becomes of `model` in a fault.
        self._built = copy.deepcopy(self.model)
        self._twin = mujoco.MjData(self._built)
        if self.trajectory == "press":
            self.model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
            self.model.geom("pad").rgba[3] = 1.0
        self._tip = int(self.model.body(self.tip).id)
        self._weights = np.repeat(self.weight, nv)
        self._constants = np.array(self.friction)
        self._streams: list[NoiseStream] | None = None

    def task(self, sensor_noise: Sequence[Noise]) -> Task:
        """Return the tracking task, given the noise of each encoder, with the model that is told: see `mismatch`."""
        low, high = self.model.actuator_ctrlrange.T
        nv = len(self.home)
        joints = [f"joint{i + 1}" for i in range(nv)]
        model = MujocoModel(
            self._built,
            qpos=np.array(self.home),
            ctrl=self._needed(np.array([*self.home, *np.zeros(nv)]), np.zeros(nv)),
            sensors=[f"{e}{i + 1}" for e in self.encoders for i in range(nv)],
            noise_input=joints,
            process_noise=self.process_noise,
            sensor_noise=sensor_noise,
            prior=np.eye(2 * nv) * self.start_std**2,
            wrong=self.mismatch,
        )
        weight, action_weight = np.diag(self._weights), np.eye(nv) * self.action_weight
        return Task(model, weight, action_weight, low.copy(), high.copy(), self.horizon, tracks=True)

    def _needed(self, state: Array, acceleration: Array) -> Array:
        """Return the torques (nv,) that give the arm as built an acceleration."""
        data, nv = self._twin, len(acceleration)
        data.qpos[:], data.qvel[:], data.qacc[:] = state[:nv], state[nv:], acceleration
        mujoco.mj_inverse(self._built, data)
        return np.array(data.qfrc_inverse)

    def reset_model(self) -> Array:
        """Draw a reference, a start near its beginning, a push, and new disturbances."""
        rng, nv = self.np_random, len(self.home)
        span = self.model.jnt_range.copy()
        home = np.array(self.home)
        room = np.minimum(span[:, 1] - home, home - span[:, 0])
        limits = Limits(
            home, np.minimum(self.reach, 0.8 * room), 0.6 * np.array(self.speed), 0.6 * np.array(self.acceleration)
        )
        drawn: Moves | Sinusoids = rest(home)
        if self.trajectory not in ("hold", "press"):
            drawn = Moves.draw(rng, limits, _LONGEST) if self.trajectory == "reach" else Sinusoids.draw(rng, limits)
        self._motion, self._now, self._first, self._planned = drawn, 0, 0, np.zeros((0, 2 * nv))
        start = rng.standard_normal(2 * nv) * self.start_std
        self._begin, direction = rng.uniform(0.5, 1.0), rng.standard_normal(3)
        size = self._push * (self.trajectory == "hold")
        self._contact = size * direction / np.linalg.norm(direction)
        self._streams = [w.stream(rng, float(self.model.opt.timestep)) for w in self.process_noise]
        self._plan()
        self.data.qpos[:], self.data.qvel[:] = home + start[:nv], start[nv:]
        mujoco.mj_forward(self.model, self.data)
        return self._readings()

    def _plan(self) -> None:
        """Work out the next block of the reference, of what it takes, and of the disturbances."""
        nv, h = len(self.home), float(self._built.opt.timestep)
        self._first = self._now
        times = h * np.arange(self._now, self._now + _BLOCK + self.horizon, dtype=np.float64)
        # What was given away before stays as it was.
        self._planned = frozen(self._motion.states(times))
        rates = np.diff(self._planned[: _BLOCK + 1, nv:], axis=0) / h
        self._effort = np.array([self._needed(x, a) for x, a in zip(self._planned, rates, strict=False)])
        self._torques = np.stack([s.draw(_BLOCK) for s in self._streams or ()], axis=-1)

    def _get_reset_info(self) -> dict[str, Any]:
        return self._info(0.0, np.zeros(len(self.home)), failed=False)

    def _info(self, cost: float, disturbance: Array, *, failed: bool) -> dict[str, Any]:
        at = self._now - self._first
        goal = Preview(self._planned[at : at + self.horizon])
        return {"state": self._state(), "goal": goal, "cost": cost, "disturbance": disturbance, "failed": failed}

    def step(self, action: ArrayLike) -> tuple[Array, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Hold ``action`` (N·m) for one sample; see the class for what comes back.

        Raises:
            ShapeError: the action has another size.
            ParameterError: the action is not finite, or nothing was reset.
        """
        if self._streams is None:
            raise ParameterError(name="step", expected="reset() first", received="a new environment")
        u = as_action(action, self._box)
        at = self._now - self._first
        torque = self._torques[at].copy()
        error, effort = self._state() - self._planned[at], u - self._effort[at]
        cost = float(error @ (self._weights * error)) + self.action_weight * float(effort @ effort)
        self.data.ctrl[:] = u
        self.data.qfrc_applied[:] = torque - rubbing(self._law, self._constants, self.data.qvel)
        clock = self._now * float(self.model.opt.timestep) - self._begin
        self.data.xfrc_applied[self._tip, :3] = self._contact if 0.0 <= clock < 1.0 else 0.0
        mujoco.mj_step(self.model, self.data)
        self._now += 1
        if self._now - self._first == _BLOCK:
            self._plan()
        away = self._state() - self._planned[self._now - self._first]
        failed = not bool((np.abs(away[: len(u)]) < _LOST).all())
        if failed:
            # A lost arm costs what it has come to, not what it was a sample before.
            cost = max(cost, float(away @ (self._weights * away)))
        if self.render_mode == "human":
            self.render()  # type: ignore[no-untyped-call]
        return self._readings(), -cost, failed, False, self._info(cost, torque, failed=failed)

    def _readings(self) -> Array:
        return np.tile(self.data.qpos, len(self.encoders))

    def _state(self) -> Array:
        return np.concatenate([self.data.qpos, self.data.qvel])


class Arm2Env(ArmEnv):
    """Two joints in a vertical plane, torques at most 120 and 60 N·m, dt 1 ms.

    The masses and lengths of Baioumy et al. 2022, with damping and friction of our own: see the file.
    """

    metadata = render_metadata(1000)
    file = "arm2.xml"
    home = (-0.8, 0.8)
    reach = 0.8
    speed = (3.0, 3.0)
    acceleration = (12.0, 12.0)
    friction = ((2.0, 1.0), (8.0, 8.0), (0.0, 0.0))
    process_std = (1.0, 0.5)
    sensor_std = (3e-4,) * 2 + (1e-4,) * 2
    push = 20.0


class Arm7Env(ArmEnv):
    """Seven joints with the Panda's published kinematics, masses, friction and limits (Gaz et al. 2019), dt 1 ms.

    Torques at most 87 N·m (joints 1 to 4) and 12 N·m (5 to 7); a hand of 0.73 kg.
    """

    metadata = render_metadata(1000)
    file = "arm7.xml"
    home = (0.0, -0.16, 0.0, -1.75, 0.0, 1.5, 0.8)
    reach = 0.6
    speed = (2.175,) * 4 + (2.61,) * 3
    acceleration = (15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0)
    friction = (
        (0.546, 0.872, 0.641, 1.279, 0.839, 0.303, 0.565),
        (5.12, 9.07, 10.1, 5.59, 8.35, 17.1, 10.3),
        (0.0395, 0.0259, -0.0461, 0.0362, 0.0262, -0.0210, 0.0036),
    )
    process_std = (0.5,) * 4 + (0.1,) * 3
    sensor_std = (3e-4,) * 7 + (1e-4,) * 7
    push = 20.0
