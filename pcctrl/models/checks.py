"""Checks of arguments that several models take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, as_array, per_item, stretched
from pcctrl.errors import ParameterError, ShapeError
from pcctrl.noise import Noise

__all__ = [
    "as_delays",
    "as_limits",
    "as_noises",
    "as_rates",
    "check_matrices",
    "in_rows",
    "matrices_of",
    "takes_batches",
    "together",
]

# Longer delays, in samples, are a unit mixed up: each sample is a state.
_LONGEST = 200.0


def as_noises(name: str, noises: Noise | Sequence[Noise], count: int, *, sensor: bool) -> tuple[Noise, ...]:
    """Return ``count`` noises, of which each can stand at a sensor, or else drive a process.

    Raises:
        ShapeError: another number of them.
        ParameterError: one that is no noise, or is of the wrong kind.
    """
    try:
        noises = (noises,) if isinstance(noises, Noise) else tuple(noises)
    except TypeError:
        raise ShapeError(name=name, expected=f"{count} noise objects", received=type(noises).__name__) from None
    if len(noises) != count:
        raise ShapeError(name=name, expected=f"{count} noise objects", received=f"{len(noises)}")
    for i, noise in enumerate(noises):
        if not isinstance(noise, Noise):
            raise ParameterError(
                name=f"{name}[{i}]", expected="a noise object (White, Smooth, …)", received=f"{type(noise).__name__}"
            )
        if sensor and (noise.density > 0.0 or noise.sensor_floor <= 0.0):
            raise ParameterError(
                name=f"{name}[{i}]", expected="a white part: White(std=…), or a floor above 0", received=noise
            )
        if not sensor and not noise.is_process:
            raise ParameterError(name=f"{name}[{i}]", expected="White(density=…) or a coloured noise", received=noise)
    return noises


def as_rates(name: str, value: ArrayLike | None, count: int) -> Array | None:
    """Return (count,) positive rates from one number for all or one each, or None for None.

    Raises:
        ShapeError, ParameterError: of another size, or not positive.
    """
    if value is None:
        return None
    rates = per_item(name, value, count)
    if not (rates > 0.0).all():
        raise ParameterError(name=name, expected="positive rates", received=rates)
    return np.asarray(rates)


def as_delays(name: str, delay: ArrayLike | None, dt: float, count: int) -> Array | None:
    """Return seconds (count,) by which sensors are late, from one number for all or one each; None for none.

    Raises:
        ShapeError: of another size.
        ParameterError: not whole samples of ``dt``, negative, or absurdly long.
    """
    if delay is None or not np.any(delay):
        return None
    delays = per_item(name, delay, count)
    lags = delays / dt
    if (lags < 0.0).any() or (lags > _LONGEST).any() or (np.abs(lags - np.rint(lags)) > 0.01).any():
        expected = f"whole samples of {dt:g} s, from 0 to {_LONGEST:g}"
        raise ParameterError(name=name, expected=expected, received=delay)
    return delays


def as_limits(name: str, limits: Any, size: int) -> tuple[Array, Array]:
    """Return the least and greatest value, (size,) each, from two numbers or arrays; infinite where there is none.

    Raises:
        ShapeError: not two of that size.
        ParameterError: the first is not below the second.
    """
    expected = f"two numbers or arrays ({size},), the first below the second"
    try:
        low, high = (np.array(np.broadcast_to(np.asarray(bound, dtype=np.float64), (size,))) for bound in limits)
    except (TypeError, ValueError):
        raise ShapeError(name=name, expected=expected, received=limits) from None
    if not (low < high).all():
        raise ParameterError(name=name, expected=expected, received=limits)
    return low, high


def together(x: Array, u: Array, w: Array) -> tuple[Array, Array, Array]:
    """Return state (..., n), input (..., p) and noise (..., q) in one batch.

    Raises:
        ShapeError: their batches do not fit together.
    """
    if x.ndim == u.ndim == w.ndim == 1:
        return x, u, w
    try:
        batch = np.broadcast_shapes(x.shape[:-1], u.shape[:-1], w.shape[:-1])
    except ValueError:
        received = f"shapes {x.shape}, {u.shape}, {w.shape}"
        raise ShapeError(name="x, u, w", expected="batches that fit together", received=received) from None
    x, u, w = (stretched(a, (*batch, a.shape[-1])) for a in (x, u, w))
    return x, u, w


def takes_batches(function: Callable[..., ArrayLike], size: int, *arguments: Array) -> bool:
    """Tell whether a function of vectors answers the batch of ``arguments`` as it answers its rows, (..., size)."""
    batch = arguments[0].shape[:-1]
    rows = np.empty((*batch, size))
    with np.errstate(all="ignore"):
        for index in np.ndindex(batch):
            rows[index] = function(*(a[index] for a in arguments))
        try:
            together = np.asarray(function(*arguments), dtype=np.float64)
        except Exception:  # whatever a function raises that was written for vectors
            return False
    return together.shape == rows.shape and np.allclose(together, rows, rtol=1e-9, atol=0.0, equal_nan=True)


def matrices_of(
    function: Callable[..., Sequence[ArrayLike]], shapes: Sequence[tuple[int, int]], batched: bool, *arguments: Array
) -> list[Array]:
    """Return the matrices (..., rows, columns) that a function returns of a batch, at once if it takes one."""
    batch = arguments[0].shape[:-1]
    with np.errstate(all="ignore"):
        if batched or not batch:
            return [np.asarray(J, dtype=np.float64) for J in function(*arguments)]
        every = [np.empty((*batch, *shape)) for shape in shapes]
        for index in np.ndindex(batch):
            for all_of_them, one in zip(every, function(*(a[index] for a in arguments)), strict=True):
                all_of_them[index] = one
        return every


def check_matrices(name: str, matrices: Sequence[ArrayLike], height: int, widths: tuple[int, ...]) -> None:
    """Check that there is one matrix (height, width) for each width.

    Raises:
        ShapeError: another number or size of them.
    """
    if not isinstance(matrices, tuple | list) or len(matrices) != len(widths):
        raise ShapeError(name=name, expected=f"{len(widths)} matrices", received=type(matrices).__name__)
    for i, (matrix, width) in enumerate(zip(matrices, widths, strict=True)):
        as_array(f"{name}[{i}]", matrix, (height, width))


def in_rows(function: Callable[..., Sequence[ArrayLike]]) -> Callable[..., Array]:
    """Return a function whose answer is that of ``function``, each matrix in a row and all side by side."""

    def call(*arguments: Array) -> Array:
        matrices = [np.asarray(J, dtype=np.float64) for J in function(*arguments)]
        return np.concatenate([J.reshape(*J.shape[:-2], -1) for J in matrices], axis=-1)

    return call
