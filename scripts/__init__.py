"""The ``pcctrl`` program: one file a command."""

if __name__ != "pcctrl.scripts":
    raise ImportError("import pcctrl.scripts, not " + __name__)
