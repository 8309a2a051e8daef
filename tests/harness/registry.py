"""An image registry of the test's own on the loopback interface: Debian's docker-registry."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from harness.hub import free_port, wait_for
from harness.skips import program_or_skip

_CONFIGURATION = """\
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "{host}:{port}"}}
{more}
"""
# Who asks without a password is refused.
_CLOSED = "auth: {{htpasswd: {{realm: test, path: {path}}}}}"

LOGIN = ("ada", "open-sesame")
_HASHED = "ada:$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n"


@dataclass(frozen=True)
class Registry:
    """A registry that runs."""

    address: str
    log: Path

    def requests(self, verb: str, part: str) -> list[str]:
        """What was asked of it."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if f'"{verb} ' in line and part in line]


@contextmanager
def running_registry(
    folder: Path, *, closed: bool = False, port: int = 0, host: str = "127.0.0.1"
) -> Iterator[Registry]:
    """Run one, at a port of its own choice if none is given; skips where Debian's package is missing."""
    program = program_or_skip("docker-registry")
    port = port or free_port()
    users = folder / "users"
    users.write_text(_HASHED)
    more = _CLOSED.format(path=users) if closed else ""
    configuration = folder / "config.yml"
    configuration.write_text(_CONFIGURATION.format(folder=folder / "images", host=host, port=port, more=more))
    log = folder / "registry.log"
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [program, "serve", configuration], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        ) as process,
    ):
        try:
            wait_for(lambda: answers(host, port), "the registry")
            yield Registry(f"{host}:{port}", log)
        finally:
            process.terminate()


def answers(host: str, port: int) -> bool:
    try:
        return requests.get(f"http://{host}:{port}/v2/", timeout=5).status_code in {200, 401}
    except requests.ConnectionError:
        return False
