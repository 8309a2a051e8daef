"""What every backend promises holds on Podman too: the very tests of the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contract.engines import Subject, docker_subject
from contract.test_homes import *  # noqa: F403
from contract.test_place import *  # noqa: F403
from contract.test_servers import *  # noqa: F403

# Where Podman ends a connection, the SDK leaves the socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
async def subject() -> AsyncIterator[Subject]:
    async with docker_subject() as subject:
        yield subject
