from __future__ import annotations

import io

import pytest
from rich.console import Console

from pcctrl.scripts.benchmarks import pusher
from pcctrl.scripts.benchmarks.pusher import NEAR, Push, push


def test_samples_find_the_contact_that_derivatives_do_not_see() -> None:
    start, end = push("sampling", 0).distance
    assert start > 0.2
    assert end < NEAR
    # Negative control: without a touch the derivatives by the finger are 0, and the puck stays.
    start, end = push("receding", 0).distance
    assert end == pytest.approx(start)


def test_the_table_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Here:
        def __init__(self, _: int) -> None: ...

        def __enter__(self) -> Here:
            return self

        def __exit__(self, *_: object) -> None: ...

        def map(self, _: object, names: list[str], *__: object, **___: object) -> list[Push]:
            return [Push((0.3, 0.01 if name == "sampling" else 0.3), (0.01, 0.02)) for name in names]

    monkeypatch.setattr(pusher, "ProcessPoolExecutor", Here)
    console = Console(width=80, record=True, file=io.StringIO())
    pusher.run(console, 2)
    printed = console.export_text()
    assert "…" not in printed
    assert "2/2" in printed
    assert "0/2" in printed
    assert max(map(len, printed.splitlines())) <= 80
