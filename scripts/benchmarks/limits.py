"""Estimation against the physical limit: two plants in every colour, exactly, beside peers tuned for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pcctrl.evaluation import impulse_response, sample_covariance
from pcctrl.filters import ARKalmanFilter, ColouredKalmanFilter, KalmanFilter, LinearFilter, PCFilter
from pcctrl.models import LinearModel
from pcctrl.noise import Noise, OrnsteinUhlenbeck
from pcctrl.scripts.benchmarks.systems import mass_spring_damper, smooth_or_white, two_masses
from pcctrl.tuning import coloured_of, kalman_of, tune_coloured, tune_kalman

__all__ = ["COLOURS", "PLANTS", "Claim", "LimitRow", "WrongRow", "claims", "limit_row", "run", "wrong_row"]

PLANTS: dict[str, Callable[[Noise, Noise], LinearModel]] = {
    "mass-spring-damper": mass_spring_damper,
    "two masses": two_masses,
}
STARTS, EVALUATIONS = 12, 1000
FLOOR, WRONG_FLOORS = 1e-4, (1e-2, 1e-4)
SMOOTHNESS = (0.5, 1.0, 2.0, 3.0, 5.0)
# What a dense inverse and a search resolve.
_ROUNDING = 1e-6


def _noises(samples: float, floor: float = FLOOR) -> tuple[Noise, Noise]:
    return smooth_or_white(samples, 0.1, 1.0, 0.1, floor)


# Process and sensor noise; a number is the smoothness of both in samples.
COLOURS: dict[str, tuple[Noise, Noise]] = {
    "white": _noises(0.0),
    "AR(1)": (_noises(0.0)[0], OrnsteinUhlenbeck(0.1, -0.1 / float(np.log(0.9)), FLOOR)),
    **{f"{s:g}": _noises(s) for s in SMOOTHNESS},
    "white/2": (_noises(0.0)[0], _noises(2.0)[1]),
    "2/white": (_noises(2.0)[0], _noises(0.0)[1]),
}


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


@dataclass(frozen=True)
class Claim:
    """What is asked of a ratio, and the worst that was measured."""

    text: str
    worst: float
    where: str
    asked: float

    @property
    def met(self) -> bool:
        """Whether the worst is within what is asked."""
        return self.worst <= self.asked + _ROUNDING


def limit_row(plant: str, colour: str, starts: int = STARTS, evaluations: int = EVALUATIONS) -> LimitRow:
    """Return one row, exact: impulse responses against covariances over 320 samples."""
    model = PLANTS[plant](*COLOURS[colour])
    kalman = tune_kalman(model, starts=starts, evaluations=evaluations)
    coloured = tune_coloured(model, starts=starts, evaluations=evaluations)
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

    def claim(text: str, colours: Iterable[str], asked: float, ratio: Callable[[LimitRow], float]) -> list[Claim]:
        found = [(ratio(r), f"{r.plant}, {r.colour}") for r in rows if r.colour in colours]
        return [Claim(text, *max(found), asked)] if found else []

    return [
        *claim("order 4 / limit, smooth", smooth, 1.02, lambda r: r.order_4),
        *claim("order 6 / limit, smooth", smooth, 1.015, lambda r: r.order_6),
        *claim("either / limit, rough", rough, 1.001, lambda r: max(r.order_4, r.order_6)),
        *claim("either / tuned Kalman", COLOURS, 1.0, lambda r: max(r.order_4, r.order_6) / r.kalman_tuned),
        *claim("order 4 / Kalman, s = 2", ("2",), 0.86, lambda r: r.order_4 / r.kalman),
        *claim("order 4 / Kalman, s = 3", ("3",), 0.75, lambda r: r.order_4 / r.kalman),
        *claim("order 4 / Kalman, s = 5", ("5",), 0.58, lambda r: r.order_4 / r.kalman),
        *claim("order 4 / tuned 1st, s = 2, 3", ("2", "3"), 0.96, lambda r: r.order_4 / r.coloured_tuned),
    ]


def run(console: Console) -> None:
    """Print the tables."""
    jobs = [(plant, colour) for plant in PLANTS for colour in COLOURS]
    progress = track(jobs, "Tuning", console=console, transient=True)
    rows = [limit_row(plant, colour, STARTS, EVALUATIONS) for plant, colour in progress]
    for plant in PLANTS:
        table = _table(
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
        f"on this very score for this very noise, from {STARTS} starts of up to {EVALUATIONS} scores; KF in Q (scale, "
        "diagonal) over R, 1st in the variances of sensor and floor over the process's, and times. Starts: worst start "
        "of a tuning over its best.\n"
    )
    table = _table("Asked of the filter", ("ratio",), ("worst", "asked"), ("", "worst at"))
    for c in claims(rows):
        table.add_row(c.text, f"{c.worst:.4f}", f"{c.asked:g}", "met" if c.met else "NOT met", c.where)
    console.print(table)
    console.print("Rough: white and AR(1); smooth: all others. Either: the worse of order 4 and order 6.\n")
    table = _table(
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


def _table(title: str, left: Sequence[str], right: Sequence[str], more: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for headings, justify in ((left, "left"), (right, "right"), (more, "left")):
        for heading in headings:
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    return table
