"""A PostgreSQL of the test's own: Debian's, in a temporary folder, at an address of the test's choice."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from harness.hub import PATIENCE, free_port, wait_for

_USER = "hub"
_DATABASE = "postgres"  # the one that each server has
_SOFTWARE = Path("/usr/lib/postgresql")  # where Debian puts its versions, and not on the PATH
# Tests lose nothing by a machine that loses power.
_SETTINGS = ("fsync=off", "unix_socket_directories=", "max_connections=50", "shared_buffers=16MB")


class PostgreSQL:
    """A server that can be stopped, started anew and made to cut its connections."""

    def __init__(self, folder: Path, host: str) -> None:
        self.port = free_port()
        self.password = uuid4().hex
        self._host = host
        self._data = folder / "data"
        self._log = folder / "postgresql.log"
        self._process: subprocess.Popen[bytes] | None = None
        password = folder / "password"
        password.write_text(self.password)
        for path in (folder, password):
            give_away(path)
        how = ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run([program("initdb"), "-D", self._data, "-U", _USER, *how], check=True, **as_somebody())
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")

    @property
    def url(self) -> str:
        """The address for the hub."""
        return f"postgresql+psycopg://{_USER}:{self.password}@{self._host}:{self.port}/{_DATABASE}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        settings = [*_SETTINGS, f"listen_addresses={self._host}", f"port={self.port}"]
        options = [word for setting in settings for word in ("-c", setting)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("postgres"), "-D", self._data, *options], **{**as_somebody(), "stdout": log, "stderr": log}
            )
        wait_for(self._answers, "PostgreSQL")

    def stop(self) -> None:
        """Stop it, which cuts its connections. Idempotent."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def cut_connections(self) -> int:
        """End all connections from the server's side; how many those were."""
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND pid != pg_backend_pid()"
        with self._connection() as connection:
            return len(connection.execute(cut, [_USER]).fetchall())

    def _connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self._host, port=self.port, user=_USER, password=self.password, dbname=_DATABASE, connect_timeout=5
        )

    def _answers(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"postgres ended with exit code {code}:\n{self._log.read_text()[-2000:]}"
        with contextlib.suppress(psycopg.OperationalError):
            self._connection().close()
            return True
        return False


@contextmanager
def running_postgresql(host: str = "127.0.0.1") -> Iterator[PostgreSQL]:
    """One that runs, reached by password at the address `host` of this machine; skips where Debian's is missing."""
    program("postgres")
    with tempfile.TemporaryDirectory(prefix="stateroom-postgresql-") as folder:
        server = PostgreSQL(Path(folder), host)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def program(name: str) -> str:
    """One of the newest version's programs."""
    found = sorted(_SOFTWARE.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip(f"{name} is not installed; ./test installs it")
    return str(found[-1])


def as_somebody() -> dict[str, Any]:
    """How its processes run: not as root, which PostgreSQL refuses."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "cwd": "/"}
    return {**quiet, "user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else quiet


def give_away(path: Path) -> None:
    """Let the one whom it runs as have the file."""
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")
