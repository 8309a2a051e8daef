"""A hub whose database cuts the connection, or is away for a while, goes on without a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from harness.configured_hub import ConfiguredHub, configured_hub
from harness.hub import PATIENCE, Person, wait_for
from harness.postgresql import PostgreSQL, running_postgresql
from harness.skips import skip_without_image

CONFIGURATION = """
c.JupyterHub.db_url = {url!r}
c.JupyterHub.db_kwargs = {{"connect_args": {{"connect_timeout": 5, "tcp_user_timeout": 10_000}}}}
c.JupyterHub.upgrade_db = True
"""
SMALL = {"user_options": {"size": "small"}}
ABSENCE = 20.0
SOON = 5.0


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    with running_postgresql() as database:
        yield database


@pytest.fixture(scope="module")
def hub(database: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredHub]:
    skip_without_image()
    with configured_hub(tmp_path_factory.mktemp("database"), CONFIGURATION.format(url=database.url)) as hub:
        yield hub


def test_a_hub_whose_connections_are_cut_goes_on(hub: ConfiguredHub, database: PostgreSQL, person: Person) -> None:
    person.started(SMALL)
    assert database.cut_connections() >= 1
    assert_all_works_soon(hub, person)

    with amid(lambda: person.api("DELETE", f"users/{person.name}/server")):
        assert database.cut_connections() >= 1
    wait_for(lambda: is_stopped(hub, person), "the end of the server", SOON)
    person.started(SMALL)


def test_a_hub_outlives_the_absence_of_its_database(
    hub: ConfiguredHub, database: PostgreSQL, person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    person.started(SMALL)
    other = hub.person()
    other.started(SMALL)

    with amid(lambda: other.api("DELETE", f"users/{other.name}/server")):
        database.stop()
        until = time.monotonic() + ABSENCE
    while time.monotonic() < until:
        assert requests.get(f"{hub.url}/hub/health", timeout=5).ok
        assert requests.get(f"{hub.url}/user/{person.name}/api", timeout=5).ok
        person.web.get(f"{hub.url}/hub/home", timeout=5)  # which the hub cannot answer
        time.sleep(1)
    database.start()
    begun = time.monotonic()

    assert_all_works_soon(hub, person)
    wait_for(lambda: is_stopped(hub, other), "the end of the server that was stopping", SOON)
    seconds = time.monotonic() - begun
    with capsys.disabled():
        print(f"\n{seconds:.1f} s from the database's return until all was well", end=" ")  # noqa: T201 - the result
    other.close()


def assert_all_works_soon(hub: ConfiguredHub, person: Person) -> None:
    """Pages, the person's running server, and the start and stop of another."""
    wait_for(lambda: page(hub, person) == 200, "the hub's page", SOON)
    found = person.server()
    assert found is not None
    assert found["ready"]
    assert len(hub.servers.of(person.name)) == 1
    person.started(SMALL, "second")
    person.stop("second", remove=True)


def page(hub: ConfiguredHub, person: Person) -> int:
    """The status of the person's page; somebody whom the hub cannot recognize is sent to the login."""
    return person.web.get(f"{hub.url}/hub/home", allow_redirects=False, timeout=10).status_code


def is_stopped(hub: ConfiguredHub, person: Person) -> bool:
    """Whether the hub and the engine agree that the person has no server."""
    answer = person.api("GET", f"users/{person.name}")
    return answer.ok and not answer.json()["servers"] and not hub.servers.of(person.name)


@contextmanager
def amid(request: Callable[[], object]) -> Iterator[None]:
    """While the request is under way."""
    thread = threading.Thread(target=request)
    thread.start()
    time.sleep(0.1)  # a stop takes some tenths of a second
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive()
