"""Tuning of classical loops and filters on their exact costs."""

from pcctrl.tuning.active import ORDER, aif_loop, pid_error_std, reflex_loop, tune_aif, tune_reflex
from pcctrl.tuning.filters import coloured_of, kalman_of, tune_coloured, tune_kalman
from pcctrl.tuning.loops import lqg_loop, pid_loop, tune_lqg, tune_pid
from pcctrl.tuning.search import Tuned

__all__ = [
    "ORDER",
    "Tuned",
    "aif_loop",
    "coloured_of",
    "kalman_of",
    "lqg_loop",
    "pid_error_std",
    "pid_loop",
    "reflex_loop",
    "tune_aif",
    "tune_coloured",
    "tune_kalman",
    "tune_lqg",
    "tune_pid",
    "tune_reflex",
]
