"""An engine that has images that ship with Stateroom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from docker.models.containers import Container

from stateroom.images import build
from stateroom.recipes import Recipe, unified


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
