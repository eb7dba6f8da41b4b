"""Recorded logs as CSV: columns by the model's own names, empty cells for missing samples."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pcctrl.arrays import Array
from pcctrl.errors import FileError, ParameterError, UnknownNameError

if TYPE_CHECKING:
    from pcctrl.filters import Estimate
    from pcctrl.models import LinearModel

__all__ = ["Log", "read_log", "write_estimate"]


@dataclass(frozen=True, eq=False)
class Log:
    """A recording of T samples.

    Args:
        y: (T, m) sensors, NaN where missing.
        u: (T, p) inputs, held from each sample to the next.
        truth: (T, k) columns to score against, in the order asked for.
        t: (T,) seconds.
    """

    y: Array
    u: Array
    truth: Array
    t: Array


def read_log(path: Path, model: LinearModel, truth: Sequence[str] = ()) -> Log:
    """Read a CSV file whose header names the model's sensors and inputs, and optionally ``t`` and true states.

    Args:
        path: the file. An empty cell or ``nan`` is a missing sample; inputs that are not there rest.
        model: names the columns. If there is a ``t``, it must advance by the model's sample time.
        truth: columns to read for scoring, each the name of a state.

    Raises:
        FileError: the file is missing, empty, ragged or not numeric.
        UnknownNameError: a sensor or truth column is missing, or a truth is no state.
        ParameterError: ``t`` does not advance by the model's sample time, an input is missing in a row, or no sensor
            was ever read.
    """
    header, cells = _read(path)
    states, inputs, sensors = (list(names or ()) for names in (model.states, model.inputs, model.sensors))
    for name in truth:
        if name not in states:
            raise UnknownNameError(name="truth", expected=f"a state among {', '.join(states)}", received=name)
    for name in (*sensors, *truth):
        if name not in header:
            raise UnknownNameError(name=str(path), expected=f"a column {name}", received=f"columns {', '.join(header)}")

    def columns(names: Sequence[str]) -> Array:
        return cells[:, [header.index(name) for name in names]]

    y = columns(sensors)
    if not np.isfinite(y).any():
        raise ParameterError(name=str(path), expected="some sample of a sensor", received="none")
    u = np.tile(model.operating_point[1], (len(y), 1))  # type: ignore[index]
    present = [name for name in inputs if name in header]
    u[:, [inputs.index(name) for name in present]] = columns(present)
    if not np.isfinite(u).all():
        row = int(np.argwhere(~np.isfinite(u))[0][0])
        raise ParameterError(name=f"{path} row {row + 2}", expected="a number for every input", received="none")
    t: Array = np.arange(float(len(y))) * model.dt
    if "t" in header:
        t = columns(["t"])[:, 0]
        steps = np.diff(t)
        if len(steps) and not (np.abs(steps - model.dt) < 0.05 * model.dt).all():
            row = int(np.argmax(np.abs(np.nan_to_num(steps, nan=np.inf) - model.dt)))
            expected = f"t to advance by dt = {model.dt:g} s (leave missing samples as empty cells)"
            raise ParameterError(name=f"{path} row {row + 3}", expected=expected, received=f"{steps[row]:g} s")
    return Log(y, u, columns(list(truth)), t)


def write_estimate(path: Path, estimate: Estimate, t: Array, states: Sequence[str]) -> None:
    """Write ``t``, and for each state its estimate and standard deviation ``<state>_std``.

    Raises:
        FileError: the file cannot be written.
    """
    header = ["t", *(name for state in states for name in (state, f"{state}_std"))]
    both = np.stack([estimate.mean, estimate.std], axis=-1).reshape(len(t), -1)
    try:
        np.savetxt(path, np.column_stack([t, both]), fmt="%.9g", delimiter=",", header=",".join(header), comments="")
    except OSError as error:
        raise FileError(name=str(path), expected="room for the estimate", received=error.strerror or error) from None


def _read(path: Path) -> tuple[list[str], Array]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(name=str(path), expected="a CSV file", received=reason) from None
    if len(rows) < 2:
        raise FileError(name=str(path), expected="a header and samples", received=f"{len(rows)} rows")
    header = [name.strip() for name in rows[0]]
    if len(set(header)) != len(header):
        raise FileError(name=str(path), expected="distinct columns", received=", ".join(header))
    cells = np.empty((len(rows) - 1, len(header)))
    for i, row in enumerate(rows[1:]):
        if len(row) != len(header):
            raise FileError(name=f"{path} row {i + 2}", expected=f"{len(header)} cells", received=len(row))
        for j, cell in enumerate(row):
            try:
                cells[i, j] = float(cell) if cell.strip() else np.nan
            except ValueError:
                raise FileError(
                    name=f"{path} row {i + 2}, {header[j]}", expected="a number", received=repr(cell)
                ) from None
    return header, cells
