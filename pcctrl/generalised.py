r"""Generalised coordinates in the Taylor basis of the literature, and the way to and from the orthonormal one.

A smooth signal is described by :math:`\tilde z = (z, z', z'', \dots, z^{(p)})`. Its temporal covariance S(s) and the
embedding of samples are those of dynamic expectation maximisation (Friston et al. 2008; Anil Meera & Wisse 2020). The
condition number of S grows to 1e6 and far beyond with order and sample rate, which is why the filters here work in the
orthonormal basis of `pcctrl.noise` and this module exists for the classical filter, for the literature and for
teaching.
"""

from __future__ import annotations

from math import factorial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pcctrl.arrays import Array, choose, positive, whole
from pcctrl.errors import ShapeError

__all__ = [
    "embed",
    "embedding_matrix",
    "from_orthonormal",
    "shift_operator",
    "temporal_covariance",
    "temporal_precision",
    "to_orthonormal",
]


def shift_operator(order: int, size: int = 1) -> Array:
    """Return D, which takes every derivative to the next: ((order + 1)·size) square, blocks of ``size``.

    Raises:
        ParameterError: ``order`` is negative or ``size`` below 1.
    """
    whole("order", order)
    whole("size", size, 1)
    return np.asarray(np.kron(np.eye(order + 1, k=1), np.eye(size)), dtype=np.float64)


def temporal_covariance(order: int, s: float) -> Array:
    r"""Return S(s), the covariance (order + 1, order + 1) of a unit-variance smooth signal and its derivatives.

    .. math:: S_{ij} = (-1)^{(i-j)/2}\frac{(i+j-1)!!}{(2s^2)^{(i+j)/2}}\ \text{for } i + j \text{ even, else } 0

    Args:
        order: highest derivative.
        s: smoothness in seconds of the autocovariance exp(−τ²/4s²).

    Raises:
        ParameterError: a negative order, or s not positive.
    """
    whole("order", order)
    rate = 1.0 / (2.0 * positive("s", s) ** 2)
    S = np.zeros((order + 1, order + 1))
    for i in range(order + 1):
        for j in range(i % 2, order + 1, 2):
            S[i, j] = (-1.0) ** ((i - j) // 2) * _odd_factorial(i + j - 1) * rate ** ((i + j) / 2)
    return S


def temporal_precision(order: int, s: float) -> Array:
    """Return S(s)⁻¹ (order + 1, order + 1), formed in the orthonormal basis, where nothing is ill-conditioned.

    Raises:
        ParameterError: a negative order, or s not positive.
    """
    T = to_orthonormal(order, s)
    return T.T @ T


def from_orthonormal(order: int, s: float) -> Array:
    r"""Return L with :math:`\tilde z = L \hat z`: lower triangular, (order + 1, order + 1), :math:`S = LL^\top`.

    For a Gaussian autocovariance the orthonormal coordinates obey
    :math:`\hat z_k' = \lambda(\sqrt{k+1}\hat z_{k+1} - \sqrt k\hat z_{k-1})`, :math:`\lambda = 1/(\sqrt2 s)`, so each
    row of L follows from the one above it.

    Raises:
        ParameterError: a negative order, or s not positive.
    """
    whole("order", order)
    rate = 1.0 / (np.sqrt(2.0) * positive("s", s))
    # One coordinate more than is kept: the derivative of a row reaches one further.
    roots = np.sqrt(np.arange(1.0, order + 2.0))
    derivative = rate * (np.diag(roots, 1) - np.diag(roots, -1))
    L = np.zeros((order + 1, order + 2))
    L[0, 0] = 1.0
    for i in range(order):
        L[i + 1] = L[i] @ derivative
    return L[:, : order + 1]


def to_orthonormal(order: int, s: float) -> Array:
    r"""Return T with :math:`\hat z = T \tilde z`, the inverse of `from_orthonormal`, (order + 1, order + 1).

    Raises:
        ParameterError: a negative order, or s not positive.
    """
    L = from_orthonormal(order, s)
    # Rows of L are of size rate^i: measured in it the triangle is harmless to invert.
    size = np.abs(np.diagonal(L))
    return np.asarray(np.linalg.solve(L / size[:, None], np.diag(1.0 / size)))


def embedding_matrix(order: int, dt: float, kind: Literal["causal", "centred"] = "causal") -> Array:
    r"""Return E with :math:`\tilde y = E\,(y_{k}, y_{k-1}, \dots)`: the Taylor polynomial through samples.

    Args:
        order: highest derivative; as many samples and one are used.
        dt: sample time in seconds.
        kind: ``"causal"`` expands about the newest sample; ``"centred"``, as published implementations do, about the
            middle one, ⌈order / 2⌉ samples ago, and so reads the future: it lags by that much.

    Raises:
        ParameterError: a negative order, or dt not positive.
        UnknownNameError: another ``kind``.
    """
    whole("order", order)
    choose("kind", kind, ("causal", "centred"))
    steps = np.arange(order + 1)
    ahead = (-steps if kind == "causal" else lag_of(order, kind) - steps).astype(np.float64)
    # In units of dt, so that only the last step of the inversion knows how short it is.
    taylor = ahead[:, None] ** steps / np.array([factorial(j) for j in steps], dtype=np.float64)
    return np.asarray(np.linalg.inv(taylor) / positive("dt", dt) ** steps[:, None])


def lag_of(order: int, kind: Literal["causal", "centred"]) -> int:
    """Return how many samples late an embedding is: 0 if causal, ⌈order / 2⌉ if centred."""
    return 0 if kind == "causal" else (order + 1) // 2


def embed(y: ArrayLike, order: int, dt: float, kind: Literal["causal", "centred"] = "causal") -> Array:
    """Return the generalised coordinates (..., T, order + 1, m) of a recording y (..., T, m).

    The samples before the first are taken equal to it, and after the last equal to that.

    Args:
        y: recording.
        order: highest derivative.
        dt: sample time in seconds.
        kind: see `embedding_matrix`.

    Raises:
        ShapeError: y has fewer than two dimensions.
        ParameterError, UnknownNameError: see `embedding_matrix`.
    """
    y = np.asarray(y, dtype=np.float64)
    if y.ndim < 2:
        raise ShapeError(name="y", expected="(..., T, m)", received=f"shape {y.shape}")
    E = embedding_matrix(order, dt, kind)
    newest = np.arange(y.shape[-2])[:, None] + lag_of(order, kind)
    index = np.clip(newest - np.arange(order + 1), 0, y.shape[-2] - 1)
    return np.asarray(E @ y[..., index, :])


def _odd_factorial(n: int) -> float:
    return float(np.prod(np.arange(n, 0, -2, dtype=np.float64)))
