"""Comparison of agents on the same seeds: parallel, resumable, paired."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium as gym

import pcctrl
from pcctrl.errors import ParameterError
from pcctrl.evaluation.metrics import Row, Summary, score, summarise
from pcctrl.evaluation.results import Results
from pcctrl.evaluation.rollout import Episode, Policy, rollout

__all__ = ["Comparison", "compare", "versions"]


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Args:
        make_env: returns a fresh environment; picklable (it runs in the workers).
        policies: agents by name, in the order of the table; picklable.
        steps: samples an episode.
        settle: so many of them, at the start, are scored apart.
        seeds: of the environment, one episode each.
        task: JSON-able description of environment, noise and steps, to which results belong.
        cards: JSON-able description of each agent.
        jobs: worker processes.
    """

    make_env: Callable[[], gym.Env[Any, Any]]
    policies: Mapping[str, Policy]
    steps: int
    seeds: Sequence[int]
    task: Mapping[str, Any]
    cards: Mapping[str, Any] = field(default_factory=dict)
    jobs: int = 2
    settle: int = 0

    def __post_init__(self) -> None:
        if not self.policies:
            raise ParameterError(name="agents", expected="at least one", received="none")
        for name, value in (("steps", self.steps), ("seeds", len(self.seeds)), ("jobs", self.jobs)):
            if value < 1:
                raise ParameterError(name=name, expected="at least 1", received=value)
        if min(self.seeds) < 0:
            raise ParameterError(name="seeds", expected="at least 0 each", received=min(self.seeds))
        if not 0 <= self.settle < self.steps:
            raise ParameterError(
                name="settle", expected=f"at least 0 and below {self.steps} steps", received=self.settle
            )


def compare(
    comparison: Comparison,
    directory: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    fresh: bool = False,
) -> tuple[dict[str, Summary], Results]:
    """Run what ``directory`` does not have yet, and return the summary of each agent and the results.

    Args:
        comparison: what to run.
        directory: rows found there are kept; an interrupted comparison goes on.
        progress: called with (finished, all) episodes.
        fresh: forget what the directory has.

    Raises:
        FileError: the directory cannot be used.
    """
    config = {
        "task": dict(comparison.task),
        "agents": {name: comparison.cards.get(name) for name in comparison.policies},
        "seeds": list(comparison.seeds),
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    results = Results(directory, config, fresh=fresh)
    done = results.done()
    wanted = [(name, seed) for seed in comparison.seeds for name in comparison.policies]
    missing = [pair for pair in wanted if pair not in done]
    report = progress or (lambda *_: None)
    report(len(wanted) - len(missing), len(wanted))
    for count, (row, episode) in enumerate(_run(comparison, missing), start=1):
        results.add(row, episode if row.seed == comparison.seeds[0] else None)
        report(len(wanted) - len(missing) + count, len(wanted))
    rows = {name: results.of(name, comparison.seeds) for name in comparison.policies}
    first = next(iter(rows.values()))
    summaries = {name: summarise(r, None if r is first else first) for name, r in rows.items()}
    results.summarise(summaries)
    return summaries, results


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = ("numpy", "scipy", "gymnasium", "mujoco")
    return {"pcctrl": pcctrl.__version__, "python": platform.python_version()} | {
        name: metadata.version(name) for name in packages
    }


def _run(comparison: Comparison, pairs: Sequence[tuple[str, int]]) -> Iterator[tuple[Row, Episode]]:
    if comparison.jobs == 1 or len(pairs) == 1:
        _start_worker(comparison)
        yield from (_episode(*pair) for pair in pairs)
        return
    if not pairs:
        return
    context = multiprocessing.get_context("spawn")
    workers = min(comparison.jobs, len(pairs))
    pool = ProcessPoolExecutor(workers, context, initializer=_start_child, initargs=(comparison, os.getpid()))
    try:
        pending = [pool.submit(_episode, *pair) for pair in pairs]
        for future in as_completed(pending):
            yield future.result()
    except BaseException:
        # Not to wait for episodes that nobody will read.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_child(comparison: Comparison, parent: int) -> None:
    """Prepare a worker: an interrupt is the parent's to handle, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _start_worker(comparison)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


_worker: dict[str, Any] = {}


def _start_worker(comparison: Comparison) -> None:
    _worker.update(comparison=comparison, env=comparison.make_env())


def _episode(name: str, seed: int) -> tuple[Row, Episode]:
    comparison: Comparison = _worker["comparison"]
    episode = rollout(_worker["env"], comparison.policies[name], steps=comparison.steps, seed=seed)
    return score(name, seed, episode, comparison.steps, comparison.settle), episode
