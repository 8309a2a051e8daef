"""Finds the processes that `stateroom up` started, even if that `up` has died.

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

from stateroom.common.errors import SetupError

HUB_MARK = "STATEROOM_HUB_OF"
ENGINE_MARK = "STATEROOM_ENGINE_OF"

_STOP_TIMEOUT_SECONDS = 15.0  # between asking and killing


class Process:
    """An open process, whose number cannot be reused."""

    def __init__(self, descriptor: int, pid: int) -> None:
        self._descriptor = descriptor
        self.pid = pid

    def signal(self, number: int) -> None:
        """Send a signal, if the process still runs. Raises SetupError if it belongs to another user."""
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise SetupError(f"The process {self.pid} belongs to another user. Run the command as that user.") from None

    def wait_for_end(self, seconds: float) -> bool:
        """Return whether the process ends within `seconds`."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def end(self) -> None:
        """Ask the process to end; kill it if it does not."""
        self.signal(signal.SIGTERM)
        if not self.wait_for_end(_STOP_TIMEOUT_SECONDS):
            self.signal(signal.SIGKILL)
            self.wait_for_end(_STOP_TIMEOUT_SECONDS)


@contextmanager
def open_process(pid: int) -> Iterator[Process | None]:
    """Open the process with that number; None if there is none."""
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
def marked_processes(mark: str, value: Path, program: str = "") -> Iterator[list[Process]]:
    """Open all processes with the mark, or those of them that run `program`."""
    wanted = f"{mark}={value}".encode()
    with ExitStack() as stack:
        found = []
        for pid in _numbers():
            if not _has(pid, wanted, program):
                continue
            process = stack.enter_context(open_process(pid))
            # Looked at again: now the number is certainly this process's.
            if process and _has(pid, wanted, program):
                found.append(process)
        yield found


def end_marked(mark: str, value: Path, program: str = "") -> int:
    """End all processes with the mark. Returns their number."""
    with marked_processes(mark, value, program) as processes:
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
