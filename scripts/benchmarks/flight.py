"""A real flight: roll rate of a quadcopter in a fan's wind, from its roll angle alone.

Each filter's noise is fitted to the measured angle of one half of a flight, and scored on the roll rate of the other
half; then the halves are exchanged. Data: Bos, Anil Meera, Benders & Wisse, ICRA 2022; found through
PCCTRL_DATA.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.optimize
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pcctrl.arrays import Array
from pcctrl.errors import FileError, PcctrlError
from pcctrl.filters import ARKalmanFilter, Estimate, FixedLag, GeneralisedFilter, KalmanFilter, LinearFilter, PCFilter
from pcctrl.models import LinearModel
from pcctrl.noise import Matern, Noise, OrnsteinUhlenbeck, Smooth, White

__all__ = ["FITS", "Flight", "Score", "fit", "load_flight", "run", "score"]

FLIGHTS = ("drone_wind_exp22_mode1", "drone_wind_exp25_mode2")
WINDOW = (400, 1600)
TRIM = 10
STARTS = 6
EVALUATIONS = 150
LAGS = (0, 2)
_B = 0.374838
# The recorded rate is late: central differences of the recorded angle match it alike at delays of 1 and 2 samples.
_DELAY = 1.5


@dataclass(frozen=True, eq=False)
class Flight:
    """A stretch of T samples: roll angle y (T, 1) in rad, rotor input u (T, 1), roll rate (T,) in rad/s, dt in s."""

    y: Array
    u: Array
    rate: Array
    dt: float

    @property
    def moved(self) -> Array:
        """The rate with its delay taken out, by the cubic through the four samples about each moment."""
        k = np.arange(len(self.rate))[:, None] + np.arange(int(_DELAY) - 1, int(_DELAY) + 3)
        return np.asarray(self.rate[np.minimum(k, len(k) - 1)] @ np.array([-1.0, 9.0, 9.0, -1.0]) / 16.0)


@dataclass(frozen=True)
class Score:
    """Squared errors summed per 220 samples, against the rate as recorded and moved; evidence −F in nats a sample."""

    recorded: float
    moved: float
    evidence: float


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


Peer = LinearFilter | GeneralisedFilter
Build = Callable[[float, Array], Peer]


def _model(dt: float, process: Noise, sensor: Noise, angle: Noise | None = None) -> LinearModel:
    """Return the roll axis with noise on the acceleration, and on the angle's rate if ``angle`` is given."""
    both = np.eye(2)[::-1]
    return LinearModel(
        np.array([[0.0, 1.0], [0.0, 0.0]]),
        np.array([[0.0], [_B]]),
        np.array([[1.0, 0.0]]),
        dt=dt,
        noise_input=both[:, :1] if angle is None else both,
        process_noise=[process] if angle is None else [process, angle],
        sensor_noise=[sensor],
        prior=np.diag([0.01, 1.0]),
    )


def _pc(kernel: Callable[[float, float], Noise]) -> Build:
    def build(dt: float, v: Array) -> Peer:
        a, b, c = np.exp(v)
        return PCFilter(_model(dt, kernel(float(a), float(b)), White(std=float(c))))

    return build


def _pc_both(dt: float, v: Array) -> Peer:
    a, b, c, d = (float(x) for x in np.exp(v))
    angle = White(density=d * float(np.sqrt(dt)))
    return PCFilter(_model(dt, OrnsteinUhlenbeck(a, b), White(std=c), angle))


def _kalman(dt: float, v: Array) -> Peer:
    a, b, c = np.exp(v)
    model = _model(dt, White(density=float(a) * float(np.sqrt(dt))), White(std=float(c)))
    return KalmanFilter(model, state_noise=np.array([float(b) * 1e-6, 0.0]))


def _ar(dt: float, v: Array) -> Peer:
    a, b, c = np.exp(v)
    return ARKalmanFilter(_model(dt, Matern(float(a), float(b), order=1), White(std=float(c))), lags=6)


def _generalised(embedding: Literal["causal", "centred"], order: int) -> Build:
    def build(dt: float, v: Array) -> Peer:
        a, s, c, *d = (float(x) for x in np.exp(v))
        # Its rate κ stays 1: the flow knows it only times the precisions.
        model = _model(dt, Smooth(a, s), Smooth(c, s), Smooth(d[0], s) if d else None)
        return GeneralisedFilter(model, order=order, embedding=embedding)

    return build


# Each is fitted over logarithms, from starts about these: std of the acceleration, a time (Kalman: variance on the
# angle), the sensor's std; and for those with noise on both states, the std of that on the angle's rate.
FITS: dict[str, tuple[Build, tuple[float, ...]]] = {
    "Kalman (white)": (_kalman, (1.0, 1.0, 1e-4)),
    "PC, Ornstein-Uhlenbeck": (_pc(OrnsteinUhlenbeck), (2.0, 0.1, 1e-4)),
    "PC, Matérn-3/2": (_pc(lambda a, b: Matern(a, b, order=1)), (2.0, 0.05, 1e-4)),
    "PC, smooth": (_pc(Smooth), (2.0, 0.03, 1e-4)),
    "AR(6) Kalman": (_ar, (2.0, 0.05, 1e-4)),
    "GF causal 1": (_generalised("causal", 1), (2.0, 0.006, 1e-4)),
    "GF centred 4": (_generalised("centred", 4), (2.0, 0.006, 1e-4)),
    "PC, O.-U., both": (_pc_both, (2.0, 0.1, 1e-4, 0.03)),
    "GF causal 1, both": (_generalised("causal", 1), (2.0, 0.006, 1e-4, 0.03)),
    "GF centred 4, both": (_generalised("centred", 4), (2.0, 0.006, 1e-4, 0.03)),
}


def _misfit(filter_: Peer, estimate: Estimate) -> float:
    """Return the path free energy in nats; of the classical filter, the same for innovations of their own variance.

    Its S is no variance of them, and its free energy counts every sample once an order.
    """
    if isinstance(filter_, GeneralisedFilter):
        return 0.5 * len(estimate.innovation) * float(np.log(np.mean(estimate.innovation[TRIM:] ** 2)))
    return float(estimate.free_energy.sum())


def fit(name: str, flight: Flight, seed: int = 0) -> Array:
    """Return the logarithms that predict the angle of ``flight`` best, from six starts."""
    build, centre = FITS[name]

    def cost(v: Array) -> float:
        try:
            filter_ = build(flight.dt, v)
            value = _misfit(filter_, filter_.run(flight.y, flight.u))
        except (PcctrlError, np.linalg.LinAlgError, OverflowError):
            return 1e12
        return value if np.isfinite(value) else 1e12

    rng = np.random.default_rng(seed)
    starts = np.log(centre) + np.vstack([np.zeros(len(centre)), rng.normal(0.0, 1.5, (STARTS - 1, len(centre)))])
    options = {"maxfev": EVALUATIONS, "xatol": 1e-2, "fatol": 1e-2}
    with np.errstate(all="ignore"):
        found = [scipy.optimize.minimize(cost, x0, method="Nelder-Mead", options=options) for x0 in starts]
    return np.asarray(min(found, key=lambda r: float(r.fun)).x)


def score(name: str, values: Array, flight: Flight, lag: int) -> Score | None:
    """Return how well the filter does with ``lag``; None for a classical filter whose embedding has another."""
    filter_ = FITS[name][0](flight.dt, values)
    late: LinearFilter | GeneralisedFilter | FixedLag = filter_
    if isinstance(filter_, GeneralisedFilter):
        if filter_.lag != lag:
            return None
    elif lag:
        late = FixedLag(filter_, lag)
    with np.errstate(all="ignore"):
        estimate = late.run(flight.y, flight.u)
    recorded, moved = (
        float(np.mean((estimate.mean[:, 1] - rate)[TRIM:-TRIM] ** 2) * 220.0) for rate in (flight.rate, flight.moved)
    )
    classical = isinstance(filter_, GeneralisedFilter)
    return Score(recorded, moved, np.nan if classical else -_misfit(filter_, estimate) / len(flight.y))


def _table(title: str, scores: dict[tuple[str, int], list[Score]], error: Callable[[Score], float]) -> Table:
    """Return a table of one kind of error."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("filter", "fit", *(h for lag in LAGS for h in (f"lag {lag}", "vs Kalman")), "−F"):
        table.add_column(heading, justify="left" if heading == "filter" else "right", no_wrap=True)
    for name, (_, centre) in FITS.items():
        cells = []
        for lag in LAGS:
            ours, kalman = (np.array([error(s) for s in scores.get((n, lag), [])]) for n in (name, next(iter(FITS))))
            ratio = np.exp(np.mean(np.log(ours / kalman))) if len(ours) else np.nan
            cells += [f"{ours.mean():.3f}", f"{ratio:.2f}"] if len(ours) else ["–", "–"]
        evidence = np.mean([s.evidence for s in scores.get((name, 0), [])] or [np.nan])
        table.add_row(name, str(len(centre)), *cells, f"{evidence:.3f}" if np.isfinite(evidence) else "–")
    return table


def run(console: Console) -> None:
    """Fit, score and print the tables."""
    halves = {name: load_flight(name) for name in FLIGHTS}
    jobs = [(name, flight, half) for name in FITS for flight in FLIGHTS for half in (0, 1)]
    scores: dict[tuple[str, int], list[Score]] = {}
    for name, flight, half in track(jobs, "Fitting", console=console, transient=True):
        values = fit(name, halves[flight][half])
        for lag in LAGS:
            found = score(name, values, halves[flight][1 - half], lag)
            if found is not None:
                scores.setdefault((name, lag), []).append(found)
    title = "Roll rate in wind, squared error per 220 samples: rate "
    console.print(_table(title + "as recorded", scores, lambda s: s.recorded))
    console.print(_table(title + f"moved back {_DELAY} samples", scores, lambda s: s.moved))
    console.print(
        f"Mean over 2 flights × 2 halves ({', '.join(FLIGHTS)}; samples {WINDOW[0]}-{WINDOW[1]}), each scored with "
        f"noise fitted to the measured angle of the other half: {STARTS} starts, {STARTS * EVALUATIONS} evaluations a "
        "fit, of as many parameters as 'fit' says; a fourth is noise on the angle's rate too ('both'). lag: future "
        "samples read. vs Kalman: geometric mean of the ratios. −F: evidence in nats a sample on the scored half, by "
        "which all are fitted but GF, the classical generalised filter: that by its error in predicting samples it "
        "has not read, since its free energy is no evidence. The number is its order, the best of those with that "
        f"lag. AR is told a fitted Matérn-3/2 kernel. The recorded rate is {_DELAY} samples late against the recorded "
        "angle, which favours estimates that are late themselves: hence the second table."
    )
