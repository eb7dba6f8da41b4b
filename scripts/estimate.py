"""``pcctrl estimate``: filters on a recorded log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pcctrl.agents import task_of
from pcctrl.arrays import Array, choose, whole
from pcctrl.envs import ColourOptions, NoiseOptions, PlantOptions, SensedOptions, SimulatedPlant, make, plant_of
from pcctrl.errors import FileError, ParameterError
from pcctrl.evaluation import versions
from pcctrl.evaluation.logs import Log, read_log, write_estimate
from pcctrl.evaluation.metrics import doubt_nis
from pcctrl.evaluation.plots import plot_recording
from pcctrl.evaluation.units import state_units
from pcctrl.filters import (
    ARKalmanFilter,
    ColouredKalmanFilter,
    Estimate,
    ExtendedKalmanFilter,
    FixedLag,
    GeneralisedFilter,
    KalmanFilter,
    LinearFilter,
    NonlinearFilter,
    NonlinearPCFilter,
    PCFilter,
    UnscentedKalmanFilter,
)
from pcctrl.models import GenerativeModel, LinearModel
from pcctrl.scripts.common import print_wide
from pcctrl.scripts.setting import OwnSetting, typed

__all__ = ["FILTERS", "NONLINEAR_FILTERS", "Estimate_"]

_AnyFilter = LinearFilter | GeneralisedFilter | NonlinearFilter
FILTERS: dict[str, Callable[[LinearModel], LinearFilter | GeneralisedFilter]] = {
    "pc": PCFilter,
    "kalman": KalmanFilter,
    "coloured": ColouredKalmanFilter,
    "ar": ARKalmanFilter,
    "generalised": GeneralisedFilter,
}
# Descent ends within a twentieth of a standard deviation; an impact surprises for as long as a foot stands.
_DESCENT: dict[str, Any] = {"iterations": 6, "tolerance": 0.05, "straightness": 0.05}
_DESCENT |= {"outlier_threshold": 12.0, "outlier_patience": 12}
NONLINEAR_FILTERS: dict[str, Callable[[GenerativeModel], NonlinearFilter]] = {
    "pc": lambda model: NonlinearPCFilter(model, **_DESCENT),
    "pc-sigma": lambda model: NonlinearPCFilter(model, prediction="sigma", **_DESCENT),
    "ekf": ExtendedKalmanFilter,
    "ukf": UnscentedKalmanFilter,
    "ekf-coloured": lambda model: ExtendedKalmanFilter(model, 4),
    "ukf-coloured": lambda model: UnscentedKalmanFilter(model, 4),
}
_USUAL = {True: ("pc", "kalman"), False: ("pc", "ekf", "ukf")}


@dataclass(frozen=True, kw_only=True)
class Estimate_(OwnSetting):  # noqa: N801 (its subcommand is called estimate; Estimate is what it makes)
    """Run filters on a recorded log and compare how well they predict it.

    The log is a CSV file whose columns are the model's sensors and inputs, optionally t and true states; an empty cell
    is a missing sample (pcctrl run writes such a log.csv). The model is a TOML file (LinearModel.save writes one), an
    MJCF file, the id of a Gymnasium MuJoCo task, or an environment of pcctrl list. Filters of linear models: pc
    (predictive coding), kalman, coloured (first-order shaping filters), ar (autoregressive), generalised (classical);
    of nonlinear ones: pc (by derivatives), pc-sigma (by sigma points: where feet touch the ground), ekf and ukf
    (extended and unscented Kalman filter, noise taken for white), ekf-coloured and ukf-coloured (told its colour). All
    are told the noise. The free energy is −ln p(y | past) a sample in nats: lower means better predictions.

    Example: pcctrl estimate flight.csv --model drone.toml --filters pc kalman --truth roll_rate --out out/flight

    Example: pcctrl estimate arm.csv --model arm.xml --plant.sensors qpos:elbow --noise.sensor-std 0.01
    """

    log: Annotated[Path, tyro.conf.Positional]
    """CSV file."""
    model: str
    """TOML file, MJCF file, Gymnasium MuJoCo id, or environment of pcctrl list."""
    filters: tuple[str, ...] | None = None
    """Filters, in the order of the table; by default pc and the usual Kalman filters."""
    truth: tuple[str, ...] = ()
    """States whose true values the log has, to score against."""
    lag: int = 0
    """Samples that an estimate may wait for (not with generalised, whose embedding is causal)."""
    plant: SensedOptions = field(default_factory=SensedOptions)
    """What is sensed, and what disturbs, for an MJCF file or a Gymnasium MuJoCo task."""
    noise: ColourOptions = field(default_factory=ColourOptions)
    """Noise that the filters are told; not with a TOML file, which has its own."""
    out: Path = Path("out/estimate")
    """Directory for estimates_<filter>.csv, config.json, summary.json, results.csv and a plot."""

    def run(self, console: Console) -> None:
        """Estimate and report."""
        whole("lag", self.lag)
        model = self._model()
        known: Mapping[str, Callable[[Any], _AnyFilter]] = NONLINEAR_FILTERS
        if isinstance(model, LinearModel):
            known = FILTERS
        filters = _USUAL[isinstance(model, LinearModel)] if self.filters is None else self.filters
        if not filters or len(set(filters)) != len(filters):
            raise ParameterError(name="filters", expected="different names, at least one", received=filters)
        for name in filters:
            choose("filters", name, known)
        if self.lag and "generalised" in filters:
            raise ParameterError(name="lag", expected="0 with the generalised filter", received=self.lag)
        log = read_log(self.log, model, self.truth)
        if self.lag >= len(log.y):
            expected = f"less than the {len(log.y)} samples of the log"
            raise ParameterError(name="lag", expected=expected, received=self.lag)
        if log.resting:
            text = f"{self.log} has no column {', '.join(log.resting)}: taken as resting all the time"
            console.print(text, style="yellow", highlight=False, markup=False)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            expected = "a directory that can be written"
            raise FileError(name=str(self.out), expected=expected, received=error.strerror or error) from None
        states = list(model.states or ())
        estimates: dict[str, Estimate] = {}
        rows: dict[str, dict[str, Any]] = {}
        with console.status("") as status:
            for name in filters:
                status.update(f"Filtering {len(log.y)} samples with {name}")
                estimates[name], rows[name] = self._run(known[name](model), log, states)
                write_estimate(self.out / f"estimates_{name}.csv", estimates[name], log.t, states)
        self._write(rows)
        units = state_units(model)
        truth = {f"{name} [{units[name]}]": log.truth[:, i] for i, name in enumerate(self.truth)}
        plot_recording(
            self.out / "estimates.png", estimates, log.t, [f"{name} [{unit}]" for name, unit in units.items()], truth
        )
        print_wide(console, self._table(rows, log.y.shape[1]))
        present = np.count_nonzero(np.isfinite(log.y)) // log.y.shape[1]
        for name, row in rows.items():
            if (lost := _diverged(estimates[name])) is not None:
                text = f"{name}: diverged at sample {lost} (counted from 0): no finite estimate from there"
                console.print(
                    f"{text}, and no number of it means anything.", style="red", highlight=False, markup=False
                )
            if text := doubt_nis(row["nis"], log.y.shape[1], present):
                console.print(f"{name}: {text}.", style="yellow", highlight=False, markup=False)
        console.print(f"Estimates, numbers and a plot are in {self.out}", markup=False)

    def _model(self) -> GenerativeModel:
        if not self.model.endswith(".toml"):
            options = PlantOptions(**vars(self.plant))
            with typed(self.model):
                plant = plant_of(self.model, None, options, self.own)
                if isinstance(plant, SimulatedPlant):
                    return self.noise.told(plant)
                return task_of(make(self.model, options, NoiseOptions(**vars(self.noise)), own=self.own)).model
        for name, given in (("plant", self.plant), ("noise", self.noise), *((o.group, o) for o in self.own)):
            if given != type(given)():
                expected = "no options beside a TOML file, which says it all"
                raise ParameterError(name=name, expected=expected, received=given)
        return LinearModel.load(Path(self.model))

    def _run(self, plain: _AnyFilter, log: Log, states: list[str]) -> tuple[Estimate, dict[str, Any]]:
        filter_: _AnyFilter | FixedLag = plain
        if self.lag and not isinstance(plain, GeneralisedFilter):
            filter_ = FixedLag(plain, self.lag)
        start = time.perf_counter()
        estimate = filter_.run(log.y, log.u)
        elapsed = 1e6 * (time.perf_counter() - start) / len(log.y)
        present = np.count_nonzero(np.isfinite(log.y))
        row: dict[str, Any] = {
            "free_energy": float(estimate.free_energy.mean()),
            "nis": float(len(log.y[0]) * estimate.nis.sum() / present),
            "step_us": elapsed,
            "lag": self.lag,
        }
        for i, state in enumerate(self.truth):
            row[f"rmse_{state}"] = _rmse(estimate.mean[:, states.index(state)], log.truth[:, i])
        return estimate, row

    def _write(self, rows: dict[str, dict[str, Any]]) -> None:
        config = {
            "log": str(self.log),
            "model": self.model,
            "plant": asdict(self.plant),
            "noise": asdict(self.noise),
            "filters": list(rows),
            "truth": list(self.truth),
            "lag": self.lag,
            "versions": versions(),
        }
        # JSON has no NaN.
        said = {
            name: {key: value if np.isfinite(value) else None for key, value in row.items()}
            for name, row in rows.items()
        }
        summary = json.dumps({"filters": said}, indent=2, allow_nan=False)
        columns = list(next(iter(rows.values())))
        lines = [",".join(["filter", *columns])]
        lines += [",".join([name, *(repr(row[c]) for c in columns)]) for name, row in rows.items()]
        try:
            (self.out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            (self.out / "summary.json").write_text(summary + "\n", encoding="utf-8")
            (self.out / "results.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise FileError(name=str(self.out), expected="room", received=error.strerror or error) from None

    def _table(self, rows: dict[str, dict[str, Any]], sensors: int) -> Table:
        title = f"{self.log}, lag {self.lag} samples; noise told by {self.model}, nothing tuned"
        table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
        table.add_column("filter", no_wrap=True)
        for heading in ("free energy", f"NIS ({sensors})", *(f"RMSE {t}" for t in self.truth), "µs a sample"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, row in rows.items():
            errors = [f"{row[f'rmse_{t}']:.4g}" for t in self.truth]
            table.add_row(name, f"{row['free_energy']:.4f}", f"{row['nis']:.2f}", *errors, f"{row['step_us']:.1f}")
        return table


def _rmse(estimate: Array, truth: Array) -> float:
    known = np.isfinite(truth)
    return float(np.sqrt(np.mean(np.square(estimate - truth)[known]))) if known.any() else float("nan")


def _diverged(estimate: Estimate) -> int | None:
    """Return the first sample at which an estimate is not finite, or None."""
    sound = np.isfinite(estimate.mean).all(axis=-1) & np.isfinite(estimate.std).all(axis=-1)
    lost = np.flatnonzero(~(sound & np.isfinite(estimate.free_energy) & np.isfinite(estimate.nis)))
    return int(lost[0]) if len(lost) else None
