"""The speed benchmark's parts; its figures depend on the machine and are not asserted."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pcctrl.scripts.benchmarks.speed import speed_rows


def test_every_row_has_times() -> None:
    rows = speed_rows(blocks=1, samples=20, batch=(3, 20))
    assert len(rows) == 8
    assert (np.array([(r.seconds, r.yardstick, r.ratio, r.asked) for r in rows]) > 0.0).all()
    assert np.isfinite([r.ratio for r in rows]).all()


def test_without_filterpy_its_rows_have_no_yardstick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filterpy.kalman", None)
    rows = speed_rows(blocks=1, samples=20, batch=(3, 20))
    assert [np.isnan(r.yardstick) for r in rows] == ["filterpy" in r.against for r in rows]
