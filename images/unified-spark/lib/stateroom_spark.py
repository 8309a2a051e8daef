"""An extension of IPython: above the first cell's output stands what `with-spark` had to say.

What is printed while a kernel starts, nobody sees.
"""

# ruff: noqa: INP001 - it is copied to where the image's Python looks for modules
from __future__ import annotations

import os
import sys
from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython."""
    warning = os.environ.get("STATEROOM_SPARK_WARNING")
    if not warning:
        return

    def tell(_: Any) -> None:
        shell.events.unregister("pre_run_cell", tell)
        sys.stderr.write(f"{warning}\n")

    shell.events.register("pre_run_cell", tell)
