"""The cheetah benchmark in small, and that its claims can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from rich.console import Console

from pcctrl.scripts.benchmarks.cheetah import (
    FILTERS,
    HIGH,
    LOW,
    CheetahRow,
    build,
    cheetah_row,
    claims,
    report,
    times,
    tune,
)
from pcctrl.scripts.benchmarks.odometry import LegOdometry, feet
from pcctrl.scripts.benchmarks.running import SCORED, OneByOne, Run, cheetah, plant, total

MIDDLE = 0.5 * (LOW + HIGH)
SHORT = Run(1000, 2, 60)


def test_the_plant_is_gymnasiums_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env: Any = gym.make("HalfCheetah-v5")
    for name in ("body_mass", "body_inertia", "dof_M0", "dof_invweight0", "geom_friction", "actuator_gear"):
        np.testing.assert_array_equal(getattr(plant(), name), getattr(env.unwrapped.model, name))
    env.close()


def test_it_runs_and_hits_the_ground() -> None:
    states, readings, u = Run(0, 4, 200).data
    assert states[:, -1, 0].min() > 2.0, "metres in two seconds"
    assert np.abs(states[..., 2]).max() < 0.6
    tips, _ = feet(states[0, :, 2], states[0, :, 3:9])
    lowest = tips[..., 1].min(axis=1) + states[0, :, 1] + 0.7
    assert lowest.min() < 0.0
    assert lowest.max() > 0.05, "in the air"
    assert np.abs(readings[..., 7:]).max() > 60.0
    assert np.abs(u).max() <= 1.0


def test_feet_are_where_the_simulation_has_them() -> None:
    model, data = plant(), mujoco.MjData(plant())
    rng = np.random.default_rng(0)
    q = 0.4 * rng.standard_normal((3, 9))
    points, derivative = feet(q[:, 2], q[:, 3:])
    for k in range(3):
        data.qpos[:] = q[k]
        mujoco.mj_kinematics(model, data)
        for leg, name in enumerate(("bfoot", "ffoot")):
            geom, size = data.geom(name), model.geom(name).size
            for end, sign in enumerate((1.0, -1.0)):
                tip = geom.xpos + sign * size[1] * geom.xmat.reshape(3, 3)[:, 2] - [0.0, 0.0, size[0]]
                want = tip - data.body("torso").xpos
                np.testing.assert_allclose(points[k, 2 * leg + end], want[[0, 2]], atol=1e-12)
    for column in range(7):
        moved = q.copy()
        moved[:, 2 + column] += 1e-6
        slope = (feet(moved[:, 2], moved[:, 3:])[0] - points) / 1e-6
        np.testing.assert_allclose(derivative[..., column], slope, atol=1e-5)


def test_leg_odometry_of_a_machine_that_stands() -> None:
    """All readings exact, height, pitch and rest are found from a wrong start; without a stance they are not."""
    model = cheetah()
    x, u, _ = model.start
    for _ in range(400):
        x = model.transition(x, u)
    y = np.tile(model.readout(x, u), (1, 300, 1))
    values = np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.log(5.0)])
    for inertial in (False, True):
        found = LegOdometry.of(values, inertial).run(y)[0, -1]
        # A foot sinks into MuJoCo's ground by some millimetres.
        np.testing.assert_allclose(found[1:9], x[1:9], atol=8e-3)
        np.testing.assert_allclose(found[9:], 0.0, atol=5e-2)
    lost = LegOdometry.of(np.r_[values[:-1], np.log(50.0)], False).run(y)[0, -1]
    assert abs(lost[1] - x[1]) > 1.0


def test_one_by_one_is_the_batch() -> None:
    _, y, u = Run(3, 1, 15).data
    batched = build("UKF", MIDDLE)
    single = replace(batched, model=OneByOne(batched.model))
    np.testing.assert_array_equal(single.run(y, u).mean, batched.run(y, u).mean)


def test_a_small_table_and_its_claims() -> None:
    names = ("UKF", "pc Jacobian", "legs")
    rows = [cheetah_row(name, 2, 60, 1) for name in names]
    assert total(rows[1].errors).shape == (2,)
    assert rows[1].errors.shape[1] == len(SCORED) == 11
    spent = times(rows, 5)
    assert set(spent) == {"UKF", "pc Jacobian", "UKF batched"}
    console = Console(width=80, record=True)
    report(console, rows, spent)
    assert max(len(line) for line in console.export_text().splitlines()) <= 80
    assert {c.text for c in claims(rows, {})} >= {"pc Jacobian / UKF", "pc Jacobian / leg odometry"}


def test_tuning_ends_no_worse_than_its_scan() -> None:
    tuned = tune("legs", 4, 6, SHORT)
    assert tuned.cost <= min(tuned.costs)
    assert tuned.starts == 4


def test_negative_control_a_claim_fails() -> None:
    one = np.ones((4, 11))
    spent = {"UKF": 1.0, "pc Jacobian": 0.5, "pc sigma": 0.5}

    def met(coding: Any, sigma: float, spent: dict[str, float]) -> dict[str, bool]:
        errors = {"UKF": one, "pc Jacobian": coding * one, "pc sigma": sigma * one, "legs": 10.0 * one}
        return {c.text: c.met for c in claims([CheetahRow(n, MIDDLE, e, None) for n, e in errors.items()], spent)}

    assert all(met(1.0, 1.0, spent).values())
    assert not any(met(3.0, 1.6, {"UKF": 1.0, "pc Jacobian": 0.6, "pc sigma": 0.8}).values())
    found = met(np.array([[1.0], [1.0], [1.0], [2.6]]), 1.0, spent)
    assert not found["pc Jacobian / UKF, any seed"]


def test_what_makes_the_difference_is_doubt_and_descent() -> None:
    """Negative control: one step without the rule, with the accelerometer as told, is lost at impacts."""
    recording = Run(1000, 3, 90)
    _, y, u = recording.data
    values = np.log([1.5, 2.0, 1e-8, 6e-4, 5e-3])
    full, once = (total(recording.errors(build(name, values).run(y, u).mean)) for name in ("pc Jacobian", "pc once"))
    assert full.max() < 0.1
    assert once.max() > 2.0 * full.max()
    assert set(FILTERS) >= {"UKF", "pc Jacobian", "pc sigma", "EKF white"}
