"""pcctrl estimate on logs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from plants import smooth_msd

from pcctrl.filters import Estimate, KalmanFilter
from pcctrl.models import LinearModel
from pcctrl.noise import OrnsteinUhlenbeck, White
from pcctrl.scripts.estimate import FILTERS
from pcctrl.scripts.main import main


def write_log(folder: Path, missing: int = 5) -> tuple[Path, Path, np.ndarray]:
    model = smooth_msd(2.0, 1e-2)
    joint = model.joint(4)
    rng = np.random.default_rng(0)
    x = np.linalg.cholesky(joint.stationary()) @ rng.standard_normal(joint.size)
    root = np.linalg.cholesky(joint.Q + 1e-16 * np.eye(joint.size))
    lines, truth = ["t,velocity,force,position"], []
    for k in range(400):
        y = (joint.C @ x + np.sqrt(joint.R) * rng.standard_normal(1))[0]
        u = np.sin(0.1 * k)
        cell = "" if 50 <= k < 50 + missing else f"{y:.9g}"
        lines.append(f"{0.1 * k:.9g},{x[1]:.9g},{u:.9g},{cell}")
        truth.append(x[:2].copy())
        x = joint.F @ x + joint.B[:, 0] * u + root @ rng.standard_normal(joint.size)
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    model.save(folder / "model.toml")
    return folder / "log.csv", folder / "model.toml", np.array(truth)


def test_estimates_of_a_log_with_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, model, truth = write_log(tmp_path)
    command = [
        "estimate",
        str(log),
        "--model",
        str(model),
        "--filters",
        "pc",
        "kalman",
        "coloured",
        "ar",
        "generalised",
    ]
    assert main([*command, "--truth", "velocity", "--out", str(tmp_path / "out")]) == 0
    assert "free energy" in capsys.readouterr().out
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["filters"]
    assert rows["pc"]["free_energy"] < min(rows[f]["free_energy"] for f in ("kalman", "coloured"))
    assert rows["pc"]["rmse_velocity"] < 0.9 * rows["kalman"]["rmse_velocity"]
    assert rows["pc"]["nis"] == pytest.approx(1.0, abs=4.5 * np.sqrt(2.0 / 395))
    table = np.genfromtxt(tmp_path / "out" / "estimates_pc.csv", delimiter=",", names=True)
    assert table.dtype.names == ("t", "position", "position_std", "velocity", "velocity_std")
    error = (table["velocity"] - truth[:, 1]) / table["velocity_std"]
    assert np.mean(error**2) == pytest.approx(1.0, abs=0.4)
    for name in ("config.json", "results.csv", "estimates.png"):
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_waiting_helps(tmp_path: Path) -> None:
    log, model, _ = write_log(tmp_path)
    found = []
    for lag in ("0", "4"):
        out = tmp_path / lag
        main(["estimate", str(log), "--model", str(model), "--truth", "velocity", "--lag", lag, "--out", str(out)])
        found.append(json.loads((out / "summary.json").read_text())["filters"]["pc"]["rmse_velocity"])
    assert found[1] < 0.9 * found[0]


@pytest.mark.parametrize(
    ("edit", "extra", "names"),
    [
        (lambda s: s, ["--filters", "magic"], ["filters", "kalman", "magic"]),
        (lambda s: s, ["--truth", "speed"], ["truth", "velocity", "speed"]),
        (lambda s: s, ["--lag", "-1"], ["lag"]),
        (lambda s: s, ["--lag", "400"], ["lag", "400 samples"]),
        (lambda s: s, ["--lag", "1", "--filters", "generalised"], ["lag"]),
        (lambda s: s.replace("position", "height"), [], ["column position"]),
        (lambda s: s.replace("0.2,", "0.25,", 1), [], ["row", "dt"]),
        (lambda s: s.replace("\n0.3,", "\n0.3,x", 1), [], ["row 5", "velocity", "number"]),
        (lambda s: s.replace("\n0.3,", "\n0.3,1,", 1), [], ["row 5", "cells"]),
        (lambda s: s[:10], [], ["header"]),
        (lambda _: "", [], ["header"]),
    ],
)
def test_a_wrong_log_is_one_line(edit, extra, names, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    log, model, _ = write_log(tmp_path)
    log.write_text(edit(log.read_text()))
    assert main(["estimate", str(log), "--model", str(model), "--out", str(tmp_path / "out"), *extra]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    for name in names:
        assert name in line


def test_a_filter_that_diverges_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(KalmanFilter):
        def run(self, y: ArrayLike, u: ArrayLike | None = None, state: Any = None) -> Estimate:
            estimate = super().run(y, u, state)
            for part in (estimate.mean, estimate.free_energy, estimate.nis):
                part[7:] = np.nan
            return estimate

    monkeypatch.setitem(FILTERS, "ar", Lost)
    log, model, _ = write_log(tmp_path)
    command = ["estimate", str(log), "--model", str(model), "--truth", "velocity", "--filters", "ar", "kalman"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "ar: diverged at sample 7 " in said
    assert "kalman: diverged" not in said

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (tmp_path / "out" / "summary.json").read_text()
    rows = json.loads(text, parse_constant=refuse)["filters"]
    assert rows["ar"]["free_energy"] is None
    assert rows["ar"]["rmse_velocity"] is None
    assert rows["kalman"]["free_energy"] is not None


def test_missing_files_and_silence_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, model, _ = write_log(tmp_path, missing=400)
    for arguments in (
        ["estimate", str(tmp_path / "no.csv"), "--model", str(model)],
        ["estimate", str(log), "--model", str(tmp_path / "no.toml")],
    ):
        assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    log.write_text("force,position\n0,\n0,nan\n")
    assert main(["estimate", str(log), "--model", str(model), "--out", str(tmp_path / "out")]) == 2
    assert "some sample" in capsys.readouterr().err


def test_a_real_flight(tmp_path: Path) -> None:
    """Roll of a quadcopter in a fan's wind from its motion-captured angle alone (data README): the path runs."""
    folder = Path(os.environ.get("PCCTRL_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = folder / "drone_wind_exp22_mode1.npz"
    if not path.exists():
        pytest.skip(f"no recorded data at {folder} (PCCTRL_DATA)")
    flight = np.load(path)
    window = slice(400, 1600)
    rotors = flight["rotor_speed"][:, window]
    spread = rotors.max() - rotors.min()
    v = (rotors - rotors.mean(axis=1, keepdims=True)) / spread
    u = np.array([1.0, -1.0, -1.0, 1.0]) @ v
    roll, rate = flight["state"][6, window], flight["state"][9, window]
    force = np.array([[0.0], [1.0]])
    model = LinearModel(
        np.array([[0.0, 1.0], [0.0, 0.0]]),
        force * 0.374838 * spread,
        np.array([[1.0, 0.0]]),
        dt=float(flight["dt"]),
        noise_input=force,
        process_noise=[OrnsteinUhlenbeck(1.0, 0.1)],
        sensor_noise=[White(std=1e-4)],
        states=("roll", "roll_rate"),
        inputs=("rotors",),
        sensors=("angle",),
    )
    model.save(tmp_path / "drone.toml")
    np.savetxt(
        tmp_path / "flight.csv",
        np.column_stack([u, roll, rate]),
        delimiter=",",
        header="rotors,angle,roll_rate",
        comments="",
    )
    out = tmp_path / "out"
    command = [
        "estimate",
        str(tmp_path / "flight.csv"),
        "--model",
        str(tmp_path / "drone.toml"),
        "--truth",
        "roll_rate",
    ]
    assert main([*command, "--filters", "pc", "kalman", "--out", str(out)]) == 0
    rows = json.loads((out / "summary.json").read_text())["filters"]
    still = float(np.sqrt(np.mean(rate**2)))
    assert rows["pc"]["rmse_roll_rate"] < 0.5 * still


def test_an_input_without_a_column_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, model, _ = write_log(tmp_path)
    command = ["estimate", str(log), "--model", str(model), "--filters", "pc", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert "has no column" not in capsys.readouterr().out
    log.write_text(log.read_text().replace("force", "push", 1))
    assert main(command) == 0
    assert "has no column force: taken as resting" in " ".join(capsys.readouterr().out.split())
