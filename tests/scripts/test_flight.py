"""The flight benchmark's parts, on a flight that is made up and without data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pcctrl.errors import FileError
from pcctrl.filters import GeneralisedFilter
from pcctrl.models import LinearModel
from pcctrl.noise import OrnsteinUhlenbeck, Smooth
from pcctrl.scripts.benchmarks.flight import FITS, Flight, fit, load_flight, score
from pcctrl.scripts.main import main

# What the made-up flight was made with: Ornstein-Uhlenbeck wind of 2 rad/s², 0.1 s, and a sensor of 1e-4 rad.
TRUE = np.log([2.0, 0.1, 1e-4])


def made_up_flight() -> Flight:
    rng, dt, fine = np.random.default_rng(0), 1.0 / 120.0, 10
    wind = OrnsteinUhlenbeck(2.0, 0.1).sample(rng, 900 * fine, dt / fine)
    rate = np.cumsum(wind) * dt / fine
    # Something must keep it in the air: the drift of the whole flight is taken out.
    rate -= np.linspace(0.0, rate[-1], len(rate))
    angle = np.cumsum(rate) * dt / fine
    y = angle[::fine, None] + 1e-4 * rng.standard_normal((900, 1))
    return Flight(y, np.zeros((900, 1)), rate[::fine], dt)


def test_the_true_kernel_predicts_and_estimates_best() -> None:
    flight = made_up_flight()
    found = {name: score(name, np.log(start), flight, 0) for name, (_, start) in FITS.items()}
    ours, later = (score("PC, Ornstein-Uhlenbeck", TRUE, flight, lag) for lag in (0, 2))
    assert ours is not None
    assert later is not None
    # The classical filter gives no evidence (and a centred one no answer without lag).
    assert ours.evidence == max(ours.evidence, *(s.evidence for s in found.values() if s and np.isfinite(s.evidence)))
    # A kernel that is told the wind is white, at its fitted best or not, estimates the rate less well.
    kalman = found["Kalman (white)"]
    assert kalman is not None
    assert later.recorded < ours.recorded < kalman.recorded


def test_the_classical_filter_is_scored_at_its_own_lag_and_fitted_by_prediction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pcctrl.scripts.benchmarks.flight.STARTS", 2)
    monkeypatch.setattr("pcctrl.scripts.benchmarks.flight.EVALUATIONS", 25)
    flight = made_up_flight()
    flight = Flight(flight.y[:300], flight.u[:300], flight.rate[:300], flight.dt)
    for name, lag in (("GF causal 1", 0), ("GF centred 4, both", 2)):
        start = np.log(FITS[name][1])
        assert score(name, start, flight, 2 - lag) is None
        before = score(name, start, flight, lag)
        assert before is not None
        assert np.isnan(before.evidence)
        after = score(name, fit(name, flight), flight, lag)
        assert after is not None
        assert after.recorded < before.recorded


def test_a_late_rate_is_moved_back() -> None:
    t = 0.1 * np.arange(60.0)
    flight = Flight(np.zeros((60, 1)), np.zeros((60, 1)), np.sin(t - 0.15), 0.1)
    np.testing.assert_allclose(flight.moved[1:-3], np.sin(t)[1:-3], atol=1e-5)
    assert np.abs(flight.rate - np.sin(t)).max() > 0.1


@pytest.mark.parametrize(("name", "published"), [("exp22_mode1", 0.346), ("exp25_mode2", 1.042)])
def test_the_classical_filter_repeats_its_published_flight(name: str, published: float) -> None:
    """PUBLISHED section 6: noise from the truth of the very slot, s = 6 ms; its answer is one sample late."""
    path = Path(os.environ.get("PCCTRL_DATA", Path(__file__).parents[3] / "shared" / "data")) / f"drone_wind_{name}.npz"
    if not path.exists():
        pytest.skip(f"no recorded data: {path} (PCCTRL_DATA)")
    with np.load(path) as data:
        rotors, truth, dt = data["rotor_speed"], data["state"][[6, 9]].T, float(data["dt"])
    A, errors = np.array([[0.0, 1.0], [0.0, 0.0]]), []
    for first in range(400, 1600, 240):
        part, x = rotors[:, first : first + 240], truth[first : first + 240]
        u = (np.array([1.0, -1.0, -1.0, 1.0]) @ (part - part.mean(axis=1, keepdims=True)))[:, None]
        B = np.array([[0.0], [0.374838]])
        residual = x[1:] - x[:-1] @ (np.eye(2) + A * dt).T - u[:-1] @ (B * dt + A @ B * dt**2 / 2).T
        model = LinearModel(
            A,
            B,
            np.array([[1.0, 0.0]]),
            dt=dt,
            noise_input=np.eye(2),
            process_noise=[Smooth(float(std), 0.006) for std in residual.std(axis=0)],
            sensor_noise=[Smooth(8.1214e-9**0.5, 0.006, 1e-9)],
        )
        rate = GeneralisedFilter(model, embedding="centred").run(x[:, :1], u).mean[:, 1]
        errors.append(np.sum((rate[9:229] - x[10:230, 1]) ** 2))
    assert np.mean(errors) == pytest.approx(published, abs=2e-3)


def test_without_data_it_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PCCTRL_DATA", str(tmp_path))
    with pytest.raises(FileError, match="PCCTRL_DATA"):
        load_flight("drone_wind_exp22_mode1")
    assert main(["bench", "flight"]) == 2
    assert "PCCTRL_DATA" in capsys.readouterr().err
