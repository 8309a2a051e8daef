"""JupyterHub's own tests, as they are installed, on our class in the place of the spawners they name."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from jupyterhub.tests import mocking, test_spawner
from jupyterhub.tests.conftest import *  # noqa: F403 - its fixtures are what the tests ask for

from contract.engines import docker_subject, memory_subject
from expectations import EXPECTED
from stand_ins import STAND_INS, Current, MockSpawner, Place
from stateroom.cli.screen import Screen
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.proxy import install_proxy

pytest_plugins = ["harness.partition"]

CACHE = Path(__file__).parents[2] / ".cache" / "jupyterhub"


# MockHub has cleaned up when it gets here; of the tasks that this would cancel, some are pytest's.
async def _nothing(*_: object) -> None: ...


mocking.MockHub.shutdown_cancel_tasks = _nothing

# Before the modules of the tests take these names.
for stand_in in STAND_INS:
    setattr(mocking, stand_in.__name__, stand_in)
test_spawner.Spawner = test_spawner.SimpleLocalProcessSpawner = MockSpawner


@pytest.fixture(scope="session", autouse=True)
def proxy() -> None:
    """The proxy that `stateroom up` installs; JupyterHub looks for it on the path."""
    data = DataFolder(CACHE)
    data.make()
    node, *_, program = install_proxy(data, Screen())
    os.environ["PATH"] = os.pathsep.join([str(Path(program).parent), str(Path(node).parent), os.environ["PATH"]])


@pytest.fixture(scope="module", params=["memory", "docker"], autouse=True)
async def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Each test runs in each place."""
    async with (memory_subject if request.param == "memory" else docker_subject)() as subject:
        Current.place = Place(subject, tmp_path_factory.mktemp("place"))
        yield Current.place


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest) -> Iterator[None]:
    """A start that is said to be done is waited for on a busy machine too; `no_patience` still has its way."""
    settings = request.getfixturevalue("app").tornado_settings if "app" in request.fixturenames else {}
    with patch.dict(settings, slow_spawn_timeout=60, slow_stop_timeout=60):
        yield


@pytest.fixture(autouse=True)
def own_redirects(request: pytest.FixtureRequest) -> Iterator[None]:
    """One of the tests leaves its hook in the hub, which the same tests in the other place then meet."""
    yield
    if "app" in request.fixturenames:
        request.getfixturevalue("app").user_redirect_hook = None


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """What is expected to fail must fail."""
    reasons = {expected.test: expected.reason for expected in EXPECTED}
    for item in items:
        if reason := reasons.get(item.originalname) or reasons.get(name_without_place(item)):
            item.add_marker(pytest.mark.xfail(reason=reason))


def name_without_place(item: pytest.Function) -> str:
    """The test and its case, as JupyterHub names them."""
    return item.name.replace(f"[{item.callspec.params['place']}-", "[")
