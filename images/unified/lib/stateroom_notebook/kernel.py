"""The spare's own side, as `python -m`: import, wait, and be the kernel that is asked for."""

from __future__ import annotations

import importlib
import json
import os
import sys

_LAUNCHER = "ipykernel_launcher"
_IMPORTS = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython.core.completer")


def main() -> None:
    """Become a kernel once the server says of what kind; end when the server ends."""
    del sys.path[0]  # the folder that it was started in, which the launcher leaves out too
    for name in _IMPORTS:
        importlib.import_module(name)
    line = _line()
    if not line:
        return
    order = json.loads(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.argv = [_LAUNCHER, *order["arguments"]]
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
