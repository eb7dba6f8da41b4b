"""A pendulum in smooth noise: predictive coding beside unscented and extended filters, told and tuned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from os import cpu_count
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from pcctrl.arrays import Array
from pcctrl.evaluation import impulse_response, sample_covariance
from pcctrl.filters import ExtendedKalmanFilter, NonlinearPCFilter, UnscentedKalmanFilter
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table
from pcctrl.scripts.benchmarks.particles import PARTICLES, ParticleRow, particle_row
from pcctrl.scripts.benchmarks.particles import SAMPLES as PARTICLE_SAMPLES
from pcctrl.scripts.benchmarks.particles import SEEDS as PARTICLE_SEEDS
from pcctrl.scripts.benchmarks.particles import SETTLE as PARTICLE_SETTLE
from pcctrl.scripts.benchmarks.swings import (
    CASES,
    DT,
    FINE,
    FLOOR,
    GRAVITY,
    SAMPLES,
    SEEDS,
    SETTLE,
    Case,
    Recording,
    ratio,
    rmse,
)
from pcctrl.tuning import kalman_of
from pcctrl.tuning.search import Tuned, scattered, search

__all__ = ["PendulumRow", "claims", "ekf_of", "pendulum_row", "report", "run", "tune_ekf"]

ORDER, STARTS, EVALUATIONS = 4, 6, 30
# Tuning has seeds of its own, and shorter recordings of them.
TUNING_SEED, TUNING_SEEDS, TUNING_SAMPLES = 1000, 40, 100
# Of these something is asked; of the others it is shown where iterating does not help.
ASKED = ("angle", "sine")
SMOOTHNESS = (1.0, 2.0, 4.0)
# The only one at which particles are a reference: in smoother noise they collapse.
PARTICLE_SMOOTHNESS = 1.0


def ekf_of(case: Case, samples: float, values: Array) -> ExtendedKalmanFilter:
    """Return the extended filter with the scales and the added noise of `kalman_of` for the linear twin."""
    kalman = kalman_of(case.twin(samples), values)
    scales = (kalman.process_scale, kalman.sensor_scale, kalman.state_noise)
    return ExtendedKalmanFilter(case.model(samples), None, *scales)


def tune_ekf(case: Case, samples: float, starts: int = STARTS, evaluations: int = EVALUATIONS) -> Tuned:
    """Tune an extended filter in Q (scale and diagonal) over R for this case and colour, on seeds of its own.

    It starts from the exact optimum of the linear twin in the same error, from the filter as told, and from points
    scattered about it. R is as told, since only ratios matter but for the first samples.
    """
    recording = Recording(case, samples, TUNING_SEED, TUNING_SEEDS, TUNING_SAMPLES)
    twin = case.twin(samples)
    moments = sample_covariance(twin)

    def exact(values: Array) -> float:
        P = moments.error(impulse_response(kalman_of(twin, np.append(values, 0.0))))
        return float(np.sqrt(P[0, 0] + P[1, 1] / GRAVITY))

    def cost(values: Array) -> float:
        return rmse(recording.errors(ekf_of(case, samples, np.append(values, 0.0))))

    told = scattered(np.array([0.0, -3.0, -3.0]), max(starts - 1, 1), 0)
    optimum = search(exact, scattered(told[0], STARTS, 1), 150).values
    # Beyond this a factor is nothing: a simplex that starts there does not move.
    return search(cost, [np.maximum(optimum, -8.0), *told][: max(starts, 1)], evaluations)


@dataclass(frozen=True)
class PendulumRow:
    """Ratios of root mean square errors in one case and colour, each with its 95 % interval.

    Args:
        case: key of `CASES`.
        samples: smoothness of all noise, 0 for white.
        rmse: of the unscented filter on the generalised model, in rad.
        unscented: predictive coding over that filter.
        once: with a single iteration, over that filter.
        told: predictive coding over the extended filter in white noise, told the variances.
        tuned: over the same, tuned; None if it was not.
        spread: worst start of the tuning over its best.
        iterations: the most that a sample took.
        gap: greatest difference of a single iteration to the extended filter, both on the plain model in white noise.
    """

    case: str
    samples: float
    rmse: float
    unscented: tuple[float, float, float]
    once: tuple[float, float, float]
    told: tuple[float, float, float]
    tuned: tuple[float, float, float] | None
    spread: float
    iterations: int
    gap: float


def pendulum_row(
    name: str, samples: float, seeds: int = SEEDS, starts: int = STARTS, evaluations: int = EVALUATIONS
) -> PendulumRow:
    """Return one row; the extended filter is tuned where ``starts`` are given."""
    case = CASES[name]
    recording, model = Recording(case, samples, 0, seeds), case.model(samples)
    unscented = recording.errors(UnscentedKalmanFilter(model, ORDER))
    coding = NonlinearPCFilter(model, ORDER)
    errors, once = recording.errors(coding), recording.errors(NonlinearPCFilter(model, ORDER, iterations=1))
    told, y = recording.errors(ExtendedKalmanFilter(model)), recording.data[1]
    plain = [f.run(y).mean for f in (NonlinearPCFilter(model, None, iterations=1), ExtendedKalmanFilter(model))]
    tuned, spread = None, 1.0
    if starts:
        found = tune_ekf(case, samples, starts, evaluations)
        tuned = ratio(errors, recording.errors(ekf_of(case, samples, np.append(found.values, 0.0))))
        spread = max(found.costs) / found.cost
    belief, iterations = coding.init((seeds,)), 0
    for k in range(y.shape[1]):
        belief, info = coding.update(coding.predict(belief) if k else belief, y[:, k])
        iterations = max(iterations, info.iterations)
    return PendulumRow(
        name,
        samples,
        rmse(unscented),
        ratio(errors, unscented),
        ratio(once, unscented),
        ratio(errors, told),
        tuned,
        spread,
        iterations,
        float(np.abs(plain[0] - plain[1]).max()),
    )


def claims(rows: Sequence[PendulumRow], particles: Sequence[ParticleRow] = ()) -> list[Claim]:
    """Return what is asked of predictive coding, as far as ``rows`` have it, and ``particles`` that are worth it."""

    def where(r: PendulumRow) -> str:
        return f"{r.case}, s = {r.samples:g}"

    smooth = [r for r in rows if r.samples and r.case in ASKED]
    ends = [(r.tuned[2], where(r)) for r in smooth if r.tuned]
    at_2 = [(r.tuned[2], where(r)) for r in smooth if r.tuned and r.samples == 2.0]
    return [
        *claim("pc / unscented", 1.02, [(r.unscented[0], where(r)) for r in smooth]),
        *claim("pc / EKF tuned, upper end", 0.97, ends),
        *claim("pc / EKF tuned, s = 2, upper end", 0.90, at_2),
        *claim(
            "pc / particles, twin within 1 %",
            1.03,
            [(r.coding, f"{r.case}, s = {r.samples:g}") for r in particles if r.twin <= 1.01],
        ),
        *claim("once − EKF, white model, / 1e-9", 1.0, [(r.gap / 1e-9, where(r)) for r in rows if not r.samples]),
    ]


def run(console: Console) -> None:
    """Print the tables."""
    jobs = [(name, s, SEEDS, STARTS if name in ASKED else 0) for name in CASES for s in SMOOTHNESS]
    jobs += [(name, 0.0, SEEDS, 0) for name in ASKED]
    with ProcessPoolExecutor(min(2, cpu_count() or 1)) as pool:
        futures = [pool.submit(pendulum_row, *job) for job in jobs]
        drawn = [pool.submit(particle_row, name, PARTICLE_SMOOTHNESS) for name in ASKED]
        every: list[Future[Any]] = [*futures, *drawn]
        done = as_completed(every)
        for _ in track(done, "Tuning", total=len(futures) + len(drawn), console=console, transient=True):
            pass
        rows, particles = [future.result() for future in futures], [future.result() for future in drawn]
    report(console, rows, particles)


def report(console: Console, rows: Iterable[PendulumRow], particles: Sequence[ParticleRow] = ()) -> None:
    """Print the tables of ``rows`` and ``particles``."""
    rows = list(rows)
    table = plain_table(
        "Predictive coding on a pendulum, RMSE over that of",
        ("sensor",),
        ("s", "in rad", "UKF", "to", "once", "told", "tuned", "to", "starts", "steps"),
    )
    for r in rows:
        ratios = (r.unscented[0], r.unscented[2], r.once[0], r.told[0], *(r.tuned[::2] if r.tuned else ()))
        cells = [f"{v:.3f}" for v in ratios] + [""] * (0 if r.tuned else 2)
        spread = f"{r.spread:.2f}" if r.tuned else ""
        table.add_row(r.case, f"{r.samples:g}", f"{r.rmse:.3g}", *cells, spread, f"{r.iterations}")
    console.print(table)
    console.print(
        f"{SEEDS} paired seeds of {SAMPLES} samples of {DT:g} s, the first {SETTLE} not scored; error in rad, the "
        "rate's over √(g/l). To: upper end of the 95 % bootstrap interval over seeds. s: smoothness of all noise "
        f"in samples, 0: white; floor {FLOOR:g}; simulated by Runge-Kutta in {FINE} steps a sample. Noise told, lag 0. "
        f"Predictive coding: order {ORDER}, Gauss-Newton to 1e-3 of its std; steps: most in a sample. UKF: "
        "unscented, on the same generalised model, its RMSE in rad. once: one iteration, that is the extended filter "
        "on that model, over UKF. told: the extended filter, variances told, taken for white; tuned: the same, in Q "
        "(scale, diagonal) over R for that row, on "
        f"{TUNING_SEEDS} other seeds of {TUNING_SAMPLES} samples, from {STARTS} starts of up to {EVALUATIONS} scores "
        "(the first at the exact optimum of the linear twin); starts: the worst over the best. angle: 2 rad/s² of "
        "process noise, sensor 0.24 rad; sine: sin θ read, 1 and "
        "0.12; wide: 2 and 0.12; tumbling: 4 and 0.12. A linear sensor leaves nothing to iterate; where sin θ is "
        "ambiguous the minimum of F may be the wrong swing.\n"
    )
    if particles:
        beside = plain_table("Beside particles", ("sensor",), ("s", "pc / particles", "particles / Kalman, twin"))
        for row in particles:
            beside.add_row(row.case, f"{row.samples:g}", f"{row.coding:.3f}", f"{row.twin:.3f}")
        console.print(beside)
        console.print(
            f"{PARTICLES} guided particles (optimal proposal) on the same generalised model, {PARTICLE_SEEDS} seeds of "
            f"{PARTICLE_SAMPLES} samples, the first {PARTICLE_SETTLE} not scored. twin: the same particles over the "
            "Kalman filter on as many recordings of the pendulum of small swings, where that is exact.\n"
        )
    console.print(claims_table(claims(rows, particles), "Asked of predictive coding"))
