"""Hostile names on the real engine: servers start, are known again, and stop; no two share a home, none leaves its own.

`peers.md` §4: names longer than a DNS label, that leave their folder, that only
a case or a sign sets apart, that are patterns for whoever formats them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from contract.engines import DockerSubject, docker_subject, make_spec
from harness.figures import Told
from harness.hostile import HOSTILE_NAMES, UNSPEAKABLE_NAMES, generated_names, shown
from stateroom.backends.base import Life
from stateroom.backends.docker import DockerBackend
from stateroom.backends.docker.payload import container_payload
from stateroom.catalog.storage import DockerHome
from stateroom.common.deadline import Deadline
from stateroom.common.errors import EngineRefused
from stateroom.common.labels import HUB
from stateroom.workloads.names import ServerRef
from stateroom.workloads.progress import Progress
from stateroom.workloads.server import Server

# Names that a careless rule takes for one; of users and, at another user, of servers.
TWINS = ("Foo", "foo", "FOO", "alice!!", "alice?!", "alice", "\u00c5", "A\u030a", "ß", "ss", "al-ice", "al--ice")
PATHS = tuple(name for name in HOSTILE_NAMES if set(name) & set("/\\.%:~*$\n"))

_AT_ONCE = 8
_BATCH = 16  # servers that run side by side; each takes some MB of memory
_FULL_STARTS = 50  # of generated names; the others are made and never run


@pytest.fixture
async def subject() -> AsyncIterator[DockerSubject]:
    async with docker_subject() as subject:
        yield subject


async def test_servers_of_hostile_names_start_are_known_again_and_stop(subject: DockerSubject, told: Told) -> None:
    pairs = [*zip(HOSTILE_NAMES, reversed(HOSTILE_NAMES), strict=True), *(("ada", name) for name in TWINS)]
    specs = [spec_of(subject, user, server) for user, server in pairs]
    await assert_all_live(subject, specs)
    assert volumes(subject) == {spec.home.name for spec in specs}
    assert len(volumes(subject)) == len(HOSTILE_NAMES) + 1
    told(f"{len(specs)} servers of hostile names started, adopted and stopped.")


async def test_servers_of_generated_names_start_are_known_again_and_stop(subject: DockerSubject, told: Told) -> None:
    specs = generated_specs(subject, 1000)[:: 1000 // _FULL_STARTS]
    await assert_all_live(subject, specs)
    told(f"{len(specs)} generated names started, adopted and stopped.")


async def test_a_thousand_generated_names_are_made_known_again_and_removed(subject: DockerSubject, told: Told) -> None:
    specs = generated_specs(subject, 1000)
    containers_of = subject.backend._containers
    wanted = specs[0].container
    image, _ = await containers_of.images.ensure(wanted.image, wanted.pull, wanted.pull_timeout, soon(), lambda _: None)

    async def make(spec: Server) -> None:
        await containers_of.homes.ensure(spec.home, subject.settings.homes)
        await containers_of.engine.create_container(spec.ref.name, container_payload(spec, image, subject.settings))

    await for_each(specs, make)
    homes = {spec.home.name: dict(spec.home.labels) for spec in specs}
    assert volumes(subject, with_labels=True) == homes
    assert len(homes) == len({spec.ref.user for spec in specs}) == 1000
    async with another_hub_process(subject) as again:
        assert {server.ref: server.state.life for server in await again.servers.list()} == {
            spec.ref: Life.STARTING for spec in specs
        }
        await for_each(specs, lambda spec: again.servers.stop(spec.ref, soon()))
        assert await again.servers.list() == []
        await for_each(specs, lambda spec: again.homes.remove(spec.home))
    assert containers(subject) == volumes(subject) == set()
    told(f"{len(specs)} generated names made, adopted and removed.")


async def test_homes_in_a_host_folder_are_distinct_and_directly_below_it(tmp_path: Path, told: Told) -> None:
    base = tmp_path / "outer" / "homes"
    base.mkdir(parents=True)
    async with docker_subject(DockerHome(path=str(base))) as subject:
        specs = [spec_of(subject, user=name) for name in PATHS]

        def mark(spec: Server) -> None:
            subject.client.exec_start(subject.client.exec_create(spec.ref.name, ["touch", "notebooks/mine"])["Id"])

        await assert_all_live(subject, specs, mark)
    assert everything_below(tmp_path) == {
        "outer",
        "outer/homes",
        *(f"outer/homes/{spec.home.name}{below}" for spec in specs for below in ("", "/mine")),
    }
    told(f"{len(specs)} names of paths, each with a home directly below the host's folder.")


@pytest.mark.parametrize("name", [*UNSPEAKABLE_NAMES, "x" * 131_072, "é" * 65_536], ids=shown)
async def test_a_name_that_no_program_can_be_given_is_refused_and_leaves_nothing(
    subject: DockerSubject, name: str
) -> None:
    for spec in (spec_of(subject, user=name), spec_of(subject, user="ada", server=name)):
        with pytest.raises(EngineRefused, match=r"no program can be given\. Choose a shorter or plainer one"):
            await subject.backend.servers.start(spec, soon(), unheard)
    assert containers(subject) == volumes(subject) == set()


def everything_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


async def assert_all_live(
    subject: DockerSubject, specs: list[Server], meanwhile: Callable[[Server], None] = lambda _: None
) -> None:
    """Start all; a backend that knows nothing finds each by its exact names, at its address, and stops it."""
    assert len({spec.ref.name for spec in specs}) == len(specs)
    for first in range(0, len(specs), _BATCH):
        batch = specs[first : first + _BATCH]
        addresses: dict[ServerRef, str] = {}

        async def start(spec: Server, addresses: dict[ServerRef, str] = addresses) -> None:
            addresses[spec.ref] = await subject.backend.servers.start(spec, soon(), unheard)
            meanwhile(spec)

        await for_each(batch, start)
        assert containers(subject) == {spec.ref.name for spec in batch}
        async with another_hub_process(subject) as again:
            assert {server.ref: server.state.address for server in await again.servers.list()} == addresses
            for spec in batch:
                state = await again.servers.state(spec.ref)
                assert (state.life, state.address) == (Life.RUNNING, addresses[spec.ref])
            await for_each(batch, lambda spec: again.servers.stop(spec.ref, soon()))
            assert await again.servers.list() == []
        assert containers(subject) == set()


@asynccontextmanager
async def another_hub_process(subject: DockerSubject) -> AsyncIterator[DockerBackend]:
    backend = subject.another_process()
    try:
        yield backend
    finally:
        await backend.close()


async def for_each(specs: Iterable[Server], work: Callable[[Server], Awaitable[object]]) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(spec: Server) -> None:
        async with places:
            await work(spec)

    await asyncio.gather(*map(one, specs))


def spec_of(subject: DockerSubject, user: str, server: str = "") -> Server:
    """As the hub asks for it: with the names in the environment and, quoted, in the address."""
    base_url = "/".join(["/user", *(quote(name, safe="@~", errors="replace") for name in (user, server) if name), ""])
    environment = {
        "JUPYTERHUB_SERVICE_PREFIX": base_url,
        "JUPYTERHUB_USER": user,
        "JUPYTERHUB_SERVER_NAME": server,
    }
    return make_spec(subject, user, server, base_url=base_url, environment=environment)


def generated_specs(subject: DockerSubject, count: int) -> list[Server]:
    names = generated_names(2 * count)
    return [spec_of(subject, user, server) for user, server in zip(names[:count], names[count:], strict=True)]


def containers(subject: DockerSubject) -> set[str]:
    found = subject.client.containers(all=True, filters={"label": f"{HUB}={subject.hub}"})
    return {container["Names"][0].removeprefix("/") for container in found}


def volumes(subject: DockerSubject, *, with_labels: bool = False) -> object:
    found = subject.client.volumes(filters={"label": f"{HUB}={subject.hub}"})["Volumes"] or ()
    labels = {volume["Name"]: volume["Labels"] for volume in found}
    return labels if with_labels else set(labels)


def soon() -> Deadline:
    return Deadline.after(60, "waiting")


def unheard(_: Progress) -> None:
    pass
