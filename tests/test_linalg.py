from __future__ import annotations

import control
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import integrated_covariance

from pcctrl.errors import ModelError
from pcctrl.linalg import compose, discretise, riccati, spectral_radius, stationary_covariance, stein

A = np.array([[0.0, 1.0], [-4.0, -0.4]])
B = np.array([[0.0], [1.0]])


def test_discretise_matches_quadrature() -> None:
    Q = np.array([[0.1, 0.02], [0.02, 0.5]])
    F, held, noise = discretise(A, B, Q, 0.3)
    np.testing.assert_allclose(noise, integrated_covariance(A, Q, 0.3), rtol=1e-10)
    # x' = Ax + Bu from rest settles at -A^-1 B: an exact discretisation has the same fixed point.
    np.testing.assert_allclose(np.linalg.solve(np.eye(2) - F, held), -np.linalg.solve(A, B), rtol=1e-10, atol=1e-14)


def test_discretise_survives_noise_much_faster_than_the_sample() -> None:
    rate = 1e6
    F, _, Q = discretise(np.array([[-rate]]), np.zeros((1, 0)), np.array([[2.0 * rate]]), 1.0)
    assert F[0, 0] == pytest.approx(0.0, abs=1e-300)
    assert Q[0, 0] == pytest.approx(1.0, rel=1e-9)


def test_composed_steps_equal_one_long_step() -> None:
    Q = np.diag([0.0, 1.0])
    short = discretise(A, B, Q, 0.02)
    for got, want in zip(compose(*short, 5), discretise(A, B, Q, 0.1), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 3))
def test_riccati_equals_python_control(seed: int, n: int, p: int) -> None:
    rng = np.random.default_rng(seed)
    F = rng.standard_normal((n, n)) * 0.7
    G = rng.standard_normal((n, p))
    root = rng.standard_normal((n, n))
    Q, R = root @ root.T + 1e-3 * np.eye(n), np.diag(rng.uniform(0.1, 2.0, p))
    S = riccati(F, G, Q, R, name="test")
    _, want, _ = control.dlqr(F, G, Q, R)
    np.testing.assert_allclose(S, want, rtol=1e-6, atol=1e-8 * np.abs(want).max())
    gain = np.linalg.solve(R + G.T @ S @ G, G.T @ S @ F)
    assert spectral_radius(F - G @ gain) < 1.0


def test_riccati_names_the_mode_that_cannot_be_reached() -> None:
    with pytest.raises(ModelError, match=r"eigenvalue 1\.2"):
        riccati(np.diag([1.2, 0.5]), np.array([[0.0], [1.0]]), np.eye(2), np.eye(1), name="model")


def test_stationary_covariance_solves_its_equation_and_refuses_an_unstable_plant() -> None:
    F, _, Q = discretise(A, B, np.diag([0.0, 1.0]), 0.1)
    P = stationary_covariance(F, Q)
    np.testing.assert_allclose(F @ P @ F.T + Q, P, rtol=1e-12, atol=1e-15)
    with pytest.raises(ModelError, match="spectral radius"):
        stationary_covariance(np.eye(2), Q)


def test_stationary_covariance_without_noise_still_tells_stable_from_unstable() -> None:
    grows_at_first = np.array([[0.9, 30.0], [0.0, 0.9]])
    np.testing.assert_array_equal(stationary_covariance(grows_at_first, np.zeros((2, 2))), 0.0)
    # Every entry is below 1, the radius is not.
    with pytest.raises(ModelError, match=r"spectral radius 1\.2"):
        stationary_covariance(np.full((2, 2), 0.6), np.zeros((2, 2)))


def test_stein_equation() -> None:
    rng = np.random.default_rng(1)
    M, N, K = 0.4 * rng.standard_normal((3, 3)), np.eye(2), rng.standard_normal((3, 2))
    X = stein(M, K, N)
    np.testing.assert_allclose(M @ X @ N + K, X, atol=1e-12)
