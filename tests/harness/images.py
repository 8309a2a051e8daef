"""An engine that has images that ship with Stateroom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from stateroom.images import build
from stateroom.recipes import Recipe


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
