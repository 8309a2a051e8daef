"""The spare's own side, as `python -m`: import, wait, and be the kernel that is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path

_LAUNCHER = "ipykernel_launcher"
_IMPORTS = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython.core.completer")


def main() -> None:
    """Become a kernel once the server says of what kind; end when the server ends."""
    if sys.path[0] == str(Path.cwd()):  # which the launcher leaves out too
        del sys.path[0]
    for name in _IMPORTS:
        importlib.import_module(name)
    line = _line()
    if not line:
        return
    order = json.loads(line)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    launcher = importlib.util.find_spec(_LAUNCHER)
    sys.argv = [launcher.origin if launcher and launcher.origin else _LAUNCHER, *order["arguments"]]
    sys.orig_argv[2:] = [_LAUNCHER, *order["arguments"]]
    importlib.invalidate_caches()
    from ipykernel.kernelapp import launch_new_instance  # noqa: PLC0415 - with the others, above

    launch_new_instance()


def _line() -> bytes:
    found = b""
    while not found.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            return b""
        found += part
    return found


if __name__ == "__main__":
    main()
