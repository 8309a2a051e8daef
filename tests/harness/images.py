"""An engine that has images that ship with Stateroom."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from docker.models.containers import Container

from stateroom.images.build import build
from stateroom.images.sources import UNIFIED, Recipe, unified


@contextmanager
def engine_with(log: Path, *recipes: Recipe) -> Iterator[docker.DockerClient]:
    """A client of the real engine, which has the images of these very files; skips where none answers."""
    try:
        client = docker.from_env()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    for recipe in recipes:
        build(client.api, recipe, lambda _: None, log)
    yield client
    client.close()


def misfits(where: Container) -> list[str]:
    """What pip finds wrong with its packages, but for those that our images leave out on purpose."""
    left_out = unified().files["left-out"].decode().split()
    _, said = where.exec_run(["pip", "check"])
    absent = re.compile(rf"\S+ \S+ requires ({'|'.join(left_out)}), which is not installed\.|No broken .*")
    return [line for line in said.decode().splitlines() if not absent.fullmatch(line)]


def build_from(engine: docker.DockerClient, tag: str, files: Mapping[str, bytes]) -> None:
    """Build an image from the files of a context, a Dockerfile among them; all are executable."""
    with io.BytesIO() as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o755
                archive.addfile(entry, io.BytesIO(content))
        context.seek(0)
        engine.images.build(fileobj=context, custom_context=True, tag=tag, forcerm=True)


def build_server(engine: docker.DockerClient, tag: str, program: str) -> None:
    """Build an image with Python whose server is a program of the test's own."""
    dockerfile = f'FROM {UNIFIED}\nCOPY server.py /server.py\nCMD ["python3", "/server.py"]\n'
    build_from(engine, tag, {"Dockerfile": dockerfile.encode(), "server.py": program.encode()})
