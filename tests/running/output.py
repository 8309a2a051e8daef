"""Where output goes: a job's to a file of its own, and to the terminal at once or when the job has ended."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.1
_CHUNK_BYTES = 65536

_log: ContextVar[IO[bytes] | None] = ContextVar("log", default=None)  # None for the terminal
_terminal = threading.Lock()


def say(text: str) -> None:
    """Print a line into the current job's output."""
    if (log := _log.get()) is None:
        announce(text)
        return
    log.write(f"{text}\n".encode())
    log.flush()


def announce(text: str) -> None:
    """Print a line on the terminal, whatever job runs."""
    with _terminal:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def handle() -> IO[bytes] | None:
    """Return what a subprocess writes to; None for the terminal."""
    return _log.get()


@contextmanager
def logged(file: Path, *, live: bool) -> Iterator[None]:
    """Keep the output of a job in a file, and show it: at once if `live`, else whole at the end.

    Subprocesses write to the file itself. With a pipe, a daemon that outlives its
    parent would keep the reader waiting.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    over = threading.Event()
    with file.open("wb", buffering=0) as log:
        token = _log.set(log)
        follower = threading.Thread(target=_follow, args=(file, over), daemon=True)
        if live:
            follower.start()
        try:
            yield
        finally:
            _log.reset(token)
            over.set()
            if live:
                follower.join(10)
            else:
                _show(file)


def _follow(file: Path, over: threading.Event) -> None:
    with file.open("rb") as log:
        while True:
            ended = over.is_set()  # looked up first, so that nothing written before is missed
            while chunk := log.read(_CHUNK_BYTES):
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            if ended:
                return
            over.wait(_POLL_SECONDS)


def _show(file: Path) -> None:
    with _terminal, file.open("rb") as log:
        sys.stdout.flush()
        shutil.copyfileobj(log, sys.stdout.buffer)
        sys.stdout.buffer.flush()
