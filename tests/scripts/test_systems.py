"""The benchmarks' plants against mechanics."""

from __future__ import annotations

import numpy as np
from plants import WHITE

from pcctrl.scripts.benchmarks.systems import two_masses


def test_two_masses_lose_energy_in_their_dampers_alone() -> None:
    """dE/dt = force · far velocity - 0.3 v1² - 0.2 (v2 - v1)², with E of the masses and the two springs."""
    model = two_masses(*WHITE)
    for p1, p2, v1, v2 in np.random.default_rng(0).standard_normal((20, 4)):
        slope = np.array([2.0 * p1 - 4.0 * (p2 - p1), 4.0 * (p2 - p1), v1, v2])
        state = np.array([p1, p2, v1, v2])
        np.testing.assert_allclose(slope @ model.A @ state, -0.3 * v1**2 - 0.2 * (v2 - v1) ** 2, atol=1e-12)
        np.testing.assert_allclose(slope @ model.noise_input[:, 0], v2, atol=1e-15)
        np.testing.assert_array_equal((model.A @ state)[:2], [v1, v2])


def test_two_masses_at_rest_are_springs_in_series() -> None:
    model = two_masses(*WHITE)
    np.testing.assert_allclose(-np.linalg.solve(model.A, model.B[:, 0]), [1 / 2, 1 / 2 + 1 / 4, 0.0, 0.0], atol=1e-14)
    np.testing.assert_array_equal(model.C, [[1.0, 0.0, 0.0, 0.0]])
