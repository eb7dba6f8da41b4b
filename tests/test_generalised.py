from __future__ import annotations

import numpy as np
import pytest

from pcctrl.errors import ParameterError, ShapeError, UnknownNameError
from pcctrl.generalised import (
    embed,
    embedding_matrix,
    from_orthonormal,
    shift_operator,
    temporal_covariance,
    temporal_precision,
    to_orthonormal,
)
from pcctrl.noise import Smooth


def test_shift_operator_takes_derivatives() -> None:
    D = shift_operator(2, 2)
    np.testing.assert_array_equal(D @ np.arange(6.0), [2, 3, 4, 5, 0, 0])


@pytest.mark.parametrize("s", [0.1, 0.5, 3.0])
def test_covariance_is_that_of_the_derivatives(s: float) -> None:
    """Against finite differences of the autocovariance: Cov(z^(i), z^(j)) = (−1)^j r^(i+j)(0)."""
    S = temporal_covariance(2, s)
    noise, h = Smooth(1.0, s), 1e-2 * s
    r = noise.autocovariance(np.arange(-2, 3) * h)
    second = (r[1] - 2 * r[2] + r[3]) / h**2
    fourth = (r[0] - 4 * r[1] + 6 * r[2] - 4 * r[3] + r[4]) / h**4
    want = np.array([[r[2], 0, second], [0, -second, 0], [second, 0, fourth]])
    np.testing.assert_allclose(S, want, rtol=1e-3)


@pytest.mark.parametrize("order", range(7))
def test_basis_change_is_the_triangular_root_of_the_covariance(order: int) -> None:
    for s in (0.05, 0.5, 2.0):
        L, S = from_orthonormal(order, s), temporal_covariance(order, s)
        assert np.allclose(L, np.tril(L))
        scale = np.sqrt(np.diagonal(S))
        np.testing.assert_allclose(L @ L.T / np.outer(scale, scale), S / np.outer(scale, scale), atol=1e-12)
        np.testing.assert_allclose(to_orthonormal(order, s) @ L, np.eye(order + 1), atol=1e-9)
        product = temporal_precision(order, s) * np.outer(scale, scale) @ (S / np.outer(scale, scale))
        np.testing.assert_allclose(product, np.eye(order + 1), atol=1e-8)


def test_condition_number_of_the_literature() -> None:
    # PUBLISHED section 5: cond S at p = 6 is 1.9e6 for s = 0.5 and 3.6e14 for s = 0.1.
    assert np.linalg.cond(temporal_covariance(6, 0.5)) == pytest.approx(1.9e6, rel=0.03)
    assert np.linalg.cond(temporal_covariance(6, 0.1)) == pytest.approx(3.6e14, rel=0.05)


@pytest.mark.parametrize(("kind", "lag"), [("causal", 0), ("centred", 2)])
def test_embedding_is_exact_for_polynomials(kind, lag: int) -> None:  # type: ignore[no-untyped-def]
    dt, t = 0.1, np.arange(20) * 0.1
    y = (2.0 + 3.0 * t - t**2 + 0.5 * t**4)[:, None]
    found = embed(y, 4, dt, kind)[8, :, 0]
    x = t[8]
    np.testing.assert_allclose(found, [y[8, 0], 3 - 2 * x + 2 * x**3, -2 + 6 * x**2, 12 * x, 12], atol=1e-6)
    assert np.argmax(np.abs(embedding_matrix(4, dt, kind)[0]) > 0.5) == lag


def test_embedding_keeps_batches_and_sensors_apart() -> None:
    y = np.random.default_rng(0).standard_normal((3, 12, 2))
    whole = embed(y, 2, 0.1)
    assert whole.shape == (3, 12, 3, 2)
    np.testing.assert_allclose(whole[1, ..., 1], embed(y[1, :, 1:], 2, 0.1)[..., 0], atol=1e-12)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ParameterError, match="order"):
        shift_operator(-1)
    with pytest.raises(ParameterError, match="size"):
        shift_operator(1, 0)
    with pytest.raises(ParameterError, match="s: "):
        temporal_covariance(2, 0.0)
    with pytest.raises(ParameterError, match="dt"):
        embedding_matrix(2, -1.0)
    with pytest.raises(UnknownNameError, match="causal, centred"):
        embedding_matrix(2, 0.1, "late")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="y"):
        embed(np.zeros(5), 2, 0.1)
