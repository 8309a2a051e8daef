"""A container of the unified image, and what runs in it and asks it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import docker
from docker.models.containers import Container
from docker.types import Mount

from stateroom.images.sources import UNIFIED

HARDENED = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "init": True}
PATIENCE = 30  # seconds
TOKEN = "known"

# Installs a package, `own`, that no index has.
OWN_PACKAGE = """
python -c '
import zipfile
with zipfile.ZipFile("/tmp/own-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("own.py", "")
    wheel.writestr("own-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: own\\nVersion: 1\\n")
    wheel.writestr("own-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
    wheel.writestr("own-1.dist-info/RECORD", "")
' && pip install --no-index /tmp/own-1-py3-none-any.whl
"""


def container(
    engine: docker.DockerClient,
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    **limits: int | str,
) -> AbstractContextManager[Container]:
    """A container with a fresh volume at ~/notebooks."""
    home = Mount(target="/home/jovyan/notebooks", source="", type="volume")
    return removed(
        engine.containers.run(
            UNIFIED,
            list(command) if command else None,
            detach=True,
            mounts=[home],
            environment=dict(environment or {}),
            **HARDENED,
            **limits,
        )
    )


@contextmanager
def removed(found: Container) -> Iterator[Container]:
    """The container, gone afterwards with its volumes."""
    try:
        yield found
    finally:
        found.remove(force=True, v=True)


def run(where: Container, *command: str) -> str:
    """What a command prints that must succeed."""
    code, output = where.exec_run(list(command))
    text = output.decode().strip()
    assert code == 0, text
    return text


def python(where: Container, program: str) -> str:
    """What a program in the image's Python prints."""
    return run(where, "python", "-c", program)


def address(lab: Container, port: int = 8888) -> str:
    """The URL of the server in a container."""
    lab.reload()
    found = next(iter(lab.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    return f"http://{found}:{port}"


def asker(lab: Container, port: int = 8888) -> Callable[..., str]:
    """What asks the server and gives its answer; the server has answered once."""
    server = address(lab, port)

    def ask(path: str, data: bytes | None = None) -> str:
        request = urllib.request.Request(f"{server}{path}", data=data, headers={"Authorization": f"token {TOKEN}"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read().decode()

    end = time.monotonic() + PATIENCE
    while True:
        try:
            ask("/api")
            return ask
        except OSError:
            assert time.monotonic() < end, lab.logs().decode()
            time.sleep(0.05)
