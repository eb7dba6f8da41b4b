"""The program as a user types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pcctrl.envs import NoiseOptions, plant_of, two_masses
from pcctrl.scripts.bench import BENCHMARKS
from pcctrl.scripts.benchmarks import limits
from pcctrl.scripts.compare import _noise_line
from pcctrl.scripts.main import main


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("pcctrl: ")
    return captured.err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("pcctrl/CartPole-v0", "aif", "lqg", "lqg-tuned", "pid"):
        assert name in out


def test_run_and_compare_write_their_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = "pcctrl/MassSpringDamper-v0"
    assert (
        main(["run", env, "--agent", "aif", "--steps", "50", "--out", str(tmp_path / "run"), "--noise.dropout", "0.2"])
        == 0
    )
    assert "PARTIAL" not in capsys.readouterr().out  # one sensor: a missing one is blindness
    command = ["compare", env, "--agents", "aif", "lqg", "--seeds", "3", "--steps", "50", "--jobs", "1"]
    command += ["--noise.colour", "ou", "--noise.s", "0.5", "--out", str(tmp_path / "compare")]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "Lowest mean cost: " in out
    for folder in ("run", "compare"):
        for name in ("config.json", "summary.json", "results.csv", "estimates.png", "innovations.png", "cost.png"):
            assert (tmp_path / folder / name).stat().st_size > 0
    config = json.loads((tmp_path / "compare" / "config.json").read_text())
    assert config["task"]["noise"]["s"] == 0.5
    assert config["agents"]["aif"]["lag"] == 0
    assert main(command) == 0
    assert "6 of 6 episodes found finished" in capsys.readouterr().out


def test_what_is_learned_is_told_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for agent, learns in (("aif-adaptive", True), ("computed-torque", False)):
        out = tmp_path / agent
        assert main(["run", "pcctrl/Arm2-v0", "--agent", agent, "--steps", "40", "--out", str(out)]) == 0
        told = capsys.readouterr().out
        assert ("learned load:payload" in told) is learns
        assert ("viscous:joint1" in told) is learns
        assert (out / "learned.png").exists() is learns


def test_every_benchmark_that_is_named_is_there() -> None:
    root = Path(__file__).parents[2]
    for name in ("Makefile", "README.md", "docs/benchmarks.md"):
        text = (root / name).read_text(encoding="utf-8")
        named = set(re.findall(r"pcctrl bench (\w+)", text)) | set(
            " ".join(re.findall(r"for name in ([\w ]+); do", text)).split()
        )
        assert named <= set(BENCHMARKS), name
    assert "limits" in named


def test_a_told_delay_reaches_every_agent(tmp_path: Path) -> None:
    command = ["run", "pcctrl/MassSpringDamper-v0", "--agent", "aif", "--steps", "30", "--noise.delay", "0.2"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "config.json").read_text())["task"]["noise"]["delay"] == 0.2


def test_run_takes_a_model_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_masses().save(tmp_path / "plant.toml")
    command = ["run", "pcctrl/LinearSystem-v0", "--model", str(tmp_path / "plant.toml"), "--steps", "30"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert "completed" in capsys.readouterr().out
    assert "position_1" in json.loads((tmp_path / "out" / "config.json").read_text())["task"]["model"]


def test_a_lost_run_says_when_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "pcctrl/CartPole-v0", "--agent", "excite", "--steps", "200", "--out", str(tmp_path)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"FAILED after \d+ of 200 samples: beyond the bounds of its environment", told)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["run", "pcctrl/CartPole-v0", "--model", "plant.toml"], ["model", "LinearSystem"]),
        (["run", "pcctrl/LinearSystem-v0", "--model", "none.toml"], ["none.toml"]),
        (["run", "pcctrl/LinearSystem-v0", "--noise.s", "0.1"], ["noise.colour"]),
        (["compare", "pcctrl/Nothing-v0"], ["env", "pcctrl/CartPole-v0", "Nothing"]),
        (["compare", "pcctrl/CartPole-v0", "--agents", "aif", "mpx"], ["agents", "lqg-tuned", "mpx"]),
        (["compare", "pcctrl/CartPole-v0", "--agents", "aif", "aif"], ["agents", "different"]),
        (["compare", "pcctrl/CartPole-v0", "--seeds", "0"], ["seeds", "at least 1"]),
        (["compare", "pcctrl/CartPole-v0", "--jobs", "0"], ["jobs"]),
        (["compare", "pcctrl/CartPole-v0", "--agents", "lqg", "--first-seed", "-1"], ["first-seed", "-1"]),
        (["compare", "pcctrl/CartPole-v0", "--agents", "lqg", "--settle", "2000"], ["settle"]),
        (["compare", "pcctrl/CartPole-v0", "--bogus", "1"], ["--bogus"]),
        (["compare", "pcctrl/CartPole-v0", "--seeds", "many"], ["--seeds", "many"]),
        (["compare"], ["ENV" if sys.platform == "win32" else "pcctrl compare"]),
        (["run", "pcctrl/CartPole-v0", "--steps", "0"], ["steps"]),
        (["run", "pcctrl/CartPole-v0", "--noise.s", "-1"], ["noise.s", "-1"]),
        (["run", "pcctrl/CartPole-v0", "--noise.colour", "pink"], ["pink"]),
        (["run", "pcctrl/CartPole-v0", "--noise.dropout", "2"], ["noise.dropout"]),
        (["run", "pcctrl/CartPole-v0", "--agent", "lqg", "--seed", "-3"], ["pcctrl: seed:", "-3"]),
        (["run", "pcctrl/CartPole-v0", "--agent", "mpx"], ["pcctrl: agent:", "mpx"]),
        (["bench", "sped"], ["name", "limits", "sped"]),
        (["fly"], ["fly"]),
        ([], ["pcctrl"]),
    ],
)
def test_a_user_error_is_one_line_and_code_2(
    arguments: list[str],
    names: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    line = complaint(capsys, *arguments)
    for name in names:
        assert name in line
    assert "Traceback" not in line


def test_an_unwritable_directory_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    line = complaint(
        capsys,
        "run",
        "pcctrl/MassSpringDamper-v0",
        "--steps",
        "5",
        "--agent",
        "lqg",
        "--out",
        str(tmp_path / "file" / "x"),
    )
    assert "file" in line


@pytest.mark.parametrize("command", ["list", "run", "compare", "bench"])
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert not stop.value.code
    assert len(capsys.readouterr().out) > 150


def test_installed_program_runs() -> None:
    program = Path(sys.executable).with_name("pcctrl")
    done = subprocess.run([program, "list"], capture_output=True, text=True, check=True)
    assert "aif" in done.stdout


def test_limits_benchmark_prints_its_tables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Hardly tuned, in one colour: what is claimed is in test_claims.py.
    for budget in ("KALMAN", "COLOURED"):
        monkeypatch.setattr(limits, budget, {"starts": 6, "evaluations": 5})
    monkeypatch.setattr(limits, "COLOURS", {"2": limits.COLOURS["2"]})
    monkeypatch.setattr(limits, "SMOOTHNESS", (2.0,))
    assert main(["bench", "limits"]) == 0
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    for text in ("RMSE / physical limit, two masses", "order 4 / tuned 1st", "told wrongly"):
        assert text in out


@pytest.mark.parametrize(
    ("options", "line", "sensor_s"),
    [
        (NoiseOptions(colour="white", sensor_colour="ou"), "white noise (sensors: ou noise of 0.04 s)", 0.04),
        (NoiseOptions(colour="ou", s=0.1, sensor_colour="white"), "ou noise of 0.1 s (sensors: white noise)", None),
        (NoiseOptions(colour="ou", s=0.1, sensor_s=0.3), "ou noise of 0.1 s (sensors: ou noise of 0.3 s)", 0.3),
        (NoiseOptions(colour="ou", s=0.1), "ou noise of 0.1 s", 0.1),
        (NoiseOptions(colour="white"), "white noise", None),
        (NoiseOptions(), "smooth noise of 0.04 s", 0.04),
    ],
)
def test_the_noise_of_the_sensors_is_named(options: NoiseOptions, line: str, sensor_s: float | None) -> None:
    noise = options.resolved(plant_of("pcctrl/CartPole-v0"))
    assert _noise_line(noise) == line
    assert noise["sensor_s"] == sensor_s


@pytest.mark.parametrize("command", ["['list']", "['run', '--help']"])
def test_a_reader_that_has_enough_is_no_error(command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    code = f"import sys; from pcctrl.scripts.main import main; sys.exit(main({command}))"
    ended = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_a_wrong_option_is_named_as_it_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(capsys, "run", "Reacher-v5", "--plant.wrong.mass", "0")
    assert "--plant.wrong: wrong.mass: expected a positive" in line
    assert "plant.horizon: expected a number of samples from 1 to 10000" in complaint(
        capsys, "run", "Reacher-v5", "--plant.horizon", "10001"
    )
