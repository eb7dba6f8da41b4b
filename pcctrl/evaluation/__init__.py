"""Evaluation: rollouts, metrics, paired statistics, result files and exact performance of linear loops."""

from pcctrl.evaluation.batch import Episodes, simulate
from pcctrl.evaluation.compare import Comparison, compare, versions
from pcctrl.evaluation.exact import Compensator, Push, closed_loop_cost, fold, fold_pid, fold_reflex
from pcctrl.evaluation.limit import SampleCovariance, impulse_response, sample_covariance
from pcctrl.evaluation.metrics import Interval, Row, Summary, interval, score, summarise
from pcctrl.evaluation.results import Results
from pcctrl.evaluation.rollout import Episode, Policy, rollout

__all__ = [
    "Comparison",
    "Compensator",
    "Episode",
    "Episodes",
    "Interval",
    "Policy",
    "Push",
    "Results",
    "Row",
    "SampleCovariance",
    "Summary",
    "closed_loop_cost",
    "compare",
    "fold",
    "fold_pid",
    "fold_reflex",
    "impulse_response",
    "interval",
    "rollout",
    "sample_covariance",
    "score",
    "simulate",
    "summarise",
    "versions",
]
