"""Real sensors for any Gymnasium environment: coloured noise, bias, dropout and delay, in SI units and seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, positive
from pcctrl.errors import ModelError, ParameterError, ShapeError
from pcctrl.models import Delayed, LinearModel, Task
from pcctrl.noise import Bias, Delay, Dropout, Imperfection, Noise

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Sensors"]

_BLOCK = 256


class Sensors(gym.Wrapper[Array, Any, Array, Any]):
    """Gives the observations of an environment the imperfections of real sensors; the truth is ``info["state"]``.

    A reading is the true value ``delay`` seconds ago, plus noise, plus ``bias``, spoilt by the ``imperfections`` in
    their order; or NaN, with probability ``dropout``, which is how filters here are told of a missing sample. All of it
    is drawn from the seed of ``reset`` alone, whatever the actions, so agents can be compared on one realisation.

    Args:
        env: an environment with a one-dimensional box of m observations.
        noise: one for all readings, or one each, or None.
        bias: (m,) or one number, in the unit of the reading.
        dropout: probability that a sample is missing, (m,) or one number, at least 0 and below 1.
        delay: seconds, (m,) or one number, a whole number of samples.
        imperfections: more of `pcctrl.noise.imperfections`.
        dt: sample time in seconds; by default the environment's own ``dt``.

    Raises:
        ShapeError: the observation is no vector, or an argument does not fit it.
        ParameterError: a probability, delay or dt out of range.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        noise: Noise | Sequence[Noise] | None = None,
        *,
        bias: ArrayLike = 0.0,
        dropout: ArrayLike = 0.0,
        delay: ArrayLike = 0.0,
        imperfections: Sequence[Imperfection] = (),
        dt: float | None = None,
    ) -> None:
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise ShapeError(name="env", expected="a one-dimensional Box of observations", received=space)
        m = space.shape[0]
        self.noise: tuple[Noise, ...] = (noise,) * m if isinstance(noise, Noise) else tuple(noise or ())
        if self.noise and len(self.noise) != m:
            raise ShapeError(name="noise", expected=f"{m} noise objects", received=len(self.noise))
        for i, one in enumerate(self.noise):
            if not isinstance(one, Noise) or one.density > 0.0:
                raise ParameterError(name=f"noise[{i}]", expected="White(std=…) or a coloured noise", received=one)
        self._dt = positive("dt", self._sample_time(env) if dt is None else dt)
        self._size = m
        self._before, self._after = Delay(delay), (Bias(bias), *imperfections, Dropout(dropout))
        for flaw in imperfections:
            if not isinstance(flaw, Imperfection):
                raise ParameterError(name="imperfections", expected="Bias, Drift, …", received=type(flaw).__name__)
        self.observation_space = Box(-np.inf, np.inf, (m,), np.float64)
        self._rng = np.random.default_rng()
        self._begin()

    def task(self) -> Task:
        """Return the regulation task with the noise and delay of these sensors told; bias and dropout are not.

        Raises:
            ModelError: the environment has no task, or a sensor is noise-free.
        """
        try:
            build = self.env.get_wrapper_attr("task")
        except AttributeError:
            expected = "an environment with a model (pcctrl list)"
            raise ModelError(name="env", expected=expected, received=type(self.unwrapped).__name__) from None
        if not self.noise:
            raise ModelError(name="noise", expected="a noise for every sensor", received="none")
        task = build(self.noise)
        if not isinstance(task, Task):
            raise ModelError(
                name="env", expected="a task() that returns a pcctrl.models.Task", received=type(task).__name__
            )
        if not np.any(self._before.seconds):
            return task
        model, delay = task.model, np.asarray(self._before.seconds, dtype=np.float64)
        late = replace(model, delay=delay) if isinstance(model, LinearModel) else Delayed(model, delay)
        return replace(task, model=late)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Reset the environment and draw new noise; see `gymnasium.Env.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        if seed is not None:
            # A stream of its own: the environment's generator is seeded with the same number.
            self._rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        self._begin()
        return self._read(observation), self._told(observation, info)

    def _begin(self) -> None:
        noise_rng, *others = self._rng.spawn(2 + len(self._after))
        self._streams = [n.stream(noise_rng, self._dt, sensor=True) for n in self.noise]
        self._drawn, self._row = np.zeros((0, self._size)), 0
        self._spoil_before, *self._spoil_after = (
            one.begin(rng, self._size, self._dt)
            for one, rng in zip((self._before, *self._after), reversed(others), strict=True)
        )

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Step the environment and read its sensors; see `gymnasium.Env.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._read(observation), reward, terminated, truncated, self._told(observation, info)

    def _read(self, clean: Array) -> Array:
        value = self._spoil_before(np.array(clean, dtype=np.float64))
        if self._streams:
            if self._row == len(self._drawn):
                self._drawn = np.stack([s.draw(_BLOCK) for s in self._streams], axis=-1)
                self._row = 0
            value = value + self._drawn[self._row]
            self._row += 1
        for spoil in self._spoil_after:
            value = spoil(value)
        return value

    @staticmethod
    def _told(clean: Array, info: dict[str, Any]) -> dict[str, Any]:
        return {"state": np.array(clean, dtype=np.float64), **info}

    @staticmethod
    def _sample_time(env: gym.Env[Any, Any]) -> float:
        dt = getattr(env.unwrapped, "dt", None)
        if dt is None:
            raise ParameterError(
                name="dt",
                expected="the sample time in seconds, since the environment does not state one",
                received=None,
            )
        return float(dt)
