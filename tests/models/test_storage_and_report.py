from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plants import smooth_cart_pole, smooth_msd, white_msd

from pcctrl.errors import FileError, PcctrlError, UnknownNameError
from pcctrl.models import LinearModel
from pcctrl.noise import Matern, Noise, OrnsteinUhlenbeck, Rational, Smooth, White

NOISES: list[Noise] = [
    White(density=0.3),
    OrnsteinUhlenbeck(1.0, 0.5),
    Smooth(1.0, 0.2) + OrnsteinUhlenbeck(0.5, 2.0),
    Matern(1.0, 0.3, order=2),
    Rational((1.0, 2.0), (1.0, 3.0, 2.0)),
]


@pytest.mark.parametrize("noise", NOISES)
def test_a_model_survives_its_file(noise: Noise, tmp_path: Path) -> None:
    at = (np.array([0.25, 0.0]), np.array([1.0]), np.array([7.0]))
    model = replace(smooth_msd(), process_noise=[noise], operating_point=at, disturbance=0.1, prior=np.eye(2))
    if noise.density == 0.0:
        model = replace(model, noise_output=np.array([[0.5]]))
    model.save(tmp_path / "model.toml")
    again = LinearModel.load(tmp_path / "model.toml")
    assert again.process_noise == model.process_noise
    assert (again.states, again.inputs, again.sensors) == (model.states, model.inputs, model.sensors)
    for name in ("F", "B", "Q", "C", "R", "offset", "sensor_offset"):
        np.testing.assert_array_equal(getattr(again.joint(3), name), getattr(model.joint(3), name))


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (lambda s: s + "colour = 1\n", UnknownNameError, "colour"),
        (lambda s: s.replace("version = 1", "version = 9"), FileError, "version"),
        (lambda s: s.replace('kind = "Smooth"', 'kind = "Pink"', 1), UnknownNameError, "Pink"),
        (lambda s: s.replace("std = 1.0", "std = -1.0", 1), PcctrlError, r"process_noise\[0\]\.std"),
        (lambda s: s.replace("std = 1.0", "sigma = 1.0", 1), UnknownNameError, "sigma"),
        (lambda s: s.replace("dt = 0.1", ""), FileError, "dt"),
        (lambda s: s.replace("dt = 0.1", "dt = -0.1"), PcctrlError, "dt"),
        (lambda s: s[: len(s) // 2] + "[", FileError, "TOML"),
    ],
)
def test_a_wrong_file_is_named(edit, error: type[PcctrlError], message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "model.toml"
    smooth_msd().save(path)
    text = path.read_text()
    top, _, rest = text.partition("\n[")
    edited = edit(top + "\n") + "[" + rest if "colour" in edit("x") else edit(text)
    path.write_text(edited)
    with pytest.raises(error, match=message):
        LinearModel.load(path)


def test_missing_and_unwritable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"nowhere\.toml"):
        LinearModel.load(tmp_path / "nowhere.toml")
    with pytest.raises(FileError, match="written"):
        white_msd().save(tmp_path / "no" / "folder.toml")


def test_report_tells_what_is_hidden() -> None:
    good = smooth_cart_pole(2.0).report()
    assert good.observable
    assert good.controllable
    assert abs(good.modes[0].eigenvalue) > 1.0
    # Without the cart's position its two integrators are seen by no sensor; without the force nothing is reached.
    model = smooth_cart_pole(2.0)
    angle = replace(
        model, C=model.C[1:], D=None, sensor_noise=model.sensor_noise[1:], sensors=None, operating_point=None
    )
    assert not angle.report().detectable
    assert angle.report().stabilisable
    still = replace(model, B=0.0 * model.B).report()
    assert not still.stabilisable
    assert "NOT stabilisable" in str(still)
    # A stable plant is detectable and stabilisable even so.
    deaf = replace(white_msd(), B=np.zeros((2, 1))).report()
    assert deaf.stabilisable
    assert not deaf.controllable
