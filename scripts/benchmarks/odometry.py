"""Leg odometry: what a running machine's encoders and gyroscope say without a model of its forces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import mujoco
import numpy as np

from pcctrl.arrays import Array
from pcctrl.scripts.benchmarks.running import DT, plant

__all__ = ["LegOdometry", "feet"]

GRAVITY, START = 9.81, 0.7


class _Leg(NamedTuple):
    """Where a leg's three joints are (3, 2), each from the one before, and the ends (2, 2) and radius of its foot."""

    joints: Array
    ends: Array
    radius: float


@cache
def _leg(name: str) -> _Leg:
    model, rotation = plant(), np.zeros(9)
    foot = model.geom(f"{name}foot")
    mujoco.mju_quat2Mat(rotation, foot.quat)
    along = foot.size[1] * rotation.reshape(3, 3)[::2, 2]
    joints = np.array([model.body(name + part).pos[::2] for part in ("thigh", "shin", "foot")])
    return _Leg(joints, np.array([foot.pos[::2] + along, foot.pos[::2] - along]), float(foot.size[0]))


def feet(pitch: Array, angles: Array) -> tuple[Array, Array]:
    """Return the lowest points (k, 4, 2) of both ends of both feet from the torso, x and z in m, by plane kinematics.

    Also their derivative (k, 4, 2, 7) by the pitch and the six joint angles.

    Args:
        pitch: (k,) of the torso in rad, forwards down.
        angles: (k, 6) of the joints in rad.
    """
    points, derivatives = [], []
    for leg, name in enumerate("bf"):
        turn, at = pitch, np.zeros((len(pitch), 2))
        centres = [(0, at)]
        shape = _leg(name)
        for k, offset in enumerate(shape.joints):
            at, turn = at + _turned(turn, offset), turn + angles[:, 3 * leg + k]
            centres.append((1 + 3 * leg + k, at))
        for end in shape.ends:
            tip = at + _turned(turn, end)
            derivative = np.zeros((len(pitch), 2, 7))
            for column, centre in centres:
                derivative[:, 0, column], derivative[:, 1, column] = (tip - centre)[:, 1], -(tip - centre)[:, 0]
            points.append(tip - [0.0, shape.radius])
            derivatives.append(derivative)
    return np.stack(points, axis=1), np.stack(derivatives, axis=1)


def _turned(angle: Array, point: Array) -> Array:
    """Return the point (2,) turned by angles (k,) about the y axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * point[0] + sin * point[1], cos * point[1] - sin * point[0]], axis=-1)


@dataclass(frozen=True)
class LegOdometry:
    """Estimates height, pitch and all rates of the cheetah by kinematics.

    Pitch is the gyroscope's integral, drawn towards the accelerometer's vertical where that reads about 1 g. Joint
    angles and rates are those of a critically damped tracking filter on the encoders. The lowest end of a foot stands
    on the ground while the accelerometer reads more than free fall: it gives height and speed of the torso; in the air
    the torso falls freely, or as the accelerometer says.

    Args:
        tracking: gain of the encoders' filter, 0 to 1.
        upright: rate at which pitch is drawn to the vertical, 1/s.
        forward: gain on the horizontal speed by the standing foot, 0 to 1.
        rise: the same for the vertical speed.
        height: the same for the height.
        stance: m/s² that the accelerometer reads at least while a foot stands.
        inertial: whether speeds follow the accelerometer in between.
    """

    tracking: float
    upright: float
    forward: float
    rise: float
    height: float
    stance: float
    inertial: bool = False

    @staticmethod
    def of(values: Array, inertial: bool) -> LegOdometry:
        """Return that of six parameters, logits of the gains and logarithms of the others."""
        tracking, forward, rise, height = 1.0 / (1.0 + np.exp(-values[[0, 2, 3, 4]]))
        return LegOdometry(tracking, np.exp(values[1]), forward, rise, height, np.exp(values[5]), inertial)

    def run(self, y: Array) -> Array:
        """Return the states (k, T, 18) of the readings (k, T, 9), of which position x is left at 0."""
        rows, drift = np.arange(len(y)), self.tracking**2 / (2.0 - self.tracking)
        angles, rates, pitch = y[:, 0, :6], np.zeros((len(y), 6)), np.zeros(len(y))
        x, z, height = np.zeros(len(y)), np.zeros(len(y)), np.zeros(len(y))
        out = np.zeros((*y.shape[:2], 18))
        for k in range(y.shape[1]):
            turning, force = y[:, k, 6], y[:, k, 7:]
            felt = np.hypot(*force.T)
            stands = felt > self.stance
            if k:
                wrong = y[:, k, :6] - angles - DT * rates
                angles = angles + DT * rates + self.tracking * wrong
                rates = rates + drift / DT * wrong
                pitch = pitch + 0.5 * DT * (turning + y[:, k - 1, 6])
            lean = np.angle(np.exp(1j * (np.arctan2(-force[:, 0], force[:, 1]) - pitch)))
            pitch = pitch + self.upright * DT * np.where(np.abs(felt - GRAVITY) < 0.5 * GRAVITY, lean, 0.0)
            if k:
                cos, sin = np.cos(pitch), np.sin(pitch)
                if self.inertial:
                    x = x + DT * (cos * force[:, 0] + sin * force[:, 1])
                    z = z + DT * (cos * force[:, 1] - sin * force[:, 0] - GRAVITY)
                else:
                    z = z - DT * GRAVITY * ~stands
                height = height + DT * z
            tips, derivative = feet(pitch, angles)
            low = tips[..., 1].argmin(axis=1)
            foot, moving = tips[rows, low], derivative[rows, low] @ np.column_stack([turning, rates])[..., None]
            x = x + np.where(stands, self.forward, 0.0) * (-moving[:, 0, 0] - x)
            z = z + np.where(stands, self.rise, 0.0) * (-moving[:, 1, 0] - z)
            height = height + np.where(stands, self.height, 0.0) * (-foot[:, 1] - START - height)
            out[:, k, 1], out[:, k, 2], out[:, k, 3:9] = height, pitch, angles
            out[:, k, 9:] = np.column_stack([x, z, turning, rates])
        return out
