"""The one owner of what a hub's servers share: through edits of the catalog, and to the end of the hub."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from stateroom.backends.docker import DockerBackend
from stateroom.backends.memory import MemoryBackend
from stateroom.common.errors import CatalogError, HomeRefused
from stateroom.runtime import runtime as module
from stateroom.runtime.runtime import Runtime, RuntimeSettings, add_runtime, runtime_for
from stateroom.storage.assignments import HomeAssignments
from stateroom.storage.homes import HomeRef

from .conftest import CATALOG

METRIC = "stateroom_backend_last_contact_timestamp_seconds"
ADA, BOB = HomeRef("hub", "ada", 1), HomeRef("hub", "bob", 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "catalog.yaml"
    file.write_text(CATALOG)
    return file


@pytest.fixture(autouse=True)
async def own_process(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """As if no other test had made a runtime; those of this one are closed."""
    monkeypatch.setattr(module, "_runtimes", {})
    yield
    for runtime in list(module._runtimes.values()):
        await runtime.close()


def settings(file: Path, backend: module.BackendName = "memory") -> RuntimeSettings:
    return RuntimeSettings(file, backend, "hub", file.with_name("homes.json"))


def threads() -> list[str]:
    names = (thread.name for thread in threading.enumerate())
    return sorted(name for name in names if name == "catalog" or name.startswith("docker-"))


def write(file: Path, text: str) -> None:
    file.write_text(text)


def edited(runtime: Runtime, file: Path, text: str) -> None:
    """Save the catalog, and have it read as the watch would."""
    write(file, text)
    runtime.catalog_file.look()
    runtime.catalog_file.look()


def metric() -> list[float]:
    return [sample.value for family in REGISTRY.collect() if family.name == METRIC for sample in family.samples]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - of threads
            await asyncio.sleep(0.01)


async def test_making_one_starts_nothing(file: Path) -> None:
    add_runtime(Runtime(settings(file)))
    assert threads() == []
    assert metric() == []


async def test_a_catalog_that_cannot_be_used_is_refused(file: Path) -> None:
    write(file, "version: 2\n")
    with pytest.raises(CatalogError):
        runtime_for(settings(file))
    assert threads() == []


async def test_equal_settings_have_one_runtime_and_others_another(file: Path) -> None:
    made = Runtime(settings(file))
    add_runtime(made)
    assert runtime_for(settings(file)) is runtime_for(settings(file)) is made
    assert runtime_for(RuntimeSettings(file, "memory", "another-hub")) is not made


async def test_three_edits_of_the_network_leave_one_backend_with_two_threads_and_one_series(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")  # nobody listens
    runtime = runtime_for(settings(file, "docker"))
    backend = runtime.backend
    assert isinstance(backend, DockerBackend)
    limit = backend._containers.turns
    networks = []
    for number in range(3):
        edited(runtime, file, f"{CATALOG}docker: {{network: network{number}}}\n")
        assert await runtime.machine() is None  # it is asked for the first time
        networks.append(backend._containers._settings().network)
    assert networks == ["network0", "network1", "network2"]
    assert runtime_for(settings(file, "docker")).backend is backend
    assert backend._containers.turns is limit
    assert threads() == ["catalog", "docker-events", "docker-life"]
    assert len(metric()) == 1
    await runtime.close()
    await until(lambda: threads() == [])
    assert metric() == []


async def test_a_new_image_is_known_to_the_backend_in_memory(file: Path) -> None:
    runtime = runtime_for(settings(file))
    backend = runtime.backend
    assert isinstance(backend, MemoryBackend)
    edited(runtime, file, CATALOG.replace("stateroom/classic:3", "stateroom/classic:4"))
    assert backend.servers._images().keys() == {"stateroom/unified:1", "stateroom/classic:4"}


async def test_it_closes_when_the_hub_cancels_its_tasks(file: Path) -> None:
    runtime = runtime_for(settings(file))
    assert runtime.backend is not None
    assert threads() == ["catalog"]
    await asyncio.sleep(0)  # its task begins
    own = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not own]
    for task in others:
        task.cancel()
    await asyncio.wait(others)
    await until(lambda: threads() == [])
    assert module._runtimes == {}


async def test_an_assignment_by_the_command_counts_at_the_next_start(file: Path) -> None:
    runtime = runtime_for(settings(file))
    assert runtime.home_of(BOB) == BOB
    HomeAssignments(file.with_name("homes.json")).assign(ADA, BOB)
    assert runtime.home_of(BOB) == ADA
    with pytest.raises(HomeRefused):
        runtime.home_of(ADA)


async def test_an_unchanged_file_of_assignments_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    HomeAssignments(file.with_name("homes.json")).assign(ADA, BOB)
    runtime = runtime_for(settings(file))
    assert runtime.home_of(BOB) == ADA
    monkeypatch.setattr(Path, "read_bytes", None)
    assert runtime.home_of(BOB) == ADA
