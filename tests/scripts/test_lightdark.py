"""The benchmark of the beacon world in small: its simulation, the published numbers, and that its claims can fail."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pcctrl.agents import Agent
from pcctrl.envs import LightDarkEnv
from pcctrl.filters import ExtendedKalmanFilter
from pcctrl.scripts.benchmarks import beacon, lightdark
from pcctrl.scripts.benchmarks.beacon import MODEL, STEPS, Estimated, OneStep, Walks, Waypoint, walk


def test_the_batch_is_the_environment() -> None:
    """An agent in the environment itself walks as the same row of the batch does."""
    walks = walk(Estimated(), [3, 11])
    assert walks.states.shape == (2, STEPS + 1, 4)
    for seed, want in zip((3, 11), walks.states, strict=True):
        env, agent = LightDarkEnv(scatter=0.0), Agent(ExtendedKalmanFilter(MODEL), Estimated(), MODEL.limits)  # type: ignore[arg-type]
        observation, info = env.reset(seed=seed)
        states = [info["state"]]
        for _ in range(STEPS):
            observation, *_, info = env.step(agent.act(observation, info["goal"]))
            states.append(info["state"])
        np.testing.assert_allclose(states, want, atol=1e-9)


def test_the_published_numbers() -> None:
    """Mean final distance and arrival (PUBLISHED §11): within four standard errors, and the very step."""
    for walker, distance, step in ((Estimated(), 0.158, 18), (OneStep(0.015), 0.067, 41)):
        walks = walk(walker, range(50))
        error = walks.final.std() / np.sqrt(50)
        assert abs(walks.final.mean() - distance) < 4.0 * error
        assert np.median(walks.arrival) == step
    # Negative control: a smaller λ parks at the beacon.
    parked = walk(OneStep(0.006), range(4))
    assert np.isinf(parked.arrival).all()
    assert np.linalg.norm(parked.states[:, -1, :2] - [0.0, 2.7], axis=-1).max() < 1.0


def test_arrival_counts_from_the_last_time_away() -> None:
    at = np.zeros((4, STEPS + 1, 4))
    at[:3, :, 0] = 1.0
    at[0, 10:, 0] = 0.0
    at[1, 10:, 0] = 0.0
    at[1, 20, 0] = 0.6
    np.testing.assert_array_equal(Walks(at, 0.0).arrival, [11, 22, np.inf, 1])


def test_a_waypoint_is_left_after_its_time() -> None:
    walks = walk(Waypoint(np.array([0.0, 2.7]), np.array(5.0)), [0, 1])
    near = np.linalg.norm(walks.states[..., :2] - [0.0, 2.7], axis=-1) < 0.5
    assert (near.sum(axis=1) >= 5).all()
    assert (walks.final < 0.5).all()
    # One that stays for good never arrives.
    assert np.isinf(walk(Waypoint(np.array([0.0, 2.7]), np.array(500.0)), [0]).arrival).all()


def test_tuning_finds_a_place_near_the_light() -> None:
    tuned = lightdark.tune_waypoint(range(1000, 1004), rounds=3)
    assert tuned.starts == 6
    assert np.linalg.norm(tuned.values[:2] - [0.0, 2.7]) < 1.5


def test_weights_of_the_planner_are_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a walk that is better the nearer its weights are to some, the search comes near them."""
    want, plain = np.array([0.0053, 4.0, 0.002, 16.0]), walk(Estimated(), [0, 1])

    def pretended(walker: Any, seeds: Any, steps: int) -> Walks:  # noqa: ARG001
        if isinstance(walker, Estimated):
            return plain
        away = np.abs(np.log(np.array(walker) / want)).sum()
        return Walks(np.full((2, STEPS + 1, 4), [0.1 * away, 0.0, 0.0, 0.0]), 0.0)

    monkeypatch.setattr(lightdark, "walk", pretended)
    monkeypatch.setattr(lightdark, "planner", lambda weights: weights)
    assert np.abs(np.log(np.array(lightdark.tune_planner(tries=300)) / want)).max() < 0.3
    assert np.abs(np.log(np.array(lightdark.tune_planner(tries=1)) / want)).max() > 0.3


@pytest.fixture(scope="module")
def rows() -> dict[str, lightdark.Row]:
    """Two seeds for a quarter of the time, which is enough to see the difference."""
    plain = walk(Estimated(), [0, 1], 24)
    walkers: dict[str, Any] = {
        "LQR": Estimated(),
        "grid 0.015": OneStep(0.015),
        "beliefs": replace(lightdark.planner(), iterations=2, retries=3),
        "beliefs, R frozen": replace(lightdark.planner((*lightdark.WEIGHTS[:3], 6), frozen=True), iterations=2),
    }
    return {name: lightdark.row(walker, plain, [0, 1], 24) for name, walker in walkers.items()}


def nearest(row: lightdark.Row) -> Any:
    return np.linalg.norm(row.walks.states[..., :2] - [0.0, 2.7], axis=-1).min(axis=1)


def test_beliefs_see_the_light_and_a_frozen_plan_passes_it_by(rows: dict[str, lightdark.Row]) -> None:
    assert (nearest(rows["beliefs"]) < 1.0).all()
    assert (nearest(rows["beliefs, R frozen"]) > 1.5).all()
    assert rows["LQR"].error == (1.0, 1.0, 1.0)
    assert rows["beliefs"].walks.seconds > 0.0


def test_claims_can_fail(rows: dict[str, lightdark.Row]) -> None:
    good = replace(rows["beliefs"], error=(0.4, 0.35, 0.45), path=1.3)
    good = replace(good, walks=Walks(walk(Waypoint(np.array([0.0, 2.7]), np.array(3.0)), [0]).states, 0.0))
    blind = replace(rows["beliefs, R frozen"], error=(1.0, 0.97, 1.05))
    assert all(c.met for c in lightdark.claims({**rows, "beliefs": good, "beliefs, R frozen": blind}))
    # Negative control: frozen in the place of beliefs, and beliefs in the place of frozen.
    swapped = lightdark.claims({**rows, "beliefs": blind, "beliefs, R frozen": good})
    assert not any(c.met for c in swapped if "error" in c.text)
    late = replace(good, walks=rows["grid 0.015"].walks, path=1.45)
    found = lightdark.claims({**rows, "beliefs": late, "beliefs, R frozen": blind})
    assert not any(c.met for c in found if "arrival" in c.text or "path" in c.text)


def test_the_tables_fit_and_the_paths_are_drawn(rows: dict[str, lightdark.Row], tmp_path: Path) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    tuned = lightdark.tune_waypoint(range(1000, 1002), rounds=1)
    lightdark.report(console, rows, tuned)
    printed = console.export_text()
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= 80
    lightdark.draw(tmp_path / "new" / "paths.png", rows)
    assert (tmp_path / "new" / "paths.png").stat().st_size > 10_000


def test_walkers_share_their_noise() -> None:
    draws = beacon.Draws.of([5, 6])
    assert not np.array_equal(draws.readings[0], draws.readings[1])
    np.testing.assert_array_equal(beacon.Draws.of([6]).pushes[0], draws.pushes[1])
