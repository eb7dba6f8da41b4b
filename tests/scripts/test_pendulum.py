"""The pendulum benchmark in small, and that its claims can fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy.integrate import solve_ivp

from pcctrl.filters import ExtendedKalmanFilter, NonlinearPCFilter
from pcctrl.models import generalise
from pcctrl.scripts.benchmarks.particles import particle_means, particle_row
from pcctrl.scripts.benchmarks.pendulum import PendulumRow, claims, ekf_of, pendulum_row, report, tune_ekf
from pcctrl.scripts.benchmarks.swings import CASES, Recording, rates, ratio
from pcctrl.tuning import kalman_of


def test_the_simulation_follows_the_equations() -> None:
    """From rest under the force of a seed, by a general integrator on the interpolated noise."""
    recording = Recording(CASES["angle"], 2.0, seeds=2, length=20)
    truth, y = recording.data
    noise, fine = CASES["angle"].model(2.0).process_noise[0], 0.2 / 40
    force = noise.sample(np.random.default_rng(1), 2 * 20 * 20 + 1, fine)
    t = np.arange(len(force)) * fine

    def motion(at: float, x: np.ndarray) -> np.ndarray:
        return rates(x, np.zeros(1), np.array([np.interp(at, t, force)]))

    exact = solve_ivp(motion, (0.0, 19 * 0.2), [0.0, 0.0], t_eval=np.arange(20) * 0.2, rtol=1e-8, max_step=fine).y.T
    np.testing.assert_allclose(truth[1], exact, atol=2e-4)
    assert y.shape == (2, 20, 1)


def test_white_forces_have_their_power() -> None:
    """The rate's variance after one sample from rest is that of the linear twin, within 4.5 standard errors."""
    case, seeds = CASES["sine"], 400
    truth, _ = Recording(case, 0.0, seeds=seeds, length=2).data
    want = case.twin(0.0).joint(0).Q[1, 1]
    assert abs(truth[:, 1, 1].var() / want - 1.0) < 4.5 * np.sqrt(2.0 / seeds)


def test_one_iteration_in_white_noise_is_the_extended_filter() -> None:
    row = pendulum_row("sine", 0.0, seeds=8, starts=0)
    assert row.gap < 1e-9
    assert row.tuned is None


def test_a_small_row_and_its_claims() -> None:
    row = pendulum_row("sine", 2.0, seeds=12, starts=1, evaluations=2)
    assert row.unscented[0] < 1.02
    assert row.told[0] < 0.9
    assert row.tuned is not None
    assert row.tuned[2] < 1.0
    assert row.iterations > 1
    console = Console(width=80, record=True)
    report(console, [row])
    assert max(len(line) for line in console.export_text().splitlines()) <= 80
    assert all(c.met for c in claims([row]) if "unscented" in c.text)
    worse: PendulumRow = replace(row, unscented=(1.03, 1.0, 1.1), tuned=(0.95, 0.9, 0.98))
    assert not any(c.met for c in claims([worse]))


def test_tuning_starts_where_the_linear_twin_is_best() -> None:
    case = CASES["sine"]
    tuned = tune_ekf(case, 2.0, starts=1, evaluations=4)
    recording = Recording(case, 2.0, 1000, 40, 100)
    told = np.sqrt(recording.errors(ExtendedKalmanFilter(case.model(2.0))).mean())
    assert tuned.cost < 1.01 * told
    values = np.array([0.3, -1.0, -2.0, 0.2])
    found, want = ekf_of(case, 2.0, values), kalman_of(case.twin(2.0), values)
    np.testing.assert_array_equal(found.state_noise, want.state_noise)


def test_negative_control_the_wrong_colour_costs_more_than_is_allowed() -> None:
    recording = Recording(CASES["sine"], 2.0, seeds=12)
    right = recording.errors(NonlinearPCFilter(CASES["sine"].model(2.0)))
    wrong = recording.errors(NonlinearPCFilter(CASES["sine"].model(4.0)))
    middle, low, high = ratio(wrong, right)
    assert low > 1.02
    assert low < middle < high


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_a_model(name: str) -> None:
    assert CASES[name].model(2.0).transition([0.1, 0.0], [0.0]).shape == (2,)


def test_particles_on_the_linear_twin_are_the_kalman_filter() -> None:
    """Within a tenth of a posterior standard deviation, while few are lost; a control takes y for another's."""
    model = CASES["angle"].twin(1.0)
    joint, y = generalise(model, 2), Recording(CASES["angle"], 1.0, seeds=2, length=12).data[1]
    want = NonlinearPCFilter(model, 2, iterations=1).run(y[0])
    off = np.abs(particle_means(joint, y[0], 20_000) - want.mean) / want.std
    assert off.mean() < 0.1
    wrong = np.abs(particle_means(joint, y[1], 20_000) - want.mean) / want.std
    assert wrong.mean() > 0.5


def test_particles_see_through_a_nonlinear_sensor() -> None:
    """One sample of sin θ against the posterior by quadrature."""
    plain = replace(CASES["sine"].model(0.0), prior=np.diag([0.15, 0.1]))
    joint, y = generalise(plain, None), np.array([[0.6]])
    grid = np.linspace(-6.0, 6.0, 20001)
    density = np.exp(-0.5 * grid**2 / 0.15 - 0.5 * (y[0, 0] - np.sin(grid)) ** 2 / joint.R[0])
    want = (grid * density).sum() / density.sum()
    got = np.mean([particle_means(joint, y, 50_000, seed)[0, 0] for seed in range(4)])
    assert got == pytest.approx(want, abs=0.003)
    assert abs(NonlinearPCFilter(plain, None, iterations=1).run(y).mean[0, 0] - want) > 0.02


def test_particles_are_a_reference_only_where_their_twin_is() -> None:
    row = particle_row("angle", 1.0, particles=500, seeds=1)
    assert row.twin > 1.0
    good, bad = replace(row, coding=1.05, twin=1.005), replace(row, coding=1.05, twin=1.5)
    assert [c.met for c in claims([], [good])] == [False]
    assert claims([], [bad]) == claims([], [])
