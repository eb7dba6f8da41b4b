"""Reference motions of an arm's joints, as functions of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcctrl.arrays import Array

__all__ = ["Limits", "Moves", "Sinusoids", "rest"]

# Moves last so long, in seconds, at least, and rest so long after.
_SHORTEST, _REST = 0.6, 0.3
# Sinusoids: how many a joint, their frequencies in Hz, and the seconds in which they set in.
_TERMS, _FREQUENCIES, _RAMP = 2, (0.1, 0.7), 1.0


@dataclass(frozen=True, eq=False)
class Limits:
    """What a reference keeps to; each (nv,).

    Args:
        home: rad, about which it moves.
        reach: rad, how far from there at most.
        speed: rad/s.
        acceleration: rad/s².
    """

    home: Array
    reach: Array
    speed: Array
    acceleration: Array


@dataclass(frozen=True, eq=False)
class Moves:
    """Minimum-jerk moves from one point to the next, with a rest after each.

    Source: Flash & Hogan 1985: s(τ) = 10τ³ − 15τ⁴ + 6τ⁵.

    Args:
        points: (K, nv) rad, where each rest is.
        begins: (K − 1,) seconds at which each move begins, after the last has ended.
        lasts: (K − 1,) seconds that it lasts.
    """

    points: Array
    begins: Array
    lasts: Array

    @classmethod
    def draw(cls, rng: np.random.Generator, limits: Limits, seconds: float) -> Moves:
        """Return moves from home to random points until ``seconds`` are over."""
        points, begins, lasts, clock = [limits.home], [], [], _REST
        while clock < seconds:
            points.append(limits.home + limits.reach * rng.uniform(-1.0, 1.0, len(limits.home)))
            way = np.abs(points[-1] - points[-2])
            # The peaks of a minimum-jerk move of unit length and duration are 1.875 and 5.774.
            quick = max((1.875 * way / limits.speed).max(), np.sqrt((5.774 * way / limits.acceleration).max()))
            begins.append(clock)
            lasts.append(max(float(quick), _SHORTEST))
            clock += lasts[-1] + _REST
        return cls(np.array(points), np.array(begins), np.array(lasts))

    def states(self, times: Array) -> Array:
        """Return positions, then velocities (T, 2 nv) at ``times`` (T,) in seconds."""
        nv = self.points.shape[1]
        states = np.zeros((len(times), 2 * nv))
        states[:, :nv] = self.points[0]
        for way, begin, last in zip(np.diff(self.points, axis=0), self.begins, self.lasts, strict=True):
            position, rate = _minimum_jerk((times - begin) / last)
            states[:, :nv] += position[:, None] * way
            states[:, nv:] += rate[:, None] * way / last
        return states


@dataclass(frozen=True, eq=False)
class Sinusoids:
    """A sum of sinusoids for each joint about a point, set in with a minimum-jerk ramp.

    Args:
        centre: (nv,) rad.
        amplitudes: (nv, K) rad.
        rates: (nv, K) rad/s.
        phases: (nv, K) rad.
    """

    centre: Array
    amplitudes: Array
    rates: Array
    phases: Array

    @classmethod
    def draw(cls, rng: np.random.Generator, limits: Limits) -> Sinusoids:
        """Return two sinusoids a joint, which together use half to all of what some limit leaves."""
        size = (len(limits.home), _TERMS)
        rates = 2.0 * np.pi * rng.uniform(*_FREQUENCIES, size)
        amplitudes = rng.uniform(0.5, 1.0, size)
        room = [
            limit / (amplitudes * rates**power).sum(axis=1)
            for power, limit in enumerate((limits.reach, limits.speed, limits.acceleration))
        ]
        amplitudes *= (np.min(room, axis=0) * rng.uniform(0.5, 1.0, size[0]))[:, None]
        return cls(limits.home, amplitudes, rates, rng.uniform(0.0, 2.0 * np.pi, size))

    def states(self, times: Array) -> Array:
        """Return positions, then velocities (T, 2 nv) at ``times`` (T,) in seconds."""
        angle = times[:, None, None] * self.rates + self.phases
        sway, rate = (self.amplitudes * np.sin(angle)).sum(-1), (self.amplitudes * self.rates * np.cos(angle)).sum(-1)
        ramp, slope = (part[:, None] for part in _minimum_jerk(times / _RAMP))
        return np.hstack([self.centre + ramp * sway, ramp * rate + slope * sway / _RAMP])


def _minimum_jerk(fraction: Array) -> tuple[Array, Array]:
    """Return s and ds/dτ at τ, 0 before and at rest after."""
    t = np.clip(fraction, 0.0, 1.0)
    return t**3 * (10.0 + t * (6.0 * t - 15.0)), 30.0 * (t * (1.0 - t)) ** 2


def rest(point: Array) -> Moves:
    """Return no motion at all."""
    nothing = np.zeros(0)
    return Moves(point[None], nothing, nothing)
