"""Inside the hub's process of the soak: on SIGUSR2 it writes down what lives there.

Garbage is collected and free memory given back first, so that what is left is in use.
"""

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import signal
from collections import Counter
from pathlib import Path


def write_down(*_signal: object) -> None:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    kinds = Counter(f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.get_objects())
    tasks = 0
    with contextlib.suppress(RuntimeError):  # no loop runs here
        tasks = len(asyncio.all_tasks())
    file = Path(f"{os.environ['STATEROOM_SOAK_WITNESS']}.{os.getpid()}")
    part = file.with_suffix(".part")
    part.write_text(json.dumps({"tasks": tasks, "objects": kinds}))
    part.rename(file)


if "STATEROOM_SOAK_WITNESS" in os.environ:
    signal.signal(signal.SIGUSR2, write_down)
