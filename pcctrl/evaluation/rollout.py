"""One episode of a policy in an environment, recorded."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.arrays import Array
from pcctrl.errors import ParameterError
from pcctrl.evaluation.physics import broken
from pcctrl.models import AdaptiveModel

if TYPE_CHECKING:
    from pathlib import Path

    from pcctrl.filters import Belief, Info

__all__ = ["Episode", "Policy", "rollout"]


class Policy(Protocol):
    """What a rollout needs: `agents.Agent` has it."""

    info: Info | None

    @property
    def belief(self) -> Belief:
        """The current belief."""
        ...

    def reset(self, seed: int | None = None) -> None:
        """Forget the last episode."""
        ...

    def act(self, obs: ArrayLike, goal: Any = None) -> Array:
        """Return the action for an observation, and the goal that the environment states, if any."""
        ...


@dataclass(frozen=True, eq=False)
class Episode:
    """A recorded episode of T samples, T less than asked for where the plant failed.

    Args:
        dt: sample time in seconds.
        failed: whether the environment terminated, or its physics broke down (see `physics.broken`).
        reason: which of both, in words; empty where it did not fail.
        state: (T, n) true state when the sample was taken.
        goal: (T, n) state that was wanted, NaN where the environment says none, or no state.
        observation: (T, m) what the sensors read; NaN is missing.
        estimate: (T, n) mean of the belief, NaN if the agent makes no estimate of the state.
        estimate_std: (T, n) its standard deviation.
        innovation: (T, m).
        innovation_std: (T, m) expected of it.
        nis: (T,) normalised innovation squared.
        status: (T,) of `filters.Status`.
        action: (T, p) as applied.
        cost: (T,) of state and action.
        step_us: (T,) microseconds that the decision took.
        learned: (T, k) mean of the parameters that the filter adapts, k of 0 for none.
        learned_std: (T, k) its standard deviation.
    """

    dt: float
    failed: bool
    reason: str
    state: Array
    goal: Array
    observation: Array
    estimate: Array
    estimate_std: Array
    innovation: Array
    innovation_std: Array
    nis: Array
    status: NDArray[np.int64]
    action: Array
    cost: Array
    step_us: Array
    learned: Array
    learned_std: Array

    def save(self, path: Path) -> None:
        """Write the episode as a compressed NumPy archive."""
        with path.open("wb") as file:
            np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Episode:
        """Read an episode written by `save`."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            data: dict[str, Any] = {f.name: archive[f.name] for f in fields(cls)}
        return cls(**{**data, "dt": float(data["dt"]), "failed": bool(data["failed"]), "reason": str(data["reason"])})


def rollout(env: gym.Env[Any, Any], policy: Policy, *, steps: int, seed: int) -> Episode:
    """Run ``policy`` in ``env`` for at most ``steps`` samples and record it.

    Args:
        env: whose ``info`` has the true ``state`` and ``cost`` (`envs.Sensors`); without a cost it is −reward. Where it
            has a ``goal`` the policy is told it.
        policy: reset before the episode.
        steps: at least 1.
        seed: of the environment's reset, and so of all noise.

    Raises:
        ParameterError: ``steps`` is below 1, or above the environment's own limit.
    """
    if steps < 1:
        raise ParameterError(name="steps", expected="at least 1", received=steps)
    observation, info = env.reset(seed=seed)
    policy.reset(seed)
    rows: dict[str, list[Any]] = {f.name: [] for f in fields(Episode) if f.name not in ("dt", "failed", "reason")}
    failed, reason = False, ""
    for _ in range(steps):
        state, goal = info["state"], info.get("goal")
        start = time.perf_counter_ns()
        action = policy.act(observation, goal)
        elapsed = 1e-3 * (time.perf_counter_ns() - start)
        _record(rows, policy, state, observation, action)
        rows["goal"].append(_wanted(goal, state))
        rows["step_us"].append(elapsed)
        observation, reward, failed, truncated, info = env.step(action)
        cost = info.get("cost", -float(reward))
        if failed:
            reason = "beyond the bounds of its environment"
        if broken(env, info["state"], cost):
            # There is no telling what it costs: as much as the worst before it, and not just once.
            reason = "the physics broke down"
            failed, cost = True, max((*rows["cost"], cost if np.isfinite(cost) else 0.0))
        rows["cost"].append(cost)
        if failed:
            break
        if truncated and len(rows["cost"]) < steps:
            raise ParameterError(
                name="steps", expected=f"at most the environment's {len(rows['cost'])}", received=steps
            )
    data: dict[str, Any] = {key: np.array(value) for key, value in rows.items()}
    return Episode(dt=float(env.get_wrapper_attr("dt")), failed=bool(failed), reason=reason, **data)


def _wanted(goal: Any, state: Array) -> Array:
    """Return the state (n,) that is wanted now, NaN if it is not said."""
    now = np.asarray(getattr(goal, "goals", goal))
    now = now[0] if now.ndim == 2 else now
    return now if now.shape == state.shape else np.full(state.shape, np.nan)


def _record(rows: dict[str, list[Any]], policy: Policy, state: Array, observation: Array, action: Array) -> None:
    belief, info, filter_ = policy.belief, policy.info, getattr(policy, "filter", None)
    learned = slice(0, 0)
    if isinstance(getattr(filter_, "model", None), AdaptiveModel):
        # The plant's own states come before what has been learned of it.
        learned = slice(len(state), belief.plant)
    rows["learned"].append(belief.mean[learned])
    rows["learned_std"].append(belief.std[learned])
    if learned.stop:
        belief = belief.marginal(len(state))
    makes = getattr(filter_, "estimates_state", True)
    estimates = makes and info is not None and belief.state.shape == state.shape
    unknown = np.full(state.shape, np.nan)
    rows["state"].append(state)
    rows["observation"].append(observation)
    rows["action"].append(action)
    rows["estimate"].append(belief.state if estimates else unknown)
    rows["estimate_std"].append(belief.std if estimates else unknown)
    if info is None or not estimates:
        nothing = np.full(observation.shape, np.nan)
        innovation, innovation_std, nis, status = nothing, nothing, np.nan, 0
    else:
        innovation = np.where(np.isnan(observation), np.nan, info.innovation)
        spread = np.sqrt(np.diagonal(info.innovation_covariance, axis1=-2, axis2=-1))
        innovation_std = np.where(np.isnan(observation), np.nan, spread)
        nis, status = float(info.nis), int(info.status)
    rows["innovation"].append(innovation)
    rows["innovation_std"].append(innovation_std)
    rows["nis"].append(nis)
    rows["status"].append(status)
