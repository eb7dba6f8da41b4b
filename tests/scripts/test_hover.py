"""The quadrotor's benchmark: its axes are exact, its claims can fail, and its loops fly."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pcctrl.controllers import ExpectedFreeEnergy
from pcctrl.envs import QuadrotorEnv
from pcctrl.evaluation import closed_loop_cost, fold
from pcctrl.filters import PCFilter
from pcctrl.scripts.benchmarks import quadrotor
from pcctrl.scripts.benchmarks.quadrotor_designs import (
    AXES,
    DESIGNS,
    MIX,
    active,
    assembled,
    axes_of,
    integral,
    untuned,
    walking,
)

# m, of the tuned random walk in smooth noise.
PEER = 0.02623


@cache
def env() -> QuadrotorEnv:
    return QuadrotorEnv()


def test_rotors_mix_without_favour() -> None:
    np.testing.assert_allclose(MIX.T @ MIX, np.eye(4), atol=1e-15)


def test_axes_add_up_to_the_quadrotor() -> None:
    """Oracle: the assembled loops on the whole plant, all gusts together, cost what the axes cost one by one."""
    sensors = quadrotor.sensors_of("white")
    tasks, whole = axes_of(env(), sensors), env().task(sensors)
    loops = {name: active(task, 0.01) for name, task in tasks.items()}
    parts = sum(
        closed_loop_cost(task.linear.joint(5), loops[name], task.state_weight, task.action_weight)
        for name, task in tasks.items()
    )
    truth = whole.linear.joint(5)
    together = closed_loop_cost(truth, assembled(env(), loops), whole.state_weight, whole.action_weight)
    assert together == pytest.approx(parts, rel=1e-9)
    # The optimum on the whole plant may use what gusts along and up have in common, which is next to nothing.
    efe = ExpectedFreeEnergy(whole.linear, whole.state_weight, whole.action_weight, 5)
    best = closed_loop_cost(truth, fold(PCFilter(whole.linear, 5), efe.gain), whole.state_weight, whole.action_weight)
    assert 0.995 < best / together <= 1.0 + 1e-9


def test_a_design_told_everything_is_its_limit() -> None:
    """An integral that costs nothing is the plain LQG; a force that hardly walks is one that is not there."""
    task = axes_of(env(), quadrotor.sensors_of("white"))["along"]
    truth = task.linear.joint(5)

    def cost(name: str, last: float) -> float:
        values = np.append(untuned("LQG", task), last) if name != "LQG" else untuned("LQG", task)
        return closed_loop_cost(truth, DESIGNS[name](task, values), task.state_weight, task.action_weight)

    plain = cost("LQG", 0.0)
    assert cost("integral", -24.0) == pytest.approx(plain, rel=1e-2)
    assert cost("random walk", -24.0) == pytest.approx(plain, rel=1e-2)
    # Negative control: with numbers that do something both are better in gusts.
    assert cost("integral", 2.0) < 0.9 * plain
    assert cost("random walk", -1.0) < 0.9 * plain


@pytest.mark.parametrize("design", [integral, walking])
def test_integral_designs_have_no_offset(design: Any) -> None:
    """A constant force, in the closed loop of the noise-free axis, moves the position nowhere in the end."""
    task = axes_of(env(), quadrotor.sensors_of("white"))["along"]
    name = next(key for key, value in DESIGNS.items() if value is design)
    loop = design(task, np.r_[untuned(name, task)[:-1], 1.0])
    joint = task.linear.white.joint(0)
    x, s = np.zeros(joint.size), np.zeros(len(loop.A))
    force = np.asarray(task.linear.noise_input)[:, 0] * 5 * 0.3
    furthest = 0.0
    for _ in range(4000):
        y = joint.C @ x
        x, s = joint.F @ x + joint.B @ (loop.C @ s + loop.D @ y) + force, loop.A @ s + loop.B @ y
        furthest = max(furthest, abs(x[0]))
    assert furthest > 1e-3
    assert abs(x[0]) < 0.02 * furthest


def test_efforts_are_made_equal_and_nobody_beats_the_optimum() -> None:
    reference = quadrotor.hover("aif", "smooth", seeds=0)
    best = quadrotor.hover("optimum", "smooth", reference.effort)
    untold = quadrotor.hover("aif, sensors untold", "smooth", reference.effort, seeds=0)
    for row in (best, untold):
        assert row.effort == pytest.approx(reference.effort, rel=2e-3)
    assert best.error < reference.error < 1.01 * best.error
    # The tuned peer as the documentation has it: minutes of tuning.
    peer = replace(untold, row="random walk", error=PEER)
    found = {c.text: c for c in quadrotor.claims([reference, best, untold, peer])}
    assert found["optimum / any row"].met
    assert found["aif / best integral LQG"].met
    # Negative control: whoever is not told the colour of the sensors does not get there.
    blind = {c.text: c for c in quadrotor.claims([replace(untold, row="aif"), peer])}
    assert not blind["aif / best integral LQG"].met


def test_tuning_goes_on_from_where_it_was() -> None:
    task = axes_of(env(), quadrotor.sensors_of("white"))["up"]
    tuning = quadrotor.Tuning("integral", {"up": task}, starts=2, evaluations=60)
    first = tuning.loops(0.01)["up"]
    spent = tuning.evaluations
    assert tuning.spread >= 1.0
    dearer = tuning.loops(0.02)["up"]
    assert tuning.evaluations - spent < spent / 2
    truth, W, one = task.linear.joint(5), task.state_weight, np.eye(1)
    error, effort = (
        [closed_loop_cost(truth, c, *how) for c in (first, dearer)] for how in ((W, 0 * one), (0 * W, one))
    )
    assert error[1] > error[0]
    assert effort[1] < effort[0]


def test_loops_fly_as_they_should() -> None:
    tasks = axes_of(env(), quadrotor.sensors_of("white"))
    loops = {name: active(task, 0.01) for name, task in tasks.items()}
    flights = quadrotor.fly(assembled(env(), loops), env(), "white", 3)
    exact = quadrotor.hover("aif", "white", seeds=0)
    assert not flights[:, 2].any()
    assert np.sqrt(flights[:, 0].mean()) == pytest.approx(exact.error, rel=0.25)
    assert np.sqrt(flights[:, 1].mean()) == pytest.approx(exact.effort, rel=0.1)
    # Negative control: roll for pitch is lost at once.
    crossed = loops | {"along": loops["across"], "across": loops["along"]}
    assert list(AXES)[:2] == ["along", "across"]
    assert quadrotor.fly(assembled(env(), crossed), env(), "white", 1)[0, 2] == 1.0


def test_report_prints_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quadrotor, "ROWS", ("aif", "aif, order 4"))
    monkeypatch.setattr(quadrotor, "STEPS", 40)
    monkeypatch.setattr(quadrotor, "SETTLE", 5)
    rows = [quadrotor.hover(row, case, seeds=2) for case in quadrotor.CASES for row in quadrotor.ROWS]
    console = Console(width=120, record=True, quiet=True)
    quadrotor.report(console, rows)
    assert {r.case for r in rows} == set(quadrotor.CASES)
    assert all(r.flights is not None and r.flights.shape == (2, 3) for r in rows)
