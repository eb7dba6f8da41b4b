"""The cruise-control benchmark against computations of its own, with few seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pcctrl.errors import ParameterError
from pcctrl.scripts.benchmarks import cruise
from pcctrl.scripts.benchmarks.car import LEARNING, Published, Starts, acceleration, drive
from pcctrl.scripts.benchmarks.cruise import FixedPI, LearningPID, Score, claims, expected_std, learning_pid, score
from pcctrl.scripts.benchmarks.lockstep import lockstep
from pcctrl.scripts.main import main


def test_the_published_law_is_its_equations() -> None:
    """One car written out in scalars, with learning between 1 and 8 s of 12 s."""
    starts = Starts.of([3, 4], 240)
    for whole in (False, True):
        found = drive(Published(starts.gamma_z, starts.gamma_w, (1.0, 8.0), whole), starts.noise)
        for i in range(2):
            v = a = m0 = m1 = f0 = f1 = 0.0
            g0, g1 = float(starts.gamma_z[i]), float(starts.gamma_z[i]) - math.log(2.0)
            w0 = math.exp(starts.gamma_w[i])
            for k in range(240):
                torque = 190.0 * (1.0 - 0.4 * (12.0 * v / 420.0) ** 2)
                force = 12.0 * (a + (3.0 if k > 120 else 0.0)) * torque - 100.0 * 9.81 * math.sin(4.0)
                sign = float(v > 0.0) - float(v < 0.0)
                rate = (force - 100.0 * 9.81 * 0.01 * sign - 0.5 * 1.3 * 0.32 * 2.4 * v * v) / 100.0
                v += 0.05 * rate
                z0, z1 = starts.noise[k, i]
                p0, p1, root = math.exp(g0), math.exp(g1), math.sqrt(0.05)
                e0, e1 = v + z0 / root - m0, rate + z1 / root - m1
                # (away + z/√dt)² with z² in the place of z²/dt, as published, or whole.
                s0, s1 = (e * e + (0.0 if whole else z * z - z * z / 0.05) for e, z in ((e0, z0), (e1, z1)))
                f0 += 0.05 * (-0.5 * (p0 * s0 - 1.0) - 5.0 * f0)
                f1 += 0.05 * (-0.5 * (p1 * s1 - 1.0) - 5.0 * f1)
                a -= 0.05 * (p0 * e0 + p1 * e1)
                m0, m1 = (
                    m0 + 0.05 * (m1 + p0 * e0 - w0 * 1e5 * (m1 + 1e5 * (m0 - 10.0))),
                    m1 + 0.05 * (p1 * e1 - 0.5 * w0 * 1e10 * m1),
                )
                if 1.0 < k * 0.05 < 8.0:
                    g0, g1 = g0 + 0.05 * f0, g1 + 0.05 * f1
                assert found.speed[k, i] == pytest.approx(v, rel=1e-9)
            np.testing.assert_allclose(found.memory.gamma[i], [g0, g1], rtol=1e-9)


def test_scores_by_hand() -> None:
    speed = np.full((120, 2), 10.0)
    # Within the first 3 samples after the load a speed in the band is no return.
    speed[60:65, 0] = [10.0, 13.0, 12.0, 11.0, 9.0]
    speed[60:, 1] = 12.0
    speed[100:, 0] += np.tile([0.3, -0.3], 10)
    found = score(speed)
    assert found.summed[0] == pytest.approx(10 + 13 + 12 + 11 + 9)
    assert found.recovery[0] == pytest.approx(0.25)
    assert found.integral[0] == pytest.approx(0.05 * (0 + 3 + 2 + 1 + 1 + 20 * 0.3))
    assert found.fluctuation[0] == pytest.approx(0.3)
    assert found.before[0] == 0.0
    assert found.peak[0] == 13.0
    # It never comes back: all is summed.
    assert found.summed[1] == pytest.approx(60 * 12.0)
    assert found.recovery[1] == pytest.approx(3.0)


def test_the_integral_is_the_load_over_the_gain() -> None:
    """The action must fall by 3, and only I ∫ e dt is left of it once the car is back at its speed."""
    quiet = np.zeros((6000, 1, 2))
    for gain in (0.1, 0.4):
        speed = drive(FixedPI(np.array([gain, 0.4])), quiet).speed[3000:, 0]
        assert (speed - 10.0).sum() * 0.05 == pytest.approx(3.0 / gain, rel=0.01)


def test_fluctuation_depends_on_the_ratio_of_the_gains_alone() -> None:
    """v̈ = −b (P v̇ + I v + P n₁ + I n₀), white noise of density S = e⁻⁵: variance S (I² + P²) / 2 I P, whatever b."""
    noise = Starts.of(range(12)).noise

    def std(i: float, p: float) -> float:
        return float(drive(FixedPI(np.array([i, p])), noise).speed[1000:3000].std(axis=0).mean())

    def theory(i: float, p: float) -> float:
        return math.sqrt(math.exp(-5.0) * (i**2 + p**2) / (2.0 * i * p))

    for gains in ((0.1, 0.1), (0.4, 0.4), (0.4, 0.2)):
        assert std(*gains) == pytest.approx(theory(*gains), rel=0.06)
    # Negative control: an unbalanced ratio costs what the formula says.
    assert std(0.4, 0.04) / std(0.4, 0.4) > 1.8


def test_with_constant_precisions_it_is_a_fixed_pi() -> None:
    gains, noise = np.array([0.5, 0.3]), Starts.of(range(2), 300).noise
    fixed, ours = drive(FixedPI(gains), noise), drive(LearningPID(learning_pid(gains, np.ones((3, 2)), 0.0)), noise)
    np.testing.assert_allclose(ours.speed, fixed.speed, rtol=1e-10)
    # So are other precisions, with other gains.
    start = np.log([[2.0, 0.5]] * 2)
    moved = drive(LearningPID(learning_pid(gains, np.ones((3, 2)), 0.0), start), noise)
    np.testing.assert_allclose(moved.speed, drive(FixedPI(gains * [2.0, 0.5]), noise).speed, rtol=1e-10)


def test_learning_saves_the_published_starts_without_more_fluctuation() -> None:
    seeds, gains = range(4), np.array([1.0, 1.0])
    starts = Starts.of(seeds)
    fixed, learnt = (
        score(drive(Published(starts.gamma_z, starts.gamma_w, window), starts.noise).speed)
        for window in (None, LEARNING)
    )
    std = expected_std(gains, range(100, 103))
    # Speed: noise of e⁻⁵ / dt and the loop's own e⁻⁵.
    assert std[0, 0] == pytest.approx(math.sqrt(math.exp(-5.0) * 21.0), rel=0.03)
    begun = cruise.published_start(starts, gains)
    ours = score(drive(LearningPID(learning_pid(gains, std, 0.1), begun), starts.noise).speed)
    assert ours.integral.max() < 16.0
    assert ours.fluctuation.mean() < fixed.fluctuation.mean()
    # Negative controls: the published learning makes it fluctuate; without learning those starts are slow.
    assert learnt.fluctuation.mean() > 2.5 * fixed.fluctuation.mean()
    assert learnt.integral.mean() > 30.0
    asleep = score(drive(LearningPID(learning_pid(gains, std, 0.0), begun), starts.noise).speed)
    assert asleep.integral.mean() > 30.0


def test_tuning_keeps_to_the_allowed_fluctuation() -> None:
    tuned = cruise.tune_pi(True, range(100, 102), rounds=6, points=2, steps=1200)
    starts = Starts.of(range(100, 102), 1200)
    found, fixed = (
        score(drive(law, starts.noise).speed)
        for law in (FixedPI(np.exp(tuned.values)), Published(starts.gamma_z, starts.gamma_w))
    )
    allowed = min(fixed.fluctuation.mean(), fixed.before.mean())
    excess = max(found.fluctuation.mean(), found.before.mean()) - allowed
    assert excess < 1e-3
    assert found.integral.mean() + 1e3 * max(excess, 0.0) == pytest.approx(tuned.cost)
    assert tuned.evaluations == 2 * (1 + 6 * 4)


def test_claims_fail_for_what_is_not_asked() -> None:
    one = np.ones(2)

    def made(summed: float, integral: float, std: float) -> Score:
        return Score(summed * one, one, one, integral * one, std * one, std * one)

    scores = {
        "published, fixed": made(1178.0, 60.0, 0.05),
        "published, learning": made(107.0, 37.6, 0.175),
        "PI, tuned": made(1.0, 20.0, 0.05),
        "aif-pid": made(1.0, 19.0, 0.05),
    }
    assert all(c.met for c in claims(scores))
    scores["aif-pid"] = made(1.0, 31.0, 0.06)
    assert [c.met for c in claims(scores)[3:]] == [False] * 3


def test_what_is_repeated_is_of_the_published_seeds_alone() -> None:
    one = np.ones(30)
    good, ours = Score(*6 * (one,)), np.arange(30) < cruise.PUBLISHED
    scores = {"PI, tuned": good, "aif-pid": good}
    for name, (summed, integral, _) in cruise.REPEATED.items():
        std = 3.5 if "learning" in name else 1.0
        values = (np.where(ours, v, 1e3 * v) for v in (summed, 1.0, 1.0, integral, std, 1.0))
        scores[name] = Score(*values)
    assert all(c.met for c in claims(scores)[:3])


def test_the_hill_pushes_and_friction_resists() -> None:
    # At rest only the hill of 4 rad: −g sin 4, sign 0 = 0.
    assert acceleration(np.zeros(1), 0.0)[0] == pytest.approx(-9.81 * math.sin(4.0))
    steady = (100.0 * 9.81 * (math.sin(4.0) + 0.01) + 0.5 * 1.3 * 0.32 * 2.4 * 100.0) / (
        12.0 * 190.0 * (1.0 - 0.4 * (120.0 / 420.0) ** 2)
    )
    assert steady == pytest.approx(-0.31, abs=0.005)
    assert acceleration(np.array([10.0]), steady)[0] == pytest.approx(0.0, abs=1e-12)


def test_lockstep_finds_a_minimum_and_names_bad_arguments() -> None:
    def bowl(x: np.ndarray) -> np.ndarray:
        value = (x[:, 0] - 1.0) ** 2 + 3.0 * (x[:, 1] + 2.0) ** 2
        return np.where(x[:, 0] > 4.0, np.nan, value)

    found = lockstep(bowl, [np.zeros(2), np.array([9.0, 0.0]), np.array([3.0, 3.3])], 40)
    np.testing.assert_allclose(found.values, [1.0, -2.0], atol=1e-3)
    assert (found.starts, found.evaluations) == (3, 3 * (1 + 40 * 4))
    # The start that sees nothing but NaN stays where it is.
    assert found.costs[1] == np.inf or found.costs[1] < 1e-3
    for points, rounds in (([], 3), ([np.zeros(2)], 0)):
        with pytest.raises(ParameterError) as caught:
            lockstep(bowl, points, rounds)
        assert caught.value.name == "rounds, points"


def test_it_prints_its_tables(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"SEEDS": range(2), "TUNING_SEEDS": range(100, 102), "ROUNDS": 1, "POINTS": 2, "SPEEDS": (0.1,)}
    for name, value in small.items():
        monkeypatch.setattr(cruise, name, value)
    assert main(["bench", "cruise"]) == 0
    out = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "…" not in out
    for text in ("over seeds 0-1", "as published", "aif-pid, always", "rise of std"):
        assert text in out
