"""A real flight: roll rate of a quadcopter in a fan's wind, from its roll angle alone.

Each filter's noise is fitted to the measured angle of one half of a flight by its path free energy, and scored on the
roll rate of the other half; then the halves are exchanged. Data: Bos, Anil Meera, Benders & Wisse, ICRA 2022
(PUBLISHED §6); found through PCCTRL_DATA.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.optimize
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pcctrl.arrays import Array
from pcctrl.errors import FileError, PcctrlError
from pcctrl.filters import ARKalmanFilter, Estimate, FixedLag, KalmanFilter, LinearFilter, PCFilter
from pcctrl.models import LinearModel
from pcctrl.noise import Matern, Noise, OrnsteinUhlenbeck, Smooth, White

__all__ = ["FITS", "Flight", "load_flight", "run"]

FLIGHTS = ("drone_wind_exp22_mode1", "drone_wind_exp25_mode2")
WINDOW = (400, 1600)
TRIM = 10
STARTS = 6
EVALUATIONS = 150
_B = 0.374838


@dataclass(frozen=True, eq=False)
class Flight:
    """A stretch of T samples: roll angle y (T, 1) in rad, rotor input u (T, 1), roll rate (T,) in rad/s, dt in s."""

    y: Array
    u: Array
    rate: Array
    dt: float


def load_flight(name: str) -> list[Flight]:
    """Return the two halves of the scored window of a recorded flight.

    Raises:
        FileError: the recording is not there.
    """
    folder = Path(os.environ.get("PCCTRL_DATA", "../shared/data"))
    path = folder / f"{name}.npz"
    if not path.exists():
        raise FileError(name="PCCTRL_DATA", expected=f"a folder with {path.name}", received=str(folder.resolve()))
    with np.load(path) as data:
        dt = float(data["dt"])
        rotors, roll, rate = data["rotor_speed"], data["state"][6], data["state"][9]
    middle = sum(WINDOW) // 2
    halves = []
    for first, last in ((WINDOW[0], middle), (middle, WINDOW[1])):
        part = rotors[:, first:last]
        u = np.array([1.0, -1.0, -1.0, 1.0]) @ (part - part.mean(axis=1, keepdims=True))
        halves.append(Flight(roll[first:last, None], u[:, None], rate[first:last], dt))
    return halves


def _model(dt: float, process: Noise, sensor: Noise) -> LinearModel:
    push = np.array([[0.0], [1.0]])
    return LinearModel(
        np.array([[0.0, 1.0], [0.0, 0.0]]),
        _B * push,
        np.array([[1.0, 0.0]]),
        dt=dt,
        noise_input=push,
        process_noise=[process],
        sensor_noise=[sensor],
        prior=np.diag([0.01, 1.0]),
    )


def _pc(kernel: Callable[[float, float], Noise]) -> Callable[[float, Array], LinearFilter]:
    def build(dt: float, v: Array) -> LinearFilter:
        a, b, c = np.exp(v)
        return PCFilter(_model(dt, kernel(float(a), float(b)), White(std=float(c))))

    return build


def _kalman(dt: float, v: Array) -> LinearFilter:
    a, b, c = np.exp(v)
    model = _model(dt, White(density=float(a) * float(np.sqrt(dt))), White(std=float(c)))
    return KalmanFilter(model, state_noise=np.array([float(b) * 1e-6, 0.0]))


def _ar(dt: float, v: Array) -> LinearFilter:
    a, b, c = np.exp(v)
    return ARKalmanFilter(_model(dt, Matern(float(a), float(b), order=1), White(std=float(c))), lags=6)


# Each is fitted over three logarithms, from starts about these: a strength, a time, and the sensor's std.
FITS: dict[str, tuple[Callable[[float, Array], LinearFilter], tuple[float, float, float]]] = {
    "Kalman (white)": (_kalman, (1.0, 1.0, 1e-4)),
    "PC, Ornstein-Uhlenbeck": (_pc(OrnsteinUhlenbeck), (2.0, 0.1, 1e-4)),
    "PC, Matérn-3/2": (_pc(lambda a, b: Matern(a, b, order=1)), (2.0, 0.05, 1e-4)),
    "PC, smooth": (_pc(Smooth), (2.0, 0.03, 1e-4)),
    "AR(6) Kalman": (_ar, (2.0, 0.05, 1e-4)),
}


def _misfit(estimate: Estimate) -> float:
    """Return the path free energy in nats."""
    return float(estimate.free_energy.sum())


def fit(name: str, flight: Flight, seed: int = 0) -> Array:
    """Return the three logarithms that predict the angle of ``flight`` best, from six starts."""
    build, centre = FITS[name]

    def cost(v: Array) -> float:
        try:
            value = _misfit(build(flight.dt, v).run(flight.y, flight.u))
        except (PcctrlError, np.linalg.LinAlgError, OverflowError):
            return 1e12
        return value if np.isfinite(value) else 1e12

    rng = np.random.default_rng(seed)
    starts = np.log(centre) + np.vstack([np.zeros(3), rng.normal(0.0, 1.5, (STARTS - 1, 3))])
    options = {"maxfev": EVALUATIONS, "xatol": 1e-2, "fatol": 1e-2}
    with np.errstate(all="ignore"):
        found = [scipy.optimize.minimize(cost, x0, method="Nelder-Mead", options=options) for x0 in starts]
    return np.asarray(min(found, key=lambda r: float(r.fun)).x)


def score(name: str, values: Array, flight: Flight, lag: int) -> tuple[float, float]:
    """Return the squared error of the roll rate, summed per 220 samples, and the evidence −F in nats a sample."""
    filter_ = FITS[name][0](flight.dt, values)
    if lag:
        filter_ = FixedLag(filter_, lag)
    with np.errstate(all="ignore"):
        estimate = filter_.run(flight.y, flight.u)
    error = (estimate.mean[:, 1] - flight.rate)[TRIM:-TRIM]
    return float(np.mean(error**2) * 220.0), -_misfit(estimate) / len(flight.y)


def run(console: Console) -> None:
    """Fit, score and print the table."""
    halves = {name: load_flight(name) for name in FLIGHTS}
    jobs = [(name, flight, half) for name in FITS for flight in FLIGHTS for half in (0, 1)]
    errors: dict[tuple[str, int], list[float]] = {}
    evidence: dict[str, list[float]] = {}
    for name, flight, half in track(jobs, "Fitting", console=console, transient=True):
        values = fit(name, halves[flight][half])
        for lag in (0, 2):
            error, nats = score(name, values, halves[flight][1 - half], lag)
            errors.setdefault((name, lag), []).append(error)
            if lag == 0:
                evidence.setdefault(name, []).append(nats)
    table = Table(title="Roll rate in wind: squared error per 220 samples", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("filter", "lag 0", "vs Kalman", "lag 2", "vs Kalman", "−F"):
        table.add_column(heading, justify="left" if heading == "filter" else "right", no_wrap=True)
    for name in FITS:
        cells = []
        for lag in (0, 2):
            ours, kalman = np.array(errors[name, lag]), np.array(errors["Kalman (white)", lag])
            cells += [f"{ours.mean():.3f}", f"{np.exp(np.mean(np.log(ours / kalman))):.2f}"]
        table.add_row(name, *cells, f"{np.mean(evidence[name]):.3f}")
    console.print(table)
    console.print(
        f"Mean over 2 flights × 2 halves ({', '.join(FLIGHTS)}; samples {WINDOW[0]}-{WINDOW[1]}), each scored with "
        f"noise fitted to the measured angle of the other half: 3 parameters, {STARTS} starts, {STARTS * EVALUATIONS} "
        "evaluations a fit. vs Kalman: geometric mean of the ratios. −F: evidence in nats a sample on the scored half. "
        "AR is told a fitted Matérn-3/2 kernel."
    )
