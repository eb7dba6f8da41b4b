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
    from pcctrl.evaluation.rollout import Episode
    from pcctrl.filters import Estimate
    from pcctrl.models import GenerativeModel

__all__ = ["Log", "read_log", "write_estimate", "write_log"]


@dataclass(frozen=True, eq=False)
class Log:
    """A recording of T samples.

    Args:
        y: (T, m) sensors, NaN where missing.
        u: (T, p) inputs, held from each sample to the next.
        truth: (T, k) columns to score against, in the order asked for.
        t: (T,) seconds.
        resting: inputs that have no column.
    """

    y: Array
    u: Array
    truth: Array
    t: Array
    resting: tuple[str, ...] = ()


def read_log(path: Path, model: GenerativeModel, truth: Sequence[str] = ()) -> Log:
    """Read a CSV file whose header names the model's sensors and inputs, and optionally ``t`` and true states.

    Args:
        path: the file. An empty cell, ``nan`` or ``inf`` is a missing sample; an input that is missing in a row is held
            from the row before, and one that is not there at all rests.
        model: names the columns. If there is a ``t``, it must advance by the model's sample time.
        truth: states to read for scoring, of columns called so, or ``true_<state>``.

    Raises:
        FileError: the file is missing, empty, ragged or not numeric.
        UnknownNameError: a sensor or truth column is missing, or a truth is no state.
        ParameterError: ``t`` does not advance by the model's sample time, or no sensor was ever read.
    """
    header, cells = _read(path)
    states, inputs, sensors = (list(names or ()) for names in (model.states, model.inputs, model.sensors))
    for name in truth:
        if name not in states:
            raise UnknownNameError(name="truth", expected=f"a state among {', '.join(states)}", received=name)
    scored = [f"true_{name}" if f"true_{name}" in header else name for name in truth]
    for name in (*sensors, *scored):
        if name not in header:
            raise UnknownNameError(name=str(path), expected=f"a column {name}", received=f"columns {', '.join(header)}")

    def columns(names: Sequence[str]) -> Array:
        return cells[:, [header.index(name) for name in names]]

    y = columns(sensors)
    if not np.isfinite(y).any():
        raise ParameterError(name=str(path), expected="some sample of a sensor", received="none")
    u = np.tile(model.start[1], (len(y), 1))
    named = _columns_of(inputs, sensors)
    for i, name in enumerate(named):
        if name in header:
            u[:, i] = _held(columns([name])[:, 0], float(u[0, i]))
    t = columns(["t"])[:, 0] if "t" in header else np.full(len(y), np.nan)
    resting = tuple(name for name in named if name not in header)
    return Log(y, u, columns(scored), _times(path, t, model.dt), resting)


def _columns_of(inputs: Sequence[str], sensors: Sequence[str]) -> list[str]:
    """Return the columns of inputs: ``input_<name>`` where a sensor has that name."""
    return [f"input_{name}" if name in sensors else name for name in inputs]


def _held(values: Array, first: float) -> Array:
    """Return the values (T,) with the last one in place of each that is missing, and ``first`` before there is any."""
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return np.where(last < 0, first, values[last])


def _times(path: Path, t: Array, dt: float) -> Array:
    """Return the times (T,) with those that are missing filled in; ParameterError if they are not ``dt`` apart."""
    known, rows = np.flatnonzero(np.isfinite(t)), np.arange(float(len(t)))
    if not len(known):
        return rows * dt
    steps, passed = np.diff(t[known]), np.diff(rows[known])
    wrong = np.abs(steps - passed * dt) >= 0.05 * dt
    if wrong.any():
        first = int(np.argmax(wrong))
        expected = f"t to advance by dt = {dt:g} s (leave missing samples as empty cells)"
        received = f"{steps[first] / passed[first]:g} s"
        raise ParameterError(name=f"{path} row {known[first + 1] + 2}", expected=expected, received=received)
    return np.asarray(np.where(np.isfinite(t), t, t[known[0]] + (rows - known[0]) * dt))


def write_log(path: Path, episode: Episode, model: GenerativeModel) -> None:
    """Write what `read_log` reads: ``t``, the sensors, the inputs, and each true state as ``true_<state>``.

    Raises:
        FileError: the file cannot be written.
    """
    states, inputs, sensors = (list(names or ()) for names in (model.states, model.inputs, model.sensors))
    header = ["t", *sensors, *_columns_of(inputs, sensors), *(f"true_{name}" for name in states)]
    t = np.arange(len(episode.cost)) * episode.dt
    _write(path, header, np.column_stack([t, episode.observation, episode.action, episode.state]), "log")


def write_estimate(path: Path, estimate: Estimate, t: Array, states: Sequence[str]) -> None:
    """Write ``t``, and for each state its estimate and standard deviation ``<state>_std``.

    Raises:
        FileError: the file cannot be written.
    """
    header = ["t", *(name for state in states for name in (state, f"{state}_std"))]
    both = np.stack([estimate.mean, estimate.std], axis=-1).reshape(len(t), -1)
    _write(path, header, np.column_stack([t, both]), "estimate")


def _write(path: Path, header: Sequence[str], columns: Array, what: str) -> None:
    try:
        np.savetxt(path, columns, fmt="%.9g", delimiter=",", header=",".join(header), comments="")
    except OSError as error:
        raise FileError(name=str(path), expected=f"room for the {what}", received=error.strerror or error) from None


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
