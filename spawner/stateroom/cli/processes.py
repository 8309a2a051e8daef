"""The processes that `stateroom up` has started, found again whoever started them and died.

A process is known by a mark in its environment, which its children inherit and
which no other process can come to have with a reused number. It is held by a
descriptor while it is looked at and signalled, so that its number cannot change
hands in between.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stateroom.errors import SetupError

HUB_MARK = "STATEROOM_HUB_OF"
ENGINE_MARK = "STATEROOM_ENGINE_OF"

_PATIENCE = 15.0  # seconds between asking and killing


class Process:
    """A process that is held while it is used."""

    def __init__(self, descriptor: int, pid: int) -> None:
        self._descriptor = descriptor
        self.pid = pid

    def signal(self, number: int) -> None:
        """Send a signal, if the process still runs. Raises SetupError if it is somebody else's."""
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise SetupError(f"The process {self.pid} belongs to another user. Run the command as that user.") from None

    def ended(self, seconds: float) -> bool:
        """Whether the process ends within `seconds`."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def end(self) -> None:
        """Ask the process to end; kill it if it does not."""
        self.signal(signal.SIGTERM)
        if not self.ended(_PATIENCE):
            self.signal(signal.SIGKILL)
            self.ended(_PATIENCE)


@contextmanager
def held(pid: int) -> Iterator[Process | None]:
    """The process of that number, None if there is none."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        yield None
        return
    try:
        yield Process(descriptor, pid)
    finally:
        os.close(descriptor)


@contextmanager
def marked(mark: str, value: Path, program: str = "") -> Iterator[list[Process]]:
    """All processes with the mark, or those of them that run `program`."""
    wanted = f"{mark}={value}".encode()
    with ExitStack() as stack:
        found = []
        for pid in _numbers():
            if not _has(pid, wanted, program):
                continue
            process = stack.enter_context(held(pid))
            # Looked at again: now the number is certainly this process's.
            if process and _has(pid, wanted, program):
                found.append(process)
        yield found


def end_marked(mark: str, value: Path, program: str = "") -> int:
    """End all processes with the mark; how many there were."""
    with marked(mark, value, program) as processes:
        for process in processes:
            process.signal(signal.SIGTERM)
        for process in processes:
            process.end()
        return len(processes)


def _numbers() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _has(pid: int, wanted: bytes, program: str) -> bool:
    folder = Path("/proc") / str(pid)
    try:
        if wanted not in (folder / "environ").read_bytes().split(b"\0"):
            return False
        return not program or (folder / "comm").read_text().strip() == program
    except OSError:
        return False
