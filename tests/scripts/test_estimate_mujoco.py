"""pcctrl estimate on logs of simulations: MJCF files and Gymnasium's tasks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pcctrl.scripts.main import main

ARM = """<mujoco><option timestep="0.01"/><worldbody><body name="upper" pos="0 0 1">
<joint name="shoulder" type="hinge" axis="0 1 0" damping="0.1"/>
<geom type="capsule" size=".02" fromto="0 0 0 0 0 -0.4" mass="1" contype="0"/><body name="lower" pos="0 0 -0.4">
<joint name="elbow" type="hinge" axis="0 1 0" damping="0.1"/>
<geom type="capsule" size=".02" fromto="0 0 0 0 0 -0.4" mass="0.5" contype="0"/></body></body></worldbody>
<actuator><motor name="lift" joint="shoulder" ctrlrange="-3 3" ctrllimited="true"/></actuator></mujoco>"""
SENSED = ["--plant.dt", "0.02", "--plant.sensors", "qpos:shoulder", "gyro:lower_1"]
SENSED += ["--plant.pushed", "shoulder", "elbow", "--noise.sensor-std", "0.02", "0.05"]
SENSED += ["--noise.process-std", "0.1", "0.1", "--noise.colour", "ou", "--noise.s", "0.2"]
WHITE = ["--noise.sensor-colour", "white"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An MJCF file and a log of it."""
    folder = tmp_path_factory.mktemp("arm")
    (folder / "arm.xml").write_text(ARM)
    command = ["run", str(folder / "arm.xml"), "--agent", "excite", "--steps", "400", "--out", str(folder / "run")]
    assert main([*command, *SENSED, *WHITE]) == 0
    return folder / "arm.xml", folder / "run" / "log.csv"


def estimate(model: Path | str, log: Path, out: Path, *extra: str) -> int:
    return main(["estimate", str(log), "--model", str(model), "--out", str(out), *SENSED, *extra])


def test_a_user_with_an_mjcf_file_and_a_log_gets_a_filter(
    recorded: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filters = ["pc", "pc-sigma", "ekf", "ukf", "ekf-coloured", "ukf-coloured"]
    truth = ["--truth", "elbow_pos", "elbow_vel"]
    assert estimate(*recorded, tmp_path, *WHITE, "--filters", *filters, *truth) == 0
    assert "pc-sigma" in capsys.readouterr().out
    rows = json.loads((tmp_path / "summary.json").read_text())["filters"]
    assert list(rows) == filters
    # 800 innovations, autocorrelated where the colour of the force is not told.
    for name in ("pc", "pc-sigma", "ukf-coloured"):
        assert rows[name]["nis"] == pytest.approx(2.0, abs=4.5 * 2.0 * np.sqrt(2.0 / 800)), name
        assert rows[name]["rmse_elbow_vel"] < 0.5
    assert rows["pc"]["free_energy"] < rows["ekf"]["free_energy"]
    table = np.genfromtxt(tmp_path / "estimates_pc.csv", delimiter=",", names=True)
    assert (table.dtype.names or ())[:3] == ("t", "shoulder_pos", "shoulder_pos_std")
    log = np.genfromtxt(recorded[1], delimiter=",", names=True)
    away = (table["elbow_pos"] - log["true_elbow_pos"]) / table["elbow_pos_std"]
    assert np.mean(away**2) == pytest.approx(1.0, abs=0.7)
    # Told a fifth of the sensors' noise, a filter is too sure of itself.
    assert estimate(*recorded, tmp_path, *WHITE, "--filters", "pc", "--noise.sensor-std", "0.004", "0.01") == 0
    assert "too sure of itself" in capsys.readouterr().out
    assert json.loads((tmp_path / "summary.json").read_text())["filters"]["pc"]["nis"] > 4.0


def test_rows_that_are_missing_are_predicted_over(recorded: tuple[Path, Path], tmp_path: Path) -> None:
    lines = recorded[1].read_text().splitlines()
    width = lines[0].count(",")
    lines[50:60] = [",".join(["nan"] * (width + 1))] * 10
    lines[70] = "," * width
    log = tmp_path / "log.csv"
    log.write_text("\n".join(lines) + "\n")
    assert estimate(recorded[0], log, tmp_path, *WHITE, "--filters", "pc") == 0
    table = np.genfromtxt(tmp_path / "estimates_pc.csv", delimiter=",", names=True)
    assert len(table) == 400
    assert all(np.isfinite(table[name]).all() for name in table.dtype.names or ())
    assert table["elbow_pos_std"][58] > 1.5 * table["elbow_pos_std"][40]


@pytest.mark.parametrize(
    ("edit", "extra", "names"),
    [
        (lambda s: s.replace("gyro:lower_1", "rate"), [], ["column gyro:lower_1", "rate"]),
        (lambda s: s[: len(s) // 2].rpartition(",")[0] + "\n", [], ["row", "cells"]),
        (lambda s: s, ["--filters", "kalman"], ["filters", "pc-sigma", "kalman"]),
        (lambda s: s, ["--noise.sensor-std", "1", "2", "3"], ["noise.sensor-std", "2 numbers", "qpos:shoulder"]),
        (lambda s: s, ["--plant.sensors", "qpos:wrist"], ["sensors", "gyro:BODY", "wrist"]),
        (lambda s: s, ["--plant.sensors", "gyro:hand"], ["sensors", "upper, lower", "hand"]),
        (lambda s: s, ["--plant.dt", "0.015"], ["dt", "0.01"]),
        (lambda s: s, ["--plant.dt", "0.01"], ["row 3", "0.02"]),
    ],
)
def test_what_is_wrong_is_one_line(edit, extra, names, recorded, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    log = tmp_path / "log.csv"
    log.write_text(edit(recorded[1].read_text()))
    assert estimate(recorded[0], log, tmp_path / "out", *WHITE, *extra) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    for name in names:
        assert name in line


def test_options_beside_a_toml_file_are_refused(recorded: tuple[Path, Path], tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert estimate(tmp_path / "model.toml", recorded[1], tmp_path) == 2
    assert "plant" in capsys.readouterr().err


def test_the_cheetah_of_the_documentation(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Both commands as docs/estimating.md has them, but shorter: through contacts, from encoders and an IMU."""
    text = (Path(__file__).parents[2] / "docs" / "estimating.md").read_text()
    block = text.partition("```bash\nCHEETAH")[2].partition("```")[0].replace("\\\n", " ")
    options = block.partition('"')[2].partition('"')[0].split()
    run, estimating = (line.split() for line in block.splitlines() if line.startswith("pcctrl"))
    run[run.index("--steps") + 1], run[run.index("--out") + 1] = "30", str(tmp_path / "run")
    estimating[estimating.index("--out") + 1] = str(tmp_path / "out")
    estimating[2] = str(tmp_path / "run" / "log.csv")
    for command in (run, estimating):
        at = command.index("$CHEETAH")
        assert main([*command[1:at], *options, *command[at + 1 :]]) == 0
    assert "settotalmass" not in capfd.readouterr().err
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["filters"]
    assert rows["pc-sigma"]["rmse_rootz_pos"] < 0.05


def test_what_cannot_be_steered_can_be_estimated(
    recorded: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A motor without limits, and no motor at all: estimated, but not run."""
    free, still = tmp_path / "free.xml", tmp_path / "still.xml"
    free.write_text(ARM.replace(' ctrlrange="-3 3" ctrllimited="true"', ""))
    still.write_text(ARM.partition("<actuator>")[0] + "</mujoco>")
    found = []
    for model in (recorded[0], free, still):
        assert estimate(model, recorded[1], tmp_path, *WHITE, "--filters", "pc", "ekf") == 0
        found.append(json.loads((tmp_path / "summary.json").read_text())["filters"]["pc"])
    assert found[0]["free_energy"] == pytest.approx(found[1]["free_energy"])
    # Not told what was done, a filter is surprised.
    assert found[2]["free_energy"] > found[0]["free_energy"] + 0.1
    capsys.readouterr()
    for model, names in ((free, ["lift", "ctrlrange is missing"]), (still, ["env", "actuator"])):
        assert main(["run", str(model), "--steps", "5", "--out", str(tmp_path / "run"), *SENSED, *WHITE]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert all(name in line for name in names)
    # Nothing pushes it, and all by default: it still falls as its model says.
    command = ["estimate", str(recorded[1]), "--model", str(still), "--out", str(tmp_path), "--plant.dt", "0.02"]
    assert main([*command, "--plant.sensors", "qpos:shoulder", "--noise.delay", "0.04"]) == 0
