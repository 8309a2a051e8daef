"""One hub for the whole tier, and somebody new for each test."""

from __future__ import annotations

from collections.abc import Iterator

import jupyterhub
import pytest

from harness.hub import Hub, Person, running_hub
from harness.skips import skip_without_image

# JupyterHub 5 renames nothing.
collect_ignore = [] if jupyterhub.version_info[0] >= 6 else ["test_rename.py"]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    skip_without_image()
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def original(hub: Hub) -> Iterator[str]:
    """The catalog as it is before the test, and again after it."""
    text = hub.catalog.read_text()
    yield text
    hub.save_catalog(text)


@pytest.fixture
def person(hub: Hub) -> Iterator[Person]:
    """Somebody who never started a server; what runs at the end is stopped."""
    person = hub.person()
    yield person
    for container in hub.servers.of(person.name):
        container.remove(force=True, v=True)
    person.close()
