"""``pcctrl estimate``: filters on a recorded log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pcctrl.arrays import Array, choose, whole
from pcctrl.errors import FileError, ParameterError
from pcctrl.evaluation import versions
from pcctrl.evaluation.logs import Log, read_log, write_estimate
from pcctrl.evaluation.plots import plot_recording
from pcctrl.filters import (
    ARKalmanFilter,
    ColouredKalmanFilter,
    Estimate,
    FixedLag,
    GeneralisedFilter,
    KalmanFilter,
    LinearFilter,
    PCFilter,
)
from pcctrl.models import LinearModel

__all__ = ["FILTERS", "Estimate_"]

FILTERS: dict[str, Callable[[LinearModel], LinearFilter | GeneralisedFilter]] = {
    "pc": PCFilter,
    "kalman": KalmanFilter,
    "coloured": ColouredKalmanFilter,
    "ar": ARKalmanFilter,
    "generalised": GeneralisedFilter,
}


@dataclass(frozen=True)
class Estimate_:  # noqa: N801 (its subcommand is called estimate; Estimate is what it makes)
    """Run filters on a recorded log and compare how well they predict it.

    The log is a CSV file whose columns are the model's sensors and inputs, optionally t and true states; an empty cell
    is a missing sample. The model is a TOML file (LinearModel.save writes one). Filters: pc (predictive coding),
    kalman, coloured (first-order shaping filters), ar (autoregressive), generalised (classical). All are told the
    noise in the model file. The free energy is −ln p(y | past) a sample in nats: lower means better predictions.

    Example: pcctrl estimate flight.csv --model drone.toml --filters pc kalman --truth roll_rate --out out/flight
    """

    log: Annotated[Path, tyro.conf.Positional]
    """CSV file."""
    model: Path
    """TOML file."""
    filters: tuple[str, ...] = ("pc", "kalman")
    """Filters, in the order of the table."""
    truth: tuple[str, ...] = ()
    """States whose true values the log has, to score against."""
    lag: int = 0
    """Samples that an estimate may wait for (not with generalised, whose embedding is causal)."""
    out: Path = Path("out/estimate")
    """Directory for estimates_<filter>.csv, config.json, summary.json, results.csv and a plot."""

    def run(self, console: Console) -> None:
        """Estimate and report."""
        whole("lag", self.lag)
        if not self.filters or len(set(self.filters)) != len(self.filters):
            raise ParameterError(name="filters", expected="different names, at least one", received=self.filters)
        for name in self.filters:
            choose("filters", name, FILTERS)
        if self.lag and "generalised" in self.filters:
            raise ParameterError(name="lag", expected="0 with the generalised filter", received=self.lag)
        model = LinearModel.load(self.model)
        log = read_log(self.log, model, self.truth)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            expected = "a directory that can be written"
            raise FileError(name=str(self.out), expected=expected, received=error.strerror or error) from None
        states = list(model.states or ())
        estimates: dict[str, Estimate] = {}
        rows: dict[str, dict[str, Any]] = {}
        with console.status("") as status:
            for name in self.filters:
                status.update(f"Filtering {len(log.y)} samples with {name}")
                estimates[name], rows[name] = self._run(name, model, log, states)
                write_estimate(self.out / f"estimates_{name}.csv", estimates[name], log.t, states)
        self._write(rows)
        truth = {name: log.truth[:, i] for i, name in enumerate(self.truth)}
        plot_recording(self.out / "estimates.png", estimates, log.t, states, truth)
        console.print(self._table(rows))
        console.print(f"Estimates, numbers and a plot are in {self.out}", markup=False)

    def _run(self, name: str, model: LinearModel, log: Log, states: list[str]) -> tuple[Estimate, dict[str, Any]]:
        filter_: LinearFilter | GeneralisedFilter | FixedLag = FILTERS[name](model)
        if self.lag and isinstance(filter_, LinearFilter):
            filter_ = FixedLag(filter_, self.lag)
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
            "model": str(self.model),
            "filters": list(self.filters),
            "truth": list(self.truth),
            "lag": self.lag,
            "versions": versions(),
        }
        columns = list(next(iter(rows.values())))
        lines = [",".join(["filter", *columns])]
        lines += [",".join([name, *(repr(row[c]) for c in columns)]) for name, row in rows.items()]
        try:
            (self.out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            (self.out / "summary.json").write_text(json.dumps({"filters": rows}, indent=2) + "\n", encoding="utf-8")
            (self.out / "results.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise FileError(name=str(self.out), expected="room", received=error.strerror or error) from None

    def _table(self, rows: dict[str, dict[str, Any]]) -> Table:
        title = f"{self.log}, lag {self.lag} samples; noise told by {self.model}, nothing tuned"
        table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
        table.add_column("filter", no_wrap=True)
        for heading in ("free energy", "NIS", *(f"RMSE {t}" for t in self.truth), "µs a sample"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, row in rows.items():
            errors = [f"{row[f'rmse_{t}']:.4g}" for t in self.truth]
            table.add_row(name, f"{row['free_energy']:.4f}", f"{row['nis']:.2f}", *errors, f"{row['step_us']:.1f}")
        return table


def _rmse(estimate: Array, truth: Array) -> float:
    known = np.isfinite(truth)
    return float(np.sqrt(np.mean(np.square(estimate - truth)[known]))) if known.any() else float("nan")
