"""The hub as a child process of `up`, with the proxy as its own child."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stateroom.cli.data import DataFolder
from stateroom.cli.logs import excerpt, open_log
from stateroom.cli.processes import HUB_MARK, end_marked
from stateroom.errors import SetupError

_CONFIGURATION = Path(__file__).parent / "jupyterhub_config.py"
_START_SECONDS = 120
_STOP_SECONDS = 30
_PAUSE = 0.1
_LINES = 8


class Hub:
    """A hub that was started here."""

    def __init__(self, data: DataFolder, port: int) -> None:
        self.log = data.logs / "hub.log"
        self._port = port
        with open_log(self.log) as file:
            self._began = file.tell()
            self._process = subprocess.Popen(
                # -P: what lies in the data folder is never taken for a module.
                [sys.executable, "-P", "-m", "jupyterhub", "-f", str(_CONFIGURATION)],
                cwd=data.path,
                env={**os.environ, HUB_MARK: str(data.path)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches `up` alone, which then ends the hub in order.
                start_new_session=True,
                umask=0o077,
            )

    def wait_until_it_answers(self) -> None:
        """Raises SetupError with the log's last lines if it ends first, or takes too long."""
        until = time.monotonic() + _START_SECONDS
        while not answers(self._port):
            if self._ended_within(_PAUSE):
                raise self._failure("The hub could not be started.")
            if time.monotonic() > until:
                raise self._failure(f"The hub does not answer after {_START_SECONDS} s.")

    def wait(self) -> None:
        """Raises SetupError when the hub ends, which it does not do unasked."""
        self._process.wait()
        raise self._failure("The hub has ended unasked. Servers run on; run the command again.")

    def stop(self) -> None:
        """End the hub, which ends its proxy and leaves servers running. Idempotent."""
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


@contextmanager
def running_hub(data: DataFolder, port: int) -> Iterator[Hub]:
    """A hub while the body runs; nothing of it is left afterwards but servers."""
    hub = Hub(data, port)
    try:
        yield hub
    finally:
        # A second Ctrl-C must not keep the first from its work.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        hub.stop()
        end_leftovers(data)


def end_leftovers(data: DataFolder) -> int:
    """End what is left of a hub of this folder whose `up` was killed; how many processes that were."""
    number = end_marked(HUB_MARK, data.path)
    # The hub would end whatever process has the number in this file by now.
    data.proxy_pid.unlink(missing_ok=True)
    return number


def answers(port: int, address: str = "127.0.0.1") -> bool:
    """Whether the hub answers there: through the proxy, unless its own address is given."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/hub/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError:
            return False
    return True
