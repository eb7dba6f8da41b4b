"""Tuning of closed loops."""

from pcctrl.tuning.loops import Tuned, lqg_loop, pid_loop, tune_lqg, tune_pid
from pcctrl.tuning.reflexes import pid_error_std, reflex_loop, tune_reflex

__all__ = ["Tuned", "lqg_loop", "pid_error_std", "pid_loop", "reflex_loop", "tune_lqg", "tune_pid", "tune_reflex"]
