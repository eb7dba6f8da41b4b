"""Swing-up from hanging, from the true state: Gymnasium's Pendulum-v1 and MuJoCo's InvertedPendulum-v5."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from rich.console import Console

from pcctrl.arrays import Array
from pcctrl.controllers import LQR, Controller, RecedingHorizon
from pcctrl.filters import Belief
from pcctrl.models import GenerativeModel, LinearModel, NonlinearModel
from pcctrl.models.mujoco import MujocoModel
from pcctrl.noise import White
from pcctrl.scripts.benchmarks.claims import plain_table

__all__ = ["Plant", "SwingUp", "inverted_pendulum", "pendulum", "run", "swing_up"]

SEEDS = 100
# Up is within so many radians of upright, held for so many seconds at the end.
UP, HELD = 0.1, 2.0


@dataclass(frozen=True, eq=False)
class Plant:
    """A simulation that hangs, and its model, whose start is upright.

    Args:
        name: of it.
        model: of it.
        weight: Π (n,).
        rho: ρ.
        horizon: in samples.
        seconds: of an episode.
        angle: index of the angle, 0 upright.
        reset: from a seed to the true state (n,), hanging.
        step: from an input (p,) to the true state (n,).
    """

    name: str
    model: GenerativeModel
    weight: tuple[float, ...]
    rho: float
    horizon: int
    seconds: float
    angle: int
    reset: Callable[[int], Array]
    step: Callable[[Array], Array]


@dataclass(frozen=True)
class SwingUp:
    """How an episode went.

    Args:
        held: whether the pole was up for the last seconds.
        seconds: until it was up for good, NaN if it never was.
        first: CPU seconds of the first decision, which has no plan to start from.
        decisions: CPU seconds of each other one.
    """

    held: bool
    seconds: float
    first: float
    decisions: tuple[float, ...]


def pendulum() -> Plant:
    """Gymnasium's Pendulum-v1, which its own equations model: torque ±2 N·m, too weak to lift it at once."""
    env: Any = gymnasium.make("Pendulum-v1", disable_env_checker=True).unwrapped
    h, most, fastest = env.dt, env.max_torque, env.max_speed
    gravity, lever = 1.5 * env.g / env.l, 3.0 / (env.m * env.l**2)

    def f(x: Array, u: Array, w: Array) -> Array:
        rate = x[..., 1] + h * (gravity * np.sin(x[..., 0]) + lever * (u[..., 0] + w[..., 0]))
        rate = np.minimum(np.maximum(rate, -fastest), fastest)
        return np.stack([x[..., 0] + h * rate, rate], axis=-1)

    def reset(seed: int) -> Array:
        env.reset(seed=seed)
        env.state = np.array([np.pi, 0.0]) + env.np_random.uniform(-0.1, 0.1, 2)
        return np.array(env.state)

    def step(u: Array) -> Array:
        env.step(u)
        return np.array(env.state)

    model = NonlinearModel(
        f,
        lambda x, u: x[..., :1],  # noqa: ARG005
        dt=h,
        time="discrete",
        operating_point=(np.zeros(2), np.zeros(1)),
        process_noise=[White(density=0.01)],
        sensor_noise=[White(std=0.01)],
        limits=(-most, most),
    )
    return Plant("Pendulum-v1", model, (1.0, 0.1), 1e-3, 60, 8.0, 0, reset, step)


def inverted_pendulum() -> Plant:
    """MuJoCo's InvertedPendulum-v5 with the stops of its hinge taken off, so that it can hang."""
    env: Any = gymnasium.make("InvertedPendulum-v5", disable_env_checker=True).unwrapped
    env.model.joint("hinge").range[:] = -100.0, 100.0
    model = MujocoModel(env, sensors=["qpos:slider", "qpos:hinge"])

    def state() -> Array:
        return model.state(env.data.qpos, env.data.qvel)

    def reset(seed: int) -> Array:
        env.reset(seed=seed)
        env.set_state(env.data.qpos + np.array([0.0, np.pi]), env.data.qvel)
        return state()

    def step(u: Array) -> Array:
        env.step(u)
        return state()

    return Plant("InvertedPendulum-v5", model, (1.0, 3.0, 0.1, 0.1), 0.01, 25, 5.0, 1, reset, step)


def planner(plant: Plant) -> RecedingHorizon:
    """Return expected free energy over a receding horizon, goal upright."""
    return RecedingHorizon(plant.model, plant.weight, plant.rho, horizon=plant.horizon, iterations=3)


def regulator(plant: Plant) -> LQR:
    """Return the same costs' LQR about upright, within the same limits."""
    model = plant.model
    x, u, y = model.start
    F, B, _, C, _, _ = model.jacobians(x, u)
    linear = LinearModel.from_discrete(
        F,
        B,
        C,
        dt=model.dt,
        noise_input=B,
        process_noise=[White(density=0.01)] * len(u),
        sensor_noise=[White(std=0.01)] * len(y),
        operating_point=(x, u, y),
    )
    return LQR(linear, plant.weight, plant.rho, model.limits)


def swing_up(plant: Plant, controller: Controller, seed: int) -> SwingUp:
    """Return how an episode of ``plant`` went with what ``controller`` decides from the true state."""
    x, memory = plant.reset(seed), controller.init()
    n, p = len(x), len(plant.model.start[1])
    angles, times = [], []
    for _ in range(round(plant.seconds / plant.model.dt)):
        start = time.process_time()
        memory, u, _ = controller.act(memory, Belief(x, np.zeros((n, n)), np.zeros(p), n))
        times.append(time.process_time() - start)
        x = plant.step(u)
        angles.append(x[plant.angle])
    up = np.cos(angles) > np.cos(UP)
    last = np.flatnonzero(~up).max(initial=-1) + 1
    held = len(up) - last >= HELD / plant.model.dt
    return SwingUp(bool(held), float(last * plant.model.dt) if held else np.nan, times[0], tuple(times[1:]))


def run(console: Console, seeds: int = SEEDS) -> None:
    """Print the table."""
    table = plain_table(
        "Swing-up from the true state", ("plant", "controller"), ("held", "s to up", "first ms", "µs", "99 %")
    )
    for plant in (pendulum(), inverted_pendulum()):
        for name, controller in (("aif", planner(plant)), ("lqr", regulator(plant))):
            done = [swing_up(plant, controller, seed) for seed in range(seeds)]
            held = [d.seconds for d in done if d.held]
            spent = 1e6 * np.concatenate([d.decisions for d in done])
            table.add_row(
                plant.name,
                name,
                f"{len(held)}/{seeds}",
                f"{np.median(held):.2f}" if held else "–",
                f"{1e3 * np.median([d.first for d in done]):.0f}",
                f"{np.median(spent):.0f}",
                f"{np.quantile(spent, 0.99):.0f}",
            )
    console.print(table)
    console.print(
        f"Held: within {UP:g} rad of upright for the last {HELD:g} s at least. aif: RecedingHorizon, goal upright; "
        "lqr: the same weights about upright, clipped. From hanging, moved by up to 0.1 rad and rad/s, in MuJoCo by "
        "0.01; its hinge has its stops taken off. CPU time of a decision: the first, the median of the rest, the 99th "
        "percentile."
    )
