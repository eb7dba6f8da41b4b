"""HalfCheetah running open loop: the plant with encoders and a torso IMU, its gait, and recordings of many seeds."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array
from pcctrl.models import Mismatch, MujocoModel
from pcctrl.noise import OrnsteinUhlenbeck, White

__all__ = ["ANGLES", "DT", "JOINTS", "SCORED", "Run", "cheetah", "gait", "plant", "total"]

# A physics step: what encoders and an IMU keep up with, and what contacts of 20 ms need.
DT = 0.01
JOINTS = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
ROOT = ("rootx", "rootz", "rooty")
# N, N, N·m on the torso and N·m on each joint, Ornstein-Uhlenbeck over TAU seconds.
FORCES, TAU = (10.0, 10.0, 3.0, *(3.0,) * 6), 0.1
# rad of an encoder, rad/s of the gyroscope, m/s² of the accelerometer, white, a sample.
ENCODER, GYRO, ACCELEROMETER = 0.005, 0.02, 0.5
# Height and pitch, then all nine rates; the six joint angles are measured, position x nobody can know.
SCORED, ANGLES = (1, 2, *range(9, 18)), slice(3, 9)
SETTLE = 50

# Strokes a second; amplitude, phase in rad and offset of each joint's torque, of which 1 is the most.
# Found by random search for speed over the ground without falling: 2.5 m/s, with both feet in the air in between.
STROKES = 4.0
AMPLITUDE = np.array([0.80, 0.76, 0.79, 0.65, 0.62, 0.38])
PHASE = np.array([1.88, 5.00, 3.00, 3.92, 3.45, 4.09])
OFFSET = np.array([0.13, 0.36, -0.12, -0.25, -0.29, -0.23])


@cache
def plant() -> mujoco.MjModel:
    """Return Gymnasium's own HalfCheetah-v5 with an IMU in the middle of its torso; not to be changed."""
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / "half_cheetah.xml"
    root = ET.parse(path).getroot()
    torso = next(body for body in root.iter("body") if body.get("name") == "torso")
    ET.SubElement(torso, "site", name="imu")
    sensors = ET.SubElement(root, "sensor")
    ET.SubElement(sensors, "gyro", name="gyro", site="imu")
    ET.SubElement(sensors, "accelerometer", name="acceleration", site="imu")
    # MuJoCo warns of this attribute: the same by its own functions.
    compiler = next(root.iter("compiler"))
    mass = float(compiler.attrib.pop("settotalmass"))
    model = mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"))
    mujoco.mj_setTotalmass(model, mass)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def cheetah(process: float = 1.0, accelerometer: float = 1.0, wrong: Mismatch | None = None) -> MujocoModel:
    """Return the model, sampled at every physics step of 0.01 s, not at Gymnasium's 0.05 s.

    Args:
        process: factor on the variance of the forces.
        accelerometer: factor on that of the accelerometer.
        wrong: in what it is wrong.
    """
    acceleration = White(std=ACCELEROMETER * accelerometer**0.5)
    return MujocoModel(
        plant(),
        dt=DT,
        sensors=[*(f"qpos:{joint}" for joint in JOINTS), "gyro_1", "acceleration_0", "acceleration_2"],
        noise_input=[*ROOT, *JOINTS],
        process_noise=[OrnsteinUhlenbeck(std=std * process**0.5, tau=TAU) for std in FORCES],
        sensor_noise=[*(White(std=ENCODER) for _ in JOINTS), White(std=GYRO), acceleration, acceleration],
        prior=np.diag(np.repeat([0.01, 0.1], 9) ** 2),
        wrong=wrong,
    )


def gait(samples: int) -> Array:
    """Return the torques (T, 6) of the gait, which sets in over half a second."""
    k = np.arange(samples)[:, None]
    strokes = AMPLITUDE * np.sin(2.0 * np.pi * STROKES * k * DT + PHASE) + OFFSET
    return np.asarray(np.clip(np.minimum(1.0, k / 50.0) * strokes, -1.0, 1.0))


@dataclass(frozen=True, eq=False)
class Run:
    """Seeds simulated together.

    Args:
        first: the first seed.
        seeds: how many.
        samples: of each, T.
    """

    first: int
    seeds: int
    samples: int

    @cached_property
    def data(self) -> tuple[Array, Array, Array]:
        """States (k, T, 18), readings (k, T, 9) and torques (T, 6), from near rest a little above the ground."""
        model, T = cheetah(), self.samples
        streams = [np.random.default_rng(seed) for seed in range(self.first, self.first + self.seeds)]
        x, held, _ = model.start
        x = x + np.array([rng.standard_normal(18) for rng in streams]) * np.sqrt(np.diagonal(np.asarray(model.prior)))
        forces = [np.stack([w.sample(rng, T, DT) for w in model.process_noise], axis=-1) for rng in streams]
        w, u = np.array(forces), gait(T)
        states, readings = [], []
        for k in range(T):
            states.append(x)
            readings.append(model.readout(x, held, w[:, k]))
            x, held = model.transition(x, u[k], w[:, k]), u[k]
        noise = [np.stack([z.sample(rng, T, DT, sensor=True) for z in model.sensor_noise], axis=-1) for rng in streams]
        return np.stack(states, axis=1), np.stack(readings, axis=1) + np.array(noise), u

    @cached_property
    def scale(self) -> Array:
        """Standard deviation (11,) of each scored state, over all seeds and scored samples."""
        return np.asarray(self.data[0][:, SETTLE:, SCORED].std(axis=(0, 1)))

    def errors(self, estimate: Array) -> Array:
        """Return the root mean square error (k, 11) of the scored states of (k, T, 18), each over its `scale`."""
        error = (estimate - self.data[0])[:, SETTLE:, SCORED] / self.scale
        return np.asarray(np.sqrt(np.mean(error**2, axis=1)))


def total(errors: Array) -> Array:
    """Return the root mean square (...) over the scored states of (..., 11)."""
    return np.asarray(np.sqrt(np.mean(errors**2, axis=-1)))


class OneByOne:
    """A model whose batches are loops over their rows, as a filter that asks for one sigma point at a time makes them.

    Args:
        model: asked; all else is its own.
    """

    def __init__(self, model: MujocoModel) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["model"], name)

    def resampled(self, dt: float) -> OneByOne:
        """Return the same with another sample time."""
        return OneByOne(self.model.resampled(dt))

    def transition(self, x: ArrayLike, u: ArrayLike, w: ArrayLike | None = None) -> Array:
        """Return `MujocoModel.transition`."""
        return _rows(self.model.transition, x, u, w)

    def readout(self, x: ArrayLike, u: ArrayLike | None = None, w: ArrayLike | None = None) -> Array:
        """Return `MujocoModel.readout`."""
        return _rows(self.model.readout, x, u, w)


def _rows(function: Callable[..., Array], x: Any, u: Any, w: Any) -> Array:
    if x.ndim == 1:
        return function(x, u, w)
    rows = (np.broadcast_to(a, (*x.shape[:-1], a.shape[-1])) for a in (x, u, w))
    return np.array([function(*row) for row in zip(*rows, strict=True)])
