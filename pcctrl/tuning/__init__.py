"""Tuning of closed loops."""

from pcctrl.tuning.loops import Tuned, lqg_loop, pid_loop, tune_lqg, tune_pid

__all__ = ["Tuned", "lqg_loop", "pid_loop", "tune_lqg", "tune_pid"]
