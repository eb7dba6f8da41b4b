from __future__ import annotations

import numpy as np
import pytest

from pcctrl.controllers import ModalBandwidth, modal_bandwidth
from pcctrl.errors import ShapeError
from pcctrl.scripts.benchmarks import arm7, realtime
from pcctrl.scripts.benchmarks.arm7_laws import Fleet
from pcctrl.scripts.benchmarks.arm7_rows import JUMP_RATE, Row, build
from pcctrl.scripts.benchmarks.arm7_runs import Score, arms, mechanics, simulate, told
from pcctrl.scripts.benchmarks.encoders import CASES, FAULTS, Fault, fault_table, faulty


def score(rmse: float, parts: tuple[float, float] = (1.0, 1.0)) -> Score:
    return Score(np.full(12, rmse), np.full(12, 0.1), np.zeros(12, dtype=bool), np.tile(parts, (12, 1)))


@pytest.mark.parametrize("row", [row for row in arm7.ROWS if "scale" not in row])
def test_each_row_follows_its_reference(row: str) -> None:
    middle = np.array([axis[len(axis) // 2] for axis in arm7.ROWS[row].axes])
    for right in (True, False):
        found = arm7.compare(row, middle, right, seeds=(5,), seconds=0.25, skip=0.15)
        assert not found.failed.any()
        assert 1e-5 < found.rmse[0] < 0.2
        assert found.chatter[0] > 0.0


def test_a_grid_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    walk = Row("", ((1.4,), (30.0, 60.0), (0.35,), (1.0 / 3.0,), (1.0,)), (1.0,))
    monkeypatch.setitem(arm7.ROWS, "walk", walk)
    coarse = arm7.tune("walk", (0.08, 1.0), 0.7, fine=False)
    strict, loose = coarse[0.08], coarse[1.0]
    assert strict.points == 2
    # What may chatter more is faster, and no worse; between two bandwidths is one that has the chatter that is allowed.
    assert 30.0 < strict.values[1] < loose.values[1]
    assert loose.values[1] == pytest.approx(60.0)
    assert strict.chatter == pytest.approx(0.08, rel=0.02)
    assert loose.cost < strict.cost
    # Around the best there are two more searches: at each rate, and of the bandwidth alone.
    monkeypatch.setattr(arm7, "_FINER", ((1.0,), (0.9, 1.1), (1.0,), (1.0,)))
    monkeypatch.setattr(arm7, "_LAST", (0.9, 1.1))
    monkeypatch.setattr(arm7, "_LAST_SEEDS", (1, 2))
    finer = arm7.tune("walk", (0.08,), 0.7)[0.08]
    assert finer.points == 2 + 2 + 2
    assert finer.chatter < 0.08 * 1.1


def test_the_best_of_a_grid_is_known_where_error_and_chatter_are_powers_of_the_bandwidth() -> None:
    """At a cap c, error a/ω and chatter bω² have their best at ω = √(c/b): a√(b/c)."""
    factors = {(0.2, 1.0): (3.0, 1e-4), (0.4, 1.0): (1.0, 4e-4), (0.4, 0.7): (1.0, 3e-4)}
    values = np.array([(0.7, w, *other) for other in factors for w in (9.0, 30.0, 14.0)])
    a, b = np.array([factors[row[2], row[3]] for row in values]).T
    rng = np.random.default_rng(0).permutation(len(values))
    grid = arm7._Grid(values[rng], (a / values[:, 1])[rng], (b * values[:, 1] ** 2)[rng])
    found = arm7._best(grid, 0.06)
    np.testing.assert_allclose(found.values, [0.7, np.sqrt(0.06 / 3e-4), 0.4, 0.7], rtol=0.01)
    assert found.cost == pytest.approx(np.sqrt(3e-4 / 0.06), rel=0.01)
    # If all may chatter as they like, the fastest is best; if none may, the slowest, which pays for it.
    np.testing.assert_allclose(arm7._best(grid, 10.0).values[1:], [30.0, 0.4, 0.7])
    least = arm7._best(grid, 0.004)
    np.testing.assert_allclose(least.values, [0.7, 9.0, 0.2, 1.0])
    assert least.cost == pytest.approx(3.0 / 9.0 * (81e-4 / 0.004) ** 4)


def test_a_row_has_the_damping_and_the_filter_that_are_asked_for() -> None:
    (env,) = arms(1, True, 1.0)
    columns = np.array([[[v], [w]] for v, w in ((0.3, 0.3), (20.0, 30.0), (0.2, 0.5), (0.0, 0.3), (0.7, 1.2))])
    for kind in ("pid", ""):
        agents = build(kind, env, columns)._agents  # type: ignore[attr-defined]
        laws = [getattr(one, "_agent", one).controller for one in agents]
        assert [(one.law.damping, one.jump_rate) for one in laws] == [(0.7, JUMP_RATE), (1.2, JUMP_RATE)]
        mass = mechanics(told(env)).mass_matrix(told(env).start[0])
        for one, lag, omega, p in zip(laws, (0.2, 0.5), (20.0, 30.0), (0.0, 0.3), strict=True):
            wanted = modal_bandwidth(mass, omega, p)
            omegas = one.law.bandwidth
            assert isinstance(omegas, ModalBandwidth) is (p > 0.0)
            if isinstance(omegas, ModalBandwidth):
                omegas = omegas.at(told(env).start[0][:7])
            np.testing.assert_allclose(omegas, wanted, atol=1e-9)
            assert one.time == pytest.approx(lag / omega)


def test_claims_and_their_negative_control() -> None:
    level = {"aif, adapted": 0.7, "aif, adapted, scale too": 0.5, "aif, random walk": 1.0}
    level |= {
        "aif, Ornstein–Uhlenbeck": 1.0,
        "Slotine–Li, Kalman": 2.0,
        "computed torque + PID": 5.0,
        "PID, heavy modes slower": 5.0,
    }
    wrong = {row: score(v) for row, v in level.items()}
    right = {row: score(1.0) for row in level}
    assert all(c.met for c in arm7.claims(wrong, right))
    missed = [c.text for c in arm7.claims({**wrong, "aif, adapted": score(1.1)}, right) if not c.met]
    assert missed == ["aif, adapted / aif, random walk", "aif, adapted: worst seed / walk"]
    for pid in ("computed torque + PID", "PID, heavy modes slower"):
        missed = [c.text for c in arm7.claims({**wrong, pid: score(2.0)}, right) if not c.met]
        assert missed == [f"aif, adapted / {pid}"]


def test_an_encoder_that_runs_away_is_found() -> None:
    found = faulty("link side runs away", True, seeds=(7,), seconds=1.3)
    assert not found.score.failed.any()
    # It begins at 1.2 s, and is found within 40 ms of the 100 that are run.
    assert found.blamed[0] * 800.0 > 50.0
    assert found.wrongly[0] == 0.0


def test_claims_about_faults() -> None:
    one, none = np.ones(12), np.zeros(12)
    outcomes = {
        (fault, learns): Fault(score(1.0, (1.0, 1.0) if learns or fault == "clean" else (9.0, 5.0)), one, none, none)
        for fault, learns in CASES
    }
    outcomes["pushed", True] = Fault(score(1.0), none, none, none)
    assert all(c.met for c in fault_table(outcomes)[1])
    outcomes["motor side freezes", True] = Fault(score(1.0, (1.5, 1.0)), none, none, none)
    outcomes["pushed", True] = Fault(score(1.0), none, 0.2 * one, none)
    assert sum(not c.met for c in fault_table(outcomes)[1]) == 2
    assert FAULTS[0] == "clean"


def test_a_fleet_has_an_agent_for_each_arm() -> None:
    with pytest.raises(ShapeError):
        simulate(Fleet([]), arms(1, True, 1.0), (1,), 0.01)


def test_times_and_their_claims() -> None:
    found = realtime.measure("lf", 20, samples=30)
    assert (found.step > 0.0).all()
    assert found.size == 50
    slow = realtime.Times(np.full(100, 2e-3), np.full(100, 2e-3), np.full(100, 1e-4), 57)
    assert slow.ratio == pytest.approx(20.0)
    assert not any(c.met for c in realtime.claims({"slow": slow}))
    quick = realtime.Times(np.full(100, 2e-4), np.full(100, 2e-3), np.full(100, 1e-4), 57)
    assert all(c.met for c in realtime.claims({"quick": quick}))
