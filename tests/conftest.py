"""Loaded before NumPy, so that tests run with the program's single BLAS thread."""

import pcctrl.scripts  # noqa: F401
