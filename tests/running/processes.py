"""The commands that jobs consist of. Each ends in time, or is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from running.output import handle, say

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"

LONGEST_SECONDS = 30 * 60.0  # far beyond what a command takes; one that hangs must not take the rest with it
TIMED_OUT = 124  # as coreutils' timeout has it
_CLEAN_UP_SECONDS = 60.0  # pytest runs its fixtures' ends after SIGINT


class _Commands:
    """The commands that run now, and the moment by which all of them have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._end_at = float("inf")
        self._closed = False

    def end_by(self, seconds_from_now: float) -> None:
        """Let no command run longer than until then."""
        self._end_at = time.monotonic() + seconds_from_now

    def limit(self, seconds: float) -> float:
        """Return how long a command may run that begins now."""
        return max(1.0, min(seconds, self._end_at - time.monotonic()))

    def begin(self, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, so that all of it can be ended."""
        with self._lock:
            if self._closed and threading.current_thread() is not threading.main_thread():
                raise KeyboardInterrupt
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdout=handle(),
                stderr=handle(),
                start_new_session=True,
            )
            self._children.add(child)
        return child

    def forget(self, child: subprocess.Popen[bytes]) -> None:
        """Forget a command that has ended."""
        with self._lock:
            self._children.discard(child)

    def end_all(self) -> None:
        """End all commands, in order where they allow it, and begin no other."""
        with self._lock:
            self._closed = True  # for lanes that would go on; the main thread cleans up
            children = list(self._children)
            for child in children:
                child.send_signal(signal.SIGINT)
        until = time.monotonic() + _CLEAN_UP_SECONDS
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, until - time.monotonic()))
            _kill(child)


commands = _Commands()


def call(command: Sequence[str], venv: Path = VENV, limit: float = LONGEST_SECONDS, **env: str) -> int:
    """Run a command in the checkout and return its exit code, or TIMED_OUT."""
    path = f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    limit = commands.limit(limit)
    child = commands.begin(command, {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **env})
    try:
        return child.wait(limit)
    except subprocess.TimeoutExpired:
        say(f"{Path(command[0]).name} took longer than {limit:.0f} s and was ended.")
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_CLEAN_UP_SECONDS)
        return TIMED_OUT
    except KeyboardInterrupt:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_CLEAN_UP_SECONDS)
        raise
    finally:
        _kill(child)
        commands.forget(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a command with all of its session, if it still runs."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)


def tool(name: str, venv: Path = VENV) -> str:
    """Return the path of a program of a virtual environment."""
    return str(venv / "bin" / name)
