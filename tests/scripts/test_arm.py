"""The two-joint arm's benchmark: plant, metrics and laws against computations of their own, with small budgets."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pcctrl.controllers import PID
from pcctrl.filters import Belief
from pcctrl.scripts.benchmarks import arm
from pcctrl.scripts.benchmarks.arm_aif import AIF, arm_model
from pcctrl.scripts.benchmarks.arm_laws import Arc, Biased, GravityPID, Unbiased, biased_arc, unbiased_arc
from pcctrl.scripts.benchmarks.two_joint import Trials, acceleration, gravity, hanging_model, simulate, torque_for
from pcctrl.scripts.main import main


def energy(q: np.ndarray, rate: np.ndarray) -> tuple[float, float]:
    """Kinetic and potential energy, from the positions and speeds of both centres of mass."""
    (q1, q2), (w1, w2) = q, rate
    along, up = np.array([math.cos(q1), math.sin(q1)]), np.array([-math.sin(q1), math.cos(q1)])
    along2, up2 = np.array([math.cos(q1 + q2), math.sin(q1 + q2)]), np.array([-math.sin(q1 + q2), math.cos(q1 + q2)])
    first, second = 0.5451 * along, 1.0446 * along + 0.5075 * along2
    v1, v2 = 0.5451 * w1 * up, 1.0446 * w1 * up + 0.5075 * (w1 + w2) * up2
    kinetic = 2.1368 * v1 @ v1 + 2.2418 * v2 @ v2 + 1.0209 * w1**2 + 1.0218 * (w1 + w2) ** 2
    return 0.5 * kinetic, 9.81 * (2.1368 * first[1] + 2.2418 * second[1])


def test_the_arm_gains_the_energy_that_torques_bring_and_damping_leaves() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        q, rate, torque = rng.uniform(-2, 2, 2), rng.uniform(-3, 3, 2), rng.uniform(-50, 50, 2)
        h = 1e-6
        moved = acceleration(q[None], rate[None], torque[None])[0]
        after, before = (sum(energy(q + s * h * rate, rate + s * h * moved)) for s in (1, -1))
        power = rate @ (torque - np.array([101.519, 103.8566]) * rate)
        assert (after - before) / (2 * h) == pytest.approx(power, rel=1e-5, abs=1e-3)
        slope = [(energy(q + d, rate)[1] - energy(q - d, rate)[1]) / (2 * h) for d in h * np.eye(2)]
        np.testing.assert_allclose(gravity(q), slope, atol=1e-6)


def test_torques_are_those_of_the_accelerations_they_bring() -> None:
    q, rate, wanted = np.random.default_rng(0).uniform(-3, 3, (3, 20, 2))
    np.testing.assert_allclose(acceleration(q, rate, torque_for(q, rate, wanted)), wanted, atol=1e-9)


def test_the_linear_model_is_the_arm_where_it_hangs() -> None:
    model = hanging_model()
    rest, h = np.array([-np.pi / 2, 0.0, 0.0, 0.0]), 1e-6

    def rates(x: np.ndarray, u: np.ndarray) -> np.ndarray:
        return np.concatenate([x[2:], acceleration(x[None, :2], x[None, 2:], u[None])[0]])

    zero = np.zeros(2)
    A = np.stack([(rates(rest + d, zero) - rates(rest - d, zero)) / (2 * h) for d in h * np.eye(4)], axis=1)
    B = np.stack([(rates(rest, d) - rates(rest, -d)) / (2 * h) for d in h * np.eye(2)], axis=1)
    np.testing.assert_allclose(model.A, A, atol=1e-6)
    np.testing.assert_allclose(model.B, B, atol=1e-8)


def test_scores_are_those_of_one_arm_at_a_time() -> None:
    """The biased law and the metrics again, written out for single trials."""
    goal = np.array([[-1.5, 0.1], [-1.55, -0.2]])
    trials = Trials(goal, np.array([np.inf, 0.4]), np.array([np.inf, 0.9]))
    found = simulate(Biased(), trials, 3.0, seed=5)
    noise = 1e-3 * np.random.default_rng(5).standard_normal((3000, 2, 4))
    for i in range(2):
        q, w, u = np.array([-math.pi / 2, 0.0]), np.zeros(2), np.zeros(2)
        m0, m1, m2 = q.copy(), np.zeros(2), np.zeros(2)
        path, beliefs, torques = [], [], []
        for k in range(3000):
            path.append(q)
            beliefs.append(m0)
            torques.append(u)
            y0, y1 = q + noise[k][i, :2], w + noise[k][i, 2:]
            a, b, c, d = y0 - m0, y1 - m1, m1 + m0 - goal[i], m2 + m1
            new = u - 0.001 * 500 * (a + b)
            m0, m1, m2 = (
                m0 + 0.001 * (m1 - 200 * (-a + c)),
                m1 + 0.001 * (m2 - 200 * (-b + c + d)),
                m2 + 0.001 * (-200 * d),
            )
            if i == 1 and 0.4 < k * 0.001 < 0.9:
                w = np.zeros(2)
            else:
                q, w = q + 0.001 * w, w + 0.001 * acceleration(q[None], w[None], u[None])[0]
            u = new
        one = np.array(path)[:, 0]
        step = goal[i, 0] + math.pi / 2
        outside = np.flatnonzero(np.abs(one - goal[i, 0]) > 0.005 * step)
        assert found.error[i] == pytest.approx(np.abs(goal[i] - q).mean(), rel=1e-6)
        rms = np.sqrt(((np.array(path) - beliefs) ** 2).mean(axis=0)).mean()
        assert found.rmse[i] == pytest.approx(rms, rel=1e-9)
        beyond = max(one.max() - goal[i, 0], 0.0)
        assert found.overshoot[i] == pytest.approx(beyond, abs=1e-12)
        assert found.percent[i] == pytest.approx(100 * beyond / step, abs=1e-9)
        assert found.settling[i] == pytest.approx((outside[-1] + 1) * 0.001 - (0.4 if i else 0.0))
        assert found.peak[i] == pytest.approx(np.abs(torques).max(axis=0)[0])
        assert found.path[i] == pytest.approx(np.abs(goal[i] - path).mean(axis=1).sum() * 0.001)
    # What was frozen has wound up.
    assert found.overshoot[1] > 1e-3 > found.overshoot[0]


def test_our_arc_is_the_published_biased_law_without_euler() -> None:
    trials = Trials.of(3, 6)
    euler, ours = (simulate(law, trials, 4.0) for law in (Biased(), biased_arc()))
    np.testing.assert_allclose(ours.rmse, euler.rmse, rtol=0.01)
    np.testing.assert_allclose(ours.peak, euler.peak, rtol=0.01)
    np.testing.assert_allclose(ours.overshoot, euler.overshoot, rtol=0.02, atol=1e-4)
    # Negative control: half the perception rate is another law.
    arc = biased_arc().arc
    slow = simulate(Arc(replace(arc, perception_rate=100.0)), trials, 4.0)
    assert np.median(np.abs(slow.rmse / euler.rmse - 1.0)) > 0.02


def test_the_published_integral_stops_below_what_gravity_asks() -> None:
    """Stretched out, joint 2 must hold 11.2 N·m; 1.5 × 3 of it come from the integral, the rest from 250 × error."""
    trials = Trials(np.zeros((1, 2)), np.array([np.inf]), np.array([np.inf]))
    flawed, clamped = (simulate(Unbiased(flawed), trials, 12.0) for flawed in (True, False))
    held = 9.81 * 2.2418 * 0.5075 - 4.5
    # Joint 1 needs 45.6 N·m and gets 45.
    first = (9.81 * (2.1368 * 0.5451 + 2.2418 * (1.0446 + 0.5075)) - 45.0) / 250.0
    assert flawed.error[0] == pytest.approx((held / 250.0 + first) / 2.0, rel=0.05)
    # Negative control: without the flaws only joint 1's share is left.
    assert clamped.error[0] == pytest.approx(first / 2.0, rel=0.2)


def test_within_its_limits_it_is_our_pid_and_gravity() -> None:
    gains = np.array([200.0, 150.0, 20.0, 10.0, 90.0, 60.0])
    kp, ki = np.hstack([np.diag(gains[:2]), np.diag(gains[2:4])]), np.hstack([np.diag(gains[4:]), np.zeros((2, 2))])
    pid, law = PID(kp, ki, np.zeros((2, 4)), dt=1e-3), GravityPID(gains, 1e6)
    rng, state, memory, goal = np.random.default_rng(0), pid.init((3,)), law.init(3), np.tile([0.3, -0.2], (3, 1))
    for y in rng.standard_normal((30, 3, 4)):
        state, want, _ = pid.act(state, Belief(y, np.eye(4), np.zeros(2), 4), np.hstack([goal, np.zeros((3, 2))]))
        memory, u, _ = law.act(memory, y, want, goal)
        np.testing.assert_allclose(u - gravity(y[:, :2]), want, atol=1e-9)
    # At a limit the integral stands still.
    stuck, u, _ = GravityPID(gains, 1.0).act(memory, y + 1.0, want, goal)
    np.testing.assert_array_equal(np.abs(u).max(axis=1), 1.0)
    np.testing.assert_array_equal(stuck, memory)


def test_collisions_do_not_wind_up_the_tuned_arc() -> None:
    trials = Trials.of(0, 6)
    ours, biased = (simulate(law, trials, 6.0) for law in (unbiased_arc(0.2, 1300.0, 300.0, 150.0), Biased()))
    assert (ours.peak <= 150.0).all()
    assert ours.rmse.max() < 1e-3 < biased.rmse.min()
    assert np.median(ours.percent[6:]) < 5.0 < np.median(biased.percent[6:])


def test_aif_sees_through_collisions_and_does_not_overshoot() -> None:
    goal, never = np.array([[0.9, -0.7], [-0.9, 0.5]]), np.inf
    law = AIF(arm.TAU, arm.SPEED, arm.WALK, 150.0)
    trials = Trials(np.tile(goal, (2, 1)), np.array([never, never, 0.2, 0.2]), np.array([never, never, 0.6, 0.6]))
    found = simulate(law, trials, 4.0)
    assert (found.peak <= 150.0).all()
    assert found.error.max() < 3e-4
    assert found.rmse[:2].max() < 1e-4
    assert found.rmse[2:].max() < 1e-3
    assert found.percent.max() < 1.0
    # Negative control: who believes no surprise takes a collision for noise.
    blind = simulate(replace(law, threshold=None), Trials(*(v[2:] for v in trials)), 0.6)
    assert blind.rmse.min() > 0.05


def test_aif_told_too_light_an_arm_ends_where_it_should() -> None:
    trials = Trials(np.array([[0.9, -0.7], [-0.9, 0.5]]), np.full(2, np.inf), np.full(2, np.inf))
    law = AIF(arm.TAU, arm.SPEED, arm.WRONG_WALK, 150.0, scale=arm.WRONG)
    found = simulate(law, trials, 4.0)
    assert found.error.max() < 3e-4
    assert found.percent.max() < 2.0
    # Negative control: who suspects no torque sags under the weight it does not know of.
    sure = simulate(replace(law, walk=1e-6, threshold=None), trials, 4.0)
    assert sure.error.min() > 2e-3


def test_the_model_of_aif_is_the_simulation() -> None:
    model, rng = arm_model(0.1), np.random.default_rng(0)
    x, u = rng.uniform(-1, 1, (5, 4)), rng.uniform(-50, 50, (5, 2))
    moved = np.concatenate([x[:, 2:], acceleration(x[:, :2], x[:, 2:], u)], axis=1)
    np.testing.assert_allclose(model.transition(x, u), x + 1e-3 * moved, atol=1e-12)
    np.testing.assert_array_equal(model.readout(x, u), x)
    # A lighter arm under the torques that are lighter by as much, but for damping, moves alike.
    light, damped = arm_model(0.1, 0.7), np.array([101.519, 103.8566]) * x[:, 2:]
    np.testing.assert_allclose(light.transition(x, 0.7 * u + 0.3 * damped), model.transition(x, u), atol=1e-12)


def test_tuning_improves_on_its_first_start() -> None:
    small: dict[str, Any] = {"goals": 2, "seconds": 1.0, "starts": 2}
    first = arm.tune_gravity_pid(**small, rounds=1)
    more = arm.tune_gravity_pid(**small, rounds=4)
    assert more.cost < first.cost
    assert more.evaluations == 2 * (1 + 4 * 12)
    # Its cost is the mean over the trials of one simulation of the tuned gains.
    score = simulate(GravityPID(np.exp(more.values), 150.0), Trials.of(1000, 2, published=False), 1.0, 1000)
    assert score.path.mean() + score.overshoot.mean() == pytest.approx(more.cost, rel=0.05)
    assert arm.tune_arc(**small, evaluations=2).starts == 2


def test_claims_are_met_by_the_published_rows_and_not_by_others() -> None:
    rows = dict(arm.PUBLISHED)
    for kind in arm.KINDS:
        rows["biased, our arc", kind] = rows["biased", kind]
        rows["unbiased, clamped", kind] = rows["biased", kind]
        both = rows["biased", kind], rows["unbiased", kind]
        rows["reflex, tuned", kind] = both[0]._replace(rmse=both[1].rmse, percent=both[1].percent)
        rows["aif", kind] = rows["reflex, tuned", kind]._replace(percent=(0.1, 0.1, 4.0))
    assert all(c.met for c in arm.claims(rows))
    rows["aif", "free"] = rows["unbiased", "free"]
    assert [c.met for c in arm.claims(rows) if c.text.startswith("aif")] == [False, True, False]
    rows["unbiased", "free"], rows["biased", "free"] = rows["biased", "free"], rows["unbiased", "free"]
    assert [c.met for c in arm.claims(rows)[:5]] == [False] * 5


def test_it_prints_its_tables(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"GOALS": 4, "SECONDS": 0.3, "TUNING_GOALS": 1, "TUNING_SECONDS": 0.3, "STARTS": 2, "ROUNDS": 1}
    for name, value in {**small, "EVALUATIONS": 2}.items():
        monkeypatch.setattr(arm, name, value)
    assert main(["bench", "arm"]) == 0
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "…" not in out
    for text in ("4 goals, collision", "PID + gravity", "ratio", "our arc / Euler"):
        assert text in out
