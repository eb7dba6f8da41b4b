"""Closed-loop costs of both MuJoCo plants in every colour, linearised at rest: exact, by Lyapunov equations."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from pcctrl import agents
from pcctrl.controllers import LQR, ExpectedFreeEnergy
from pcctrl.envs import PLANTS, NoiseOptions
from pcctrl.evaluation import Compensator, closed_loop_cost, fold, fold_pid
from pcctrl.filters import KalmanFilter, PCFilter
from pcctrl.models import Task
from pcctrl.tuning import lqg_loop, pid_loop, tune_lqg, tune_pid

__all__ = ["loop_costs", "run"]

COLOURS = (0.0, 1.0, 2.0, 3.0, 5.0)
# Order of the chains that stand for the truth, and of the agent that is the optimum on them.
_TRUTH = 16


def loop_costs(task: Task) -> tuple[dict[str, float], float]:
    """Return the exact cost a sample of each loop, and the worst start of the LQG's tuning over its best."""
    model, W, rho = task.model, task.state_weight, task.action_weight
    truth = model.joint(_TRUTH)

    def cost(compensator: Compensator) -> float:
        return closed_loop_cost(truth, compensator, W, rho)

    lqr = LQR(model, W, rho)
    lqg = tune_lqg(task)
    kalman, tuned = lqg_loop(task, lqg.values)
    costs = {
        "optimum": cost(fold(PCFilter(model, _TRUTH), ExpectedFreeEnergy(model, W, rho, _TRUTH).gain)),
        "aif": cost(fold(PCFilter(model), ExpectedFreeEnergy(model, W, rho).gain)),
        "aif without forecast": cost(fold(PCFilter(model), lqr.gain)),
        "lqg": cost(fold(KalmanFilter(model), lqr.gain)),
        "lqg-tuned": cost(fold(kalman, tuned.gain)),
        "pid": cost(fold_pid(pid_loop(task, tune_pid(task).values))),
    }
    return costs, max(lqg.costs) / min(lqg.costs)


def run(console: Console) -> None:
    """Print the table."""
    jobs = [(env_id, s) for env_id in PLANTS for s in COLOURS]
    table = Table(title="Cost / optimum, exact", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("plant", no_wrap=True)
    for heading in ("s", "aif", "x only", "lqg", "tuned", "pid", "starts"):
        table.add_column(heading, justify="right", no_wrap=True)
    for env_id, s in track(jobs, "Tuning", console=console, transient=True):
        plant = PLANTS[env_id]
        noise = NoiseOptions(colour="white") if s == 0.0 else NoiseOptions(s=s * plant.sample_time())
        costs, spread = loop_costs(agents.task_of(noise.make(env_id, plant)))
        names = ("aif", "aif without forecast", "lqg", "lqg-tuned", "pid")
        ratios = [f"{costs[name] / costs['optimum']:.3f}" for name in names]
        name = env_id.removeprefix("pcctrl/").removesuffix("-v0")
        table.add_row(name, "white" if s == 0.0 else f"{s:g}", *ratios, f"{spread:.2f}")
    console.print(table)
    console.print(
        f"No seeds. s: smoothness in samples; floor 1e-3; lag 0. Truth: chains of order {_TRUTH}; optimum: the agent "
        "of that order. aif, order 4: noise told. x only: its belief fed back by LQR. lqg: variances told, taken for "
        "white. tuned (LQG), pid: 6 starts for that very colour. Starts: worst start of the LQG's tuning over the best."
    )
