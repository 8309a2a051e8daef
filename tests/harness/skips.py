"""What a suite cannot run without."""

from __future__ import annotations

import os
import shutil

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from stateroom.images.sources import UNIFIED


def skip_without_image() -> None:
    """Skip where no engine answers or it lacks the unified image; `./test` brings both."""
    try:
        engine = docker.from_env()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    try:
        engine.images.get(UNIFIED)
    except ImageNotFound:
        pytest.skip(f"{UNIFIED} is not on the engine; build it with: stateroom images build unified")
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    finally:
        engine.close()


def program_or_skip(name: str) -> str:
    """Where a program is; skips where it is missing. `./test` brings those that its suites need."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))
    if found is None:
        pytest.skip(f"{name} is not installed; ./test installs it")
    return found
