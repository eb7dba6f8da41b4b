"""The ``pcctrl`` program: one file a command."""

import os

if __name__ != "pcctrl.scripts":
    raise ImportError("import pcctrl.scripts, not " + __name__)

# Before NumPy loads: on matrices as small as ours BLAS threads only wait for each other, ten times as long as the work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
