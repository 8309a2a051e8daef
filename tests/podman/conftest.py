"""One Podman for the tier, in a network of its own, with the image that the tests build on."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from contract.engines import BASE_IMAGE
from harness.own_engine import own_network
from harness.podman import running_podman
from harness.skips import program_or_skip, skip_without_image
from stateroom.backends.docker.engine import connect

_PATIENCE = 600  # seconds; the engine packs the whole image before its first byte


@pytest.fixture(scope="session", autouse=True)
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What every client of this process takes for the engine."""
    program_or_skip("podman")
    skip_without_image()
    folder = tmp_path_factory.mktemp("podman")
    # Podman takes a network's bridge away with its last container; what is sent to that container
    # afterwards would leave the machine.
    with own_network(), running_podman(folder) as host, pytest.MonkeyPatch.context() as patch:
        with closing(connect(_PATIENCE)) as engine, closing(docker.APIClient(host, timeout=_PATIENCE)) as podman:
            list(podman.load_image(engine.get_image(BASE_IMAGE)))  # read to its end, it lets go of its connection
        patch.setenv("DOCKER_HOST", host)
        yield
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()
