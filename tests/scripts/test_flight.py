"""The flight benchmark's parts, on a flight that is made up and without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcctrl.errors import FileError
from pcctrl.noise import OrnsteinUhlenbeck
from pcctrl.scripts.benchmarks.flight import FITS, Flight, load_flight, score
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
    ours, evidence = score("PC, Ornstein-Uhlenbeck", TRUE, flight, 0)
    assert evidence == max(evidence, *(e for _, e in found.values()))
    # A kernel that is told the wind is white, at its fitted best or not, estimates the rate less well.
    assert ours < found["Kalman (white)"][0]
    assert score("PC, Ornstein-Uhlenbeck", TRUE, flight, 2)[0] < ours


def test_without_data_it_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PCCTRL_DATA", str(tmp_path))
    with pytest.raises(FileError, match="PCCTRL_DATA"):
        load_flight("drone_wind_exp22_mode1")
    assert main(["bench", "flight"]) == 2
    assert "PCCTRL_DATA" in capsys.readouterr().err
