"""The speed benchmark's parts; its figures depend on the machine and are not asserted."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from rich.console import Console

from pcctrl.scripts.benchmarks.speed import SpeedRow, run, speed_rows


def test_every_row_has_times() -> None:
    rows = speed_rows(blocks=1, samples=20, batch=(3, 20))
    assert len(rows) == 10
    assert (np.array([(r.seconds, r.yardstick, r.ratio, r.asked) for r in rows]) > 0.0).all()
    assert np.isfinite([r.ratio for r in rows]).all()


def test_without_filterpy_its_rows_have_no_yardstick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filterpy.kalman", None)
    rows = speed_rows(blocks=1, samples=20, batch=(3, 20))
    assert [np.isnan(r.yardstick) for r in rows] == ["filterpy" in r.against for r in rows]
    assert [r.verdict == "–" for r in rows] == ["filterpy" in r.against for r in rows]


def test_the_table_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    row = SpeedRow("run 256×1000 N=28 steady", 1e-4, "256×31·31×30", 1e-5, 2.0)
    monkeypatch.setattr("pcctrl.scripts.benchmarks.speed.speed_rows", lambda: [row])
    console = Console(width=80, record=True, file=io.StringIO())
    run(console)
    printed = console.export_text()
    assert "…" not in printed
    assert [row.what, row.against, "NOT met"] == [w for w in (row.what, row.against, "NOT met") if w in printed]
    assert max(map(len, printed.splitlines())) <= 80
