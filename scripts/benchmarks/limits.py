"""Estimation against the physical limit: two plants in every colour, exactly, beside peers tuned for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track

from pcctrl.envs import two_masses
from pcctrl.evaluation import impulse_response, sample_covariance
from pcctrl.filters import ARKalmanFilter, ColouredKalmanFilter, KalmanFilter, LinearFilter, PCFilter
from pcctrl.models import LinearModel
from pcctrl.noise import Noise
from pcctrl.scripts.benchmarks.claims import Claim, claim, claims_table, plain_table
from pcctrl.scripts.benchmarks.systems import SMOOTHNESS, colours, mass_spring_damper, smooth_or_white
from pcctrl.tuning import coloured_of, kalman_of, tune_coloured, tune_kalman

__all__ = ["COLOURS", "PLANTS", "LimitRow", "WrongRow", "claims", "limit_row", "run", "wrong_row"]

PLANTS: dict[str, Callable[[Noise, Noise], LinearModel]] = {
    "mass-spring": mass_spring_damper,
    "two masses": two_masses,
}
# Of the tunings of the Kalman filter, whose score has local minima, and of the first-order one: starts, scores.
KALMAN, COLOURED = {"starts": 12, "evaluations": 500}, {"starts": 6, "evaluations": 800}
FLOOR, WRONG_FLOORS = 1e-4, (1e-2, 1e-4)


def _noises(samples: float, floor: float = FLOOR) -> tuple[Noise, Noise]:
    return smooth_or_white(samples, 0.1, 1.0, 0.1, floor)


COLOURS = {name: (process, sensor) for name, (process, (sensor,)) in colours(0.1, 1.0, (0.1,), FLOOR).items()}


@dataclass(frozen=True)
class LimitRow:
    """RMSE of each filter over that of the best possible estimate, in one plant and colour.

    Args:
        plant: key of `PLANTS`.
        colour: key of `COLOURS`.
        spread: worst start of the tunings over their best.
        limit: RMSE of the best estimate, the states in their own standard deviations.
        order_4: the predictive-coding filter of order 4.
        order_6: the same of order 6.
        kalman: the Kalman filter, told the variances.
        kalman_tuned: the same, tuned.
        coloured: the Kalman filter with first-order shaping filters.
        coloured_tuned: the same, tuned.
        autoregressive: AR(6) augmentation.
    """

    plant: str
    colour: str
    spread: float
    limit: float
    order_4: float
    order_6: float
    kalman: float
    kalman_tuned: float
    coloured: float
    coloured_tuned: float
    autoregressive: float


@dataclass(frozen=True)
class WrongRow:
    """RMSE over the physical limit when the filter is told half or twice s, or a floor too low or too high by 100."""

    plant: str
    floor: float
    samples: float
    half: float
    double: float
    floor_low: float
    floor_high: float
    kalman: float


def limit_row(plant: str, colour: str, **budget: int) -> LimitRow:
    """Return one row, exact: impulse responses against covariances over 320 samples; ``budget`` is of both tunings."""
    model = PLANTS[plant](*COLOURS[colour])
    kalman, coloured = tune_kalman(model, **(budget or KALMAN)), tune_coloured(model, **(budget or COLOURED))
    filters = (
        *(PCFilter(model, order=4), PCFilter(model, order=6)),
        *(KalmanFilter(model), kalman_of(model, kalman.values)),
        *(ColouredKalmanFilter(model), coloured_of(model, coloured.values)),
        ARKalmanFilter(model, lags=6),
    )
    limit, ratios = _ratios(model, filters)
    spread = max(max(t.costs) / t.cost for t in (kalman, coloured))
    return LimitRow(plant, colour, spread, limit, *ratios)


def wrong_row(plant: str, floor: float, samples: float) -> WrongRow:
    """Return the price of telling the order-4 filter a wrong smoothness or a wrong floor, exactly."""
    told = ((0.5, 1.0), (2.0, 1.0), (1.0, 0.01), (1.0, 100.0))
    filters: list[LinearFilter] = [PCFilter(PLANTS[plant](*_noises(a * samples, b * floor))) for a, b in told]
    truth = PLANTS[plant](*_noises(samples, floor))
    return WrongRow(plant, floor, samples, *_ratios(truth, [*filters, KalmanFilter(truth)])[1])


def claims(rows: Sequence[LimitRow]) -> list[Claim]:
    """Return what is asked of the filter, as far as ``rows`` have the colours for it."""
    rough, smooth = ("white", "AR(1)"), [c for c in COLOURS if c not in ("white", "AR(1)")]

    def worst(ratio: Callable[[LimitRow], float], colours: Iterable[str]) -> list[tuple[float, str]]:
        return [(ratio(r), f"{r.plant}, {r.colour}") for r in rows if r.colour in colours]

    return [
        *claim("order 4 / limit, smooth", 1.02, worst(lambda r: r.order_4, smooth)),
        *claim("order 6 / limit, smooth", 1.015, worst(lambda r: r.order_6, smooth)),
        *claim("either / limit, rough", 1.001, worst(lambda r: max(r.order_4, r.order_6), rough)),
        *claim("either / tuned Kalman", 1.0, worst(lambda r: max(r.order_4, r.order_6) / r.kalman_tuned, COLOURS)),
        *claim("order 4 / Kalman, s = 2", 0.86, worst(lambda r: r.order_4 / r.kalman, ("2",))),
        *claim("order 4 / Kalman, s = 3", 0.75, worst(lambda r: r.order_4 / r.kalman, ("3",))),
        *claim("order 4 / Kalman, s = 5", 0.58, worst(lambda r: r.order_4 / r.kalman, ("5",))),
        *claim("order 4 / tuned 1st, s = 2, 3", 0.96, worst(lambda r: r.order_4 / r.coloured_tuned, ("2", "3"))),
    ]


def run(console: Console) -> None:
    """Print the tables."""
    jobs = [(plant, colour) for plant in PLANTS for colour in COLOURS]
    progress = track(jobs, "Tuning", console=console, transient=True)
    rows = [limit_row(plant, colour) for plant, colour in progress]
    for plant in PLANTS:
        table = plain_table(
            f"RMSE / physical limit, {plant}",
            ("noise",),
            ("limit", "order 4", "order 6", "KF", "tuned", "1st", "tuned", "AR(6)", "starts"),
        )
        for r in (r for r in rows if r.plant == plant):
            ratios = (r.order_4, r.order_6, r.kalman, r.kalman_tuned, r.coloured, r.coloured_tuned, r.autoregressive)
            table.add_row(r.colour, f"{r.limit:.4f}", *(f"{v:.3f}" for v in ratios), f"{r.spread:.2f}")
        console.print(table, end="\n\n")
    console.print(
        "Exact, no seeds. Score: √ mean_i(P_ii / Var x_i). Limit: dense Gaussian conditioning on 320 past samples. "
        "Noise: smoothness s of both in samples, or process/sensor; AR(1): white process, sensor 0.9 a sample. Process "
        "std 1, sensor std 0.1, floor 1e-4; lag 0. Order 4, 6: PCFilter, noise told. KF: Kalman, variances told, taken "
        "for white. 1st: Kalman with first-order shaping filters, AR(6): with autoregressive ones, noise told. Tuned: "
        "on this very score for this very noise; KF over Q (scale, diagonal) and R, 12 starts of up to 500 scores; 1st "
        "over the variances of sensors and floors, both times, and a diagonal on Q, 6 starts of up to 800. Starts: "
        "worst start of a tuning over its best.\n"
    )
    console.print(claims_table(claims(rows), "Asked of the filter"))
    console.print("Rough: white and AR(1); smooth: all others. Either: the worse of order 4 and order 6.\n")
    table = plain_table(
        "RMSE / physical limit, order 4, told wrongly",
        ("plant",),
        ("floor", "s", "s × ½", "s × 2", "floor × 0.01", "floor × 100", "KF"),
    )
    for plant in PLANTS:
        for floor in WRONG_FLOORS:
            for s in SMOOTHNESS:
                w = wrong_row(plant, floor, s)
                numbers = (w.half, w.double, w.floor_low, w.floor_high, w.kalman)
                table.add_row(plant, f"{floor:g}", f"{s:g}", *(f"{v:.3f}" for v in numbers), end_section=s == 5.0)
    console.print(table)
    console.print("s and the floor of both noises are told wrongly together; when in doubt, rough.")


def _ratios(model: LinearModel, filters: Iterable[LinearFilter]) -> tuple[float, list[float]]:
    """Return the limit, and the RMSE of each filter over it, where ``model`` is the truth."""
    moments = sample_covariance(model)
    limit = moments.score(moments.limit())
    return limit, [moments.score(moments.error(impulse_response(f))) / limit for f in filters]
