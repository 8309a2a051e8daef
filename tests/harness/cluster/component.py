"""The programs that run: starting, stopping, pausing them, and waiting for them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.settings import FOLDER, SPACE, ClusterError


def components(folder: Path = FOLDER) -> dict[str, Component]:
    """What was started from this folder, by name; a stopped component stays among them."""
    found = (folder.resolve() / "run").glob("*.json")
    return {path.stem: Component(path.stem, folder.resolve()) for path in sorted(found)}


@dataclass(frozen=True, slots=True)
class Component:
    """One program of the cluster. What it is started with is kept beside its pid."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """All that it said."""
        return self.folder / "log" / f"{self.name}.log"

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        found: list[str] = json.loads(self._command_file.read_text())
        return found

    @property
    def pid(self) -> int | None:
        """Its process; None where it does not run. A number that another process has by now is not taken for it."""
        try:
            pid = int(self._pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
        except (OSError, ValueError):
            return None
        command = self.command
        return pid if words[-len(command) :] == command else None

    def start(self) -> None:
        """Start it, unless it runs; returns before it is ready."""
        if self.pid is not None:
            return
        words = ["nsenter", f"--net=/run/netns/{SPACE}", *self.command]
        appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self.log), appended, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawnp(words[0], words, os.environ, file_actions=files, setsid=True)
        self._pid_file.write_text(str(pid))

    def stop(self, number: signal.Signals = signal.SIGTERM, patience: float = 10) -> None:
        """End it: SIGTERM in order, SIGKILL as a crash does. What does not end in time is killed."""
        if (pid := self.pid) is None:
            return
        send_signal(pid, number)
        send_signal(pid, signal.SIGCONT)  # a paused one hears nothing else
        until = time.monotonic() + patience
        while self.pid is not None:
            if time.monotonic() > until:
                send_signal(pid, signal.SIGKILL)
            _bury(pid)
            time.sleep(0.02)

    def restart(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it and start it again; returns before it is ready."""
        self.stop(number)
        self.start()

    def pause(self) -> None:
        """From now on it takes connections and answers none."""
        if (pid := self.pid) is not None:
            send_signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it was."""
        if (pid := self.pid) is not None:
            send_signal(pid, signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """As `pause`, for a while."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextmanager
    def stopped(self, number: signal.Signals = signal.SIGTERM) -> Iterator[None]:
        """It is away for a while."""
        self.stop(number)
        try:
            yield
        finally:
            self.start()

    @property
    def _pid_file(self) -> Path:
        return self.folder / "run" / f"{self.name}.pid"

    @property
    def _command_file(self) -> Path:
        return self.folder / "run" / f"{self.name}.json"


def start(folder: Path, name: str, command: list[str]) -> Component:
    component = Component(name, folder)
    if component.name not in components(folder) or component.pid is None:
        (folder / "run" / f"{name}.json").write_text(json.dumps(command))
        component.start()
    return component


def wait_until(check: Callable[[], bool], folder: Path, name: str, patience: float) -> None:
    """Wait until the component does what it is for."""
    until = time.monotonic() + patience
    component = Component(name, folder)
    while not check():
        if time.monotonic() > until or component.pid is None:
            said = component.log.read_text(errors="replace")[-3000:]
            raise ClusterError(f"{name} did not come up. The end of {component.log}:\n{said}")
        time.sleep(0.1)


def send_signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _bury(pid: int) -> None:
    """Of our own children, what is left of the dead goes."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
