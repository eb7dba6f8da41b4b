"""Comparisons: files, resumption, and what cannot be mixed."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import pcctrl.envs  # noqa: F401
from pcctrl import agents
from pcctrl.errors import FileError, ParameterError
from pcctrl.evaluation import Comparison, Episode, compare, rollout
from pcctrl.filters import Info

# Named with its module, since spawned workers start without it.
MAKE = functools.partial(gym.make, "pcctrl.envs:pcctrl/MassSpringDamper-v0", max_episode_steps=60)


def comparison(names: tuple[str, ...] = ("aif", "lqg"), count: int = 3, **changes: Any) -> Comparison:
    task = agents.task_of(MAKE())
    policies = {name: agents.make(name, task) for name in names}
    values: dict[str, Any] = {"steps": 60, "seeds": range(count), "task": {"env": "msd"}, "jobs": 1, **changes}
    return Comparison(MAKE, policies, **values)


def test_files_and_summary(tmp_path: Path) -> None:
    summaries, results = compare(comparison(), tmp_path / "deep" / "out")
    stored = json.loads((results.directory / "summary.json").read_text())["agents"]
    assert list(stored) == ["aif", "lqg"]
    for agent in stored.values():
        assert {"cost", "rmse", "nis", "failures", "step_us"} <= set(agent)
        for key in ("cost", "rmse"):
            assert agent[key]["low"] <= agent[key]["mean"] <= agent[key]["high"]
            assert "iqm" in agent[key]
        assert 0.0 < agent["step_us"]["p50"] <= agent["step_us"]["p99"]
    config = json.loads((results.directory / "config.json").read_text())
    assert config["seeds"] == [0, 1, 2]
    assert {"pcctrl", "numpy", "mujoco"} <= set(config["versions"])
    assert len((results.directory / "results.csv").read_text().splitlines()) == 7
    assert summaries["lqg"].difference is not None
    kept = results.episode("aif", 0)
    assert kept is not None
    assert kept.estimate.shape == (60, 2)


def test_processes_and_one_process_agree(tmp_path: Path) -> None:
    alone, _ = compare(comparison(), tmp_path / "1")
    together, _ = compare(comparison(jobs=2), tmp_path / "2")
    for name, summary in alone.items():
        assert together[name].cost.mean == pytest.approx(summary.cost.mean, rel=1e-9)


def test_an_interrupted_comparison_goes_on(tmp_path: Path) -> None:
    class Killed(Exception):  # noqa: N818
        pass

    def kill(done: int, _: int) -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        compare(comparison(), tmp_path, kill)
    path = tmp_path / "results.csv"
    # A process killed while writing leaves half a line.
    path.write_text(path.read_text() + "lqg,2,Fal")
    seen: list[int] = []
    summaries, results = compare(comparison(), tmp_path, lambda done, _: seen.append(done))
    assert seen == [3, 4, 5, 6]
    fresh, _ = compare(comparison(), tmp_path / "fresh")
    assert {n: s.cost for n, s in summaries.items()} == {n: s.cost for n, s in fresh.items()}
    assert len(results.rows) == 6


def test_more_seeds_and_agents_extend(tmp_path: Path) -> None:
    compare(comparison(("aif",), 2), tmp_path)
    seen: list[int] = []
    summaries, _ = compare(comparison(("aif", "lqg"), 3), tmp_path, lambda done, _: seen.append(done))
    assert seen[0] == 2
    assert summaries["lqg"].seeds == 3


def test_another_task_is_not_mixed_in(tmp_path: Path) -> None:
    compare(comparison(("lqg",), 1), tmp_path)
    with pytest.raises(FileError, match="env msd there, other now"):
        compare(comparison(("lqg",), 1, task={"env": "other"}), tmp_path)


def test_damaged_and_impossible_directories_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(FileError, match=r"config\.json"):
        compare(comparison(("lqg",), 1), tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(FileError, match="directory that can be written"):
        compare(comparison(("lqg",), 1), blocked / "out")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", '{"task": null}'),
        ("config.json", '{"task": [1], "agents": {}}'),
        ("config.json", None),
        ("results.csv", "\xff\x00 not, a table"),
    ],
)
def test_damaged_results_are_named(name: str, content: str | None, tmp_path: Path) -> None:
    compare(comparison(("lqg",), 1), tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(FileError, match=name.replace(".", r"\.")):
        compare(comparison(("lqg",), 1), tmp_path)


def test_a_damaged_episode_is_done_without(tmp_path: Path) -> None:
    _, results = compare(comparison(("lqg",), 1), tmp_path)
    path = tmp_path / "episodes" / "lqg_0.npz"
    path.write_bytes(path.read_bytes()[:500])
    assert results.episode("lqg", 0) is None


def test_another_agent_of_the_same_name_is_not_mixed_in(tmp_path: Path) -> None:
    compare(comparison(("lqg",), 1, cards={"lqg": {"tuning": "none"}}), tmp_path)
    with pytest.raises(FileError, match="same lqg"):
        compare(comparison(("lqg",), 2, cards={"lqg": {"tuning": "6 starts"}}), tmp_path)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """A killed comparison leaves no process behind."""
    if not Path("/proc").exists():
        pytest.skip("processes are looked up in /proc")
    program = Path(sys.executable).with_name("pcctrl")
    command = ["compare", "pcctrl/CartPole-v0", "--agents", "lqg", "--seeds", "400", "--jobs", "2", "--out", "out"]
    parent = subprocess.Popen([program, *command], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def children() -> set[str]:
        alive = set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"PWD={tmp_path}" in path.read_text(errors="replace") or os.readlink(path.parent / "cwd") == str(
                    tmp_path
                ):
                    alive.add(path.parent.name)
        return alive - {str(parent.pid)}

    deadline = time.monotonic() + 60.0
    while not (tmp_path / "out" / "results.csv").exists() or (tmp_path / "out" / "results.csv").stat().st_size < 200:
        assert time.monotonic() < deadline, "the comparison has started"
        time.sleep(0.1)
    assert children()
    parent.kill()
    parent.wait()
    while children():
        assert time.monotonic() < deadline, "workers have ended"
        time.sleep(0.1)


def test_a_full_disk_keeps_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Episode.save
    compare(comparison(("lqg",), 1), tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Episode, "save", full)
    with pytest.raises(FileError, match="No space left"):
        compare(comparison(("lqg", "aif"), 1), tmp_path)
    monkeypatch.setattr(Episode, "save", original)
    _, results = compare(comparison(("lqg", "aif"), 1), tmp_path)
    assert len(results.rows) == 2


def test_bad_numbers_are_named() -> None:
    for change in ({"steps": 0}, {"seeds": range(0)}, {"jobs": 0}, {"settle": 60}):
        with pytest.raises(ParameterError, match=next(iter(change))):
            comparison(("lqg",), **change)
    with pytest.raises(ParameterError, match="agents"):
        comparison(())


def test_episode_survives_its_file(tmp_path: Path) -> None:
    episode = rollout(MAKE(), agents.make("aif", MAKE()), steps=20, seed=4)
    episode.save(tmp_path / "e.npz")
    again = Episode.load(tmp_path / "e.npz")
    np.testing.assert_array_equal(again.estimate, episode.estimate)
    assert (again.dt, again.failed, again.reason) == (episode.dt, False, "")


class Idle:
    def __init__(self, env: Any) -> None:
        self.inner = agents.make("lqg", env)
        self.info: Info | None = None

    @property
    def belief(self) -> Any:
        return self.inner.belief

    def reset(self, seed: int | None = None) -> None:
        pass

    def act(self, obs: Any, goal: Any = None) -> Any:  # noqa: ARG002
        return np.zeros(1)


def test_rollout_stops_where_the_plant_is_lost() -> None:
    env = gym.make("pcctrl/CartPole-v0")
    episode = rollout(env, Idle(env), steps=1000, seed=0)
    assert (episode.failed, episode.reason) == (True, "beyond the bounds of its environment")
    assert len(episode.cost) < 1000


@pytest.mark.parametrize("kind", ["warned", "state", "cost"])
def test_a_run_whose_physics_breaks_down_has_failed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo goes back to the start when its numbers do; that is no recovery."""
    monkeypatch.chdir(tmp_path)  # MuJoCo's log

    class Breaks(gym.Wrapper[Any, Any, Any, Any]):
        steps = 0

        def step(self, action: Any) -> Any:
            self.steps += 1
            plant: Any = self.unwrapped
            if self.steps == 5 and kind == "warned":
                plant.data.qvel[:] = 1e12
            y, reward, failed, truncated, info = self.env.step(action)
            if self.steps == 5 and kind != "warned":
                info = {**info, kind: info[kind] * np.nan}
            return y, reward, failed and kind != "warned", truncated, info

    env = gym.make("pcctrl/MassSpringDamper-v0")
    whole = rollout(env, Idle(env), steps=20, seed=0)
    assert (whole.failed, whole.reason) == (False, "")
    episode = rollout(Breaks(env), Idle(env), steps=20, seed=0)
    assert (episode.failed, episode.reason) == (True, "the physics broke down")
    assert len(episode.cost) == 5
    assert np.isfinite(episode.cost).all()
    assert episode.cost[-1] >= episode.cost[:-1].max()
