"""A Python kernel that has its imports behind it, kept for the next notebook.

While a page loads, the server has nothing to do: it starts an interpreter that
imports what every kernel does, and waits. The next Python kernel is made of it.
It has the arguments, the variables and the folder that any kernel has; whatever
could make a difference to its start so far gets a kernel of its own.
`STATEROOM_SPARE_KERNEL=0` turns that off.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

_START = (sys.executable, "-m", "ipykernel_launcher")  # of every kernel's command
_OF_ONE_KERNEL = {"JPY_SESSION_NAME", "JPY_PARENT_PID"}  # variables that are read only once it runs
_KNOWN = {"env", "cwd", "kernel_id", "extra_arguments"}  # what a kernel is started with, beside its command
_REST = 5.0  # seconds after a kernel's start, which the next spare must not slow down
_LEAST_MEMORY = 1 << 30  # of a server that keeps one; it takes about 25 MiB


@dataclass(frozen=True, slots=True)
class Spare:
    """An interpreter that waits to become a kernel."""

    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    installed: int  # when a package was last installed, as the folder of all packages tells

    def fits(self, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Whether a kernel of this command would be the same if it were made of this."""
        return (
            _is_python(command)
            and self.process.poll() is None
            and _shared(environment) == _shared(self.environment)
            and self.installed == _installed()
        )

    def become(self, command: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
        """Go on as a kernel."""
        assert self.process.stdin is not None  # noqa: S101 - made with one
        order = {
            "arguments": command[len(_START) :],
            "environment": dict(environment),
            "folder": folder,
        }
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.close()

    def end(self) -> None:
        """End it, unused."""
        self.process.kill()
        self.process.wait()


_spare: Spare | None = None


def keep() -> None:
    """Have one ready, unless one is."""
    global _spare  # noqa: PLW0603 - one for the whole server
    limit = os.environ.get("MEM_LIMIT", "")
    too_small = limit.isdecimal() and int(limit) < _LEAST_MEMORY
    off = os.environ.get("STATEROOM_SPARE_KERNEL") == "0"
    if _spare is not None or too_small or off or _depends_on_folder(os.environ):
        return
    environment = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
    command = [sys.executable, "-m", "stateroom_notebook.kernel"]
    # Elsewhere, a file of the user's could be taken for a module.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, cwd="/", start_new_session=True)
    _spare = Spare(process, environment, _installed())


def take(command: Sequence[str], environment: Mapping[str, str]) -> Spare | None:
    """The spare, if a kernel of this command can be made of it. One that no longer fits is ended."""
    global _spare
    if not _is_python(command):
        return None
    spare, _spare = _spare, None
    asyncio.get_running_loop().call_later(_REST, keep)
    if spare is None or spare.fits(command, environment):
        return spare
    spare.end()
    return None


class SpareProvisioner(LocalProvisioner):  # type: ignore[misc] # no types there
    """Makes a kernel of the spare where it can."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """As its base says."""
        environment = kwargs.get("env") or dict(os.environ)
        folder = kwargs.get("cwd") or str(Path.cwd())
        spare = take(cmd, environment) if kwargs.keys() <= _KNOWN else None
        if spare is None:
            return await super().launch_kernel(cmd, **kwargs)  # type: ignore[no-any-return]
        spare.become(cmd, environment | {"JPY_PARENT_PID": str(os.getpid())}, folder)
        self.process = spare.process
        self.pid = self.pgid = spare.process.pid  # a session of its own has its leader's number
        self.cwd = folder
        return self.connection_info  # type: ignore[no-any-return]


def _is_python(command: Sequence[str]) -> bool:
    return tuple(command[: len(_START)]) == _START


def _shared(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name not in _OF_ONE_KERNEL}


def _depends_on_folder(environment: Mapping[str, str]) -> bool:
    """Whether Python's modules are looked for relative to the folder that it is started in."""
    path = environment.get("PYTHONPATH", "")
    return bool(path) and not all(folder.startswith("/") for folder in path.split(os.pathsep))


def _installed() -> int:
    return Path(__file__).parents[1].stat().st_mtime_ns
