"""Checked arrays: every public argument becomes a read-only float64 array here, or an error that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcctrl.errors import ParameterError, ShapeError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Array",
    "all_finite",
    "as_array",
    "as_covariance",
    "as_floats",
    "as_names",
    "choose",
    "frozen",
    "matvec",
    "non_negative",
    "per_item",
    "positive",
    "product",
    "stretched",
    "times",
    "vectors",
    "whole",
]

Array: TypeAlias = NDArray[np.float64]


def as_array(name: str, value: ArrayLike, shape: Sequence[int | str]) -> Array:
    """Return ``value`` as a read-only float64 array of the given shape.

    Args:
        name: what to call it in an error.
        value: anything NumPy reads as real numbers; it is copied.
        shape: one entry a dimension; an integer must match, a string (``"n"``) is free and only names the dimension.

    Raises:
        ShapeError: not numeric, or another shape.
        ParameterError: an entry is NaN or infinite.
    """
    expected = "a finite array of shape (" + ", ".join(str(s) for s in shape) + ")"
    try:
        array = np.array(value)
        if array.dtype.kind not in "iufb":
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise ShapeError(name=name, expected=expected, received=f"{type(value).__name__} {value!r:.60}") from None
    fits = array.ndim == len(shape) and all(
        isinstance(want, str) or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ShapeError(name=name, expected=expected, received=f"shape {array.shape}")
    if not np.isfinite(array).all():
        raise ParameterError(
            name=name, expected=expected, received=f"{np.count_nonzero(~np.isfinite(array))} non-finite entries"
        )
    array.flags.writeable = False
    return array


def as_covariance(name: str, value: ArrayLike, size: int, *, definite: bool = False) -> Array:
    """Return a read-only symmetric positive semi-definite (or, if ``definite``, definite) matrix of shape (size, size).

    Raises:
        ShapeError: another shape.
        ParameterError: asymmetric, or an eigenvalue below zero (or not above it) to rounding.
    """
    matrix = as_array(name, value, (size, size))
    scale = float(np.abs(matrix).max(initial=0.0))
    if np.abs(matrix - matrix.T).max(initial=0.0) > 1e-9 * scale:
        raise ParameterError(name=name, expected="a symmetric matrix", received="an asymmetric one")
    least = float(np.linalg.eigvalsh(matrix)[0]) if size else np.inf
    if definite and least <= 0.0:
        raise ParameterError(name=name, expected="a positive definite matrix", received=f"least eigenvalue {least:.3g}")
    if least < -1e-9 * scale:
        raise ParameterError(
            name=name, expected="a positive semi-definite matrix", received=f"least eigenvalue {least:.3g}"
        )
    return matrix


def frozen(array: Array) -> Array:
    """Return ``array``, made read-only: it is shared by everyone who asks for it."""
    array.flags.writeable = False
    return array


def positive(name: str, value: float) -> float:
    """Return ``value`` as a float, which must be finite and above zero, else raise `ParameterError`."""
    number = _number(name, value, "a positive finite number")
    if not (np.isfinite(number) and number > 0.0):
        raise ParameterError(name=name, expected="a positive finite number", received=number)
    return number


def non_negative(name: str, value: float) -> float:
    """Return ``value`` as a float, which must be finite and at least zero, else raise `ParameterError`."""
    number = _number(name, value, "a finite number of at least 0")
    if not (np.isfinite(number) and number >= 0.0):
        raise ParameterError(name=name, expected="a finite number of at least 0", received=number)
    return number


def as_names(name: str, value: Iterable[str] | None, prefix: str, count: int) -> tuple[str, ...]:
    """Return ``count`` distinct names: those given, or ``prefix0``, ``prefix1``, ….

    Raises:
        ShapeError: another number of names, or repeated ones.
    """
    names = tuple(f"{prefix}{i}" for i in range(count)) if value is None else tuple(str(v) for v in value)
    if len(names) != count or len(set(names)) != count:
        raise ShapeError(name=name, expected=f"{count} distinct names", received=names)
    return names


def choose(name: str, value: str, options: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``options``, else raise `UnknownNameError` listing them."""
    known = tuple(options)
    if value not in known:
        raise UnknownNameError(name=name, expected="one of " + ", ".join(known), received=repr(value))
    return value


def per_item(name: str, value: ArrayLike, size: int) -> Array:
    """Return a read-only array (size,) from one number for all or one each; raise as `as_array` does."""
    array = as_floats(name, value, f"one number or ({size},)")
    return as_array(name, np.broadcast_to(array, (size,)) if array.ndim == 0 else array, (size,))


def whole(name: str, value: int, least: int = 0) -> int:
    """Return ``value`` as an int, which must be a whole number of at least ``least``, else raise `ParameterError`."""
    expected = f"a whole number of at least {least}"
    number = _number(name, value, expected)
    if not (np.isfinite(number) and number == int(number) and number >= least):
        raise ParameterError(name=name, expected=expected, received=value)
    return int(number)


def as_floats(name: str, value: ArrayLike, expected: str) -> Array:
    """Return ``value`` as a float64 array of any shape, NaN allowed; raise `ShapeError` if it is not numeric."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ShapeError(name=name, expected=expected, received=f"{type(value).__name__} {value!r:.60}") from None


def vectors(name: str, value: ArrayLike, size: int) -> Array:
    """Return ``value`` as float64 vectors (..., size), NaN allowed; raise `ShapeError` if it is anything else."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ShapeError(name, f"(..., {size})", f"{type(value).__name__} {value!r:.60}") from None
    if array.ndim == 0 or array.shape[-1] != size:
        raise ShapeError(name, f"(..., {size})", f"shape {array.shape}")
    return array


def all_finite(array: Array) -> bool:
    """Return whether all numbers are finite, in a third of the time of ``np.isfinite(array).all()``."""
    return bool(np.count_nonzero(np.isfinite(array)) == array.size)


def times(A: Array, x: Array) -> Array:
    """Return A x (..., k) for a matrix A (k, n) and vectors x (..., n); for one vector `dot` costs half of ``@``."""
    return A.dot(x) if x.ndim == 1 else x @ A.T


def matvec(A: Array, x: Array) -> Array:
    """Return A x (..., k) for matrices A (..., k, n) and vectors x (..., n); for one each `dot` costs half of ``@``."""
    return A.dot(x) if A.ndim == 2 and x.ndim == 1 else np.asarray((A @ x[..., None])[..., 0])


def stretched(array: Array, shape: tuple[int, ...]) -> Array:
    """Return ``array`` broadcast to ``shape``, itself where it has it, which costs a tenth. Not to be written to."""
    return array if array.shape == shape else np.broadcast_to(array, shape)


def product(A: Array, B: Array) -> Array:
    """Return A B (..., k, l) for matrices A (..., k, n) and B (..., n, l); for one each `dot` costs half of ``@``."""
    return np.asarray(A.dot(B) if A.ndim == B.ndim == 2 else np.matmul(A, B))


def _number(name: str, value: float, expected: str) -> float:
    if np.ndim(value) or np.asarray(value).dtype.kind not in "iuf":
        raise ParameterError(name=name, expected=expected, received=f"{type(value).__name__} {value!r:.60}")
    return float(value)
