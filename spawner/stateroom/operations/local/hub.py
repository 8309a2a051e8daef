"""The hub as a child process of `up`, with the proxy as its own child."""

from __future__ import annotations

import errno
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from stateroom.common.errors import SetupError
from stateroom.common.quantity import MiB, format_memory
from stateroom.common.shipped import PACKAGE
from stateroom.operations.local.address import LOOPBACK, Address
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.logs import excerpt, open_log
from stateroom.operations.local.processes import HUB_MARK, end_marked
from stateroom.operations.report import Report

_PROCESS = "stateroom.hub.process"  # by name alone, since nothing here may import the hub
_CONFIGURATION = PACKAGE / "hub" / "up_config.py"
_START_SECONDS = 120
_STOP_SECONDS = 30
_PAUSE = 0.02
_LINES = 8
_LEAST_ROOM = 50 * MiB  # the proxy takes 9, database and logs grow


class Hub:
    """A hub that this process started. It loads its modules, and waits for `begin` before it does anything else."""

    def __init__(self, data: DataFolder) -> None:
        self.log = data.logs / "hub.log"
        self._data = data
        self._url = ""
        with open_log(self.log) as file:
            self._began = file.tell()
            self._process = subprocess.Popen(
                # -P: what lies in the data folder is never taken for a module.
                [sys.executable, "-P", "-m", _PROCESS, str(_CONFIGURATION)],
                cwd=data.path,
                env={**os.environ, HUB_MARK: str(data.path)},
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches `up` alone, which then ends the hub in order.
                start_new_session=True,
                umask=0o077,
            )

    def begin(self, url: str) -> None:
        """Let it begin, with the settings that are stored by now. `url` is its proxy's, for this machine."""
        self._url = url
        assert self._process.stdin  # noqa: S101 - for the type checker
        # Where it has ended, `wait_until_it_answers` reports it.
        with suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(b"begin\n")

    def wait_until_it_answers(self) -> None:
        """Wait for the hub. Raises SetupError with the log's last lines if it ends or takes too long."""
        until = time.monotonic() + _START_SECONDS
        while not answers(self._url):
            if self._ended_within(_PAUSE):
                raise self._failure("The hub could not be started.")
            if time.monotonic() > until:
                raise self._failure(f"The hub does not answer after {_START_SECONDS} s.")

    def wait(self) -> None:
        """Wait until the hub ends, which is a failure. Raises SetupError then."""
        self._process.wait()
        raise self._failure("The hub has ended unasked. Servers run on; run the command again.")

    def end(self) -> None:
        """End the hub, its proxy and whatever else it started, except servers. Idempotent."""
        with _undisturbed():
            self.stop()
            end_leftovers(self._data)

    def stop(self) -> None:
        """End the hub, which ends its proxy and leaves servers running. Idempotent."""
        assert self._process.stdin  # noqa: S101 - for the type checker
        self._process.stdin.close()
        self._process.terminate()
        if not self._ended_within(_STOP_SECONDS):
            self._process.kill()
            self._process.wait()

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _failure(self, sentence: str) -> SetupError:
        words = excerpt(self.log, self._began, _LINES)
        return SetupError(f"{sentence} Its log is {self.log}" + (f", and ends with\n{words}" if words else "."))


def clear_way(address: Address, data: DataFolder, report: Report) -> None:
    """Make the quick checks, and end what an interrupted run left: then a hub may be loaded. Raises SetupError."""
    if sys.platform != "linux":
        raise SetupError("`stateroom up` runs on Linux. Elsewhere, run it in a virtual machine with Docker.")
    if end_leftovers(data):
        report.line("Hub", "ended what an interrupted run had left")
    if problem := _binding_problem(address.port, address.bind):
        raise SetupError(problem)
    # JupyterHub's own words for a database that it could not write are about upgrades.
    if shutil.disk_usage(data.path).free < _LEAST_ROOM:
        raise SetupError(
            f"The disk of {data.path} is full: {format_memory(_LEAST_ROOM)} must be free. "
            "Make room, or choose another folder with --data."
        )


@contextmanager
def loading_hub(data: DataFolder) -> Iterator[Hub]:
    """Load a hub while the body runs, which has to let it begin. Afterwards only servers are left."""
    hub = Hub(data)
    try:
        yield hub
    finally:
        hub.end()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore a second Ctrl-C, so that what the first one started is completed."""
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_leftovers(data: DataFolder) -> int:
    """End what is left of a hub of this folder whose `up` was killed. Returns the number of processes."""
    number = end_marked(HUB_MARK, data.path)
    # The hub would end whatever process has the number in this file by now.
    data.proxy_pid.unlink(missing_ok=True)
    return number


def answers(url: str) -> bool:
    """Return whether the hub answers at a URL without a path. Whose certificate it has does not matter."""
    parts = urlsplit(url)
    assert parts.hostname  # noqa: S101 - it is one of our own
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=5, context=ssl._create_unverified_context())  # noqa: S323, SLF001 - this machine's own
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    )
    try:
        connection.request("GET", "/hub/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """Return whether a server could listen there."""
    return not _binding_problem(port, address)


def _binding_problem(port: int, address: str) -> str:
    """Why no server could listen there; "" if one could."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except PermissionError:
            return f"Port {port} takes root. Run the command as root, or choose a port from 1024 on with --port."
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return f"This machine has no address {address}. Choose one that it has with --bind."
            return f"Port {port} is taken by another program. Choose another with --port."
    return ""
